//! What happens to card certificates, and what is known of one from that.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SubsecRound, Utc};
use serde::{Deserialize, Serialize};

use crate::kind::CertificateKind;
use crate::revocation::{Revocation, RevocationReason};

/// Something that happened to one card certificate, as the back office tells it (or the card CA's CRL).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardChange {
    /// It was revoked, for good.
    Revoked {
        /// Why; never certificateHold.
        reason: RevocationReason,
        /// When.
        at: DateTime<Utc>,
    },
    /// It was put on hold.
    Held {
        /// When.
        at: DateTime<Utc>,
    },
    /// Its hold was released: it is good again.
    Released {
        /// When.
        at: DateTime<Utc>,
    },
    /// The card was renewed: another card certificate took its place.
    Renewed {
        /// When.
        at: DateTime<Utc>,
    },
    /// It reached its end.
    Expired {
        /// When.
        at: DateTime<Utc>,
    },
    /// Name, address, date of birth or sex of its holder changed.
    RecordChanged {
        /// When.
        at: DateTime<Utc>,
    },
    /// Its holder died.
    Died {
        /// When.
        at: DateTime<Utc>,
    },
    /// Its holder left the country.
    Emigrated {
        /// When.
        at: DateTime<Utc>,
    },
    /// There was an error in its holder's record.
    RecordError {
        /// When.
        at: DateTime<Utc>,
    },
}

impl CardChange {
    /// A change of a kind; `None` unless there is a reason exactly where one belongs, with a revocation, and it is permanent.
    pub fn new(kind: CardChangeKind, reason: Option<RevocationReason>, at: DateTime<Utc>) -> Option<Self> {
        Some(match (kind, reason) {
            (CardChangeKind::Revoked, Some(reason)) if reason.is_permanent() => Self::Revoked { reason, at },
            (CardChangeKind::Revoked, _) | (_, Some(_)) => return None,
            (CardChangeKind::Held, None) => Self::Held { at },
            (CardChangeKind::Released, None) => Self::Released { at },
            (CardChangeKind::Renewed, None) => Self::Renewed { at },
            (CardChangeKind::Expired, None) => Self::Expired { at },
            (CardChangeKind::RecordChanged, None) => Self::RecordChanged { at },
            (CardChangeKind::Died, None) => Self::Died { at },
            (CardChangeKind::Emigrated, None) => Self::Emigrated { at },
            (CardChangeKind::RecordError, None) => Self::RecordError { at },
        })
    }

    /// What happened, without when and why.
    pub const fn kind(&self) -> CardChangeKind {
        match self {
            Self::Revoked { .. } => CardChangeKind::Revoked,
            Self::Held { .. } => CardChangeKind::Held,
            Self::Released { .. } => CardChangeKind::Released,
            Self::Renewed { .. } => CardChangeKind::Renewed,
            Self::Expired { .. } => CardChangeKind::Expired,
            Self::RecordChanged { .. } => CardChangeKind::RecordChanged,
            Self::Died { .. } => CardChangeKind::Died,
            Self::Emigrated { .. } => CardChangeKind::Emigrated,
            Self::RecordError { .. } => CardChangeKind::RecordError,
        }
    }

    /// When it happened.
    pub const fn at(&self) -> DateTime<Utc> {
        match *self {
            Self::Revoked { at, .. }
            | Self::Held { at }
            | Self::Released { at }
            | Self::Renewed { at }
            | Self::Expired { at }
            | Self::RecordChanged { at }
            | Self::Died { at }
            | Self::Emigrated { at }
            | Self::RecordError { at } => at,
        }
    }

    /// The reason told; with a revocation only.
    pub const fn reason(&self) -> Option<RevocationReason> {
        match *self {
            Self::Revoked { reason, .. } => Some(reason),
            _ => None,
        }
    }
}

/// What can happen to a card certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardChangeKind {
    /// [`CardChange::Revoked`]
    Revoked,
    /// [`CardChange::Held`]
    Held,
    /// [`CardChange::Released`]
    Released,
    /// [`CardChange::Renewed`]
    Renewed,
    /// [`CardChange::Expired`]
    Expired,
    /// [`CardChange::RecordChanged`]
    RecordChanged,
    /// [`CardChange::Died`]
    Died,
    /// [`CardChange::Emigrated`]
    Emigrated,
    /// [`CardChange::RecordError`]
    RecordError,
}

