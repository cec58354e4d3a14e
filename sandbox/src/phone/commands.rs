//! Commands to the phone: signed by the CA role, verified here, carried out, confirmed.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::PhoneFault;
use super::statement::NamedCertificate;
use crate::jws::{self, Jwks};
use crate::keys::{Key, KeyAlgorithm};

/// A command whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceCommand {
    /// `tsunagi.device-command.v1`
    #[serde(rename = "type")]
    command_type: String,
    /// Its name.
    pub command: String,
    /// The phone's name at the issuer.
    pub device: String,
    /// What to do.
    pub action: CommandAction,
    /// With which certificates' keys.
    pub certificates: Vec<NamedCertificate>,
    /// When it was given.
    pub issued_at: DateTime<Utc>,
    /// Until when it is to be obeyed.
    pub expires_at: DateTime<Utc>,
}

/// What a phone is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandAction {
    /// Remove the keys.
    Erase,
    /// Keep them, and use them no more.
    Lock,
    /// Use them again.
    Unlock,
}

/// How the phone answers a command that it has carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Done, signed with the command key.
    Signed,
    /// Done, says the phone, and proves nothing.
    Unsigned,
    /// Not at all.
    Never,
    /// It did not do it, signed with the command key.
    Failed,
    /// Signed by a key that is not the phone's.
    OtherKey,
    /// Signed, about another command.
    OtherCommand,
    /// Signed, about another phone.
    OtherDevice,
    /// Signed, but the signature covers the contrary of what stands beside it.
    OtherOutcome,
    /// What should be signed is no JWS.
    Noise,
}

impl DeviceCommand {
    /// Verifies a JWS with the keys that the RA publishes, and that it is a command that still counts.
    pub fn verify(text: &str, keys: &Jwks) -> Result<Self, PhoneFault> {
        let verified = jws::verify(text, keys)?;
        let refuse = |reason: &str| PhoneFault::Answer(format!("a command is not as agreed: {reason}"));
        if verified.header["typ"] != "tsunagi-device-command+jwt" {
            return Err(refuse("typ"));
        }
        let command: Self = serde_json::from_value(verified.payload).map_err(|error| refuse(&error.to_string()))?;
        if command.command_type != "tsunagi.device-command.v1" {
            return Err(refuse("type"));
        }
        if command.expires_at <= Utc::now() {
            return Err(PhoneFault::Expired);
        }
        Ok(command)
    }

    /// The body of the answer; `None` if there is to be none.
    pub(super) fn result(&self, reply: Reply, command_key: &Key) -> Result<Option<Value>, PhoneFault> {
        let outcome = if reply == Reply::Failed { "failed" } else { "done" };
        let signed = |command: &str, device: &str, result: &str, key: &Key| {
            let payload = json!({
                "type": "tsunagi.device-command-result.v1",
                "command": command,
                "device": device,
                "result": result,
                "at": Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
            });
            jws::sign(&json!({ "alg": "ES256", "typ": "tsunagi-device-command-result+jwt" }), &payload, key)
        };
        let nobody = "0".repeat(32);
        let signed = match reply {
            Reply::Never => return Ok(None),
            Reply::Unsigned => return Ok(Some(json!({ "result": outcome }))),
            Reply::Signed | Reply::Failed => signed(&self.command, &self.device, outcome, command_key)?,
            Reply::OtherKey => signed(&self.command, &self.device, outcome, &Key::generate(KeyAlgorithm::P256)?)?,
            Reply::OtherCommand => signed(&nobody, &self.device, outcome, command_key)?,
            Reply::OtherDevice => signed(&self.command, &nobody, outcome, command_key)?,
            Reply::OtherOutcome => signed(&self.command, &self.device, "failed", command_key)?,
            Reply::Noise => "bm90.YQ.and3".to_owned(),
        };
        Ok(Some(json!({ "result": outcome, "signed": signed })))
    }
}
