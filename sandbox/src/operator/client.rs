//! The operators' listener, over mutual TLS.

use std::time::Duration;

use serde_json::{Value, json};

use super::OperatorFault;
use super::action::{LookupAbout, OperatorAction};
use crate::back_office::{CardEvent, EventScope};
use crate::http::{ClientIdentity, HttpClient, HttpSettings};
use crate::instruction::{Decision, Instruction, Signer, await_decision, is_undecided};
use crate::keys::Key;
use crate::pem;
use crate::phone::{Challenge, RaAnswer};

/// Who the operator is, and where the listener.
#[derive(Debug, Clone)]
pub struct OperatorSettings {
    /// `https://127.0.0.1:8444`
    pub url: String,
    /// PEM of the CA that the listener's certificate must lead to.
    pub ca_certificate_pem: String,
    /// The client certificate and its key: for the connection, and to sign with.
    pub identity: ClientIdentity,
    /// The registration authority's name.
    pub audience: String,
    /// For one exchange.
    pub timeout: Duration,
    /// How long to wait for a decision.
    pub patience: Duration,
}

impl OperatorSettings {
    /// Half a minute for everything.
    pub fn new(url: &str, ca_certificate_pem: &str, identity: ClientIdentity, audience: &str) -> Self {
        let half_a_minute = Duration::from_secs(30);
        Self {
            url: url.to_owned(),
            ca_certificate_pem: ca_certificate_pem.to_owned(),
            identity,
            audience: audience.to_owned(),
            timeout: half_a_minute,
            patience: half_a_minute,
        }
    }
}

/// An operator at work.
#[derive(Debug)]
pub struct Operator {
    http: HttpClient,
    url: String,
    audience: String,
    patience: Duration,
    certificate: Vec<u8>,
    key: Key,
}

impl Operator {
    /// Reads the identity; connects at the first exchange.
    pub fn new(settings: &OperatorSettings) -> Result<Self, OperatorFault> {
        let identity = &settings.identity;
        let certificate = pem::decode(pem::CERTIFICATE, &identity.certificate_pem).ok_or(OperatorFault::Identity)?;
        let key = Key::from_pkcs8(pem::decode(pem::PRIVATE_KEY, &identity.key_pem).ok_or(OperatorFault::Identity)?)?;
        let http = HttpClient::new(&HttpSettings {
            ca_certificate_pem: Some(settings.ca_certificate_pem.clone()),
            identity: Some(identity.clone()),
            timeout: settings.timeout,
        })?;
        let url = settings.url.trim_end_matches('/').to_owned();
        Ok(Self { http, url, audience: settings.audience.clone(), patience: settings.patience, certificate, key })
    }

    /// Challenge, signature, sending, waiting. A refusal is an error; so is a decision that does not come in time. An instruction
    /// that waits for another's approval comes back so.
    pub fn instruct(&self, action: &OperatorAction) -> Result<Decision, OperatorFault> {
        let cms = self.build(&self.challenge()?.challenge, action)?;
        let answer = await_decision(self.submit(&cms)?, self.patience, |id| self.instruction(id))?;
        match answer.status {
            _ if is_undecided(&answer) => Err(OperatorFault::Undecided { seconds: self.patience.as_secs() }),
            200..=299 => Decision::read(answer).ok_or_else(|| OperatorFault::Answer("an instruction has an id and a state".to_owned())),
            _ => Err(OperatorFault::refused(&answer)),
        }
    }

    /// Asks for a challenge.
    pub fn challenge(&self) -> Result<Challenge, OperatorFault> {
        let answer = RaAnswer::from(self.http.post(&format!("{}/v1/challenges", self.url), &[], "application/json", b"")?);
        match answer.status {
            200 | 201 => serde_json::from_value(answer.json).map_err(|error| OperatorFault::Answer(error.to_string())),
            _ => Err(OperatorFault::refused(&answer)),
        }
    }

    /// Signs an instruction: CMS, DER.
    pub fn build(&self, challenge: &str, action: &OperatorAction) -> Result<Vec<u8>, OperatorFault> {
        Ok(self.prepare(challenge, action).sign(self.signer())?)
    }

    /// An instruction before it is signed, to be made wrong on purpose.
    pub fn prepare(&self, challenge: &str, action: &OperatorAction) -> Instruction {
        Instruction::of_operator(&self.audience, challenge, action)
    }

