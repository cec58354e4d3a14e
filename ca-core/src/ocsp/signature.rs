//! The signature of a request.

use der::Sequence;
use der::asn1::{Any, BitString};
use spki::AlgorithmIdentifierOwned;

/// Signature (RFC 6960 section 4.1.1).
///
/// ```text
/// Signature       ::=     SEQUENCE {
///     signatureAlgorithm      AlgorithmIdentifier,
///     signature               BIT STRING,
///     certs                  [0] EXPLICIT SEQUENCE OF Certificate
/// OPTIONAL}
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct Signature {
    /// How it is signed.
    pub signature_algorithm: AlgorithmIdentifierOwned,
    /// The signature over the DER of the TBSRequest.
    pub signature: BitString,
    /// Certificates, unparsed.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub certs: Option<Vec<Any>>,
}
