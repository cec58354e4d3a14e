//! The way from a card to certificates in the phone.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::{Decode as _, Encode as _};
use serde_json::Value;
use x509_cert::Certificate;

use super::PhoneFault;
use super::pkcs10::{Pkcs10, pkcs10};
use super::ra_client::{RaAnswer, RaClient};
use super::statement::{Device, NamedCertificate, Replaces, StatedRequest, Statement};
use crate::card::{Card, SignedMessage, sign};
use crate::instruction::Signer;
use crate::keys::{Key, KeyAlgorithm};
use crate::kind::Kind;
use crate::pem;

/// What to apply for.
#[derive(Debug, Clone)]
pub struct ApplyWish {
    /// The registration authority's name.
    pub audience: String,
    /// One or both.
    pub kinds: Vec<Kind>,
    /// What keys to make.
    pub key_algorithm: KeyAlgorithm,
    /// The phone.
    pub device: Device,
    /// Whether an old phone's certificates end.
    pub replaces: Replaces,
    /// How long to wait for the decision after a 202.
    pub patience: Duration,
}

impl ApplyWish {
    /// Both kinds, P-256, nothing replaced, half a minute.
    pub fn new(audience: &str) -> Self {
        Self {
            audience: audience.to_owned(),
            kinds: Kind::ALL.to_vec(),
            key_algorithm: KeyAlgorithm::default(),
            device: Device::default(),
            replaces: Replaces::default(),
            patience: Duration::from_secs(30),
        }
    }
}

/// A card-signed application with the keys it asks for.
#[derive(Debug)]
pub struct Application {
    /// CMS SignedData, DER: the body of the POST.
    pub cms: Vec<u8>,
    /// The statement inside.
    pub statement: Vec<u8>,
    /// The phone's keys, one for each kind.
    pub keys: Vec<(Kind, Key)>,
}

/// One certificate in the phone.
#[derive(Debug)]
pub struct Enrolled {
    /// Its kind.
    pub kind: Kind,
    /// Its serial number as the RA writes it, hex.
    pub serial: String,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Its key.
    pub key: Key,
    /// The receipt that its issuance is in the log, if it was fetched: JSON, as the RA gave it.
    pub receipt: Option<Value>,
}

impl Enrolled {
    /// Its name.
    pub fn name(&self) -> NamedCertificate {
        NamedCertificate { kind: self.kind, serial: self.serial.clone() }
    }

    /// Whether that is its name.
    pub fn is(&self, name: &NamedCertificate) -> bool {
        self.name().is(name)
    }

    /// Certificate and key, to sign with.
    pub fn signer(&self) -> Signer<'_> {
        Signer { certificate: &self.certificate, key: &self.key }
    }

    pub(super) fn save(&self, directory: &Path) -> Result<(), PhoneFault> {
        let (certificate, key) = enrol_file_names(self.kind);
        pem::write(&directory.join(certificate), pem::encode(pem::CERTIFICATE, &self.certificate))?;
        pem::write_secret(&directory.join(key), self.key.to_pem())?;
        // With the salts in it, it opens what the log keeps closed.
        match &self.receipt {
            Some(receipt) => Ok(pem::write_secret(&directory.join(receipt_file_name(self.kind)), format!("{receipt}\n"))?),
            None => Ok(pem::remove(&directory.join(receipt_file_name(self.kind)))?),
        }
    }

    /// Removes what [`Self::save`] wrote, unless another certificate of the kind has taken its place.
    pub(super) fn remove(&self, directory: &Path) -> Result<(), PhoneFault> {
        let (certificate, key) = enrol_file_names(self.kind);
        if pem::read(&directory.join(&certificate), pem::CERTIFICATE).is_ok_and(|kept| kept != self.certificate) {
            return Ok(());
        }
        pem::remove(&directory.join(certificate))?;
        pem::remove(&directory.join(receipt_file_name(self.kind)))?;
        Ok(pem::remove(&directory.join(key))?)
    }
}

/// What came of an application.
#[derive(Debug)]
pub struct Enrolment {
    /// The RA's name for the application: hex SHA-256 of the CMS bytes.
    pub application_id: String,
    /// The certificates.
    pub certificates: Vec<Enrolled>,
    /// The CMS bytes.
    pub cms: Vec<u8>,
    /// Every answer to the application, in order, as it came.
    pub answers: Vec<RaAnswer>,
}

