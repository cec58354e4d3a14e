//! A response.

use der::asn1::OctetString;
use der::{Decode, Encode, Sequence};

use super::{BasicOcspResponse, OcspResponseStatus, ResponseBytes, oid};

/// OCSPResponse (RFC 6960 section 4.2.1).
///
/// ```text
/// OCSPResponse ::= SEQUENCE {
///    responseStatus         OCSPResponseStatus,
///    responseBytes          [0] EXPLICIT ResponseBytes OPTIONAL }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct OcspResponse {
    /// Whether there is an answer.
    pub response_status: OcspResponseStatus,
    /// The answer; there if and only if the status is successful.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub response_bytes: Option<ResponseBytes>,
}

/// The response carries no BasicOCSPResponse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotBasic {
    /// The responder did not answer the question (RFC 6960 section 4.2.1: such a response is not signed and proves nothing).
    #[error("the responder answered {0}")]
    Status(OcspResponseStatus),
    /// Successful, but without an answer.
    #[error("a successful response without an answer")]
    NoBytes,
    /// An answer of a type other than id-pkix-ocsp-basic.
    #[error("an answer of another type than id-pkix-ocsp-basic")]
    OtherType,
    /// The answer is not the DER of a BasicOCSPResponse.
    #[error("the answer is not a BasicOCSPResponse")]
    Malformed,
}

impl OcspResponse {
    /// The response around a signed answer.
    ///
    /// # Errors
    /// If a part cannot be encoded: a certificate that is no DER.
    pub fn successful(answer: &BasicOcspResponse) -> der::Result<Self> {
        let response = OctetString::new(answer.to_der()?)?;
        Ok(Self {
            response_status: OcspResponseStatus::Successful,
            response_bytes: Some(ResponseBytes { response_type: oid::BASIC, response }),
        })
    }

    /// The octets of a response that is no answer: all such are `30 03 0A 01 <status>`.
    pub const fn unsuccessful_der(status: OcspResponseStatus) -> [u8; 5] {
        [0x30, 0x03, 0x0a, 0x01, status as u8]
    }

    /// The signed answer.
    ///
    /// # Errors
    /// See [`NotBasic`].
    pub fn basic(&self) -> Result<BasicOcspResponse, NotBasic> {
        if self.response_status != OcspResponseStatus::Successful {
            return Err(NotBasic::Status(self.response_status));
        }
        let bytes = self.response_bytes.as_ref().ok_or(NotBasic::NoBytes)?;
        if bytes.response_type != oid::BASIC {
            return Err(NotBasic::OtherType);
        }
        BasicOcspResponse::from_der(bytes.response.as_bytes()).map_err(|_| NotBasic::Malformed)
    }
}
