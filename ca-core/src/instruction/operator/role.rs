//! What operators are here to do.

use std::fmt;
use std::str::FromStr;

/// What an operator is here to do. A certificate's organizationalUnitName says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Tells what happened to cards.
    BackOffice,
    /// Takes reports of lost phones, day and night.
    CallCentre,
    /// Does everything.
    Administrator,
    /// Reads everything, takes exports of the log, changes nothing.
    Auditor,
    /// A service that asks about the certificates that it is shown.
    Verifier,
}

/// What operators do, as far as roles tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Telling what happened to cards.
    ReportCardEvents,
    /// Placing and lifting holds.
    Hold,
    /// Revoking a certificate, a device's or a holder's.
    Revoke,
    /// Commanding a phone to erase or lock.
    CommandDevice,
    /// Starting a schedule before its time.
    RunSchedule,
    /// Changing many certificates at once, and approving it.
    Mass,
    /// Reading about holders, certificates, devices and schedules.
    Read,
    /// Asking, as a verifier, what belongs together.
    LookUp,
    /// Searching the log, and taking exports of it.
    Audit,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::BackOffice, Self::CallCentre, Self::Administrator, Self::Auditor, Self::Verifier];

    /// The word in certificates and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BackOffice => "back-office",
            Self::CallCentre => "call-centre",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
            Self::Verifier => "verifier",
        }
    }

    /// Whether the role may do it. What is not allowed here is denied.
    pub const fn may(self, action: Action) -> bool {
        match self {
            Self::BackOffice => matches!(action, Action::ReportCardEvents),
            // Whoever takes the report of a loss must see what there is to hold.
            Self::CallCentre => matches!(action, Action::Hold | Action::Read),
            Self::Administrator => true,
            Self::Auditor => matches!(action, Action::Read | Action::Audit),
            Self::Verifier => matches!(action, Action::LookUp),
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
        Self::ALL.into_iter().find(|role| role.as_str() == word).ok_or(UnknownRole)
    }
}
