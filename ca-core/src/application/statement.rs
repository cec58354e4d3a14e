//! The application statement: what the card signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::application::challenge::{Challenge, ChallengeRefusal};
use crate::device_command::NamedCertificate;
use crate::key::{PublicKey, PublicKeyKind};
use crate::kind::CertificateKind;
use crate::refusal::Refusal;

/// The `type` of the statement that this version understands.
pub const STATEMENT_TYPE: &str = "tsunagi.application.v1";

/// The most characters a device's model name may have.
const MODEL_CHARACTERS: usize = 128;

/// The most octets that a push token may have.
const PUSH_TOKEN_OCTETS: usize = 4_096;

/// The most certificates of an earlier owner that a phone may name.
const LEFT_BEHIND: usize = 16;

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its platform.
    pub platform: Platform,
    /// Its model name.
    pub model: String,
    /// Where it keeps its keys.
    pub key_storage: KeyStorage,
    /// Where the push gateway finds it: 1 to 4,096 visible ASCII characters.
    pub push_token: Option<String>,
    /// The key with which it confirms commands: a SubjectPublicKeyInfo in DER, on P-256.
    pub command_key: Option<Vec<u8>>,
    /// Certificates of an earlier owner that it found in itself: at most 16.
    pub left_behind: Vec<NamedCertificate>,
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

impl Platform {
    /// The word used in JSON and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Ios => "ios",
            Self::Other => "other",
        }
    }
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

impl KeyStorage {
    /// The word used in JSON and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strongbox => "strongbox",
            Self::Tee => "tee",
            Self::SecureEnclave => "secure-enclave",
            Self::GpSe => "gp-se",
            Self::Software => "software",
        }
    }
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
    /// An overlong push token, or one of other characters.
    #[error("the device's push token is not of 1 to {PUSH_TOKEN_OCTETS} visible ASCII characters")]
    PushToken,
    /// A key for confirmations that is none.
    #[error("the device's command key is not a SubjectPublicKeyInfo on P-256, in base64")]
    CommandKey,
    /// Too many certificates left behind.
    #[error("a device names at most {LEFT_BEHIND} certificates that were left behind in it")]
    LeftBehind,
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
            Self::Malformed { .. } | Self::Device | Self::PushToken | Self::CommandKey | Self::LeftBehind => "statement_malformed",
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
    device: DeviceJson,
    replaces: Replaces,
    requests: Vec<RequestJson>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceJson {
    platform: Platform,
    model: String,
    key_storage: KeyStorage,
    push_token: Option<String>,
    command_key: Option<String>,
    #[serde(default)]
    left_behind: Vec<NamedCertificate>,
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
        let device = parsed.device.decode()?;
        let kinds: Vec<_> = parsed.requests.iter().map(|request| request.kind).collect();
        if !matches!(kinds[..], [_] | [_, _]) || kinds.len() == 2 && kinds[0] == kinds[1] {
            return Err(StatementRefusal::Requests);
        }
        let requests = parsed.requests.into_iter().map(RequestJson::decode).collect::<Result<_, _>>()?;
        Ok(Self {
            audience: parsed.audience,
            challenge: Challenge::from_base64(&parsed.challenge)?,
            device,
            replaces: parsed.replaces,
            requests,
        })
    }
}

impl DeviceJson {
    fn decode(self) -> Result<Device, StatementRefusal> {
        if self.model.is_empty() || self.model.chars().count() > MODEL_CHARACTERS || self.model.chars().any(char::is_control) {
            return Err(StatementRefusal::Device);
        }
        if self.push_token.as_deref().is_some_and(|token| !is_push_token(token)) {
            return Err(StatementRefusal::PushToken);
        }
        if self.left_behind.len() > LEFT_BEHIND {
            return Err(StatementRefusal::LeftBehind);
        }
        Ok(Device {
            platform: self.platform,
            model: self.model,
            key_storage: self.key_storage,
            push_token: self.push_token,
            command_key: self.command_key.as_deref().map(command_key).transpose()?,
            left_behind: self.left_behind,
        })
    }
}

/// Whether the push gateway could have given this out.
pub(crate) fn is_push_token(token: &str) -> bool {
    (1..=PUSH_TOKEN_OCTETS).contains(&token.len()) && token.bytes().all(|octet| octet.is_ascii_graphic())
}

fn command_key(base64: &str) -> Result<Vec<u8>, StatementRefusal> {
    let der = STANDARD.decode(base64).map_err(|_| StatementRefusal::CommandKey)?;
    let key = PublicKey::from_der(&der).map_err(|_| StatementRefusal::CommandKey)?;
    if *key.kind() == PublicKeyKind::P256 { Ok(der) } else { Err(StatementRefusal::CommandKey) }
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
    use crate::signer::{FileSigner, KeyType, Signer as _};

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
    fn a_device_may_say_more_of_itself_within_bounds() {
        let with = |more: &str| {
            let whole = statement(&format!("[{SIGNATURE}]"));
            Statement::parse(whole.replacen(r#""key_storage":"strongbox""#, &format!(r#""key_storage":"strongbox",{more}"#), 1).as_bytes())
        };
        let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
        let info = STANDARD.encode(key.public_key_info());
        let named = r#"{"kind":"signature","serial":"0A0B"}"#;
        let read = with(&format!(r#""push_token":"abc:DEF","command_key":"{info}","left_behind":[{named}]"#)).unwrap().device;
        assert_eq!(read.push_token.as_deref(), Some("abc:DEF"));
        assert_eq!(read.command_key.as_deref(), Some(key.public_key_info()));
        assert_eq!(read.left_behind[0].serial.to_string(), "0A0B");

        let other_curve = STANDARD.encode(FileSigner::generate(KeyType::EcdsaP384).unwrap().public_key_info());
        for (more, refusal) in [
            (r#""push_token":"""#.to_owned(), StatementRefusal::PushToken),
            (r#""push_token":"a b""#.to_owned(), StatementRefusal::PushToken),
            (format!(r#""push_token":"{}""#, "x".repeat(4_097)), StatementRefusal::PushToken),
            (r#""command_key":"AQID""#.to_owned(), StatementRefusal::CommandKey),
            (format!(r#""command_key":"{other_curve}""#), StatementRefusal::CommandKey),
            (format!(r#""left_behind":[{}]"#, [named; 17].join(",")), StatementRefusal::LeftBehind),
        ] {
            assert_eq!(with(&more).unwrap_err(), refusal);
        }
        for more in
            [r#""left_behind":[{"kind":"signature","serial":"xy"}]"#, r#""left_behind":[{"kind":"signature","serial":"01","more":1}]"#]
        {
            assert!(matches!(with(more), Err(StatementRefusal::Malformed { .. })));
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
