//! Why and when a certificate was revoked.

mod crl_reason;

use chrono::{DateTime, Utc};
pub use crl_reason::CrlReason;
pub use policies::{RevocationReason, UnknownReason};

/// A revocation as relying parties learn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// When it took effect; whole seconds.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: RevocationReason,
}
