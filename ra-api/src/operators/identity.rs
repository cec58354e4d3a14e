//! Who is at the other end of the operators' listener.

use std::any::Any;
use std::fmt;
use std::str::FromStr;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::oid::ObjectIdentifier;

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

/// What an operator is here to do. A certificate's organizationalUnitName says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Tells what happened to cards.
    BackOffice,
}

impl Role {
    /// The word in certificates and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BackOffice => "back-office",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no such role")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        if word == Self::BackOffice.as_str() { Ok(Self::BackOffice) } else { Err(UnknownRole) }
    }
}

/// An operator, as the client certificate names it, which the TLS handshake has verified against the operator CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorIdentity {
    /// The subject's commonName: 1 to 64 visible ASCII characters or spaces.
    pub name: String,
    /// The subject's organizationalUnitName.
    pub role: Role,
}

/// Why a verified client certificate names no operator.
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

impl OperatorIdentity {
    /// Reads the subject of a client certificate in DER.
    pub fn from_certificate(der: &[u8]) -> Result<Self, IdentityRefusal> {
        let certificate = Certificate::from_der(der).map_err(|_| IdentityRefusal::Malformed)?;
        let (mut names, mut units) = (Vec::new(), Vec::new());
        for attribute in certificate.tbs_certificate().subject().iter() {
            let text = std::str::from_utf8(attribute.value.value()).unwrap_or_default();
            match attribute.oid {
                COMMON_NAME => names.push(text),
                ORGANIZATIONAL_UNIT => units.push(text),
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

/// What a connection of the operators' listener knows of its other end, read once when it opens.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionIdentity(pub(crate) Result<OperatorIdentity, IdentityRefusal>);

/// For `HttpServer::on_connect`: keeps the identity with the connection.
pub(crate) fn remember_identity(connection: &dyn Any, data: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() else {
        return;
    };
    let (_, session) = stream.get_ref();
    let Some(certificate) = session.peer_certificates().and_then(<[_]>::first) else {
        return;
    };
    data.insert(ConnectionIdentity(OperatorIdentity::from_certificate(certificate)));
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(attributes: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in attributes {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn name_and_role_are_read_from_the_subject() {
        let der = certificate(&[(DnType::OrganizationalUnitName, "back-office"), (DnType::CommonName, "J-LIS feed 1")]);
        let identity = OperatorIdentity::from_certificate(&der).unwrap();
        assert_eq!(identity, OperatorIdentity { name: "J-LIS feed 1".into(), role: Role::BackOffice });
    }

    #[test]
    fn a_subject_without_a_known_role_or_a_clean_name_is_refused() {
        let unit = DnType::OrganizationalUnitName;
        let refusal = |attributes: &[(DnType, &str)]| OperatorIdentity::from_certificate(&certificate(attributes)).unwrap_err();
        assert_eq!(refusal(&[(DnType::CommonName, "x")]), IdentityRefusal::Role);
        assert_eq!(refusal(&[(DnType::CommonName, "x"), (unit.clone(), "Back-Office")]), IdentityRefusal::Role);
        assert_eq!(refusal(&[(unit.clone(), "back-office")]), IdentityRefusal::Name);
        assert_eq!(refusal(&[(unit, "back-office"), (DnType::CommonName, "line\nbreak")]), IdentityRefusal::Name);
        assert_eq!(OperatorIdentity::from_certificate(&[0x30, 0]), Err(IdentityRefusal::Malformed));
    }
}
