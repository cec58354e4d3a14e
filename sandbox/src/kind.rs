//! The two kinds of certificate, as the wire names them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// 署名用
    Signature,
    /// 利用者証明用
    Authentication,
}

impl Kind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Signature, Self::Authentication];

    /// The word on the wire and in file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Authentication => "authentication",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a kind is \"signature\" or \"authentication\"")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(UnknownKind)
    }
}
