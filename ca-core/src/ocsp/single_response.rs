//! One answer.

use der::Sequence;
use der::asn1::GeneralizedTime;
use x509_cert::ext::Extensions;

use super::{CertId, CertStatus};

/// SingleResponse (RFC 6960 section 4.2.1).
///
/// ```text
/// SingleResponse ::= SEQUENCE {
///     certID                       CertID,
///     certStatus                   CertStatus,
///     thisUpdate                   GeneralizedTime,
///     nextUpdate         [0]       EXPLICIT GeneralizedTime OPTIONAL,
///     singleExtensions   [1]       EXPLICIT Extensions OPTIONAL }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct SingleResponse {
    /// The certificate, named as it was asked about.
    pub cert_id: CertId,
    /// Its status.
    pub cert_status: CertStatus,
    /// When this status was known to be right.
    pub this_update: GeneralizedTime,
    /// When newer information will be there at the latest.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub next_update: Option<GeneralizedTime>,
    /// Extensions of this answer alone.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub single_extensions: Option<Extensions>,
}
