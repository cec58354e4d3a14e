//! What an operator asks for.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{Action, AuditExport};
use crate::card::identity::KeyIdentifier;
use crate::digest::Sha256Digest;
use crate::instruction::statement::{
    digest, key_identifier, operators_cause, optional_digest, optional_past_time, optional_permanent_reason, optional_public_id,
    optional_serial, permanent_reason, public_id,
};
use crate::kind::CertificateKind;
use crate::lifecycle::HoldCause;
use crate::revocation::RevocationReason;
use crate::serial::SerialNumber;

/// The most characters of a ticket.
const TICKET_CHARACTERS: usize = 1_000;
/// The most octets of a holder's identifier.
const HOLDER_ID_OCTETS: usize = 255;
/// The most characters of a schedule's name.
const SCHEDULE_CHARACTERS: usize = 64;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum OperatorInstruction {
    /// A hold, for one cause.
    Hold {
        /// On what.
        target: Target,
        /// Why: the phone is lost, or anything else that the operator knows.
        #[serde(deserialize_with = "operators_cause")]
        cause: HoldCause,
        /// What was reported.
        ticket: Ticket,
    },
    /// The end of a hold for one cause; others stand.
    Lift {
        /// On what.
        target: Target,
        /// The cause that stands no more: the same.
        #[serde(deserialize_with = "operators_cause")]
        cause: HoldCause,
        /// What was reported.
        ticket: Ticket,
    },
    /// The end, for good.
    Revoke {
        /// Of what.
        target: Target,
        /// Why: any reason but a hold.
        #[serde(deserialize_with = "permanent_reason")]
        reason: RevocationReason,
        /// Since when it has been invalid, if that is known to be earlier than now: the key was out of its holder's hands. Relying parties are told
        /// (invalidityDate, RFC 5280 section 5.3.2).
        #[serde(default, deserialize_with = "optional_past_time")]
        invalid_since: Option<DateTime<Utc>>,
        /// What was reported.
        ticket: Ticket,
    },
    /// A phone shall erase the keys of its certificates that have ended.
    Erase {
        /// Its public identifier.
        #[serde(deserialize_with = "public_id")]
        device: String,
        /// What was reported.
        ticket: Ticket,
    },
    /// A phone shall lock its keys.
    Lock {
        /// Its public identifier.
        #[serde(deserialize_with = "public_id")]
        device: String,
        /// What was reported.
        ticket: Ticket,
    },
    /// A schedule shall run now.
    RunSchedule {
        /// Which.
        schedule: ScheduleName,
    },
    /// A change of every certificate linked to certain cards.
    Mass(MassInstruction),
    /// Another administrator's mass instruction may go ahead.
    Approve {
        /// What that instruction is called.
        #[serde(deserialize_with = "digest")]
        instruction: Sha256Digest,
    },
    /// A stretch of the log shall be written down with proofs, and perhaps with evidence.
    AuditExport(AuditExport),
}

impl OperatorInstruction {
    /// What a role must allow.
    pub const fn action(&self) -> Action {
        match self {
            Self::Hold { .. } | Self::Lift { .. } => Action::Hold,
            Self::Revoke { .. } => Action::Revoke,
            Self::Erase { .. } | Self::Lock { .. } => Action::CommandDevice,
            Self::RunSchedule { .. } => Action::RunSchedule,
            Self::Mass(_) | Self::Approve { .. } => Action::Mass,
            Self::AuditExport(_) => Action::Audit,
        }
    }

    /// The word in the statement.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Hold { .. } => "hold",
            Self::Lift { .. } => "lift",
            Self::Revoke { .. } => "revoke",
            Self::Erase { .. } => "erase",
            Self::Lock { .. } => "lock",
            Self::RunSchedule { .. } => "run-schedule",
            Self::Mass(_) => "mass",
            Self::Approve { .. } => "approve",
            Self::AuditExport(_) => "audit-export",
        }
    }
}