/// Applies: challenge, keys, requests, the card's signature, and patience.
pub fn apply(ra: &RaClient, card: &Card, wish: &ApplyWish) -> Result<Enrolment, PhoneFault> {
    let challenge = ra.challenge()?;
    let application = build_application(card, wish, &challenge.challenge)?;
    let answers = submit_and_wait(ra, &application.cms, wish.patience)?;
    Enrolment::read(application, answers)
}

/// Makes keys and requests, states them and has the card sign.
pub fn build_application(card: &Card, wish: &ApplyWish, challenge: &str) -> Result<Application, PhoneFault> {
    let mut keys = Vec::with_capacity(wish.kinds.len());
    let mut requests = Vec::with_capacity(wish.kinds.len());
    for kind in &wish.kinds {
        let key = Key::generate(wish.key_algorithm)?;
        requests.push(StatedRequest { kind: *kind, pkcs10: STANDARD.encode(pkcs10(&Pkcs10::new(&key, challenge))?) });
        keys.push((*kind, key));
    }
    let statement = statement(wish, challenge, requests).to_json();
    let cms = sign(&SignedMessage::new(statement.clone()), &[(&card.signature, &card.signature)])?;
    Ok(Application { cms, statement, keys })
}

/// Names of the files that [`Enrolment::save`] writes for a kind: certificate and key.
pub fn enrol_file_names(kind: Kind) -> (String, String) {
    (format!("phone-{kind}.pem"), format!("phone-{kind}.key.pem"))
}

/// Name of the file of a kind's receipt, once it was fetched.
pub fn receipt_file_name(kind: Kind) -> String {
    format!("phone-{kind}.receipt.json")
}

/// Fetches the receipts of an application and gives each certificate its own. The RA holds the answer until the log has them, for so
/// many seconds at most.
///
/// # Errors
/// [`PhoneFault::Undecided`] if they are not there by then.
pub(super) fn fetch_receipts(
    ra: &RaClient,
    application_id: &str,
    token: &str,
    wait_seconds: u32,
    certificates: &mut [Enrolled],
) -> Result<(), PhoneFault> {
    let answer = ra.receipts(application_id, token, wait_seconds)?;
    match answer.status {
        200 => {}
        202 => return Err(PhoneFault::Undecided { seconds: u64::from(wait_seconds) }),
        _ => return Err(answer.refusal()),
    }
    let missing = |what: &str| PhoneFault::Answer(format!("{what} is missing"));
    for receipt in answer.json.get("receipts").and_then(Value::as_array).ok_or_else(|| missing("receipts"))? {
        let named = |member: &str| receipt["certificate"][member].as_str();
        let is_its = |enrolled: &&mut Enrolled| named("kind") == Some(enrolled.kind.as_str()) && named("serial") == Some(&enrolled.serial);
        let enrolled =
            certificates.iter_mut().find(is_its).ok_or_else(|| PhoneFault::Answer("a receipt of another certificate".to_owned()))?;
        enrolled.receipt = Some(receipt.clone());
    }
    Ok(())
}

pub(super) fn statement(wish: &ApplyWish, challenge: &str, requests: Vec<StatedRequest>) -> Statement {
    Statement {
        statement_type: "tsunagi.application.v1".to_owned(),
        audience: wish.audience.clone(),
        challenge: challenge.to_owned(),
        device: wish.device.clone(),
        replaces: wish.replaces,
        requests,
    }
}

