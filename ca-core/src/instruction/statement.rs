//! What holders' and operators' statements have in common, and the forms of what stands in them.

use chrono::{DateTime, FixedOffset, Utc};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::application::challenge::Challenge;
use crate::card::identity::KeyIdentifier;
use crate::digest::Sha256Digest;
use crate::instruction::InstructionRefusal;
use crate::lifecycle::HoldCause;
use crate::revocation::RevocationReason;
use crate::serial::SerialNumber;

/// A statement that was read, and is meant for us.
pub(super) struct Statement<T> {
    pub(super) challenge: Challenge,
    pub(super) instruction: T,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StatementJson<T> {
    r#type: String,
    audience: String,
    challenge: String,
    r#do: T,
}

impl<T: DeserializeOwned> Statement<T> {
    /// Reads a statement: JSON (RFC 8259) in UTF-8, no key twice, no key unknown.
    pub(super) fn parse(json: &[u8], statement_type: &'static str, audience: &str) -> Result<Self, InstructionRefusal> {
        let parsed: StatementJson<T> =
            serde_json::from_slice(json).map_err(|error| InstructionRefusal::Malformed { line: error.line(), column: error.column() })?;
        if parsed.r#type != statement_type {
            return Err(InstructionRefusal::Type { expected: statement_type });
        }
        if parsed.audience != audience {
            return Err(InstructionRefusal::Audience);
        }
        Ok(Self { challenge: Challenge::from_base64(&parsed.challenge)?, instruction: parsed.r#do })
    }
}

/// Whether `text` names a device or a command: 32 lower-case hexadecimal digits.
fn is_public_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn public_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_public_id(&text) { Ok(text) } else { Err(D::Error::custom("not 32 lower-case hexadecimal digits")) }
}

pub(super) fn optional_public_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    public_id(deserializer).map(Some)
}

pub(super) fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    Sha256Digest::from_hex(&text).ok_or_else(|| D::Error::custom("not 64 hexadecimal digits"))
}

pub(super) fn optional_digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Sha256Digest>, D::Error> {
    digest(deserializer).map(Some)
}

pub(super) fn key_identifier<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyIdentifier, D::Error> {
    let text = String::deserialize(deserializer)?;
    KeyIdentifier::from_hex(&text).ok_or_else(|| D::Error::custom("not a key identifier in hexadecimal digits"))
}

pub(super) fn optional_serial<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SerialNumber>, D::Error> {
    let text = String::deserialize(deserializer)?;
    SerialNumber::from_hex(&text).map(Some).map_err(D::Error::custom)
}

/// A cause that people give: no one tells of a card's hold but the card's issuer.
pub(super) fn operators_cause<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HoldCause, D::Error> {
    let cause = String::deserialize(deserializer)?.parse().map_err(D::Error::custom)?;
    if cause == HoldCause::CardHeld { Err(D::Error::custom("a card's hold follows the card")) } else { Ok(cause) }
}

/// A reason for good: a hold is an instruction of its own.
pub(super) fn permanent_reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RevocationReason, D::Error> {
    let reason = RevocationReason::deserialize(deserializer)?;
    if reason.is_permanent() { Ok(reason) } else { Err(D::Error::custom("a hold is no reason to revoke")) }
}

/// A time in RFC 3339, not before 1970; whether it has come, the life cycle asks.
pub(super) fn optional_past_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime<Utc>>, D::Error> {
    let at = DateTime::<FixedOffset>::parse_from_rfc3339(&String::deserialize(deserializer)?).map_err(D::Error::custom)?;
    if at >= DateTime::UNIX_EPOCH { Ok(Some(at.to_utc())) } else { Err(D::Error::custom("a time before 1970")) }
}

pub(super) fn optional_permanent_reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<RevocationReason>, D::Error> {
    permanent_reason(deserializer).map(Some)
}
