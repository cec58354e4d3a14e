//! A certificate's life told as a story, and whose it is.

use ca_core::card::identity::KeyIdentifier;
use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::lifecycle::{CardChangeKind, HoldCause};
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::certificate::{self, CertificateDetail, CertificateSummary};
use crate::change::Origin;
use crate::connection::Session;
use crate::device::{self, DeviceId, DeviceSummary, SHOWN};
use crate::device_command::{self, CommandState, DeviceAction, DeviceCommand};
use crate::event::{Event, EventKind};
use crate::fault::StoreFault;
use crate::hold::{self, StandingHold};
use crate::reader::Reader;
use crate::sql::{Parameter, sql};

/// Everything about a certificate, its phone and what happened to both.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateHistory {
    /// The certificate, what it hangs on, and its events.
    pub certificate: CertificateDetail,
    /// The holds that stand, in the order of their causes.
    pub holds: Vec<StandingHold>,
    /// The phone it is in.
    pub device: Option<DeviceSummary>,
    /// The commands to phones that name it, oldest first.
    pub commands: Vec<DeviceCommand>,
    /// What happened, in order: its events, and how its commands fared.
    pub story: Vec<StoryEntry>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct StoryEntry {
    /// When.
    pub at: DateTime<Utc>,
    /// What.
    pub what: EventKind,
    /// Who or what was behind it, if that is told.
    pub by: Option<Origin>,
    /// Why, if that is told.
    pub why: Option<Why>,
    /// With a revocation: since when the certificate was invalid, if somebody said so.
    pub invalid_since: Option<DateTime<Utc>>,
    /// What happened to the card certificate, if this follows from it.
    pub card_change: Option<CardChangeKind>,
    /// What it rests on, if on something.
    pub evidence: Option<Evidence>,
}

/// Why something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A revocation's reason.
    Reason(RevocationReason),
    /// A hold's cause.
    Cause(HoldCause),
    /// What a command to the phone asks for.
    Action(DeviceAction),
}

/// What a change rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A signed instruction, by the SHA-256 of its message.
    Instruction(Sha256Digest),
    /// A card-signed application, by the SHA-256 of its message.
    Application(Sha256Digest),
    /// A card event, by its sender's name for it.
    CardEvent(String),
    /// A command to a phone, by its name.
    Command(String),
}

/// A holder's certificates and phones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderDetail {
    /// The holder.
    pub holder_id: String,
    /// Oldest first; the newest hundred at most.
    pub certificates: Vec<CertificateSummary>,
    /// Oldest first; the newest hundred at most.
    pub devices: Vec<DeviceSummary>,
}

impl Reader {
    /// The history of the certificate with this serial number; the kind may be left out, for serial numbers are random. A test
    /// certificate has none.
    pub fn history(&self, kind: Option<CertificateKind>, serial: &SerialNumber) -> Result<Option<CertificateHistory>, StoreFault> {
        self.read(|session| {
            let mut condition = "c.serial = ?".to_owned();
            let mut parameters: Vec<Parameter<'_>> = vec![serial.into()];
            if let Some(kind) = kind {
                condition += " AND c.kind = ?";
                parameters.push(kind.into());
            }
            let found = summaries(session, &condition, parameters, 1)?.pop().filter(|summary| !summary.is_test);
            found.map(|summary| history(session, summary)).transpose()
        })
    }

    /// A holder's certificates and phones; `None` if no certificate was ever issued to it.
    pub fn holder(&self, holder_id: &str) -> Result<Option<HolderDetail>, StoreFault> {
        self.read(|session| {
            let certificates = summaries(session, "h.holder_id = ?", vec![holder_id.into()], SHOWN)?;
            if certificates.is_empty() {
                return Ok(None);
            }
            let devices = device::of_holder(session, holder_id)?;
            Ok(Some(HolderDetail { holder_id: holder_id.to_owned(), certificates, devices }))
        })
    }

    /// The histories of all certificates of a holder, oldest first; the newest hundred at most.
    pub fn holder_histories(&self, holder_id: &str) -> Result<Vec<CertificateHistory>, StoreFault> {
        self.read(|session| {
            let certificates = summaries(session, "h.holder_id = ?", vec![holder_id.into()], SHOWN)?;
            certificates.into_iter().filter(|summary| !summary.is_test).map(|summary| history(session, summary)).collect()
        })
    }

    /// Who holds the certificate that a CA key issued under this serial number.
    pub fn holder_of_certificate(&self, ca_key: CaKeyId, serial: &SerialNumber) -> Result<Option<String>, StoreFault> {
        self.read(|session| {
            sql("SELECT h.holder_id FROM certificate AS c JOIN holder AS h ON h.id = c.holder WHERE c.serial = ? AND c.ca_key_id = ?")
                .bind(serial)
                .bind(ca_key.0)
                .optional(session, |row| row.text())
        })
    }

    /// Who holds the certificates that hang on this card certificate. A card on which nothing hangs yet is the back office's to know.
    pub fn holder_of_card(&self, issuer_key_id: &KeyIdentifier, serial: &SerialNumber) -> Result<Option<String>, StoreFault> {
        self.read(|session| {
            sql("SELECT h.holder_id FROM card_state AS s JOIN link AS l ON l.card_id = s.id \
                 JOIN certificate AS c ON c.id = l.certificate_id JOIN holder AS h ON h.id = c.holder \
                 WHERE s.issuer_key_id = ? AND s.serial = ? ORDER BY c.id DESC LIMIT 1")
            .bind(issuer_key_id)
            .bind(serial)
            .optional(session, |row| row.text())
        })
    }
}

