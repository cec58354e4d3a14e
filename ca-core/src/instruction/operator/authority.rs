//! The operators' CA: whose certificates may sign operators' instructions.

use chrono::{DateTime, Utc};
use const_oid::db::rfc5280::ID_KP_CLIENT_AUTH;
use der::{Decode, Encode};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::{Certificate, TbsCertificate};

use super::OperatorIdentity;
use crate::digest::Sha256Digest;
use crate::instruction::InstructionRefusal;
use crate::key::{self, PublicKey};
use crate::signed_object::SignedParts;
use crate::time;

/// The CAs that issue operators' certificates, one tier each: the same that the operators' listener trusts.
#[derive(Debug, Clone, Default)]
pub struct OperatorAuthorities(Vec<OperatorAuthority>);

#[derive(Debug, Clone)]
struct OperatorAuthority {
    name: Vec<u8>,
    public_key: PublicKey,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
}

/// Why certificates cannot be those of the operators' CA: a mistake in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OperatorAuthorityFault {
    /// Not certificates in PEM, at least one.
    #[error("the file does not hold certificates in PEM, one or several")]
    Malformed,
    /// A key that is not supported.
    #[error("the public key of an operators' CA is not supported")]
    PublicKey,
    /// No CA's certificate.
    #[error("a certificate is not a CA's: basicConstraints or keyUsage forbid it to issue")]
    NotAuthority,
}

/// An operator's certificate that one of the authorities vouches for.
pub(in crate::instruction) struct ValidOperatorCertificate {
    pub(in crate::instruction) identity: OperatorIdentity,
    pub(in crate::instruction) public_key: PublicKey,
    pub(in crate::instruction) key_sha256: Sha256Digest,
}

impl OperatorAuthorities {
    /// Reads CA certificates in PEM, one or several.
    pub fn from_pem(pem: &[u8]) -> Result<Self, OperatorAuthorityFault> {
        let certificates = Certificate::load_pem_chain(pem).map_err(|_| OperatorAuthorityFault::Malformed)?;
        if certificates.is_empty() {
            return Err(OperatorAuthorityFault::Malformed);
        }
        certificates.iter().map(|certificate| OperatorAuthority::read(certificate.tbs_certificate())).collect::<Result<_, _>>().map(Self)
    }

    /// Whose certificate `der` is, if it is an operator's: issued here, valid at `now`, for signing, and of a known role.
    ///
    /// # Errors
    /// What is wrong with the certificate.
    pub fn identify(&self, der: &[u8], now: DateTime<Utc>) -> Result<OperatorIdentity, InstructionRefusal> {
        self.validate(der, now).map(|valid| valid.identity)
    }

    /// Checks that `der` is an operator's certificate: issued here, valid at `now`, for signing, and of a known role.
    pub(in crate::instruction) fn validate(&self, der: &[u8], now: DateTime<Utc>) -> Result<ValidOperatorCertificate, InstructionRefusal> {
        use InstructionRefusal as Refused;

        let malformed = |_| Refused::SignerMalformed;
        let certificate = Certificate::from_der(der).map_err(malformed)?;
        let tbs = certificate.tbs_certificate();
        if tbs.version() != x509_cert::Version::V3 || tbs.signature() != certificate.signature_algorithm() {
            return Err(Refused::SignerMalformed);
        }
        let issuer = tbs.issuer().to_der().map_err(malformed)?;
        let parts = SignedParts::from_der(der).map_err(malformed)?;
        // The name alone says nothing, for all generations of a CA's key bear it: the signature tells which of them it is.
        let issued = |authority: &&OperatorAuthority| authority.name == issuer && parts.verify(&authority.public_key).is_ok();
        let authority = self.0.iter().find(issued).ok_or(Refused::SignerUnknown)?;
        let (not_before, not_after) = validity(tbs).ok_or(Refused::SignerMalformed)?;
        if now < not_before.max(authority.not_before) || now > not_after.min(authority.not_after) {
            return Err(Refused::SignerExpired);
        }
        let extension = Purposes::read(tbs).ok_or(Refused::SignerMalformed)?;
        if extension.is_ca || !extension.for_clients {
            return Err(Refused::SignerUnknown);
        }
        if !extension.usage.is_some_and(|usage| usage.digital_signature()) {
            return Err(Refused::SignerKeyUsage);
        }
        let info = tbs.subject_public_key_info();
        Ok(ValidOperatorCertificate {
            identity: OperatorIdentity::from_subject(tbs.subject())?,
            public_key: PublicKey::from_info(info).map_err(|_| Refused::SignerMalformed)?,
            key_sha256: Sha256Digest::of(&key::info_to_der(info).map_err(|_| Refused::SignerMalformed)?),
        })
    }
}

impl OperatorAuthority {
    fn read(tbs: &TbsCertificate) -> Result<Self, OperatorAuthorityFault> {
        let purposes = Purposes::read(tbs).ok_or(OperatorAuthorityFault::Malformed)?;
        if !purposes.is_ca || purposes.usage.is_some_and(|usage| !usage.key_cert_sign()) {
            return Err(OperatorAuthorityFault::NotAuthority);
        }
        let (not_before, not_after) = validity(tbs).ok_or(OperatorAuthorityFault::Malformed)?;
        Ok(Self {
            name: tbs.subject().to_der().map_err(|_| OperatorAuthorityFault::Malformed)?,
            public_key: PublicKey::from_info(tbs.subject_public_key_info()).map_err(|_| OperatorAuthorityFault::PublicKey)?,
            not_before,
            not_after,
        })
    }
}

/// What a certificate is for. Other extensions are passed over, as the operators' CA is ours to choose.
struct Purposes {
    is_ca: bool,
    usage: Option<KeyUsage>,
    for_clients: bool,
}

impl Purposes {
    /// `None` if an extension stands there twice or cannot be read.
    fn read(tbs: &TbsCertificate) -> Option<Self> {
        let constraints = tbs.get_extension::<BasicConstraints>().ok()?;
        let usage = tbs.get_extension::<KeyUsage>().ok()?;
        let purposes = tbs.get_extension::<ExtendedKeyUsage>().ok()?;
        Some(Self {
            is_ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
            usage: usage.map(|(_, usage)| usage),
            for_clients: purposes.is_none_or(|(_, purposes)| purposes.0.contains(&ID_KP_CLIENT_AUTH)),
        })
    }
}

fn validity(tbs: &TbsCertificate) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    Some((time::from_time(&tbs.validity().not_before)?, time::from_time(&tbs.validity().not_after)?))
}
