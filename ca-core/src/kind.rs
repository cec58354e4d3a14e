//! The two kinds of certificate a holder has.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a certificate, of a card or of a smartphone, is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateKind {
    /// 署名用: signs documents; carries the holder's basic attributes.
    Signature,
    /// 利用者証明用: logs the holder in; carries nothing personal.
    Authentication,
}

impl CertificateKind {
    /// Both kinds, in the order in which they are always shown.
    pub const ALL: [Self; 2] = [Self::Signature, Self::Authentication];

    /// The word used in JSON, settings, file names and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Authentication => "authentication",
        }
    }
}

impl fmt::Display for CertificateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is none of `signature` and `authentication`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a kind is \"signature\" or \"authentication\"")]
pub struct UnknownKind;

impl FromStr for CertificateKind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(UnknownKind)
    }
}