/// Certificates for which a condition on `certificate AS c` and `holder AS h` holds, oldest first; the newest `limit` at most.
fn summaries(
    session: &mut Session,
    condition: &str,
    parameters: Vec<Parameter<'_>>,
    limit: i64,
) -> Result<Vec<CertificateSummary>, StoreFault> {
    let statement = sql(format!(
        "SELECT {} FROM certificate AS c JOIN holder AS h ON h.id = c.holder WHERE {condition} ORDER BY c.id DESC LIMIT ?",
        certificate::SUMMARY_COLUMNS
    ));
    let statement = parameters.into_iter().fold(statement, |statement, parameter| statement.bind(parameter)).bind(limit);
    let mut newest_first = statement.rows(session, certificate::decode_summary)?;
    newest_first.reverse();
    Ok(newest_first)
}

fn history(session: &mut Session, summary: CertificateSummary) -> Result<CertificateHistory, StoreFault> {
    let certificate = certificate::detail(session, summary)?;
    let id = certificate.summary.id;
    let holds = hold::of_certificate(session, id)?;
    let device = sql("SELECT device_id FROM application WHERE id = ?")
        .bind(certificate.application)
        .optional(session, |row| row.optional_big())?
        .flatten();
    let device = device.map(|row| device::by_row(session, DeviceId(row))).transpose()?.flatten();
    let commands = device_command::of_certificate(session, certificate.summary.kind, &certificate.summary.serial)?;
    // Clocks differ and go back: an event's place is that of its commit, so it counts as no earlier than those before it.
    let mut story = Vec::new();
    let mut latest = None;
    for event in &certificate.events {
        let application = match event.application {
            None => None,
            Some(id) => sql("SELECT digest FROM application WHERE id = ?").bind(id).optional(session, |row| row.digest())?,
        };
        latest = latest.max(Some(event.at));
        story.push((latest, told_by_event(event, application)?));
    }
    story.extend(commands.iter().flat_map(told_by_command).map(|entry| (Some(entry.at), entry)));
    // What happened at once stays in the order of events.
    story.sort_by_key(|(place, _)| *place);
    let story = story.into_iter().map(|(_, entry)| entry).collect();
    Ok(CertificateHistory { certificate, holds, device, commands, story })
}

fn told_by_event(event: &Event, application: Option<Sha256Digest>) -> Result<StoryEntry, StoreFault> {
    let data = &event.data;
    let by = data.get("by").map(|by| Origin::from_data(by).ok_or(StoreFault::Corrupt("an event's origin"))).transpose()?;
    let why = match (word::<RevocationReason>(data, "reason")?, word::<HoldCause>(data, "cause")?) {
        (Some(reason), _) => Some(Why::Reason(reason)),
        (None, Some(cause)) => Some(Why::Cause(cause)),
        (None, None) => None,
    };
    let evidence = match (word::<String>(data, "instruction")?, &by, application) {
        (Some(digest), ..) => {
            Some(Evidence::Instruction(Sha256Digest::from_hex(&digest).ok_or(StoreFault::Corrupt("an event's instruction"))?))
        }
        (None, Some(Origin::CardEvent { id }), _) => Some(Evidence::CardEvent(id.clone())),
        (None, _, application) => application.map(Evidence::Application),
    };
    let (invalid_since, card_change) = (word(data, "invalidity")?, word(data, "card_change")?);
    Ok(StoryEntry { at: event.at, what: event.kind, by, why, invalid_since, card_change, evidence })
}

/// A word of an event's data, if it is there; one that means nothing is corruption.
fn word<T: DeserializeOwned>(data: &Value, key: &str) -> Result<Option<T>, StoreFault> {
    let word = data.get(key).cloned();
    word.map(|word| serde_json::from_value(word).map_err(|_| StoreFault::Corrupt("an event's data"))).transpose()
}

fn told_by_command(command: &DeviceCommand) -> impl Iterator<Item = StoryEntry> {
    let entry = |at: DateTime<Utc>, what: EventKind| StoryEntry {
        at,
        what,
        by: None,
        why: Some(Why::Action(command.action)),
        invalid_since: None,
        card_change: None,
        evidence: Some(Evidence::Command(command.public_id.clone())),
    };
    let end = match command.state {
        CommandState::Pending | CommandState::Sent => None,
        CommandState::Confirmed => Some(EventKind::DeviceCommandConfirmed),
        CommandState::Claimed => Some(EventKind::DeviceCommandClaimed),
        CommandState::Failed => Some(EventKind::DeviceCommandFailed),
        CommandState::Expired => Some(EventKind::DeviceCommandExpired),
    };
    let created = entry(command.created_at, EventKind::DeviceCommandCreated);
    let sent = command.sent_at.map(|at| entry(at, EventKind::DeviceCommandSent));
    let settled = command.settled_at.zip(end).map(|(at, end)| entry(at, end));
    [Some(created), sent, settled].into_iter().flatten()
}
