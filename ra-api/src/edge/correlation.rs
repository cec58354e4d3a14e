//! Correlation ids.

use std::fmt;

use actix_web::http::header::HeaderName;
use ring::rand::{SecureRandom, SystemRandom};

/// The header that carries the correlation id in every answer.
pub(crate) const CORRELATION_HEADER: HeaderName = HeaderName::from_static("tsunagi-correlation-id");

/// Names one exchange: 16 random octets, in lower-case hexadecimal. Always drawn here: one that a caller chose could be made
/// to look like another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CorrelationId([u8; 16]);

impl CorrelationId {
    /// Draws one. Where the machine gives no random octets it is all zeros: a request must not fail for its name.
    pub(crate) fn draw() -> Self {
        let mut octets = [0; 16];
        if SystemRandom::new().fill(&mut octets).is_err() {
            octets = [0; 16];
        }
        Self(octets)
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
