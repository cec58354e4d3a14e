//! Signed notes (C2SP signed-note) and the two kinds that there are here: checkpoints of the log (tlog-checkpoint), which witnesses
//! cosign (tlog-cosignature), and texts of our own such as an export's manifest.

mod checkpoint;
mod cosignature;
mod key;
mod verifier;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use cosignature::{Cosignature, WitnessVerifier};
pub use key::{LogKey, LogKeyFault};
pub use verifier::{LogVerifier, VerifiedNote};

/// A note, a signature or a key is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteRefusal {
    /// It has not the form of a signed note, or of signature lines.
    #[error("this is no signed note")]
    Malformed,
    /// No signature is by the key.
    #[error("no signature is by the key {0}")]
    Unsigned(String),
    /// A signature that says to be by the key is not.
    #[error("a signature that says to be by the key {0} is not")]
    Signature(String),
    /// The text is no checkpoint.
    #[error("the text of the note is no checkpoint")]
    Checkpoint,
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log {found}, not of {expected}")]
    Origin {
        /// The log whose key is known.
        expected: String,
        /// What the checkpoint says.
        found: String,
    },
    /// The text of a verifier key is none.
    #[error("this is no verifier key of the kind that is needed (NAME+ID+KEY)")]
    VerifierKey,
    /// A name has a space or a plus, or is empty.
    #[error("a key's name is not empty and has neither spaces nor a plus")]
    Name,
}

#[cfg(test)]
mod tests;