    /// Certificate and key of the operator.
    pub fn signer(&self) -> Signer<'_> {
        Signer { certificate: &self.certificate, key: &self.key }
    }

    /// Sends an instruction (CMS, DER); any answer is fine with it.
    pub fn submit(&self, cms: &[u8]) -> Result<RaAnswer, OperatorFault> {
        Ok(self.http.post(&format!("{}/v1/instructions", self.url), &[], "application/cms", cms)?.into())
    }

    /// What became of an instruction.
    pub fn instruction(&self, id: &str) -> Result<RaAnswer, OperatorFault> {
        self.get(&format!("/v1/instructions/{id}"))
    }

    /// What happened to a certificate, by its serial number in hex.
    pub fn history(&self, serial: &str) -> Result<Value, OperatorFault> {
        self.read(&format!("/v1/certificates/{serial}/history"))
    }

    /// A holder's certificates and phones.
    pub fn show_holder(&self, holder_id: &str) -> Result<Value, OperatorFault> {
        self.ask("/v1/holders/show", &json!({ "holder_id": holder_id }))
    }

    /// How many certificates a mass instruction would change.
    pub fn dry_run(&self, scope: &EventScope) -> Result<Value, OperatorFault> {
        self.ask("/v1/mass/dry-run", &json!({ "scope": scope }))
    }

    /// Phones; `unerased`: only those whose certificates ended and that never confirmed an erasure. `after`: `next` of the answer
    /// before.
    pub fn devices(&self, unerased: bool, after: Option<i64>) -> Result<Value, OperatorFault> {
        let after = after.map_or_else(String::new, |after| format!("&after={after}"));
        self.read(&format!("/v1/devices?unerased={unerased}{after}"))
    }

    /// One phone.
    pub fn device(&self, device: &str) -> Result<Value, OperatorFault> {
        self.read(&format!("/v1/devices/{device}"))
    }

    /// The schedules.
    pub fn schedules(&self) -> Result<Value, OperatorFault> {
        self.read("/v1/schedules")
    }

    /// How far a batch is.
    pub fn batch(&self, id: &str) -> Result<Value, OperatorFault> {
        self.read(&format!("/v1/batches/{id}"))
    }

    /// A verifier's question about certificates, by their serial numbers in hex.
    pub fn look_up(&self, purpose: &str, about: &LookupAbout, serials: &[&str]) -> Result<Value, OperatorFault> {
        let mut question = serde_json::to_value(about).map_err(|error| OperatorFault::Answer(error.to_string()))?;
        question["purpose"] = json!(purpose);
        question["serials"] = json!(serials);
        self.ask("/v1/verifier/lookups", &question)
    }

    /// A verifier's own names for the holders of certificates.
    pub fn pseudonyms(&self, purpose: &str, serials: &[&str]) -> Result<Value, OperatorFault> {
        self.ask("/v1/verifier/pseudonyms", &json!({ "purpose": purpose, "serials": serials }))
    }

    /// Delivers card events, as the back office does.
    pub fn deliver_card_events(&self, events: &[CardEvent]) -> Result<Value, OperatorFault> {
        self.ask("/v1/card-events", &json!({ "events": events }))
    }

    /// GET of any path; any answer is fine with it.
    pub fn get(&self, path: &str) -> Result<RaAnswer, OperatorFault> {
        Ok(self.http.get(&format!("{}{path}", self.url), &[])?.into())
    }

    /// POST of JSON to any path; any answer is fine with it.
    pub fn post(&self, path: &str, body: &Value) -> Result<RaAnswer, OperatorFault> {
        Ok(self.http.post(&format!("{}{path}", self.url), &[], "application/json", body.to_string().as_bytes())?.into())
    }

    fn read(&self, path: &str) -> Result<Value, OperatorFault> {
        content(self.get(path)?)
    }

    fn ask(&self, path: &str, body: &Value) -> Result<Value, OperatorFault> {
        content(self.post(path, body)?)
    }
}

fn content(answer: RaAnswer) -> Result<Value, OperatorFault> {
    if (200..300).contains(&answer.status) { Ok(answer.json) } else { Err(OperatorFault::refused(&answer)) }
}
