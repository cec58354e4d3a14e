//! The one way from bytes nobody vouches for to an instruction that somebody signed. The RA goes it when an instruction
//! arrives, and the CA goes it again before it carries it out.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use const_oid::db::rfc5280::ID_KP_OCSP_SIGNING;

use super::holder::{self, HolderSigner, PhoneSigner, SignedHolderInstruction};
use super::key_report::KeyReport;
use super::operator::{self, OperatorAuthorities, OperatorInstruction, SignedOperatorInstruction};
use super::statement::Statement;
use super::{HOLDER_CONTENT_TYPE, HolderInstruction, InstructionRefusal, OPERATOR_CONTENT_TYPE, UnverifiedInstruction};
use crate::application::challenge::{Beacon, Challenge};
use crate::application::verifier::ApplicationVerifier;
use crate::card::certificate::UnverifiedCardCertificate;
use crate::card::path::CardRefusal;
use crate::digest::Sha256Digest;
use crate::issuer::CaKey;
use crate::key::{self, PublicKey};
use crate::kind::CertificateKind;
use crate::message::{MessageForm, Signers, UnverifiedMessage};
use crate::signed_object::SignedParts;

const HOLDER_FORM: MessageForm = MessageForm { content_type: HOLDER_CONTENT_TYPE, signers: Signers::All };
const OPERATOR_FORM: MessageForm = MessageForm { content_type: OPERATOR_CONTENT_TYPE, signers: Signers::All };

/// Verifies instructions: whose they may be, and for whom they must be made.
pub struct InstructionVerifier {
    applications: Arc<ApplicationVerifier>,
    own_keys: Vec<CaKey>,
    operators: OperatorAuthorities,
}

impl InstructionVerifier {
    /// Audience, card CAs and the life of challenges are those of `applications`; `own_keys` are all generations of our own
    /// CA keys.
    pub fn new(applications: Arc<ApplicationVerifier>, own_keys: Vec<CaKey>, operators: OperatorAuthorities) -> Self {
        Self { applications, own_keys, operators }
    }

    /// How long challenges last.
    pub fn challenge_policy(&self) -> &policies::ChallengePolicy {
        &self.applications.policy().challenge
    }

    /// All that can be said of a holder's instruction without asking anybody.
    pub fn verify_holder(
        &self,
        instruction: &UnverifiedInstruction,
        now: DateTime<Utc>,
    ) -> Result<SignedHolderInstruction, InstructionRefusal> {
        let message = UnverifiedMessage::parse(instruction.as_bytes(), &HOLDER_FORM)?;
        let (signer, public_key) = self.holder_signer(message.signer(), now)?;
        let content = message.verify(&public_key)?;
        let statement = Statement::<HolderInstruction>::parse(&content, holder::STATEMENT_TYPE, self.applications.audience())?;
        if !statement.instruction.is_for(&signer) {
            return Err(InstructionRefusal::Action);
        }
        Ok(SignedHolderInstruction {
            digest: instruction.digest(),
            signer,
            challenge: statement.challenge,
            instruction: statement.instruction,
        })
    }

    /// All that can be said of an operator's instruction without asking anybody.
    pub fn verify_operator(
        &self,
        instruction: &UnverifiedInstruction,
        now: DateTime<Utc>,
    ) -> Result<SignedOperatorInstruction, InstructionRefusal> {
        let message = UnverifiedMessage::parse(instruction.as_bytes(), &OPERATOR_FORM)?;
        let certificate = self.operators.validate(message.signer(), now)?;
        let content = message.verify(&certificate.public_key)?;
        let statement = Statement::<OperatorInstruction>::parse(&content, operator::STATEMENT_TYPE, self.applications.audience())?;
        let role = certificate.identity.role;
        if !role.may(statement.instruction.action()) {
            return Err(InstructionRefusal::Role { role });
        }
        Ok(SignedOperatorInstruction {
            digest: instruction.digest(),
            operator: certificate.identity,
            key_sha256: certificate.key_sha256,
            challenge: statement.challenge,
            instruction: statement.instruction,
        })
    }

    /// Checks the report of a compromised key: no challenge, no time, for possession of the key says it all.
    pub fn verify_key_report(&self, instruction: &UnverifiedInstruction) -> Result<KeyReport, InstructionRefusal> {
        KeyReport::verify(instruction)
    }

    /// The second step: the age of an instruction's challenge against `beacons`.
    pub fn check_beacon(&self, challenge: &Challenge, beacons: &[Beacon], now: DateTime<Utc>) -> Result<(), InstructionRefusal> {
        let lifetime = self.applications.policy().challenge.lifetime();
        Ok(challenge.check_beacon(beacons, lifetime, now)?)
    }

    /// Whose certificate it is: a phone's if it names one of our own keys as its issuer's, else it must be a card's.
    fn holder_signer(&self, der: &[u8], now: DateTime<Utc>) -> Result<(HolderSigner, PublicKey), InstructionRefusal> {
        let certificate = UnverifiedCardCertificate::parse(der).map_err(CardRefusal::Certificate)?;
        match self.own_keys.iter().find(|key| *key.key_identifier() == certificate.identity().issuer_key_id) {
            Some(own_key) => {
                let signer = phone_signer(&certificate, own_key, now)?;
                Ok((HolderSigner::Phone(signer), certificate.public_key))
            }
            None => {
                let card = self.applications.validate_card(der, CertificateKind::Signature, now)?;
                Ok((HolderSigner::Card(card.identity().clone()), card.certificate().public_key.clone()))
            }
        }
    }
}

fn phone_signer(certificate: &UnverifiedCardCertificate, issuer: &CaKey, now: DateTime<Utc>) -> Result<PhoneSigner, InstructionRefusal> {
    use InstructionRefusal as Refused;

    let issuer_key = PublicKey::from_der(issuer.public_key_info()).map_err(|_| Refused::SignerUnknown)?;
    let parts = SignedParts::from_der(&certificate.der).map_err(|_| Refused::SignerMalformed)?;
    let issued = certificate.issuer == issuer.subject_name_der() && parts.verify(&issuer_key).is_ok();
    // Our keys sign responders' certificates, too; those are no phones.
    if !issued || certificate.is_ca || certificate.extended_key_usage.contains(&ID_KP_OCSP_SIGNING) {
        return Err(Refused::SignerUnknown);
    }
    if now < certificate.not_before || now > certificate.not_after {
        return Err(Refused::SignerExpired);
    }
    if !certificate.key_usage.as_ref().is_some_and(|usage| usage.digital_signature()) {
        return Err(Refused::SignerKeyUsage);
    }
    let public_key_info = key::public_key_info(&certificate.der).ok_or(Refused::SignerMalformed)?;
    Ok(PhoneSigner {
        kind: issuer.kind(),
        ca_key: issuer.id(),
        serial: certificate.identity.serial.clone(),
        not_after: certificate.not_after,
        public_key_sha256: Sha256Digest::of(&public_key_info),
    })
}
