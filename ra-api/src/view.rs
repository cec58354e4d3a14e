//! Certificates, phones and what happened to them, as operators see them, and holders their own.

use ca_core::lifecycle::CardChangeKind;
use chrono::{DateTime, Utc};
use schema::certificate::CertificateSummary;
use schema::change::Origin;
use schema::device::DeviceSummary;
use schema::device_command::DeviceCommand;
use schema::history::{Evidence, StoryEntry, Why};
use serde::Serialize;
use utoipa::ToSchema;

/// A smartphone certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CertificateView {
    /// `signature` or `authentication`.
    #[schema(example = "signature")]
    pub kind: &'static str,
    /// The serial number in hexadecimal.
    #[schema(pattern = "^[0-9A-F]{2,40}$")]
    pub serial: String,
    /// `live`, `held`, `revoked` or `expired`, as last written: one past `not_after` may still stand as `live`.
    #[schema(example = "live")]
    pub state: &'static str,
    /// Since when it is held or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<DateTime<Utc>>,
    /// Why: a CRLReason's name (RFC 5280 section 5.3.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "superseded")]
    pub reason: Option<&'static str>,
    /// Since when it was invalid, if whoever revoked it said so: before `revoked_at` (invalidityDate, RFC 5280 section 5.3.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub invalid_since: Option<DateTime<Utc>>,
    /// When its validity begins.
    #[schema(value_type = String, format = DateTime)]
    pub not_before: DateTime<Utc>,
    /// When its validity ends.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: DateTime<Utc>,
    /// Whether nobody holds it, and relying parties try their checks with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
}

/// A certificate by its kind and serial number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CertificateName {
    /// `signature` or `authentication`.
    #[schema(example = "signature")]
    pub kind: &'static str,
    /// The serial number in hexadecimal.
    #[schema(pattern = "^[0-9A-F]{2,40}$")]
    pub serial: String,
}

/// A phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct DeviceView {
    /// What it is called here.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub device: String,
    /// Its platform, as it described itself; like all that follows up to `key_storage`.
    #[schema(example = "android")]
    pub platform: String,
    /// Its model.
    pub model: String,
    /// Where its keys live.
    #[schema(example = "strongbox")]
    pub key_storage: String,
    /// Whether the push service no longer knows it: then it gets commands only when it asks.
    pub push_dead: bool,
    /// When it was added.
    #[schema(value_type = String, format = DateTime)]
    pub added_at: DateTime<Utc>,
    /// `not-needed`, `owed` (revoked but never erased), `claimed` or `confirmed`.
    #[schema(example = "owed")]
    pub erasure: &'static str,
}

/// A command to a phone, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct CommandView {
    /// What it is called.
    #[schema(pattern = "^[0-9a-f]{32}$")]
    pub command: String,
    /// `erase`, `lock` or `unlock`.
    #[schema(example = "erase")]
    pub action: &'static str,
    /// `pending`, `sent`, `confirmed` (signed by the phone), `claimed` (said, but not signed), `failed` or `expired`.
    #[schema(example = "sent")]
    pub state: &'static str,
    /// The certificates that it names.
    pub certificates: Vec<CertificateName>,
    /// How often the push service was tried.
    pub attempts: u64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: DateTime<Utc>,
    /// When the push service first took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<DateTime<Utc>>,
    /// When it came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub settled_at: Option<DateTime<Utc>>,
    /// Until when a phone should obey it.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: DateTime<Utc>,
}

/// One thing that happened to a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct StoryView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: DateTime<Utc>,
    /// What: an event's kind.
    #[schema(example = "certificate.held")]
    pub what: &'static str,
    /// Who or what was behind it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<ByView>,
    /// Why: a revocation's reason, a hold's cause, or what a command asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "phone-lost")]
    pub why: Option<&'static str>,
    /// With a revocation: since when the certificate was invalid, if whoever revoked it said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub invalid_since: Option<DateTime<Utc>>,
    /// What happened to the card certificate, if this follows from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "renewed")]
    pub card_change: Option<CardChangeKind>,
    /// What it rests on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceView>,
    /// For operators: what the operator who asked for it wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// Who or what was behind a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "who")]
