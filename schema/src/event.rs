//! Events: what changed, in the order of commits.

use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::certificate::CertificateId;
use crate::connection::Session;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{few_sizes, sql, value_rows};

/// A place in the order of events. 0 is before the first; there are no gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventPosition(pub i64);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A CA key generation was added.
    CaKeyAdded,
    /// A responder certificate was added.
    ResponderAdded,
    /// The RA accepted an application: work for the CA role.
    ApplicationAccepted,
    /// The RA refused an application after a valid card signature.
    ApplicationRejected,
    /// The CA role decided an application: its certificates are there.
    ApplicationIssued,
    /// The CA role refused an accepted application.
    ApplicationRefused,
    /// A certificate was issued.
    CertificateIssued,
    /// A certificate was revoked.
    CertificateRevoked,
    /// A certificate's validity was found ended, by the sweep or when another took its place.
    CertificateExpired,
    /// A card event had been pushed, and was applied.
    CardEventReceived,
    /// A card certificate was revoked.
    CardRevoked,
    /// A CRL was published.
    CrlPublished,
    /// A certificate went on hold.
    CertificateHeld,
    /// A certificate on hold has one more cause for it.
    CertificateHoldAdded,
    /// One of several causes for a certificate's hold is gone; it stays on hold.
    CertificateHoldLifted,
    /// The last cause for a certificate's hold is gone: it is live again.
    CertificateReleased,
    /// A card certificate went on hold.
    CardHeld,
    /// A card certificate's hold ended.
    CardReleased,
    /// An instruction was carried out.
    InstructionDone,
    /// The CA role refused an instruction.
    InstructionRefused,
    /// An instruction waits for another person's approval.
    InstructionAwaitingApproval,
    /// A phone was added, with the first certificates issued to it.
    DeviceAdded,
    /// A command to a phone was made.
    DeviceCommandCreated,
    /// A command was handed to the push service.
    DeviceCommandSent,
    /// The phone confirmed a command with its own key.
    DeviceCommandConfirmed,
    /// Somebody who says to be the phone says that a command was carried out.
    DeviceCommandClaimed,
    /// A command failed, at the phone or on its way for good.
    DeviceCommandFailed,
    /// A command came to its end with nobody heard.
    DeviceCommandExpired,
    /// A change of all certificates on the cards of a scope began.
    BatchStarted,
    /// A change of all certificates on the cards of a scope is done.
    BatchFinished,
    /// A CA key was retired: nothing is issued with it any more.
    CaKeyRetired,
    /// The database was found restored, and a new epoch began.
    EpochBegan,
    /// A restored database was reconciled with what had been published before.
    Reconciled,
    /// The log began, under a name and a key.
    LogBegan,
    /// Events and salts were purged; their leaves' commitments stay.
    LogPurged,
    /// Leaves were found published that a restored database has forgotten.
    LogLeavesLost,
    /// An auditor took an export of the log.
    ExportTaken,
    /// The settings of a role are others than before.
    SettingsChanged,
    /// The clock was compared with another.
    ClockChecked,
    /// A word that this program does not know; never written by it. Followers pass over it.
    Unrecognised,
}