/// Sends an application and asks until it is decided. The last answer is a 200 or 201 with the state `issued`.
pub(crate) fn submit_and_wait(ra: &RaClient, cms: &[u8], patience: Duration) -> Result<Vec<RaAnswer>, PhoneFault> {
    let start = Instant::now();
    let mut answers = vec![ra.submit(cms)?];
    let mut ticket: Option<(String, String)> = None;
    let mut pause = Duration::from_millis(10);
    while let Some(answer) = answers.last() {
        match (answer.status, answer.text_of("state")) {
            (200 | 201, Some("issued")) => return Ok(answers),
            (200 | 202, Some("accepted")) => {}
            (200 | 201, state) => return Err(PhoneFault::Answer(format!("state {state:?} with status {}", answer.status))),
            _ => return Err(answer.refusal()),
        }
        if let (Some(place), Some(token)) = (answer.text_of("status_url"), answer.text_of("token")) {
            ticket = Some((place.to_owned(), token.to_owned()));
        }
        let Some((place, token)) = &ticket else {
            return Err(PhoneFault::Answer("accepted, without status_url and token".to_owned()));
        };
        if start.elapsed() >= patience {
            return Err(PhoneFault::Undecided { seconds: patience.as_secs() });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(500));
        let next = ra.ask_again(place, token)?;
        // Of many answers that say "not yet", one is worth keeping.
        if answers.len() > 1 {
            answers.truncate(1);
        }
        answers.push(next);
    }
    Err(PhoneFault::Answer("no answer".to_owned()))
}

impl Enrolment {
    /// Reads the certificates out of the last answer and compares them with the keys.
    pub fn read(application: Application, answers: Vec<RaAnswer>) -> Result<Self, PhoneFault> {
        let last = answers.last().ok_or_else(|| PhoneFault::Answer("no answer".to_owned()))?;
        let missing = |what: &str| PhoneFault::Answer(format!("{what} is missing"));
        let application_id = last.text_of("application_id").ok_or_else(|| missing("application_id"))?.to_owned();
        let entries = last.json.get("certificates").and_then(Value::as_array).ok_or_else(|| missing("certificates"))?;
        let mut certificates = Vec::new();
        for (kind, key) in application.keys {
            let entry = entries.iter().find(|entry| entry.get("kind").and_then(Value::as_str) == Some(kind.as_str()));
            let member = |name: &str| entry.and_then(|entry| entry.get(name)).and_then(Value::as_str).ok_or_else(|| missing(name));
            let certificate = STANDARD.decode(member("certificate")?).map_err(|_| missing("base64 of a certificate"))?;
            let decoded = Certificate::from_der(&certificate).map_err(|error| PhoneFault::Answer(error.to_string()))?;
            let certified = decoded.tbs_certificate().subject_public_key_info().to_der();
            if !certified.is_ok_and(|certified| certified == key.public_key_info()) {
                return Err(PhoneFault::OtherKey { kind });
            }
            certificates.push(Enrolled { kind, serial: member("serial")?.to_owned(), certificate, key, receipt: None });
        }
        if entries.len() != certificates.len() {
            return Err(PhoneFault::Answer("more or fewer certificates than asked for".to_owned()));
        }
        Ok(Self { application_id, certificates, cms: application.cms, answers })
    }

    /// Fetches the receipts of the certificates; the RA holds its answer for so many seconds at most.
    ///
    /// # Errors
    /// [`PhoneFault::Undecided`] if the log does not have them by then.
    pub fn fetch_receipts(&mut self, ra: &RaClient, wait_seconds: u32) -> Result<(), PhoneFault> {
        let token = self.token().ok_or_else(|| PhoneFault::Answer("no answer brought a token".to_owned()))?.to_owned();
        fetch_receipts(ra, &self.application_id, &token, wait_seconds, &mut self.certificates)
    }

    /// The certificate of a kind.
    pub fn of(&self, kind: Kind) -> Option<&Enrolled> {
        self.certificates.iter().find(|enrolled| enrolled.kind == kind)
    }

    /// The token that opens the application's state and the phone's commands, if an answer brought it.
    pub fn token(&self) -> Option<&str> {
        self.answers.iter().find_map(|answer| answer.text_of("token"))
    }

    /// The phone's name at the issuer, if an answer brought it.
    pub fn device(&self) -> Option<&str> {
        self.answers.iter().rev().find_map(|answer| answer.text_of("device"))
    }

    /// Writes `phone-<kind>.pem`, `phone-<kind>.key.pem`, `application.cms`, `application-answer.json` and, where it was fetched,
    /// `phone-<kind>.receipt.json` into an existing directory.
    pub fn save(&self, directory: &Path) -> Result<(), PhoneFault> {
        for enrolled in &self.certificates {
            enrolled.save(directory)?;
        }
        pem::write(&directory.join("application.cms"), &self.cms)?;
        if let Some(answer) = self.answers.last() {
            pem::write(&directory.join("application-answer.json"), &answer.text)?;
        }
        Ok(())
    }
}