/// The certificates that are meant: those that live or are held.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "TargetJson")]
pub enum Target {
    /// One certificate; of whichever kind has this serial number, unless one is told.
    Certificate {
        /// Its serial number.
        serial: SerialNumber,
        /// Its kind.
        kind: Option<CertificateKind>,
    },
    /// Those in one phone, by its public identifier: 32 lower-case hexadecimal digits.
    Device(String),
    /// All of one holder: 1 to 255 visible ASCII characters.
    Holder(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TargetJson {
    #[serde(default, deserialize_with = "optional_serial")]
    serial: Option<SerialNumber>,
    kind: Option<CertificateKind>,
    #[serde(default, deserialize_with = "optional_public_id")]
    device: Option<String>,
    holder_id: Option<String>,
}

impl TryFrom<TargetJson> for Target {
    type Error = &'static str;

    fn try_from(json: TargetJson) -> Result<Self, Self::Error> {
        match json {
            TargetJson { serial: Some(serial), kind, device: None, holder_id: None } => Ok(Self::Certificate { serial, kind }),
            TargetJson { serial: None, kind: None, device: Some(device), holder_id: None } => Ok(Self::Device(device)),
            TargetJson { serial: None, kind: None, device: None, holder_id: Some(holder) } => {
                if is_holder_id(&holder) {
                    Ok(Self::Holder(holder))
                } else {
                    Err("not a holder's identifier")
                }
            }
            _ => Err("a target is a serial, perhaps with a kind, or a device, or a holder_id"),
        }
    }
}

/// The form of all identifiers that the back office gives; others are no one's, and a database may not even take them.
fn is_holder_id(text: &str) -> bool {
    (1..=HOLDER_ID_OCTETS).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic())
}

/// The operator's account of why: 1 to 1,000 characters, no control characters. May name people: never logged, not even by
/// accident.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Ticket(String);

impl Ticket {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Ticket {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let sound = (1..=TICKET_CHARACTERS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if sound { Ok(Self(text)) } else { Err("a ticket has 1 to 1000 characters, no control characters") }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// A schedule's name: 1 to 64 lower-case letters and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ScheduleName(String);

impl ScheduleName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ScheduleName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let sound = (1..=SCHEDULE_CHARACTERS).contains(&name.len()) && name.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'-'));
        if sound { Ok(Self(name)) } else { Err("not a schedule's name") }
    }
}

/// A change of every certificate linked to certain cards.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "MassJson")]
pub struct MassInstruction {
    /// What becomes of them.
    pub change: MassChange,
    /// Which cards.
    pub scope: Scope,
    /// How many certificates the dry run counted: if it is another number by then, nothing is done.
    pub expected: u64,
    /// Why.
    pub ticket: Ticket,
}

/// What becomes of many certificates at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MassChange {
    /// They end, for this reason.
    Revoke(RevocationReason),
    /// They are held.
    Hold,
}

/// Card certificates of one card CA key, or those of them that share a CRL.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    /// The card CA's key.
    #[serde(deserialize_with = "key_identifier")]
    pub issuer_key_id: KeyIdentifier,
    /// The SHA-256 of the distribution point's directoryName (Name in DER): a municipality.
    #[serde(default, deserialize_with = "optional_digest")]
    pub distribution_point_sha256: Option<Sha256Digest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MassJson {
    change: ChangeWord,
    #[serde(default, deserialize_with = "optional_permanent_reason")]
    reason: Option<RevocationReason>,
    scope: Scope,
    expected: u64,
    ticket: Ticket,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ChangeWord {
    Revoke,
    Hold,
}

impl TryFrom<MassJson> for MassInstruction {
    type Error = &'static str;

    fn try_from(json: MassJson) -> Result<Self, Self::Error> {
        let change = match (json.change, json.reason) {
            (ChangeWord::Revoke, Some(reason)) => MassChange::Revoke(reason),
            (ChangeWord::Hold, None) => MassChange::Hold,
            _ => return Err("a revocation has a reason, a hold has none"),
        };
        Ok(Self { change, scope: json.scope, expected: json.expected, ticket: json.ticket })
    }
}
