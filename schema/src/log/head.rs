//! The tree as it is committed, and the last signed note of it.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{HASH_OCTETS, hash};
use crate::codes;
use crate::connection::Session;
use crate::event::{EventKind, EventPosition, NewEvent};
use crate::fault::StoreFault;
use crate::lease::Lease;
use crate::reader::Reader;
use crate::sql::{Fields, sql};
use crate::transaction::Transaction;

/// The tree as it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    /// What the log is called; `None` until it has begun.
    pub identity: Option<LogIdentity>,
    /// How many leaves it has.
    pub size: u64,
    /// Its root (RFC 6962 section 2.1).
    pub root: [u8; HASH_OCTETS],
    /// The last event that has a leaf: all before it have one, those after it none.
    pub position: EventPosition,
    /// When leaves were last appended; `None` if there are none.
    pub sequenced_at: Option<DateTime<Utc>>,
    /// The last signed note; `None` before the first.
    pub note: Option<LogNote>,
}

/// What a log is called by, from its beginning on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    /// Its origin (C2SP tlog-checkpoint): 1 to 255 octets.
    pub origin: String,
    /// Its verifier key (C2SP signed-note): 1 to 1024 octets.
    pub verifier_key: String,
}

/// A signed note of the tree, or of one that it has grown from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogNote {
    /// The size of the tree that it states.
    pub size: u64,
    /// The note with its signatures (C2SP tlog-checkpoint, signed-note).
    pub text: String,
    /// When it was signed.
    pub at: DateTime<Utc>,
}

/// Events that the RA dates, when it receives what they tell of: the CA role leaves them later.
const DATED_BEFORE: [EventKind; 2] = [EventKind::ApplicationAccepted, EventKind::ApplicationRejected];

impl Reader {
    /// The tree as it is committed.
    pub fn log_head(&self) -> Result<LogHead, StoreFault> {
        self.read(head)
    }

    /// Since when events wait and no note is signed: the time of the first event that the last signed note does not cover, or of that note,
    /// if that is later. `None` if it covers all. So a log that is being caught up, note by note, counts as written however old the events
    /// are that come into it: how many are left, [`Reader::log_backlog`] tells.
    pub fn unsequenced_since(&self) -> Result<Option<DateTime<Utc>>, StoreFault> {
        self.read(|session| {
            let noted = sql("SELECT note_position, noted_at FROM log_head")
                .optional(session, |row| Ok((row.big()?, row.optional_time()?)))?
                .ok_or(StoreFault::Corrupt("log_head is empty"))?;
            let (position, noted_at) = noted;
            let waiting = sql("SELECT at, kind FROM event WHERE position > ? ORDER BY position LIMIT 100")
                .bind(position)
                .rows(session, |row| Ok((row.time()?, row.text()?)))?;
            let is_dated_before = |kind: &str| DATED_BEFORE.iter().any(|known| known.as_str() == kind);
            let first = waiting.iter().find(|(_, kind)| !is_dated_before(kind)).or(waiting.first());
            Ok(first.map(|(at, _)| noted_at.map_or(*at, |noted_at| noted_at.max(*at))))
        })
    }

    /// How many positions of events are not under the last signed note.
    pub fn log_backlog(&self) -> Result<u64, StoreFault> {
        // First the note: what is signed meanwhile is no less.
        let noted = self.read(|session| sql("SELECT note_position FROM log_head").optional(session, |row| row.big()))?;
        let noted = noted.ok_or(StoreFault::Corrupt("log_head is empty"))?;
        Ok(u64::try_from(self.position()?.0 - noted).unwrap_or_default())
    }
}

impl Transaction<'_> {
    /// The log begins, unless it has: its first event says under which name and key. Returns the identity that stands, which is another
    /// than the given if the log has begun under another.
    pub fn begin_log(&mut self, identity: &LogIdentity, now: DateTime<Utc>) -> Result<LogIdentity, StoreFault> {
        let began = sql("UPDATE log_head SET origin = ?, verifier_key = ? WHERE origin IS NULL")
            .bind(identity.origin.as_str())
            .bind(identity.verifier_key.as_str())
            .execute(self.session)?;
        if began == 1 {
            let data = json!({"origin": identity.origin, "key": identity.verifier_key});
            self.emit(NewEvent::new(EventKind::LogBegan, now, data));
            return Ok(identity.clone());
        }
        head(self.session)?.identity.ok_or(StoreFault::Corrupt("log_head is empty"))
    }

    /// Stores a signed note of the tree as it is committed, or of one that it has grown from; one of the same tree as the last, with
    /// more signatures, takes its place.
    ///
    /// Errors: [`StoreFault::Fenced`]; [`StoreFault::Misuse`] for a tree smaller than the last note's, or larger than the
    /// committed one.
    pub fn store_note(&mut self, lease: &Lease, note: &LogNote) -> Result<(), StoreFault> {
        self.check_lease(lease)?;
        let size = codes::stored(note.size)?;
        let stored = sql("UPDATE log_head SET note_size = ?, note = ?, noted_at = ?, note_position = CASE WHEN size = ? THEN position \
             ELSE COALESCE((SELECT l.position FROM log_leaf AS l WHERE l.leaf < ? AND l.position IS NOT NULL \
             ORDER BY l.leaf DESC LIMIT 1), note_position) END \
             WHERE size >= ? AND note_size <= ?")
        .bind(size)
        .bind(note.text.as_str())
        .bind(note.at)
        .bind(size)
        .bind(size)
        .bind(size)
        .bind(size)
        .execute(self.session)?;
        if stored == 1 { Ok(()) } else { Err(StoreFault::Misuse("a note of a tree smaller than the last note's, or larger than the log")) }
    }
}

pub(super) fn head(session: &mut Session) -> Result<LogHead, StoreFault> {
    sql("SELECT origin, verifier_key, size, root, position, sequenced_at, note_size, note, noted_at FROM log_head")
        .optional(session, decode)?
        .ok_or(StoreFault::Corrupt("log_head is empty"))
}

fn decode(row: &mut Fields<'_, '_, '_>) -> Result<LogHead, StoreFault> {
    let identity = row.optional_text()?.zip(row.optional_text()?);
    Ok(LogHead {
        identity: identity.map(|(origin, verifier_key)| LogIdentity { origin, verifier_key }),
        size: row.unsigned()?,
        root: hash(&row.bytes()?)?,
        position: EventPosition(row.big()?),
        sequenced_at: row.optional_time()?,
        note: {
            let (size, text, at) = (row.unsigned()?, row.optional_text()?, row.optional_time()?);
            text.zip(at).map(|(text, at)| LogNote { size, text, at })
        },
    })
}
