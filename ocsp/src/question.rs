//! Reading a request.

use ca_core::ocsp::{CertId, Nonce, NonceError, OcspRequest, OcspResponseStatus, RequestSignatureRefusal, oid};
use ca_core::refusal::Refusal;
use der::Decode;
use der::asn1::ObjectIdentifier;
use x509_cert::ext::Extension;

use crate::settings::OcspSettings;

/// What a request asks: some certificates, all to be answered together.
///
/// A signature of the request is not looked at here: who asks makes no difference to the answer, and RFC 6960 section 4.1.2 leaves the
/// signature to the responder's policy, which is [`crate::requestor`]'s. An extension that is not known is ignored unless it is critical
/// (RFC 6960 section 4.1.2, which names no status for that case; such a request is `malformedRequest` to us).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    certificates: Vec<CertId>,
    nonce: Option<Nonce>,
    has_nonce: bool,
}

/// The request is not answered, and this is the asker's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionRefusal {
    /// The URL's last part is no base64.
    #[error("the request is not base64")]
    NotBase64,
    /// More octets than allowed.
    #[error("the request is too long")]
    TooLong,
    /// Not the DER of an OCSPRequest.
    #[error("the request is not an OCSPRequest in DER")]
    NotDer,
    /// Asks about nothing.
    #[error("the request asks about no certificate")]
    Empty,
    /// Asks about too much.
    #[error("the request asks about too many certificates")]
    TooMany,
    /// A critical extension that we do not know.
    #[error("the request has a critical extension that is not known here")]
    UnknownCriticalExtension,
    /// The same extension twice (RFC 5280 section 4.2).
    #[error("the request has an extension twice")]
    RepeatedExtension,
    /// The nonce is none (RFC 9654 section 2.1).
    #[error(transparent)]
    Nonce(#[from] NonceError),
    /// The asker understands no basic answer (RFC 6960 section 4.4.3).
    #[error("the request does not accept a basic response")]
    BasicNotAccepted,
    /// A certificate of an issuer that we do not speak for.
    #[error("the request asks about a certificate of another issuer")]
    OtherIssuer,
    /// Certificates of several CA keys: one signature cannot speak for all, as each key appoints its own responder (RFC 6960
    /// section 4.2.2.2).
    #[error("the request asks about certificates of several CA keys")]
    SeveralIssuers,
    /// Only verifiers may ask, and nobody signed.
    #[error("the request is not signed")]
    Unsigned,
    /// Only verifiers may ask, and the signature is nobody's.
    #[error(transparent)]
    Requestor(#[from] RequestSignatureRefusal),
    /// Only verifiers may ask, and the signer is an operator of another role.
    #[error("the signer of the request is no verifier")]
    NoVerifier,
}

impl Refusal for QuestionRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::NotBase64 => "not_base64",
            Self::TooLong => "too_long",
            Self::NotDer => "not_der",
            Self::Empty => "empty",
            Self::TooMany => "too_many",
            Self::UnknownCriticalExtension => "unknown_critical_extension",
            Self::RepeatedExtension => "repeated_extension",
            Self::Nonce(_) => "bad_nonce",
            Self::BasicNotAccepted => "basic_not_accepted",
            Self::OtherIssuer => "other_issuer",
            Self::SeveralIssuers => "several_issuers",
            Self::Unsigned => "unsigned",
            Self::Requestor(refusal) => refusal.code(),
            Self::NoVerifier => "no_verifier",
        }
    }
}

impl QuestionRefusal {
    /// What the asker is told.
    pub fn status(&self) -> OcspResponseStatus {
        match self {
            // RFC 6960 section 2.3: "the server is not capable of responding authoritatively".
            Self::OtherIssuer | Self::SeveralIssuers => OcspResponseStatus::Unauthorized,
            // "The client is not authorized to make this query to this server."
            Self::Requestor(_) | Self::NoVerifier => OcspResponseStatus::Unauthorized,
            Self::Unsigned => OcspResponseStatus::SigRequired,
            _ => OcspResponseStatus::MalformedRequest,
        }
    }
}

