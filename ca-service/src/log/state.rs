//! How the log stands, for whoever else in the process wants to know.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::witnesses::WitnessClaim;

/// Who knows a tree that the store does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DisputedBy {
    /// The checkpoint in the tile directory.
    Directory,
    /// The last signed note in the store itself.
    Note,
    /// A witness of this name, with a checkpoint that our own key has signed.
    Witness(String),
}

/// Somebody knows a tree of this log that the store's tree does not extend: the store went back, or was changed. Whatever would be
/// signed now could be a fork, so nothing is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{by} {known}, and the store has a tree of {size} leaves: it went back or was changed, so nothing is appended nor signed; see `tsunagi restore`"
)]
pub struct LogDispute {
    /// Who knows it.
    pub by: DisputedBy,
    /// What they know.
    pub known: KnownTree,
    /// The leaves that the store has.
    pub size: u64,
}

/// What somebody knows of the log that the store does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownTree {
    /// A tree with more leaves.
    Larger(u64),
    /// A tree of this size with another root.
    OtherRoot(u64),
}

impl fmt::Display for DisputedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("the tile directory"),
            Self::Note => f.write_str("the last signed note"),
            Self::Witness(name) => write!(f, "the witness {name}"),
        }
    }
}

impl fmt::Display for KnownTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Larger(size) => write!(f, "has a tree of {size} leaves"),
            Self::OtherRoot(size) => write!(f, "has another tree of {size} leaves"),
        }
    }
}

/// How the log stands in this process: what its threads tell each other, and others.
#[derive(Debug, Default)]
pub struct LogState {
    known: Mutex<Known>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Known {
    /// The lease's epoch under which the store was held against what others know of the log, and nothing spoke against it.
    examined: Option<i64>,
    /// Leaves of the committed tree.
    size: u64,
    /// How many notes this process has stored.
    notes: u64,
    dispute: Option<LogDispute>,
    /// What witnesses claim and do not prove, since they cosigned last.
    objections: BTreeMap<String, WitnessClaim>,
}

impl LogState {
    /// Why the log does not go on, while somebody knows a tree that the store does not have.
    pub fn dispute(&self) -> Option<LogDispute> {
        self.lock().dispute.clone()
    }

    /// What witnesses claim without a proof, each as a sentence that begins with its name: nothing stops for that, and somebody has to look.
    pub fn objections(&self) -> Vec<String> {
        self.lock().objections.iter().map(|(witness, claim)| format!("{witness} {claim}")).collect()
    }

    /// The witness has cosigned.
    pub(super) fn agreed(&self, witness: &str) {
        self.lock().objections.remove(witness);
    }

    pub(super) fn objected(&self, witness: String, claim: WitnessClaim) {
        self.lock().objections.insert(witness, claim);
    }

    /// Whether this process, under the lease of that epoch, may append and sign.
    pub(super) fn is_examined(&self, epoch: i64) -> bool {
        self.lock().examined == Some(epoch)
    }

    /// The store is what others know of the log, or more.
    pub(super) fn examined(&self, epoch: i64, size: u64) {
        let mut known = self.lock();
        (known.examined, known.size, known.dispute) = (Some(epoch), size, None);
        metrics::gauge!("tsunagi_log_disputed").set(0.0);
        self.moved.notify_all();
    }

    /// It is not: before it is examined anew, nothing is done.
    pub(super) fn disputed(&self, dispute: LogDispute) {
        let mut known = self.lock();
        known.examined = None;
        known.dispute = Some(dispute);
        metrics::gauge!("tsunagi_log_disputed").set(1.0);
    }

    /// What was examined counts no more: after a fault, or when another leads.
    pub(super) fn forget(&self) {
        self.lock().examined = None;
    }

    /// Another leads, or nobody: what was known counts no more, and no dispute is told of.
    pub(super) fn stand_down(&self) {
        let mut known = self.lock();
        known.examined = None;
        known.objections.clear();
        if known.dispute.take().is_some() {
            metrics::gauge!("tsunagi_log_disputed").set(0.0);
        }
    }

    pub(super) fn grew(&self, size: u64) {
        self.lock().size = size;
        self.moved.notify_all();
    }

    pub(super) fn noted(&self) {
        self.lock().notes += 1;
        self.moved.notify_all();
    }

    /// Blocks until more notes were stored than that, or so long; returns how many.
    pub(super) fn wait_for_note(&self, seen: u64, timeout: Duration) -> u64 {
        self.wait(timeout, |known| known.notes == seen).notes
    }

    /// Blocks until the committed tree has another size than that, or so long; returns the size.
    pub(super) fn wait_for_growth(&self, from: u64, timeout: Duration) -> u64 {
        self.wait(timeout, |known| known.size == from).size
    }

    fn wait(&self, timeout: Duration, while_so: impl Fn(&Known) -> bool) -> MutexGuard<'_, Known> {
        let waited = self.moved.wait_timeout_while(self.lock(), timeout, |known| while_so(known));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
