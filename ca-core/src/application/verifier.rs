//! The one way from bytes nobody vouches for to a verified application. The RA goes it when an application arrives, and the
//! CA goes it again at the moment of signing.

use chrono::{DateTime, Utc};
use policies::ApplicationPolicy;

use crate::application::APPLICATION_CONTENT_TYPE;
use crate::application::challenge::{Beacon, Challenge};
use crate::application::refusal::ApplicationRefusal;
use crate::application::request::{self, ProvenKey};
use crate::application::statement::{Device, Replaces, Statement};
use crate::application::verified::{Evidence, VerifiedApplication, VerifiedRequest};
use crate::card::authority::CardAuthorities;
use crate::card::certificate::UnverifiedCardCertificate;
use crate::card::identity::KeyIdentifier;
use crate::card::path::{self, CardRefusal, ValidCardCertificate};
use crate::card::status::StatusJudge;
use crate::digest::Sha256Digest;
use crate::kind::CertificateKind;
use crate::message::{MessageForm, Signers, UnverifiedMessage};

/// The most octets of an application: two requests with the largest keys and four certificates leave room to spare.
pub const MAX_OCTETS: usize = 65_536;

/// What the card signs, and how.
const FORM: MessageForm = MessageForm { content_type: APPLICATION_CONTENT_TYPE, signers: Signers::Cards };

/// An application as it arrives: bytes, bounded and nothing else.
#[derive(Debug, Clone)]
pub struct UnverifiedApplication(Vec<u8>);

impl UnverifiedApplication {
    /// Takes what was received, unless it is too large.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, ApplicationRefusal> {
        if bytes.len() > MAX_OCTETS {
            return Err(ApplicationRefusal::TooLarge { limit: MAX_OCTETS });
        }
        Ok(Self(bytes))
    }

    /// What the application is called everywhere: the SHA-256 of its bytes.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(&self.0)
    }
}

/// An application that the holder's card signed: message, card certificate, statement, challenge's form and requests are in
/// order. Whether the card still stands, whose it is and how old the challenge is remain to be asked.
#[derive(Debug)]
pub struct CardSignedApplication<'v> {
    cms: Vec<u8>,
    digest: Sha256Digest,
    card: ValidCardCertificate<'v>,
    challenge: Challenge,
    device: Device,
    replaces: Replaces,
    requests: Vec<(CertificateKind, ProvenKey)>,
}

impl<'v> CardSignedApplication<'v> {
    /// What the application is called everywhere.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The card certificate that signed it.
    pub fn card(&self) -> &ValidCardCertificate<'v> {
        &self.card
    }

    /// The challenge it answers.
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// The phone, as it describes itself.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether a certificate of `kind` is asked for.
    pub fn asks_for(&self, kind: CertificateKind) -> bool {
        self.requests.iter().any(|(requested, _)| *requested == kind)
    }

    /// The keys that are to be certified: for what, and the SHA-256 of the SubjectPublicKeyInfo in DER.
    pub fn asked_keys(&self) -> impl Iterator<Item = (CertificateKind, Sha256Digest)> {
        self.requests.iter().map(|(kind, key)| (*kind, Sha256Digest::of(&key.public_key_info)))
    }
}

/// Verifies applications: what is trusted, what is allowed, and for whom they must be made.
pub struct ApplicationVerifier {
    policy: ApplicationPolicy,
    authorities: CardAuthorities,
    own_key_ids: Vec<KeyIdentifier>,
    audience: String,
    judge: StatusJudge,
}

impl ApplicationVerifier {
    /// `own_key_ids` are the key identifiers of our own CA keys, `audience` is the RA's name in statements.
    pub fn new(policy: ApplicationPolicy, authorities: CardAuthorities, own_key_ids: Vec<KeyIdentifier>, audience: String) -> Self {
        Self { policy, authorities, own_key_ids, audience, judge: StatusJudge::default() }
    }

    /// The card CAs that are trusted.
    pub fn authorities(&self) -> &CardAuthorities {
        &self.authorities
    }

    /// The RA's name in statements.
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// The policy in force.
    pub fn policy(&self) -> &ApplicationPolicy {
        &self.policy
    }

