//! The application statement: what the card signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::application::challenge::{Challenge, ChallengeRefusal};
use crate::kind::CertificateKind;
use crate::refusal::Refusal;

/// The `type` of the statement that this version understands.
pub const STATEMENT_TYPE: &str = "tsunagi.application.v1";

/// The most characters a device's model name may have.
const MODEL_CHARACTERS: usize = 128;

/// What the holder asks for, in the holder's own signed words.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The registration authority that it is meant for.
    pub audience: String,
    /// The challenge that it answers.
    pub challenge: Challenge,
    /// The phone.
    pub device: Device,
    /// Whether an earlier phone's certificates of the requested kinds shall end.
    pub replaces: Replaces,
    /// What is asked for: one or two requests, of different kinds.
    pub requests: Vec<StatedRequest>,
}

/// The phone, as it describes itself: nothing here is verified.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Its platform.
    pub platform: Platform,
    /// Its model name.
    pub model: String,
    /// Where it keeps its keys.
    pub key_storage: KeyStorage,
}

/// A phone's platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Android.
    Android,
    /// iOS.
    Ios,
    /// Any other.
    Other,
}

/// Where a phone keeps its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyStorage {
    /// Android StrongBox.
    Strongbox,
    /// A trusted execution environment.
    Tee,
    /// Apple's Secure Enclave.
    SecureEnclave,
    /// A GlobalPlatform secure element.
    GpSe,
    /// Nothing but software.
    Software,
}

/// What becomes of an earlier phone's certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replaces {
    /// They end.
    Any,
    /// There are none; if there are, the application is refused.
    None,
}

/// One request of a statement.
#[derive(Debug, Clone)]
pub struct StatedRequest {
    /// Which kind of certificate is asked for.
    pub kind: CertificateKind,
    /// The certification request (PKCS#10, RFC 2986) in DER.
    pub pkcs10: Vec<u8>,
}

/// Why a statement does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementRefusal {
    /// Not the JSON object that a statement is; the text says where it goes wrong without repeating what stands there.
    #[error("the application statement is not as it must be (line {line}, column {column})")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// Another type of statement, or another version.
    #[error("the application statement's type is not \"{STATEMENT_TYPE}\"")]
    Type,
    /// The challenge cannot be read.
    #[error(transparent)]
    Challenge(#[from] ChallengeRefusal),
    /// An overlong model name, or one with control characters.
    #[error("the device's model is empty, longer than {MODEL_CHARACTERS} characters, or has control characters")]
    Device,
    /// No request, more than two, or two of one kind.
    #[error("an application has one request, or one of each kind")]
    Requests,
    /// A certification request that is not base64.
    #[error("a certification request is not in base64")]
    Pkcs10Encoding,
}

impl Refusal for StatementRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } | Self::Device => "statement_malformed",
            Self::Type => "statement_type",
            Self::Challenge(refusal) => refusal.code(),
            Self::Requests => "statement_requests",
            Self::Pkcs10Encoding => "request_malformed",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementJson {
    r#type: String,
    audience: String,
    challenge: String,
    device: Device,
    replaces: Replaces,
    requests: Vec<RequestJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestJson {
    kind: CertificateKind,
    pkcs10: String,
}

impl Statement {
    /// Reads a statement: JSON (RFC 8259) in UTF-8, no key twice, no key unknown.
    pub fn parse(json: &[u8]) -> Result<Self, StatementRefusal> {
        let parsed: StatementJson =
            serde_json::from_slice(json).map_err(|error| StatementRefusal::Malformed { line: error.line(), column: error.column() })?;
        if parsed.r#type != STATEMENT_TYPE {
            return Err(StatementRefusal::Type);
        }
        let model = &parsed.device.model;
        if model.is_empty() || model.chars().count() > MODEL_CHARACTERS || model.chars().any(char::is_control) {
            return Err(StatementRefusal::Device);
        }
        let kinds: Vec<_> = parsed.requests.iter().map(|request| request.kind).collect();
        if !matches!(kinds[..], [_] | [_, _]) || kinds.len() == 2 && kinds[0] == kinds[1] {
            return Err(StatementRefusal::Requests);
        }
        let requests = parsed.requests.into_iter().map(RequestJson::decode).collect::<Result<_, _>>()?;
        Ok(Self {
            audience: parsed.audience,
            challenge: Challenge::from_base64(&parsed.challenge)?,
            device: parsed.device,
            replaces: parsed.replaces,
            requests,
        })
    }
}

impl RequestJson {
    fn decode(self) -> Result<StatedRequest, StatementRefusal> {
        let pkcs10 = STANDARD.decode(self.pkcs10).map_err(|_| StatementRefusal::Pkcs10Encoding)?;
        Ok(StatedRequest { kind: self.kind, pkcs10 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(requests: &str) -> String {
        let challenge = STANDARD.encode([5; 48]);
        format!(
            r#"{{"type":"tsunagi.application.v1","audience":"ra.example","challenge":"{challenge}",
                "device":{{"platform":"android","model":"A1","key_storage":"strongbox"}},"replaces":"any","requests":{requests}}}"#
        )
    }

    const SIGNATURE: &str = r#"{"kind":"signature","pkcs10":"AQID"}"#;
    const AUTHENTICATION: &str = r#"{"kind":"authentication","pkcs10":"BAUG"}"#;

    #[test]
    fn one_request_of_each_kind_is_read() {
        let read = Statement::parse(statement(&format!("[{SIGNATURE},{AUTHENTICATION}]")).as_bytes()).unwrap();
        assert_eq!(read.requests[1].kind, CertificateKind::Authentication);
        assert_eq!(read.requests[0].pkcs10, [1, 2, 3]);
    }

    #[test]
    fn none_and_two_of_a_kind_are_refused() {
        for requests in ["[]".to_owned(), format!("[{SIGNATURE},{SIGNATURE}]"), format!("[{SIGNATURE},{AUTHENTICATION},{SIGNATURE}]")] {
            assert_eq!(Statement::parse(statement(&requests).as_bytes()).unwrap_err(), StatementRefusal::Requests);
        }
    }

    #[test]
    fn unknown_and_repeated_keys_are_refused() {
        let whole = statement(&format!("[{SIGNATURE}]"));
        for extra in [r#""note":1,"#, r#""audience":"other","#] {
            let more = whole.replacen('{', &format!("{{{extra}"), 1);
            assert_eq!(Statement::parse(more.as_bytes()).unwrap_err().code(), "statement_malformed");
        }
        assert!(Statement::parse(whole.as_bytes()).is_ok());
    }
}
