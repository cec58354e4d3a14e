//! What relying parties are told, asked from where they ask.

use crate::issuer::CaKey;
use crate::revocation::Revocation;
use crate::serial::SerialNumber;

/// Somebody who asks an OCSP responder the way a relying party does, and believes only what a relying party may believe: an answer
/// in time, signed by a responder to whom the CA key delegated the answering.
///
/// What watches our own status service goes through it, so that what it finds is what relying parties see and not what the
/// database says: the gate of the CRLs and the measurement of how long a revocation takes to be told.
pub trait StatusWitness: Send + Sync {
    /// What is told of each of `serials` of `ca_key`, in their order. An implementation may ask in several requests.
    ///
    /// # Errors
    /// See [`WitnessFault`]; then nothing is known of any of them.
    fn told(&self, ca_key: &CaKey, serials: &[SerialNumber]) -> Result<Vec<ToldStatus>, WitnessFault>;
}

/// What a responder said of one serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldStatus {
    /// Issued and neither revoked nor held.
    Good,
    /// Revoked or held.
    Revoked(Revocation),
    /// Never issued: told as revoked in the way of RFC 6960 section 2.2, with extended-revoke.
    NeverIssued,
    /// The responder does not know it.
    Unknown,
}

/// There is no answer to go by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessFault {
    /// Nobody answers, or not in HTTP; the text says how it failed.
    #[error("the responder cannot be reached: {0}")]
    Unreachable(String),
    /// The responder says `tryLater`.
    #[error("the responder says tryLater")]
    Later,
    /// There is an answer, and no relying party would believe it; the text says why.
    #[error("the responder's answer cannot be believed: {0}")]
    Unbelievable(String),
}
