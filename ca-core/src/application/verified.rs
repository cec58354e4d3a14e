//! What remains of an application when everything about it has been verified.

use chrono::{DateTime, Utc};
use const_oid::ObjectIdentifier;

use crate::application::statement::Device;
use crate::card::identity::CardIdentity;
use crate::digest::Sha256Digest;
use crate::kind::CertificateKind;

/// One of the basic attributes (name, birth date, sex, address, substitute characters) of a card signature certificate: an
/// `otherName` of its subjectAltName with a UTF8String value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicAttribute {
    /// The otherName's type-id.
    pub oid: ObjectIdentifier,
    /// The value. Personal data: never logged.
    pub value: String,
}

/// What proves a card certificate's status: an answer signed by its card CA, in DER, exactly as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusEvidence {
    /// An OCSPResponse (RFC 6960).
    Ocsp(Vec<u8>),
    /// A CertificateList (RFC 5280 section 5).
    Crl(Vec<u8>),
}

/// Everything besides the card-signed message that an acceptance rests on, kept so that it can be verified again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The status of the card certificate that signed the application.
    pub signature_status: StatusEvidence,
    /// Whose card the back office says it is: an opaque identifier.
    pub holder_id: String,
    /// The card's authentication certificate; present if an authentication certificate is requested.
    pub authentication: Option<AuthenticationEvidence>,
}

/// The card's authentication certificate, which the back office names, and its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticationEvidence {
    /// The certificate in DER.
    pub certificate: Vec<u8>,
    /// Its status.
    pub status: StatusEvidence,
}

/// A request for one certificate, verified: the key is the applicant's, sound and allowed, and the card certificate of the
/// same kind is valid and stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRequest {
    pub(crate) kind: CertificateKind,
    pub(crate) public_key_info: Vec<u8>,
    pub(crate) card: CardIdentity,
    pub(crate) card_not_before: DateTime<Utc>,
    pub(crate) card_not_after: DateTime<Utc>,
    pub(crate) card_distribution_point: Option<Vec<u8>>,
    pub(crate) basic_attributes: Vec<BasicAttribute>,
}

impl VerifiedRequest {
    /// Which kind of certificate is asked for.
    pub fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// The smartphone's public key: SubjectPublicKeyInfo in DER.
    pub fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    /// The card certificate of the same kind.
    pub fn card(&self) -> &CardIdentity {
        &self.card
    }

    /// When the card certificate's validity begins.
    pub fn card_not_before(&self) -> DateTime<Utc> {
        self.card_not_before
    }

    /// When the card certificate's validity ends, to the second.
    pub fn card_not_after(&self) -> DateTime<Utc> {
        self.card_not_after
    }

    /// The directoryName (Name in DER) of the card certificate's CRL distribution point, if it has one.
    pub fn card_distribution_point(&self) -> Option<&[u8]> {
        self.card_distribution_point.as_deref()
    }

    /// The basic attributes of the card's signature certificate; empty for the authentication kind.
    pub fn basic_attributes(&self) -> &[BasicAttribute] {
        &self.basic_attributes
    }
}

/// An application of which everything was verified, at one moment, against one set of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedApplication {
    pub(crate) cms: Vec<u8>,
    pub(crate) signing_card: CardIdentity,
    pub(crate) signing_card_distribution_point: Option<Vec<u8>>,
    pub(crate) digest: Sha256Digest,
    pub(crate) challenge: [u8; 48],
    pub(crate) device: Device,
    pub(crate) supersedes: bool,
    pub(crate) requests: Vec<VerifiedRequest>,
    pub(crate) evidence: Evidence,
}

impl VerifiedApplication {
    /// The card-signed message in DER, as received.
    pub fn cms(&self) -> &[u8] {
        &self.cms
    }

    /// The SHA-256 of [`Self::cms`]: what the application is called everywhere.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The challenge it answers.
    pub fn challenge(&self) -> &[u8; 48] {
        &self.challenge
    }

    /// The phone, as it describes itself.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether the holder asked for the ending of an earlier phone's certificates of the requested kinds.
    pub fn supersedes(&self) -> bool {
        self.supersedes
    }

    /// The card signature certificate that signed it.
    pub fn signing_card(&self) -> &CardIdentity {
        &self.signing_card
    }

    /// The directoryName (Name in DER) of that certificate's CRL distribution point, if it has one.
    pub fn signing_card_distribution_point(&self) -> Option<&[u8]> {
        self.signing_card_distribution_point.as_deref()
    }

    /// The requests: one or two, of different kinds.
    pub fn requests(&self) -> &[VerifiedRequest] {
        &self.requests
    }

    /// What it was verified against.
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Whose card it is.
    pub fn holder_id(&self) -> &str {
        &self.evidence.holder_id
    }
}
