//! Why and when a certificate was revoked.

mod crl_reason;
mod invalidity_date;

use chrono::{DateTime, Utc};
pub use crl_reason::CrlReason;
pub use invalidity_date::{InvalidityDate, InvalidityDateError};
pub use policies::{RevocationReason, UnknownReason};

/// A revocation as relying parties learn it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revocation {
    /// When it took effect; whole seconds.
    pub at: DateTime<Utc>,
    /// Why.
    pub reason: RevocationReason,
    /// When the key was out of its holder's hands, or the certificate otherwise began to be invalid, as far as somebody said so: before `at` (RFC 5280
    /// section 5.3.2); whole seconds.
    pub invalidity: Option<DateTime<Utc>>,
}

impl Revocation {
    /// A revocation of which nobody said from when the certificate was invalid.
    pub fn new(at: DateTime<Utc>, reason: RevocationReason) -> Self {
        Self { at, reason, invalidity: None }
    }
}
