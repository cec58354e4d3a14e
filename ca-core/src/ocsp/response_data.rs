//! The signed part of an answer.

use der::Sequence;
use der::asn1::GeneralizedTime;
use x509_cert::ext::Extensions;

use super::{CertId, Nonce, NonceError, ResponderId, SingleResponse, Version};

/// ResponseData (RFC 6960 section 4.2.1).
///
/// ```text
/// ResponseData ::= SEQUENCE {
///    version              [0] EXPLICIT Version DEFAULT v1,
///    responderID              ResponderID,
///    producedAt               GeneralizedTime,
///    responses                SEQUENCE OF SingleResponse,
///    responseExtensions   [1] EXPLICIT Extensions OPTIONAL }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Sequence)]
pub struct ResponseData {
    /// Always v1.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub version: Version,
    /// Who answers.
    pub responder_id: ResponderId,
    /// When the answer was signed.
    pub produced_at: GeneralizedTime,
    /// An answer to each question.
    pub responses: Vec<SingleResponse>,
    /// Extensions of the whole answer: the nonce is one.
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub response_extensions: Option<Extensions>,
}

impl ResponseData {
    /// The answer about one certificate; `None` if it is not among the answers, or more than once.
    pub fn response_for(&self, id: &CertId) -> Option<&SingleResponse> {
        let mut found = self.responses.iter().filter(|response| response.cert_id.identifies_same_as(id));
        found.next().filter(|_| found.next().is_none())
    }

    /// The nonce of the question, if it was repeated.
    ///
    /// # Errors
    /// See [`NonceError`].
    pub fn nonce(&self) -> Result<Option<Nonce>, NonceError> {
        Nonce::among(self.response_extensions.as_deref().unwrap_or_default())
    }
}