impl EventKind {
    /// Every kind that this program writes.
    pub const ALL: [Self; 39] = [
        Self::CaKeyAdded,
        Self::ResponderAdded,
        Self::ApplicationAccepted,
        Self::ApplicationRejected,
        Self::ApplicationIssued,
        Self::ApplicationRefused,
        Self::CertificateIssued,
        Self::CertificateRevoked,
        Self::CertificateExpired,
        Self::CardEventReceived,
        Self::CardRevoked,
        Self::CrlPublished,
        Self::CertificateHeld,
        Self::CertificateHoldAdded,
        Self::CertificateHoldLifted,
        Self::CertificateReleased,
        Self::CardHeld,
        Self::CardReleased,
        Self::InstructionDone,
        Self::InstructionRefused,
        Self::InstructionAwaitingApproval,
        Self::DeviceAdded,
        Self::DeviceCommandCreated,
        Self::DeviceCommandSent,
        Self::DeviceCommandConfirmed,
        Self::DeviceCommandClaimed,
        Self::DeviceCommandFailed,
        Self::DeviceCommandExpired,
        Self::BatchStarted,
        Self::BatchFinished,
        Self::CaKeyRetired,
        Self::EpochBegan,
        Self::Reconciled,
        Self::LogBegan,
        Self::LogPurged,
        Self::LogLeavesLost,
        Self::ExportTaken,
        Self::SettingsChanged,
        Self::ClockChecked,
    ];

    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CaKeyAdded => "ca_key.added",
            Self::ResponderAdded => "responder.added",
            Self::ApplicationAccepted => "application.accepted",
            Self::ApplicationRejected => "application.rejected",
            Self::ApplicationIssued => "application.issued",
            Self::ApplicationRefused => "application.refused",
            Self::CertificateIssued => "certificate.issued",
            Self::CertificateRevoked => "certificate.revoked",
            Self::CertificateExpired => "certificate.expired",
            Self::CardEventReceived => "card_event.received",
            Self::CardRevoked => "card.revoked",
            Self::CrlPublished => "crl.published",
            Self::CertificateHeld => "certificate.held",
            Self::CertificateHoldAdded => "certificate.hold_added",
            Self::CertificateHoldLifted => "certificate.hold_lifted",
            Self::CertificateReleased => "certificate.released",
            Self::CardHeld => "card.held",
            Self::CardReleased => "card.released",
            Self::InstructionDone => "instruction.done",
            Self::InstructionRefused => "instruction.refused",
            Self::InstructionAwaitingApproval => "instruction.awaiting_approval",
            Self::DeviceAdded => "device.added",
            Self::DeviceCommandCreated => "device_command.created",
            Self::DeviceCommandSent => "device_command.sent",
            Self::DeviceCommandConfirmed => "device_command.confirmed",
            Self::DeviceCommandClaimed => "device_command.claimed",
            Self::DeviceCommandFailed => "device_command.failed",
            Self::DeviceCommandExpired => "device_command.expired",
            Self::BatchStarted => "batch.started",
            Self::BatchFinished => "batch.finished",
            Self::CaKeyRetired => "ca_key.retired",
            Self::EpochBegan => "store.epoch_began",
            Self::Reconciled => "store.reconciled",
            Self::LogBegan => "log.began",
            Self::LogPurged => "log.purged",
            Self::LogLeavesLost => "log.leaves_lost",
            Self::ExportTaken => "export.taken",
            Self::SettingsChanged => "settings.changed",
            Self::ClockChecked => "clock.checked",
            Self::Unrecognised => "unrecognised",
        }
    }

    pub(crate) fn from_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).unwrap_or(Self::Unrecognised)
    }
}

/// An event to be left.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: DateTime<Utc>,
    /// The certificate it is about.
    pub certificate: Option<CertificateId>,
    /// The application it is about.
    pub application: Option<ApplicationId>,
    /// More of it, without personal data; at most 64 KiB as text.
    pub data: Value,
}

impl NewEvent {
    /// An event about nothing in particular yet.
    pub fn new(kind: EventKind, at: DateTime<Utc>, data: Value) -> Self {
        Self { kind, at, certificate: None, application: None, data }
    }

    /// Names the certificate it is about.
    pub fn about_certificate(mut self, certificate: CertificateId) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Names the application it is about.
    pub fn about_application(mut self, application: ApplicationId) -> Self {
        self.application = Some(application);
        self
    }
}

/// A stored event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its place.
    pub position: EventPosition,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// What happened.
    pub kind: EventKind,
    /// The certificate it is about.
    pub certificate: Option<CertificateId>,
    /// The application it is about.
    pub application: Option<ApplicationId>,
    /// More of it.
    pub data: Value,
}

impl Reader {
    /// The position of the last committed event.
    pub fn position(&self) -> Result<EventPosition, StoreFault> {
        self.read(position)
    }

