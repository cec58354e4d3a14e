//! When and why.

use der::Sequence;
use der::asn1::GeneralizedTime;

use crate::revocation::{CrlReason, Revocation, RevocationReason};
use crate::time::to_generalized_time;

/// RevokedInfo (RFC 6960 section 4.2.1).
///
/// ```text
/// RevokedInfo ::= SEQUENCE {
///     revocationTime              GeneralizedTime,
///     revocationReason    [0]     EXPLICIT CRLReason OPTIONAL }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Sequence)]
pub struct RevokedInfo {
    /// When the certificate was revoked or put on hold.
    pub revocation_time: GeneralizedTime,
    /// Why; absent if unspecified.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub revocation_reason: Option<CrlReason>,
}

impl RevokedInfo {
    /// Writes a revocation: the time in whole seconds, the reason left out when unspecified (RFC 5280 section 5.3.1 says so for
    /// CRLs, and relying parties compare the two).
    ///
    /// # Errors
    /// If the time lies before 1970 or after 9999.
    pub fn new(revocation: &Revocation) -> der::Result<Self> {
        let reason = Some(revocation.reason).filter(|reason| *reason != RevocationReason::Unspecified);
        Ok(Self { revocation_time: to_generalized_time(revocation.at)?, revocation_reason: reason.map(CrlReason::from) })
    }
}
