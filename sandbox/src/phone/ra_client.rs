//! The registration authority's public interface, seen from the phone.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::PhoneFault;
use crate::http::{HttpAnswer, HttpClient, HttpSettings};
use crate::jws::Jwks;

/// The header that a phone shows its token in.
const TOKEN_HEADER: &str = "Tsunagi-Application-Token";

/// How to reach the registration authority.
#[derive(Debug, Clone)]
pub struct RaSettings {
    /// `https://127.0.0.1:8443`
    pub url: String,
    /// PEM of the CA its TLS certificate must lead to.
    pub ca_certificate_pem: String,
    /// For one exchange.
    pub timeout: Duration,
}

/// A connection to the registration authority.
#[derive(Debug, Clone)]
pub struct RaClient {
    http: HttpClient,
    url: String,
}

/// What a statement and its requests must contain.
#[derive(Debug, Clone, Deserialize)]
pub struct Challenge {
    /// Base64 of 48 octets.
    pub challenge: String,
    /// When it will be too old.
    pub expires_at: DateTime<Utc>,
}

/// An answer, kept as it came.
#[derive(Debug, Clone)]
pub struct RaAnswer {
    /// HTTP status.
    pub status: u16,
    /// The body as text.
    pub text: String,
    /// The body as JSON; `null` if it is none.
    pub json: Value,
}

impl RaClient {
    /// Connects at the first exchange.
    pub fn new(settings: &RaSettings) -> Result<Self, PhoneFault> {
        let http =
            HttpSettings { ca_certificate_pem: Some(settings.ca_certificate_pem.clone()), identity: None, timeout: settings.timeout };
        Ok(Self { http: HttpClient::new(&http)?, url: settings.url.trim_end_matches('/').to_owned() })
    }

    /// Asks for a challenge.
    pub fn challenge(&self) -> Result<Challenge, PhoneFault> {
        let answer = RaAnswer::from(self.http.post(&format!("{}/v1/challenges", self.url), &[], "application/json", b"")?);
        match answer.status {
            201 => serde_json::from_value(answer.json).map_err(|error| PhoneFault::Answer(error.to_string())),
            _ => Err(answer.refusal()),
        }
    }

    /// Opens the connection without asking for anything.
    pub(crate) fn knock(&self) {
        if let Err(fault) = self.http.get(&format!("{}/health/live", self.url), &[]) {
            tracing::debug!(%fault, "the registration authority does not open");
        }
    }

    /// Sends an application (CMS, DER); any answer is fine with it.
    pub fn submit(&self, cms: &[u8]) -> Result<RaAnswer, PhoneFault> {
        let url = format!("{}/v1/applications", self.url);
        Ok(self.http.post(&url, &[], "application/cms", cms)?.into())
    }

    /// Asks about an application with the token of its 202. `place` is its `status_url`, absolute or as a path.
    pub fn ask_again(&self, place: &str, token: &str) -> Result<RaAnswer, PhoneFault> {
        let url = if place.starts_with('/') { format!("{}{place}", self.url) } else { place.to_owned() };
        if !url.starts_with(&format!("{}/", self.url)) {
            // The token opens the application: it is shown to nobody but the RA it came from.
            return Err(PhoneFault::Answer("status_url leads elsewhere".to_owned()));
        }
        Ok(self.http.get(&url, &[(TOKEN_HEADER, token)])?.into())
    }

    /// Asks for the receipts of an application's certificates, which there are once the log has them. The answer is held for so many
    /// seconds at most (RFC 7240 section 4.3); any answer is fine with it.
    pub fn receipts(&self, application_id: &str, token: &str, wait_seconds: u32) -> Result<RaAnswer, PhoneFault> {
        let url = format!("{}/v1/applications/{application_id}/receipts", self.url);
        let prefer = format!("wait={wait_seconds}");
        Ok(self.http.get(&url, &[(TOKEN_HEADER, token), ("Prefer", &prefer)])?.into())
    }

    /// Sends a holder's instruction (CMS, DER); any answer is fine with it.
    pub fn instruct(&self, cms: &[u8]) -> Result<RaAnswer, PhoneFault> {
        Ok(self.http.post(&format!("{}/v1/instructions", self.url), &[], "application/cms", cms)?.into())
    }

    /// Asks what became of an instruction or a report.
    pub fn instruction(&self, id: &str) -> Result<RaAnswer, PhoneFault> {
        Ok(self.http.get(&format!("{}/v1/instructions/{id}", self.url), &[])?.into())
    }

    /// Sends a report of a compromised key (PKCS#10, DER); any answer is fine with it.
    pub fn report_key_compromise(&self, pkcs10: &[u8]) -> Result<RaAnswer, PhoneFault> {
        Ok(self.http.post(&format!("{}/v1/key-compromises", self.url), &[], "application/pkcs10", pkcs10)?.into())
    }

    /// The keys that sign commands.
    pub fn command_keys(&self) -> Result<Jwks, PhoneFault> {
        let answer = RaAnswer::from(self.http.get(&format!("{}/v1/device-command-keys", self.url), &[])?);
        match answer.status {
            200 => serde_json::from_value(answer.json).map_err(|error| PhoneFault::Answer(error.to_string())),
            _ => Err(answer.refusal()),
        }
    }

    /// The commands that wait for the phone of an application: each a JWS.
    pub fn commands(&self, application_id: &str, token: &str) -> Result<Vec<String>, PhoneFault> {
        let url = format!("{}/v1/applications/{application_id}/commands", self.url);
        let answer = RaAnswer::from(self.http.get(&url, &[(TOKEN_HEADER, token)])?);
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let entries = answer.json.get("commands").and_then(Value::as_array);
        let entries = entries.ok_or_else(|| PhoneFault::Answer("commands is missing".to_owned()))?;
        let text = |entry: &Value| entry.get("command").and_then(Value::as_str).map(str::to_owned);
        entries.iter().map(text).collect::<Option<_>>().ok_or_else(|| PhoneFault::Answer("a command without its text".to_owned()))
    }

    /// Tells what became of a command; any answer is fine with it.
    pub fn command_result(&self, application_id: &str, token: &str, command: &str, result: &Value) -> Result<RaAnswer, PhoneFault> {
        let url = format!("{}/v1/applications/{application_id}/commands/{command}/result", self.url);
        Ok(self.http.post(&url, &[(TOKEN_HEADER, token)], "application/json", result.to_string().as_bytes())?.into())
    }
}

impl From<HttpAnswer> for RaAnswer {
    fn from(answer: HttpAnswer) -> Self {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status: answer.status, text, json }
    }
}

impl RaAnswer {
    /// The stable code of a problem (RFC 9457), empty if there is none.
    pub fn code(&self) -> &str {
        self.json.get("code").and_then(Value::as_str).unwrap_or_default()
    }

    /// A member that is text.
    pub fn text_of(&self, member: &str) -> Option<&str> {
        self.json.get(member).and_then(Value::as_str)
    }

    /// The answer as a refusal.
    pub fn refusal(&self) -> PhoneFault {
        let detail =
            self.text_of("detail").or_else(|| self.text_of("title")).map_or_else(|| self.text.chars().take(200).collect(), str::to_owned);
        PhoneFault::Refused { status: self.status, code: self.code().to_owned(), detail }
    }
}
