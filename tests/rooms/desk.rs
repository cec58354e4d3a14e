//! Who instructs the CA: operators with certificates of their own CA, phones, and cards; and what became of it.

use std::sync::Arc;

use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;
use chrono::Utc;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use sandbox::card::Card;
use sandbox::instruction::{Instruction, Signer};
use sandbox::keys::{Key, KeyAlgorithm};
use sandbox::kind::Kind;
use sandbox::operator::OperatorAction;
use sandbox::phone::{Application, ApplyWish, Replaces, build_application};
use schema::certificate::CertificateSummary;
use schema::instruction::{InstructionForm, InstructionState, NewInstruction};
use serde_json::{Value, json};

use super::{Ca, RA_NAME, Rooms};

/// The CA of the operators, which trusts nobody with a role but those that it certified.
pub struct OperatorCa {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

/// An operator: the client certificate and its key.
pub struct Operator {
    pub certificate: Vec<u8>,
    pub key: Key,
}

impl OperatorCa {
    pub fn new() -> Self {
        let mut params = named("operators CA", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub fn operator(&self, name: &str, role: &str) -> Operator {
        let mut params = named(name, Some(role));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().to_vec();
        Operator { certificate, key: Key::from_pkcs8(key.serialize_der()).unwrap() }
    }
}

fn named(name: &str, role: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(role) = role {
        params.distinguished_name.push(DnType::OrganizationalUnitName, role);
    }
    params
}

/// A phone with its certificates: the keys, and what the CA issued on them.
pub struct Phone {
    pub application: ApplicationId,
    pub keys: Vec<(Kind, Key)>,
    pub command_key: Key,
    pub certificates: Vec<(CertificateSummary, Vec<u8>)>,
    pub device: String,
}

impl Phone {
    /// The certificate and key of a kind, to sign with.
    pub fn signer(&self, kind: Kind) -> Signer<'_> {
        let key = &self.keys.iter().find(|(of, _)| *of == kind).unwrap().1;
        let certificate = &self.certificates.iter().find(|(summary, _)| summary.kind.as_str() == kind.as_str()).unwrap().1;
        Signer { certificate, key }
    }

    pub fn serial(&self, kind: Kind) -> String {
        self.certificates.iter().find(|(summary, _)| summary.kind.as_str() == kind.as_str()).unwrap().0.serial.to_string()
    }
}

impl Rooms<'_> {
    /// A phone for which everything was issued.
    pub fn phone(&self, ca: &Ca, card: &Card) -> Phone {
        self.phone_like(ca, card, |_| {})
    }

    /// The same, with another device than the sandbox's.
    pub fn phone_like(&self, ca: &Ca, card: &Card, change: impl FnOnce(&mut sandbox::phone::Device)) -> Phone {
        use base64::Engine as _;
        let command_key = Key::generate(KeyAlgorithm::P256).unwrap();
        let mut wish = ApplyWish { replaces: Replaces::Any, ..ApplyWish::new(RA_NAME) };
        wish.device.push_token = Some(format!("token-{}", hex::encode(sandbox_octets())));
        wish.device.command_key = Some(base64::engine::general_purpose::STANDARD.encode(command_key.public_key_info()));
        change(&mut wish.device);
        let Application { cms, keys, .. } = build_application(card, &wish, &self.ra.challenge().to_base64()).unwrap();
        let application = self.ra.accept(&cms);
        ca.issue_all();
        assert!(self.is_issued(application), "{:?}", self.state(application));
        let mut certificates = Vec::new();
        for summary in self.live(card) {
            let detail = self.reader.certificate_detail(Some(summary.kind), &summary.serial).unwrap().unwrap();
            assert_eq!(detail.application, application);
            certificates.push((summary, detail.der));
        }
        let first = &certificates[0].0;
        let device = self.reader.device_of_certificate(first.ca_key, &first.serial).unwrap().expect("the phone is registered").public_id;
        Phone { application, keys, command_key, certificates, device }
    }

    /// An operator's instruction, signed and in the store.
    pub fn instruct(&self, operator: &Operator, action: &OperatorAction) -> Sha256Digest {
        self.store_instruction(InstructionForm::Operator, self.signed_by_operator(operator, action))
    }

    pub fn signed_by_operator(&self, operator: &Operator, action: &OperatorAction) -> Vec<u8> {
        let signer = Signer { certificate: &operator.certificate, key: &operator.key };
        Instruction::of_operator(RA_NAME, &self.ra.challenge().to_base64(), action).sign(signer).unwrap()
    }

    /// A holder's instruction, signed by a phone or card.
    pub fn holder_instructs(&self, signer: Signer<'_>, action: &Value) -> Sha256Digest {
        let cms = Instruction::of_holder(RA_NAME, &self.ra.challenge().to_base64(), action).sign(signer).unwrap();
        self.store_instruction(InstructionForm::Holder, cms)
    }

    /// As the RA stores it, believing nothing and checking nothing.
    pub fn store_instruction(&self, form: InstructionForm, message: Vec<u8>) -> Sha256Digest {
        let new = NewInstruction::new(form, message);
        let digest = new.digest;
        self.store.writer().write(move |tx| tx.receive_instruction(&new, Utc::now())).unwrap();
        digest
    }

    pub fn instruction(&self, digest: &Sha256Digest) -> InstructionState {
        self.reader.instruction(digest).unwrap().expect("the instruction is there").state
    }

    /// What an instruction that was carried out came to.
    #[track_caller]
    pub fn outcome(&self, digest: &Sha256Digest) -> Value {
        match self.instruction(digest) {
            InstructionState::Done { outcome, .. } => outcome,
            other => panic!("not carried out: {other:?}"),
        }
    }

    /// The code with which an instruction was refused.
    #[track_caller]
    pub fn refused(&self, digest: &Sha256Digest) -> String {
        match self.instruction(digest) {
            InstructionState::Refused { code, .. } => code,
            other => panic!("not refused: {other:?}"),
        }
    }
}

/// What a holder says to end certificates.
pub fn end(certificates: &str, reason: &str) -> Value {
    json!({"action": "end", "certificates": certificates, "reason": reason})
}

fn sandbox_octets() -> [u8; 8] {
    let mut octets = [0; 8];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut octets).unwrap();
    octets
}
