//! Who an operator is.

use const_oid::db::rfc4519::{COMMON_NAME, ORGANIZATIONAL_UNIT_NAME};
use der::Decode;
use x509_cert::Certificate;
use x509_cert::name::Name;

use super::{Role, UnknownRole};
use crate::refusal::Refusal;

/// An operator, as the certificate's subject says; to be believed only if the operators' CA vouches for the certificate, which
/// a TLS handshake or [`super::OperatorAuthorities`] finds out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OperatorIdentity {
    /// The subject's commonName: 1 to 64 visible ASCII characters or spaces.
    pub name: String,
    /// The subject's organizationalUnitName.
    pub role: Role,
}

/// Why a certificate names no operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentityRefusal {
    /// It cannot be read.
    #[error("the client certificate cannot be read")]
    Malformed,
    /// Not exactly one commonName of the form asked for.
    #[error("the client certificate's subject must have exactly one commonName of 1 to 64 visible ASCII characters")]
    Name,
    /// Not exactly one organizationalUnitName, or one that is no role.
    #[error("the client certificate's subject must have exactly one organizationalUnitName, and it must be a role")]
    Role,
}

impl Refusal for IdentityRefusal {
    fn code(&self) -> &'static str {
        "role_unknown"
    }
}

impl OperatorIdentity {
    /// Reads the subject of a certificate in DER.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityRefusal> {
        let certificate = Certificate::from_der(der).map_err(|_| IdentityRefusal::Malformed)?;
        Self::from_subject(certificate.tbs_certificate().subject())
    }

    pub(super) fn from_subject(subject: &Name) -> Result<Self, IdentityRefusal> {
        let (mut names, mut units) = (Vec::new(), Vec::new());
        for attribute in subject.iter() {
            let text = std::str::from_utf8(attribute.value.value()).unwrap_or_default();
            match attribute.oid {
                COMMON_NAME => names.push(text),
                ORGANIZATIONAL_UNIT_NAME => units.push(text),
                _ => {}
            }
        }
        let ([name], [unit]) = (names.as_slice(), units.as_slice()) else {
            return Err(if units.len() == 1 { IdentityRefusal::Name } else { IdentityRefusal::Role });
        };
        if !(1..=64).contains(&name.len()) || !name.bytes().all(|octet| octet.is_ascii_graphic() || octet == b' ') {
            return Err(IdentityRefusal::Name);
        }
        let role = unit.parse().map_err(|UnknownRole| IdentityRefusal::Role)?;
        Ok(Self { name: (*name).to_owned(), role })
    }
}