impl CardChangeKind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Revoked,
        Self::Held,
        Self::Released,
        Self::Renewed,
        Self::Expired,
        Self::RecordChanged,
        Self::Died,
        Self::Emigrated,
        Self::RecordError,
    ];

    /// The number that the store has for it, from 1.
    pub const fn code(self) -> u8 {
        match self {
            Self::Revoked => 1,
            Self::Held => 2,
            Self::Released => 3,
            Self::Renewed => 4,
            Self::Expired => 5,
            Self::RecordChanged => 6,
            Self::Died => 7,
            Self::Emigrated => 8,
            Self::RecordError => 9,
        }
    }

    /// What has this number, if anything.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// The word on the wire and in events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Held => "held",
            Self::Released => "released",
            Self::Renewed => "renewed",
            Self::Expired => "expired",
            Self::RecordChanged => "record_changed",
            Self::Died => "died",
            Self::Emigrated => "emigrated",
            Self::RecordError => "record_error",
        }
    }
}

impl fmt::Display for CardChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names nothing that we know to happen to card certificates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a known change of a card certificate")]
pub struct UnknownCardChange;

impl FromStr for CardChangeKind {
    type Err = UnknownCardChange;

    fn from_str(word: &str) -> Result<Self, UnknownCardChange> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(UnknownCardChange)
    }
}

/// Where a card certificate stands, as far as we were told. Applications are accepted from one that is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardStanding {
    /// Nothing else was told. Whether it has expired, the certificate itself says.
    Good,
    /// On hold.
    Held {
        /// Since when: whole seconds.
        since: DateTime<Utc>,
    },
    /// Ended, for good: as it was told first.
    Ended(Revocation),
}

/// What events have told of a card certificate. They may come late, again or out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardRecord {
    /// Where it stands.
    pub standing: CardStanding,
    /// The highest sequence number of a hold or release so far. Other events do not raise it: a hold that was overtaken by a
    /// change of address is still a hold.
    pub last_sequence: Option<i64>,
}

impl CardRecord {
    /// A card certificate of which nothing was told.
    pub const NEW: Self = Self { standing: CardStanding::Good, last_sequence: None };

    /// Whether a change that comes with this sequence number is to have any effect, here and on the linked certificates: a hold or
    /// release does if it is newer than the last one; anything else always does, however late it comes. What has ended holds nothing
    /// any more.
    pub fn counts(&self, change: &CardChange, sequence: i64) -> bool {
        match change {
            CardChange::Held { .. } if matches!(self.standing, CardStanding::Ended(_)) => false,
            CardChange::Held { .. } | CardChange::Released { .. } => self.last_sequence.is_none_or(|last| sequence > last),
            _ => true,
        }
    }

    /// What is known after the change. `kind` is what the card certificate is for, where that is known: a change of the record ends
    /// a signature certificate, which carries name and address, and no other.
    #[must_use]
    pub fn after(self, change: &CardChange, sequence: i64, kind: Option<CertificateKind>) -> Self {
        if !self.counts(change, sequence) {
            return self;
        }
        let at = change.at().trunc_subsecs(0);
        let end = |reason| Some(CardStanding::Ended(Revocation::new(at, reason)));
        let told = match *change {
            CardChange::Revoked { reason, .. } => end(reason),
            CardChange::Held { .. } => Some(CardStanding::Held { since: at }),
            CardChange::Released { .. } => Some(CardStanding::Good),
            CardChange::Renewed { .. } => end(RevocationReason::Superseded),
            CardChange::RecordChanged { .. } if kind == Some(CertificateKind::Signature) => end(RevocationReason::AffiliationChanged),
            CardChange::Expired { .. } | CardChange::RecordChanged { .. } => None,
            CardChange::Died { .. } | CardChange::Emigrated { .. } => end(RevocationReason::CessationOfOperation),
            CardChange::RecordError { .. } => end(RevocationReason::Unspecified),
        };
        let standing = match (self.standing, told) {
            (CardStanding::Ended(_), _) | (_, None) => self.standing,
            // Held twice without a release between: since the first time.
            (CardStanding::Held { .. }, Some(CardStanding::Held { .. })) => self.standing,
            (_, Some(told)) => told,
        };
        let last_sequence = match change {
            CardChange::Held { .. } | CardChange::Released { .. } => Some(sequence),
            _ => self.last_sequence,
        };
        Self { standing, last_sequence }
    }
}
