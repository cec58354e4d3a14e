//! Why and when a certificate was revoked.

use chrono::{DateTime, Utc};
pub use policies::{RevocationReason, UnknownReason};

/// A revocation as relying parties learn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// When it took effect; whole seconds.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: RevocationReason,
}