    /// Events after `position`, in order; `limit` at most.
    pub fn events_after(&self, position: EventPosition, limit: u32) -> Result<Vec<Event>, StoreFault> {
        self.read(|session| {
            sql("SELECT position, at, kind, certificate_id, application_id, data FROM event \
                 WHERE position > ? ORDER BY position LIMIT ?")
            .bind(position.0)
            .bind(i64::from(limit))
            .rows(session, decode)
        })
    }

    /// Of the events after a position, `limit` at most: those whose operator, as searches find it, is not the one that their data name. With
    /// them, the position of the last that was looked at; `None` if there is none.
    pub fn events_of_another_operator(
        &self,
        after: EventPosition,
        limit: u32,
    ) -> Result<(Vec<EventPosition>, Option<EventPosition>), StoreFault> {
        let looked_at = self.read(|session| {
            sql("SELECT position, operator, data FROM event WHERE position > ? ORDER BY position LIMIT ?")
                .bind(after.0)
                .bind(i64::from(limit))
                .rows(session, |row| Ok((EventPosition(row.big()?), !is_behind(row.optional_text()?.as_deref(), &row.text()?))))
        })?;
        let last = looked_at.last().map(|(position, _)| *position);
        Ok((looked_at.into_iter().filter(|(_, is_another)| *is_another).map(|(position, _)| position).collect(), last))
    }

    /// Events about certificates among the `span` positions after `position`, in order; `limit` at most. With them, the position
    /// up to which there are no others: `position` itself where nothing has happened since.
    ///
    /// For followers to whom nothing else matters: of a million events about cards that nobody here hangs on, and of test certificates,
    /// they read none.
    pub fn certificate_events_after(
        &self,
        position: EventPosition,
        span: u32,
        limit: u32,
    ) -> Result<(Vec<Event>, EventPosition), StoreFault> {
        self.read(|session| {
            // Read first: whatever has a position up to this one is committed, and seen by what is read next.
            let until = self::position(session)?.0.min(position.0.saturating_add(i64::from(span)));
            let events = sql("SELECT position, at, kind, certificate_id, application_id, data FROM event \
                 WHERE position > ? AND position <= ? AND certificate_id IS NOT NULL \
                 AND certificate_id NOT IN (SELECT certificate_id FROM test_certificate) ORDER BY position LIMIT ?")
            .bind(position.0)
            .bind(until)
            .bind(i64::from(limit))
            .rows(session, decode)?;
            let is_full = events.len() >= limit as usize;
            let until = events.last().filter(|_| is_full).map_or(EventPosition(until.max(position.0)), |last| last.position);
            Ok((events, until))
        })
    }
}

/// The events of one certificate, in order; `limit` at most.
pub(crate) fn of_certificate(session: &mut Session, certificate: CertificateId, limit: i64) -> Result<Vec<Event>, StoreFault> {
    sql("SELECT position, at, kind, certificate_id, application_id, data FROM event \
         WHERE certificate_id = ? ORDER BY position LIMIT ?")
    .bind(certificate.0)
    .bind(limit)
    .rows(session, decode)
}

pub(crate) fn position(session: &mut Session) -> Result<EventPosition, StoreFault> {
    sql("SELECT position FROM event_counter")
        .optional(session, |row| Ok(EventPosition(row.big()?)))?
        .ok_or(StoreFault::Corrupt("event_counter is empty"))
}

/// What tells an event from any other that could stand at its position; `None` if there is none. From its columns at, kind,
/// certificate_id, application_id and data.
pub(crate) fn digest(position: EventPosition, row: &mut crate::sql::Fields<'_, '_, '_>) -> Result<Option<Sha256Digest>, StoreFault> {
    let (at, kind) = (row.optional_big()?, row.optional_text()?);
    let (certificate, application, data) = (row.optional_big()?, row.optional_big()?, row.optional_text()?);
    let (Some(at), Some(kind), Some(data)) = (at, kind, data) else { return Ok(None) };
    let parts = json!([position.0, at, kind, certificate, application, data]);
    Ok(Some(Sha256Digest::of(parts.to_string().as_bytes())))
}

