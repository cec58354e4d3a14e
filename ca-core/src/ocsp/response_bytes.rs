//! An answer's wrapping.

use der::Sequence;
use der::asn1::{ObjectIdentifier, OctetString};

/// ResponseBytes (RFC 6960 section 4.2.1).
///
/// ```text
/// ResponseBytes ::=       SEQUENCE {
///     responseType   OBJECT IDENTIFIER,
///     response       OCTET STRING }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct ResponseBytes {
    /// What the next field is: id-pkix-ocsp-basic.
    pub response_type: ObjectIdentifier,
    /// The DER of a BasicOCSPResponse.
    pub response: OctetString,
}
