//! Kinds of keys.

use serde::{Deserialize, Serialize};

use crate::document::{PolicyFault, distinct, require};

/// A kind of key that a CA or a responder signs with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyType {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// RSA of 2048 bits, PKCS #1 v1.5 with SHA-256.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA of 3072 bits, PKCS #1 v1.5 with SHA-256.
    #[serde(rename = "rsa-3072")]
    Rsa3072,
    /// RSA of 4096 bits, PKCS #1 v1.5 with SHA-256.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl KeyType {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::EcdsaP256, Self::EcdsaP384, Self::Rsa2048, Self::Rsa3072, Self::Rsa4096];

    /// The word used in policies, settings and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    /// The key type of that word, if there is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key_type| key_type.as_str() == word)
    }
}

impl std::fmt::Display for KeyType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An elliptic curve on which a smartphone's key may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Curve {
    /// secp256r1.
    #[serde(rename = "P-256")]
    P256,
    /// secp384r1.
    #[serde(rename = "P-384")]
    P384,
}

/// Which keys smartphones may have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPolicy {
    /// The shortest RSA modulus, in bits. At least 2048.
    pub rsa_min_bits: u32,
    /// The longest RSA modulus, in bits. At most 8192: longer ones cost verifiers too much.
    pub rsa_max_bits: u32,
    /// The curves.
    pub curves: Vec<Curve>,
}

impl KeyPolicy {
    pub(crate) fn check(&self, document: &str) -> Result<(), PolicyFault> {
        require(document, self.rsa_min_bits >= 2048, "rsa_min_bits is below 2048")?;
        require(document, self.rsa_max_bits <= 8192, "rsa_max_bits is above 8192")?;
        require(document, self.rsa_min_bits <= self.rsa_max_bits, "rsa_min_bits is above rsa_max_bits")?;
        require(document, distinct(&self.curves), "a curve is named twice")
    }

    /// Whether every key that `other` allows is allowed here.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.rsa_min_bits <= other.rsa_min_bits
            && self.rsa_max_bits >= other.rsa_max_bits
            && other.curves.iter().all(|curve| self.curves.contains(curve))
    }
}
