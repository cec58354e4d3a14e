//! Why a certificate is on hold, and since when.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Why a certificate is held. Several causes may hold one certificate at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldCause {
    /// The card certificate that it is linked to is on hold. No person places or lifts it: it follows the card.
    CardHeld,
    /// The phone was reported lost.
    PhoneLost,
    /// An operator had a reason of another sort.
    Operator,
}

impl HoldCause {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::CardHeld, Self::PhoneLost, Self::Operator];

    /// The number that the store has for it.
    pub const fn code(self) -> u8 {
        match self {
            Self::CardHeld => 1,
            Self::PhoneLost => 2,
            Self::Operator => 3,
        }
    }

    /// The cause of a number; `None` if it is no cause's.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.code() == code)
    }

    /// The word used in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CardHeld => "card-held",
            Self::PhoneLost => "phone-lost",
            Self::Operator => "operator",
        }
    }

    const fn bit(self) -> u8 {
        1 << self.code()
    }
}

impl fmt::Display for HoldCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names no cause of a hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a cause is \"card-held\", \"phone-lost\" or \"operator\"")]
pub struct UnknownHoldCause;

impl FromStr for HoldCause {
    type Err = UnknownHoldCause;

    fn from_str(word: &str) -> Result<Self, UnknownHoldCause> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word).ok_or(UnknownHoldCause)
    }
}

/// A set of causes, each at most once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct HoldCauses(u8);

impl HoldCauses {
    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this cause is one of them.
    pub const fn contains(self, cause: HoldCause) -> bool {
        self.0 & cause.bit() != 0
    }

    /// The causes, always in the same order.
    pub fn iter(self) -> impl Iterator<Item = HoldCause> {
        HoldCause::ALL.into_iter().filter(move |cause| self.contains(*cause))
    }

    const fn with(self, cause: HoldCause) -> Self {
        Self(self.0 | cause.bit())
    }

    const fn without(self, cause: HoldCause) -> Self {
        Self(self.0 & !cause.bit())
    }
}

impl FromIterator<HoldCause> for HoldCauses {
    fn from_iter<T: IntoIterator<Item = HoldCause>>(causes: T) -> Self {
        causes.into_iter().fold(Self::default(), Self::with)
    }
}

impl fmt::Debug for HoldCauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The holds that stand on a certificate: one cause at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holds {
    since: DateTime<Utc>,
    causes: HoldCauses,
}

impl Holds {
    /// Holds that have stood since `since` (whole seconds); `None` if there is no cause.
    pub fn new(since: DateTime<Utc>, causes: HoldCauses) -> Option<Self> {
        (!causes.is_empty()).then_some(Self { since, causes })
    }

    /// A first hold.
    pub fn first(since: DateTime<Utc>, cause: HoldCause) -> Self {
        Self { since, causes: HoldCauses::default().with(cause) }
    }

    /// Since when the certificate has been held without interruption: whole seconds. Relying parties are told this as the
    /// revocation date, and it stays that when the hold becomes permanent.
    pub fn since(&self) -> DateTime<Utc> {
        self.since
    }

    /// The causes that stand.
    pub fn causes(&self) -> HoldCauses {
        self.causes
    }

    /// With one more cause. The date stays.
    #[must_use]
    pub fn with(self, cause: HoldCause) -> Self {
        Self { causes: self.causes.with(cause), ..self }
    }

    /// Without a cause; `None` if none is left.
    pub fn without(self, cause: HoldCause) -> Option<Self> {
        Self::new(self.since, self.causes.without(cause))
    }
}
