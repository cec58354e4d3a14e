//! The questions.

use der::{Enumerated, Sequence};
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::name::GeneralName;

use super::Request;

/// TBSRequest (RFC 6960 section 4.1.1).
///
/// ```text
/// TBSRequest      ::=     SEQUENCE {
///     version             [0]     EXPLICIT Version DEFAULT v1,
///     requestorName       [1]     EXPLICIT GeneralName OPTIONAL,
///     requestList                 SEQUENCE OF Request,
///     requestExtensions   [2]     EXPLICIT Extensions OPTIONAL }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct TbsRequest {
    /// Always v1; read also where it is written out, which DER forbids and some clients do.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub version: Version,
    /// Who asks; demanded of signed requests only.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub requestor_name: Option<GeneralName>,
    /// The questions; the grammar allows none.
    pub request_list: Vec<Request>,
    /// Extensions of the whole request: the nonce is one.
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    pub request_extensions: Option<Extensions>,
}

/// Version (RFC 6960 section 4.1.1); there has only ever been one.
///
/// ```text
/// Version         ::=             INTEGER  {  v1(0) }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enumerated)]
#[asn1(type = "INTEGER")]
#[repr(u8)]
pub enum Version {
    /// v1
    #[default]
    V1 = 0,
}
