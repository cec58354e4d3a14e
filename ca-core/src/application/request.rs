//! A certification request (PKCS#10, RFC 2986): proof that the phone has the private key, made for this application.

use const_oid::ObjectIdentifier;
use der::{Decode, Encode};
use x509_cert::attr::Attributes;
use x509_cert::ext::pkix::name::DirectoryString;
use x509_cert::request::CertReq;

use crate::application::challenge::Challenge;
use crate::key::strength::{self, KeyRefusal};
use crate::key::{self, PublicKey};
use crate::refusal::Refusal;
use crate::signed_object::SignedParts;

/// RFC 2985 section 5.4.1: challengePassword.
const CHALLENGE_PASSWORD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7");

/// The most octets of one request: an RSA-4096 key with room to spare.
pub const MAX_OCTETS: usize = 4_096;

/// A key whose owner has proved to hold it, for this application, and that is allowed and sound.
#[derive(Debug, Clone)]
pub struct ProvenKey {
    /// SubjectPublicKeyInfo in DER.
    pub public_key_info: Vec<u8>,
    /// The same, understood.
    pub public_key: PublicKey,
}

/// Why a request does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefusal {
    /// More than [`MAX_OCTETS`].
    #[error("the certification request is too large")]
    TooLarge,
    /// Not a PKCS#10 in DER.
    #[error("the certification request is not a PKCS#10 in DER")]
    Malformed,
    /// No challengePassword, or more than one.
    #[error("the certification request does not carry the challenge as its one challengePassword")]
    NoChallenge,
    /// The challengePassword is not the application's challenge.
    #[error("the certification request was made for another challenge")]
    WrongChallenge,
    /// Neither RSA nor P-256 nor P-384.
    #[error("the requested key is not supported")]
    Unsupported,
    /// The signature on the request is wrong.
    #[error("the certification request does not prove possession of its key")]
    Possession,
    /// The key is not allowed or weak.
    #[error(transparent)]
    Key(#[from] KeyRefusal),
}

impl Refusal for RequestRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge | Self::Malformed => "request_malformed",
            Self::NoChallenge => "request_without_challenge",
            Self::WrongChallenge => "request_challenge",
            Self::Unsupported => "key_not_allowed",
            Self::Possession => "request_possession",
            Self::Key(refusal) => refusal.code(),
        }
    }
}

/// Reads a request in DER and checks everything about it. Subject and requested extensions are passed over: the policy says
/// what a certificate looks like, not the applicant.
pub fn verify(der: &[u8], challenge: &Challenge, policy: &policies::KeyPolicy) -> Result<ProvenKey, RequestRefusal> {
    let request = parse(der)?;
    check_challenge(&request.info.attributes, challenge)?;
    let public_key = public_key(&request)?;
    // Size and exponent come before the signature, for which ring has limits of its own.
    strength::check(&public_key, policy)?;
    prove(der, &request, public_key)
}

/// Reads a request in DER, of bounded size; nothing in it is believed yet.
pub(crate) fn parse(der: &[u8]) -> Result<CertReq, RequestRefusal> {
    if der.len() > MAX_OCTETS {
        return Err(RequestRefusal::TooLarge);
    }
    CertReq::from_der(der).map_err(|_| RequestRefusal::Malformed)
}

/// The key that a request is about.
pub(crate) fn public_key(request: &CertReq) -> Result<PublicKey, RequestRefusal> {
    PublicKey::from_info(&request.info.public_key).map_err(|_| RequestRefusal::Unsupported)
}

/// Checks that the key signed the request, `der`.
pub(crate) fn prove(der: &[u8], request: &CertReq, public_key: PublicKey) -> Result<ProvenKey, RequestRefusal> {
    SignedParts::from_der(der).map_err(|_| RequestRefusal::Malformed)?.verify(&public_key).map_err(|_| RequestRefusal::Possession)?;
    let public_key_info = key::info_to_der(&request.info.public_key).map_err(|_| RequestRefusal::Malformed)?;
    Ok(ProvenKey { public_key_info, public_key })
}

fn check_challenge(attributes: &Attributes, challenge: &Challenge) -> Result<(), RequestRefusal> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == CHALLENGE_PASSWORD);
    let (Some(attribute), None) = (found.next(), found.next()) else {
        return Err(RequestRefusal::NoChallenge);
    };
    let [value] = attribute.values.as_slice() else {
        return Err(RequestRefusal::NoChallenge);
    };
    let password = value.to_der().and_then(|der| DirectoryString::from_der(&der)).map_err(|_| RequestRefusal::NoChallenge)?;
    let same = Challenge::from_base64(&password.value()).is_ok_and(|carried| carried == *challenge);
    same.then_some(()).ok_or(RequestRefusal::WrongChallenge)
}
