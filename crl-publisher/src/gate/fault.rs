//! Why a list is not let through.

use std::fmt;
use std::io;

use ca_core::ocsp::ToldStatus;
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use schema::{EventPosition, StoreFault};

use crate::read_back::ReadFault;

/// A list must not be published: it is not what it should be. Ours to find out why; the list before it stays in force.
#[derive(Debug, thiserror::Error)]
pub enum GateFault {
    /// A file could not be opened.
    #[error("{path} cannot be opened")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The new list does not read back.
    #[error("the new list does not read back: {0}")]
    Unreadable(#[source] ReadFault),
    /// Another algorithm than that of the CA key, or a signature that does not verify.
    #[error("the new list's signature does not verify")]
    Signature,
    /// A field is not what was to be written.
    #[error("the new list's {0} is not what was to be written")]
    Field(&'static str),
    /// Entries are not in order, or one stands there twice.
    #[error("certificate {0} stands on the new list twice, or out of order")]
    Order(SerialNumber),
    /// The list before does not read back: nothing to compare with.
    #[error("the list before does not read back: {0}")]
    PreviousUnreadable(#[source] ReadFault),
    /// What was given as the list before is not that.
    #[error("the list before is not the one that was published: its {0} is another")]
    NotTheListBefore(&'static str),
    /// The new list's thisUpdate is before the last one's: a clock was set back.
    #[error("the new list would be older than the one before")]
    Older,
    /// Certificates on the list before are missing, have not expired long enough ago, and were not on a hold that was lifted.
    #[error("{0} on the list before, and neither on the new one nor expired or lifted")]
    Missing(Certificates),
    /// Permanent revocations read differently than on the list before, or holds began earlier than was said there.
    #[error("{0} on the new list otherwise than on the list before")]
    Changed(Certificates),
    /// The store has another number of certificates that belong on the list.
    #[error("the new list has {found} of the certificates whose status did not change while it was made, the database {expected}, at position {}", position.0)]
    Count {
        /// In the store.
        expected: u64,
        /// In the list.
        found: u64,
        /// At which the store's were counted.
        position: EventPosition,
    },
    /// The status service says otherwise, and the store does not explain it.
    #[error("certificate {serial} is {} on the new list, and the status service says {}", in_words(listed.as_ref()), told_in_words(told))]
    Contradicted {
        /// The certificate.
        serial: SerialNumber,
        /// What the list says of it; `None` if it was on hold and left the list.
        listed: Option<Revocation>,
        /// What the service says of it.
        told: ToldStatus,
    },
    /// The store could not say how it is.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// So many of them are named.
const NAMED: usize = 10;

/// Certificates that something is wrong with: how many, and which the first ones are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    count: u64,
    first: Vec<SerialNumber>,
}

impl Certificates {
    /// One more.
    pub(super) fn add(&mut self, serial: &SerialNumber) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(serial.clone());
        }
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Which ones: the first of them, ten at most.
    pub fn first(&self) -> &[SerialNumber] {
        &self.first
    }

    /// All is well if there are none.
    pub(super) fn none_or(self, fault: impl FnOnce(Self) -> GateFault) -> Result<(), GateFault> {
        if self.count == 0 { Ok(()) } else { Err(fault(self)) }
    }
}

impl fmt::Display for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.first.iter().map(SerialNumber::to_string).collect();
        let names = names.join(", ");
        match self.count {
            1 => write!(f, "certificate {names} is"),
            count if count > NAMED as u64 => write!(f, "{count} certificates ({names} and others) are"),
            count => write!(f, "{count} certificates ({names}) are"),
        }
    }
}

fn in_words(revocation: Option<&Revocation>) -> String {
    let Some(Revocation { at, reason, invalidity }) = revocation else { return "not revoked".to_owned() };
    let invalidity = invalidity.map(|at| format!(", invalid since {}", at.to_rfc3339())).unwrap_or_default();
    format!("revoked at {} ({reason}{invalidity})", at.to_rfc3339())
}

fn told_in_words(told: &ToldStatus) -> String {
    match told {
        ToldStatus::Good => in_words(None),
        ToldStatus::Revoked(revocation) => in_words(Some(revocation)),
        ToldStatus::NeverIssued => "never issued".to_owned(),
        ToldStatus::Unknown => "unknown".to_owned(),
    }
}