/// Extensions of a request that are understood, so that it does no harm to mark them critical. The preferred signature
/// algorithms are but a wish (RFC 6960 section 4.4.7.2), and a responder's key allows one.
const KNOWN: [ObjectIdentifier; 3] = [oid::NONCE, oid::RESPONSE, oid::PREFERRED_SIGNATURE_ALGORITHMS];

impl Question {
    /// Reads a request: bounds first, then strict DER, then its extensions.
    ///
    /// # Errors
    /// See [`QuestionRefusal`].
    pub fn from_der(octets: &[u8], settings: &OcspSettings) -> Result<Self, QuestionRefusal> {
        Self::of_request(Self::request(octets, settings)?, settings)
    }

    /// Only the request, bounds first.
    ///
    /// # Errors
    /// [`QuestionRefusal::TooLong`] and [`QuestionRefusal::NotDer`]
    pub fn request(octets: &[u8], settings: &OcspSettings) -> Result<OcspRequest, QuestionRefusal> {
        if octets.len() > settings.max_request_octets {
            return Err(QuestionRefusal::TooLong);
        }
        OcspRequest::from_der(octets).map_err(|_| QuestionRefusal::NotDer)
    }

    /// What a request asks.
    ///
    /// A nonce that is longer than the settings allow, and not longer than RFC 9654 does, is passed over: the answer does not repeat it.
    ///
    /// # Errors
    /// See [`QuestionRefusal`].
    pub fn of_request(request: OcspRequest, settings: &OcspSettings) -> Result<Self, QuestionRefusal> {
        let nonce = request.nonce()?;
        let has_nonce = nonce.is_some();
        let nonce = nonce.filter(|nonce| nonce.as_bytes().len() <= settings.max_nonce_octets);
        let tbs = request.into_tbs_request();
        let extensions = tbs.request_extensions.unwrap_or_default();
        check_extensions(&extensions, &KNOWN)?;
        if let Some(accepted) = extensions.iter().find(|extension| extension.extn_id == oid::RESPONSE) {
            let types = Vec::<ObjectIdentifier>::from_der(accepted.extn_value.as_bytes()).map_err(|_| QuestionRefusal::NotDer)?;
            if !types.contains(&oid::BASIC) {
                return Err(QuestionRefusal::BasicNotAccepted);
            }
        }
        if tbs.request_list.len() > settings.max_questions {
            return Err(QuestionRefusal::TooMany);
        }
        let mut certificates = Vec::with_capacity(tbs.request_list.len());
        for request in tbs.request_list {
            check_extensions(&request.single_request_extensions.unwrap_or_default(), &[])?;
            certificates.push(request.req_cert);
        }
        if certificates.is_empty() {
            return Err(QuestionRefusal::Empty);
        }
        Ok(Self { certificates, nonce, has_nonce })
    }

    /// The certificates asked about, at least one, in the order of the request.
    pub fn certificates(&self) -> &[CertId] {
        &self.certificates
    }

    /// What the answer repeats, so that it is an answer to this question alone.
    pub fn nonce(&self) -> Option<&Nonce> {
        self.nonce.as_ref()
    }

    /// Whether somebody wanted an answer to this question alone.
    pub fn has_nonce(&self) -> bool {
        self.has_nonce
    }
}

