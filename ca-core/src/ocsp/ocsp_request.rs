//! A request.

use der::Sequence;

use super::{CertId, Nonce, NonceError, Request, Signature, TbsRequest, Version};

/// OCSPRequest (RFC 6960 section 4.1.1).
///
/// ```text
/// OCSPRequest     ::=     SEQUENCE {
///     tbsRequest                  TBSRequest,
///     optionalSignature   [0]     EXPLICIT Signature OPTIONAL }
/// ```
///
/// Reading allocates in proportion to the octets read: bound them first.
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct OcspRequest {
    /// The questions.
    pub tbs_request: TbsRequest,
    /// The asker's signature, rarely there.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub optional_signature: Option<Signature>,
}

impl OcspRequest {
    /// An unsigned request about one certificate.
    ///
    /// # Errors
    /// None in practice: a nonce is not too long for DER.
    pub fn for_certificate(id: CertId, nonce: Option<&Nonce>) -> der::Result<Self> {
        let request_extensions = nonce.map(|nonce| nonce.to_extension().map(|extension| vec![extension])).transpose()?;
        Ok(Self {
            tbs_request: TbsRequest {
                version: Version::V1,
                requestor_name: None,
                request_list: vec![Request { req_cert: id, single_request_extensions: None }],
                request_extensions,
            },
            optional_signature: None,
        })
    }

    /// The nonce.
    ///
    /// # Errors
    /// If it has a length that RFC 9654 forbids, is no OCTET STRING, or stands there twice.
    pub fn nonce(&self) -> Result<Option<Nonce>, NonceError> {
        Nonce::among(self.tbs_request.request_extensions.as_deref().unwrap_or_default())
    }
}
