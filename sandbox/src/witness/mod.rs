//! A witness of transparency logs (C2SP tlog-witness): it remembers the latest checkpoint of each log that it knows, cosigns one that
//! follows from it, and none else. Whoever trusts it need not trust the log not to show different trees to different people.

mod cosigner;
mod record;
mod routes;
mod server;
mod submission;

pub use cosigner::Cosigner;
pub use record::{KnownLog, Records};
pub use server::{Witness, WitnessSettings};
pub use submission::Submission;

use std::path::PathBuf;

/// The witness could not start, or could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum WitnessFault {
    /// The listener failed.
    #[error("listening on {address}: {reason}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        reason: String,
    },
    /// Another process keeps its records there.
    #[error("a witness runs in {0} already")]
    Running(PathBuf),
    /// The file system failed.
    #[error("{path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What it wrote down earlier is not what it wrote: to go on would be to forget.
    #[error("{0} is not a checkpoint that this witness cosigned; it does not go on as if it had seen none")]
    Record(PathBuf),
    /// Its key is none.
    #[error("{0} is no key of Ed25519 in PEM")]
    Key(PathBuf),
    /// Its name cannot be a key's.
    #[error("a witness's name is not empty and has neither spaces nor a plus: {0:?}")]
    Name(String),
    /// A log's key is none.
    #[error("no verifier key of a log: {0}")]
    LogKey(String),
    /// No randomness, or no signature.
    #[error("the key could not be made or did not sign")]
    Signing,
}

/// Why a checkpoint is not cosigned; each with the status that the text demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Declined {
    /// The request has not the form.
    #[error("this is no request to cosign a checkpoint")]
    Malformed,
    /// The log is not among those known.
    #[error("this log is not known here")]
    UnknownLog,
    /// No signature by the log's key, or one that does not hold.
    #[error("the checkpoint is not signed by the log's key")]
    Unsigned,
    /// The old size is above the checkpoint's.
    #[error("the old size is larger than the checkpoint's")]
    Backwards,
    /// The old size is not that of the latest checkpoint.
    #[error("the latest checkpoint is of {0} leaves")]
    Stale(u64),
    /// The tree does not follow from the one seen last.
    #[error("the checkpoint does not follow from the latest one")]
    Inconsistent,
}

impl Declined {
    /// HTTP status.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed | Self::Backwards => 400,
            Self::UnknownLog => 404,
            Self::Unsigned => 403,
            Self::Stale(_) => 409,
            Self::Inconsistent => 422,
        }
    }
}