/// Its digest, see [`digest`].
pub(crate) fn digest_at(session: &mut Session, position: EventPosition) -> Result<Option<Sha256Digest>, StoreFault> {
    let found = sql("SELECT at, kind, certificate_id, application_id, data FROM event WHERE position = ?")
        .bind(position.0)
        .optional(session, |row| digest(position, row))?;
    Ok(found.flatten())
}

/// Gives the events their positions and stores them: the last thing a transaction does, because whoever has the counter's
/// row keeps every other writer from committing events.
///
/// `seen` is a position that was seen committed before the transaction began. A counter below it is that of a database restored under
/// this process: there the only thing written is the beginning of a new epoch, and what comes after it.
pub(crate) fn append(session: &mut Session, events: &[NewEvent], seen: EventPosition) -> Result<Option<EventPosition>, StoreFault> {
    if events.is_empty() {
        return Ok(None);
    }
    let count = i64::try_from(events.len()).map_err(|_| StoreFault::Misuse("too many events"))?;
    let last = sql("UPDATE event_counter SET position = position + ? RETURNING position")
        .bind(count)
        .optional(session, |row| row.big())?
        .ok_or(StoreFault::Corrupt("event_counter is empty"))?;
    if last - count < seen.0 && events[0].kind != EventKind::EpochBegan {
        return Err(StoreFault::WentBack);
    }
    let rows: Vec<_> = (last - count + 1..).zip(events).map(|(position, event)| (position, event, event.data.to_string())).collect();
    for some in few_sizes(&rows) {
        let values = value_rows(some.len(), 7);
        let columns = "position, at, kind, certificate_id, application_id, operator, data";
        let mut insert = sql(format!("INSERT INTO event ({columns}) VALUES {values}"));
        for (position, event, text) in some {
            insert = insert
                .bind(*position)
                .bind(event.at)
                .bind(event.kind.as_str())
                .bind(event.certificate.map(|id| id.0))
                .bind(event.application.map(|id| id.0))
                .bind(operator(&event.data))
                .bind(text.as_str());
        }
        insert.execute(session)?;
    }
    Ok(Some(EventPosition(last)))
}

/// The operator that an event's data name, as it is searched for.
pub(crate) fn operator(data: &Value) -> Option<&str> {
    searched_operator(data.get("by")?.get("operator")?.as_str()?)
}

/// An operator's name as it is stored and searched for: its first 255 octets, in whole characters; `None` if it is empty.
pub(crate) fn searched_operator(name: &str) -> Option<&str> {
    let end = (0..=name.len().min(255)).rev().find(|end| name.is_char_boundary(*end))?;
    Some(&name[..end]).filter(|name| !name.is_empty())
}

/// Whether it is this operator that an event's data name. Data that are none name nobody, which their leaf tells; and older programs left
/// names out that are too long.
fn is_behind(stored: Option<&str>, data: &str) -> bool {
    if stored.is_none() && !data.contains("\"operator\"") {
        return true;
    }
    let data: Value = serde_json::from_str(data).unwrap_or_default();
    let is_too_long = || data["by"]["operator"].as_str().is_some_and(|name| name.len() > 255);
    stored == operator(&data) || stored.is_none() && is_too_long()
}

pub(crate) fn decode(row: &mut crate::sql::Fields<'_, '_, '_>) -> Result<Event, StoreFault> {
    Ok(Event {
        position: EventPosition(row.big()?),
        at: row.time()?,
        kind: EventKind::from_word(&row.text()?),
        certificate: row.optional_big()?.map(CertificateId),
        application: row.optional_big()?.map(ApplicationId),
        data: serde_json::from_str(&row.text()?).map_err(|_| StoreFault::Corrupt("an event's data"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_word() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_word(kind.as_str()), kind);
        }
    }
}
