//! Why a certificate was revoked.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A revocation reason (RFC 5280 section 5.3.1). `removeFromCRL` is none: it exists in delta CRLs only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevocationReason {
    /// 0: no reason told. Left out of CRL entries and OCSP answers.
    Unspecified,
    /// 1
    KeyCompromise,
    /// 2
    #[serde(rename = "cACompromise")]
    CaCompromise,
    /// 3: the holder's record changed.
    AffiliationChanged,
    /// 4: renewed, or a new phone's certificate took its place.
    Superseded,
    /// 5: no longer needed.
    CessationOfOperation,
    /// 6: on hold.
    CertificateHold,
    /// 9
    PrivilegeWithdrawn,
    /// 10
    #[serde(rename = "aACompromise")]
    AaCompromise,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::PrivilegeWithdrawn,
        Self::AaCompromise,
    ];

    /// The CRLReason number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::PrivilegeWithdrawn => 9,
            Self::AaCompromise => 10,
        }
    }

    /// The reason of a CRLReason number; `None` for 7, 8 and beyond 10.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The name in RFC 5280's grammar.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
            Self::AaCompromise => "aACompromise",
        }
    }

    /// Whether it is for good: all but certificateHold.
    pub const fn is_permanent(self) -> bool {
        !matches!(self, Self::CertificateHold)
    }

    /// Whether relying parties should learn of it at once rather than with the next scheduled CRL.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::KeyCompromise | Self::CaCompromise | Self::AaCompromise)
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names no revocation reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a revocation reason of RFC 5280")]
pub struct UnknownReason;

impl FromStr for RevocationReason {
    type Err = UnknownReason;

    fn from_str(word: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word).ok_or(UnknownReason)
    }
}