pub(crate) enum ByView {
    /// An operator.
    Operator {
        /// The name in the operator's certificate; not told to holders.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The role in it.
        role: String,
    },
    /// The holder, with a key of the phone.
    HolderPhone,
    /// The holder, with the card.
    HolderCard,
    /// Something happened to the card certificate.
    Card,
    /// The time had come.
    Schedule {
        /// Which.
        name: String,
    },
    /// Somebody who proved to have the private key.
    KeyReport,
    /// Another certificate took the place.
    Issuance,
    /// A published list told it, after the store had been restored.
    Reconciliation,
}

/// What a change rests on: one member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EvidenceView {
    /// A signed instruction, by the SHA-256 of its octets, in hexadecimal.
    Instruction(String),
    /// A card-signed application, by the SHA-256 of its octets, in hexadecimal.
    Application(String),
    /// A card event, by its sender's name for it.
    CardEvent(String),
    /// A command to the phone.
    Command(String),
}

impl StoryView {
    /// As operators see it.
    pub(crate) fn for_operators(entry: &StoryEntry, ticket: Option<String>) -> Self {
        Self {
            at: entry.at,
            what: entry.what.as_str(),
            by: entry.by.as_ref().map(|by| ByView::of(by, true)),
            why: entry.why.map(why),
            invalid_since: entry.invalid_since,
            card_change: entry.card_change,
            evidence: entry.evidence.as_ref().map(EvidenceView::from),
            ticket,
        }
    }

    /// As the holder sees it: no operator's name, and nothing that an operator wrote.
    pub(crate) fn for_holders(entry: &StoryEntry) -> Self {
        Self { by: entry.by.as_ref().map(|by| ByView::of(by, false)), ..Self::for_operators(entry, None) }
    }
}

impl ByView {
    /// With the operator's name.
    pub(crate) fn for_operators(origin: &Origin) -> Self {
        Self::of(origin, true)
    }

    fn of(origin: &Origin, with_names: bool) -> Self {
        match origin {
            Origin::Operator { name, role } => Self::Operator { name: with_names.then(|| name.clone()), role: role.clone() },
            Origin::HolderPhone => Self::HolderPhone,
            Origin::HolderCard => Self::HolderCard,
            Origin::CardEvent { .. } => Self::Card,
            Origin::Schedule { name } => Self::Schedule { name: name.clone() },
            Origin::KeyReport => Self::KeyReport,
            Origin::Issuance => Self::Issuance,
            Origin::Reconciliation => Self::Reconciliation,
        }
    }
}

impl From<&Evidence> for EvidenceView {
    fn from(evidence: &Evidence) -> Self {
        match evidence {
            Evidence::Instruction(digest) => Self::Instruction(digest.to_string()),
            Evidence::Application(digest) => Self::Application(digest.to_string()),
            Evidence::CardEvent(id) => Self::CardEvent(id.clone()),
            Evidence::Command(id) => Self::Command(id.clone()),
        }
    }
}

fn why(why: Why) -> &'static str {
    match why {
        Why::Reason(reason) => reason.as_str(),
        Why::Cause(cause) => cause.as_str(),
        Why::Action(action) => action.as_str(),
    }
}

impl From<&CertificateSummary> for CertificateView {
    fn from(certificate: &CertificateSummary) -> Self {
        Self {
            kind: certificate.kind.as_str(),
            serial: certificate.serial.to_string(),
            state: certificate.state.as_str(),
            revoked_at: certificate.revocation.map(|revocation| revocation.at),
            reason: certificate.revocation.map(|revocation| revocation.reason.as_str()),
            invalid_since: certificate.revocation.and_then(|revocation| revocation.invalidity),
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            test: certificate.is_test,
        }
    }
}

impl From<&DeviceSummary> for DeviceView {
    fn from(device: &DeviceSummary) -> Self {
        Self {
            device: device.public_id.clone(),
            platform: device.platform.clone(),
            model: device.model.clone(),
            key_storage: device.key_storage.clone(),
            push_dead: device.push_dead,
            added_at: device.added_at,
            erasure: device.erasure.as_str(),
        }
    }
}

impl From<&DeviceCommand> for CommandView {
    fn from(command: &DeviceCommand) -> Self {
        let named = command.certificates.iter();
        Self {
            command: command.public_id.clone(),
            action: command.action.as_str(),
            state: command.state.as_str(),
            certificates: named.map(|named| CertificateName { kind: named.kind.as_str(), serial: named.serial.to_string() }).collect(),
            attempts: command.attempts,
            created_at: command.created_at,
            sent_at: command.sent_at,
            settled_at: command.settled_at,
            expires_at: command.expires_at,
        }
    }
}
