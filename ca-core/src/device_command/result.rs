//! What a phone says became of a command.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::jws;
use crate::key::PublicKey;
use crate::refusal::Refusal;

/// The `type` of a result.
const RESULT_TYPE: &str = "tsunagi.device-command-result.v1";

/// The `typ` that the header of a result may have.
const HEADER_TYPE: &str = "tsunagi-device-command-result+jwt";

/// What became of a command, signed by the phone's key for this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandResult {
    /// What became of it.
    pub outcome: CommandOutcome,
    /// When, by the phone's clock: told, not believed.
    pub at: DateTime<Utc>,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandOutcome {
    /// The phone did it.
    Done,
    /// It could not.
    Failed,
}

impl CommandOutcome {
    /// The word in results.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// Why a signed result does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandResultRefusal {
    /// Not a JWS with ES256 over a result.
    #[error("the signed result is not a JWS with ES256 over the result of a device command")]
    Malformed,
    /// Not signed by the device's key for this.
    #[error("the signature on the result is not that of the device's command key")]
    Signature,
    /// About another command or another device.
    #[error("the signed result is about another command or another device")]
    Other,
}

impl Refusal for CommandResultRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "command_result_malformed",
            Self::Signature => "command_result_signature",
            Self::Other => "command_result_other",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeaderJson {
    alg: String,
    typ: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultJson {
    r#type: String,
    command: String,
    device: String,
    result: CommandOutcome,
    at: DateTime<Utc>,
}

impl CommandResult {
    /// Reads a JWS that must be signed by `command_key` (SubjectPublicKeyInfo in DER) and be about this command and device,
    /// both by their public identifiers.
    pub fn verify(text: &str, command_key: &[u8], command: &str, device: &str) -> Result<Self, CommandResultRefusal> {
        use CommandResultRefusal as Refused;

        let parts = jws::read(text).ok_or(Refused::Malformed)?;
        let header: HeaderJson = serde_json::from_slice(&parts.header).map_err(|_| Refused::Malformed)?;
        if header.alg != "ES256" || header.typ.is_some_and(|stated| stated != HEADER_TYPE) {
            return Err(Refused::Malformed);
        }
        let key = PublicKey::from_der(command_key).map_err(|_| Refused::Signature)?;
        key.verify_es256(parts.signed.as_bytes(), &parts.signature).map_err(|_| Refused::Signature)?;
        let result: ResultJson = serde_json::from_slice(&parts.payload).map_err(|_| Refused::Malformed)?;
        if result.r#type != RESULT_TYPE {
            return Err(Refused::Malformed);
        }
        if result.command != command || result.device != device {
            return Err(Refused::Other);
        }
        Ok(Self { outcome: result.result, at: result.at })
    }
}
