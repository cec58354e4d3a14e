//! What a key may be used for, in words.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use x509_cert::ext::pkix::KeyUsages;

/// A bit of the keyUsage extension, written as in RFC 5280 section 4.2.1.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeyUsageBit {
    /// Signatures other than those on certificates and CRLs.
    DigitalSignature,
    /// Signatures that bind (contentCommitment).
    NonRepudiation,
    /// Encrypting keys.
    KeyEncipherment,
    /// Encrypting data.
    DataEncipherment,
    /// Agreeing on keys.
    KeyAgreement,
    /// Signatures on certificates.
    KeyCertSign,
    /// Signatures on CRLs.
    #[serde(rename = "cRLSign")]
    CrlSign,
    /// With keyAgreement: only enciphering.
    EncipherOnly,
    /// With keyAgreement: only deciphering.
    DecipherOnly,
}

impl KeyUsageBit {
    /// The same as x509-cert's flag.
    pub const fn flag(self) -> KeyUsages {
        match self {
            Self::DigitalSignature => KeyUsages::DigitalSignature,
            Self::NonRepudiation => KeyUsages::NonRepudiation,
            Self::KeyEncipherment => KeyUsages::KeyEncipherment,
            Self::DataEncipherment => KeyUsages::DataEncipherment,
            Self::KeyAgreement => KeyUsages::KeyAgreement,
            Self::KeyCertSign => KeyUsages::KeyCertSign,
            Self::CrlSign => KeyUsages::CRLSign,
            Self::EncipherOnly => KeyUsages::EncipherOnly,
            Self::DecipherOnly => KeyUsages::DecipherOnly,
        }
    }
}

/// For `#[serde(deserialize_with)]`: key purposes, each the word of RFC 5280 section 4.2.1.12 or a dotted object identifier.
pub(crate) fn purposes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ObjectIdentifier>, D::Error> {
    Vec::<String>::deserialize(deserializer)?
        .iter()
        .map(|word| match word.as_str() {
            "clientAuth" => Ok(rfc5280::ID_KP_CLIENT_AUTH),
            "emailProtection" => Ok(rfc5280::ID_KP_EMAIL_PROTECTION),
            dotted => dotted.parse().map_err(|_| D::Error::custom(format!("{dotted:?} is no known key purpose and no object identifier"))),
        })
        .collect()
}