    /// The first half: all that can be said of an application without asking anybody.
    pub fn verify_signature(
        &self,
        application: UnverifiedApplication,
        now: DateTime<Utc>,
    ) -> Result<CardSignedApplication<'_>, ApplicationRefusal> {
        let digest = application.digest();
        let message = UnverifiedMessage::parse(&application.0, &FORM)?;
        let kind = CertificateKind::Signature;
        let card = self.validate_card(message.signer(), kind, now).map_err(|refusal| ApplicationRefusal::Card { kind, refusal })?;
        let content = message.verify(&card.certificate().public_key)?;
        let statement = Statement::parse(&content)?;
        if statement.audience != self.audience {
            return Err(ApplicationRefusal::Audience);
        }
        let requests = self.verify_requests(&statement, &card)?;
        Ok(CardSignedApplication {
            cms: application.0,
            digest,
            card,
            challenge: statement.challenge,
            device: statement.device,
            replaces: statement.replaces,
            requests,
        })
    }

    /// The second half: the challenge's age against `beacons`, and what the card CA and the back office said (`evidence`).
    pub fn verify(
        &self,
        application: CardSignedApplication<'_>,
        evidence: Evidence,
        beacons: &[Beacon],
        now: DateTime<Utc>,
    ) -> Result<VerifiedApplication, ApplicationRefusal> {
        application.challenge.check_beacon(beacons, self.policy.challenge.lifetime(), now)?;
        self.check_status(CertificateKind::Signature, &application.card, &evidence.signature_status, now)?;
        if evidence.holder_id.is_empty() {
            return Err(ApplicationRefusal::HolderUnknown);
        }
        let authentication_card = if application.asks_for(CertificateKind::Authentication) {
            let named = evidence.authentication.as_ref().ok_or(ApplicationRefusal::NoAuthenticationCard)?;
            let card = self.validate_authentication_card(&named.certificate, now)?;
            if application.requests.iter().any(|(_, key)| key.public_key == card.certificate().public_key) {
                return Err(ApplicationRefusal::KeyReused);
            }
            self.check_status(CertificateKind::Authentication, &card, &named.status, now)?;
            Some(card)
        } else {
            None
        };
        let signing_card = application.card.identity().clone();
        let signing_card_distribution_point = application.card.certificate().distribution_point.clone();
        let requests = application
            .requests
            .into_iter()
            .map(|(kind, key)| {
                let card = match kind {
                    CertificateKind::Signature => &application.card,
                    CertificateKind::Authentication => authentication_card.as_ref().ok_or(ApplicationRefusal::NoAuthenticationCard)?,
                };
                Ok(verified_request(kind, key, card))
            })
            .collect::<Result<Vec<_>, ApplicationRefusal>>()?;
        Ok(VerifiedApplication {
            cms: application.cms,
            signing_card,
            signing_card_distribution_point,
            digest: application.digest,
            challenge: *application.challenge.as_bytes(),
            device: application.device,
            supersedes: application.replaces == Replaces::Any,
            requests,
            evidence,
        })
    }

    /// Checks the authentication certificate (DER) that the back office says belongs to the same card.
    pub fn validate_authentication_card(&self, der: &[u8], now: DateTime<Utc>) -> Result<ValidCardCertificate<'_>, ApplicationRefusal> {
        let kind = CertificateKind::Authentication;
        self.validate_card(der, kind, now).map_err(|refusal| ApplicationRefusal::Card { kind, refusal })
    }

    /// Checks that `der` is a card certificate of `kind` that a trusted card CA issued.
    pub(crate) fn validate_card(
        &self,
        der: &[u8],
        kind: CertificateKind,
        now: DateTime<Utc>,
    ) -> Result<ValidCardCertificate<'_>, CardRefusal> {
        let rules = match kind {
            CertificateKind::Signature => &self.policy.card_signature,
            CertificateKind::Authentication => &self.policy.card_authentication,
        };
        path::validate(UnverifiedCardCertificate::parse(der)?, kind, &self.authorities, &self.own_key_ids, rules, now)
    }

    fn verify_requests(
        &self,
        statement: &Statement,
        card: &ValidCardCertificate<'_>,
    ) -> Result<Vec<(CertificateKind, ProvenKey)>, ApplicationRefusal> {
        let mut proven: Vec<(CertificateKind, ProvenKey)> = Vec::with_capacity(statement.requests.len());
        for stated in &statement.requests {
            let kind = stated.kind;
            let key = request::verify(&stated.pkcs10, &statement.challenge, &self.policy.keys)
                .map_err(|refusal| ApplicationRefusal::Request { kind, refusal })?;
            let used_twice = proven.iter().any(|(_, earlier)| earlier.public_key == key.public_key);
            if used_twice || key.public_key == card.certificate().public_key {
                return Err(ApplicationRefusal::KeyReused);
            }
            proven.push((kind, key));
        }
        Ok(proven)
    }

    fn check_status(
        &self,
        kind: CertificateKind,
        card: &ValidCardCertificate<'_>,
        evidence: &crate::application::verified::StatusEvidence,
        now: DateTime<Utc>,
    ) -> Result<(), ApplicationRefusal> {
        self.judge.check(card, evidence, &self.policy.evidence, now).map_err(|refusal| ApplicationRefusal::CardStatus { kind, refusal })
    }
}

fn verified_request(kind: CertificateKind, key: ProvenKey, card: &ValidCardCertificate<'_>) -> VerifiedRequest {
    let certificate = card.certificate();
    let basic_attributes = match kind {
        CertificateKind::Signature => certificate.basic_attributes.clone(),
        CertificateKind::Authentication => Vec::new(),
    };
    VerifiedRequest {
        kind,
        public_key_info: key.public_key_info,
        card: card.identity().clone(),
        card_not_before: certificate.not_before,
        card_not_after: certificate.not_after,
        card_distribution_point: certificate.distribution_point.clone(),
        basic_attributes,
    }
}
