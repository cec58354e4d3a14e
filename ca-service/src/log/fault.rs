//! What can keep the log from going on.

use audit_log::TileFault;
use schema::StoreFault;

use super::state::LogDispute;

/// Why the log did not go on: nothing was lost, and it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// The store.
    #[error("the store failed")]
    Store(#[from] StoreFault),
    /// Somebody knows a tree that the store does not have.
    #[error(transparent)]
    Disputed(#[from] LogDispute),
    /// The log has begun under another name or key.
    #[error("the log began as {began}, and this is {here}: set log.origin, or bring the log's own key")]
    OtherLog {
        /// Name or verifier key in the store.
        began: String,
        /// What this process has.
        here: String,
    },
    /// The log has not begun.
    #[error("the log has not begun: run `tsunagi log create-key`")]
    NotBegun,
    /// The tree that the stored tiles make is another than was committed.
    #[error("the tiles in the store do not make the tree that was committed, of {size} leaves; `tsunagi log check` tells more")]
    Damaged {
        /// Its leaves.
        size: u64,
    },
    /// The tiles.
    #[error("the tiles failed")]
    Tiles(#[from] TileFault),
    /// The log key could not sign, or what it signed does not verify.
    #[error("the log key could not sign")]
    Key(#[from] audit_log::note::LogKeyFault),
    /// The last note of the store is not this log's.
    #[error("the last note in the store is no checkpoint of this log")]
    Note(#[source] audit_log::NoteRefusal),
    /// What lies in the tile directory is not this log's.
    #[error("what lies in the tile directory is no checkpoint of this log: look why, and take it away")]
    Published(#[source] audit_log::NoteRefusal),
    /// The machine gave no random octets.
    #[error(transparent)]
    Randomness(#[from] audit_log::commitment::NoRandomness),
    /// A piece of work panicked: a fault of the program. What it had not committed is done again.
    #[error("a piece of work panicked")]
    Panicked,
}