fn check_extensions(extensions: &[Extension], known: &[ObjectIdentifier]) -> Result<(), QuestionRefusal> {
    for (position, extension) in extensions.iter().enumerate() {
        if extension.critical && !known.contains(&extension.extn_id) {
            return Err(QuestionRefusal::UnknownCriticalExtension);
        }
        if extensions[..position].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
            return Err(QuestionRefusal::RepeatedExtension);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ca_core::ocsp::{CertIdHash, Request, TbsRequest, Version};
    use ca_core::serial::SerialNumber;
    use der::Encode;
    use der::asn1::OctetString;

    use super::*;

    fn request(count: usize, extensions: Vec<Extension>, single: Vec<Extension>) -> Vec<u8> {
        let id = CertId::new(CertIdHash::Sha256, b"name", b"key", &SerialNumber::from_hex("01").unwrap()).unwrap();
        let one = Request { req_cert: id, single_request_extensions: Some(single).filter(|single| !single.is_empty()) };
        let tbs_request = TbsRequest {
            version: Version::V1,
            requestor_name: None,
            request_list: vec![one; count],
            request_extensions: Some(extensions).filter(|extensions| !extensions.is_empty()),
        };
        OcspRequest::unsigned(tbs_request).unwrap().to_der().unwrap()
    }

    fn extension(oid: ObjectIdentifier, critical: bool, value: Vec<u8>) -> Extension {
        Extension { extn_id: oid, critical, extn_value: OctetString::new(value).unwrap() }
    }

    fn read(octets: &[u8]) -> Result<Question, QuestionRefusal> {
        Question::from_der(octets, &OcspSettings::default())
    }

    const OTHER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.7");

    #[test]
    fn one_to_sixteen_questions_are_read_none_and_seventeen_refused() {
        for count in [1, 16] {
            assert_eq!(read(&request(count, vec![], vec![])).unwrap().certificates().len(), count);
        }
        assert_eq!(read(&request(0, vec![], vec![])), Err(QuestionRefusal::Empty));
        assert_eq!(read(&request(17, vec![], vec![])), Err(QuestionRefusal::TooMany));
    }

    #[test]
    fn octets_beyond_the_bound_are_not_even_parsed() {
        assert_eq!(read(&[0x30; 4097]), Err(QuestionRefusal::TooLong));
        assert_eq!(read(&[0x30; 4096]), Err(QuestionRefusal::NotDer));
        assert_eq!(read(&[]), Err(QuestionRefusal::NotDer));
    }

    #[test]
    fn nonces_of_0_and_129_octets_are_malformed_and_1_32_and_128_are_kept() {
        for length in [0_usize, 129] {
            let value = OctetString::new(vec![1; length]).unwrap().to_der().unwrap();
            let refusal = read(&request(1, vec![extension(oid::NONCE, false, value)], vec![])).unwrap_err();
            assert_eq!((refusal.status(), refusal.code()), (OcspResponseStatus::MalformedRequest, "bad_nonce"));
        }
        let with_nonce = |length: usize| {
            let value = OctetString::new(vec![1; length]).unwrap().to_der().unwrap();
            request(1, vec![extension(oid::NONCE, true, value)], vec![])
        };
        for length in [1_usize, 32, 128] {
            assert_eq!(read(&with_nonce(length)).unwrap().nonce().unwrap().as_bytes(), vec![1; length]);
        }
        let settings = OcspSettings { max_nonce_octets: 32, ..OcspSettings::default() };
        for (length, repeated) in [(32, true), (33, false), (128, false)] {
            let question = Question::from_der(&with_nonce(length), &settings).unwrap();
            assert_eq!((question.has_nonce(), question.nonce().is_some()), (true, repeated), "{length}");
        }
    }

    #[test]
    fn an_unknown_extension_is_ignored_unless_critical_wherever_it_stands() {
        let harmless = || vec![extension(OTHER, false, vec![5, 0])];
        let critical = || vec![extension(OTHER, true, vec![5, 0])];
        assert!(read(&request(2, harmless(), harmless())).is_ok());
        assert_eq!(read(&request(2, critical(), vec![])), Err(QuestionRefusal::UnknownCriticalExtension));
        assert_eq!(read(&request(2, vec![], critical())), Err(QuestionRefusal::UnknownCriticalExtension));
        assert_eq!(read(&request(1, [harmless(), harmless()].concat(), vec![])), Err(QuestionRefusal::RepeatedExtension));
    }

    #[test]
    fn an_asker_who_takes_no_basic_response_is_refused() {
        let types = |types: &[ObjectIdentifier]| vec![extension(oid::RESPONSE, false, types.to_vec().to_der().unwrap())];
        assert!(read(&request(1, types(&[OTHER, oid::BASIC]), vec![])).is_ok());
        assert_eq!(read(&request(1, types(&[OTHER]), vec![])), Err(QuestionRefusal::BasicNotAccepted));
    }
}
