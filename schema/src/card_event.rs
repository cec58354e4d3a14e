//! Card events as they come in, by push, feed or CRL, and how far the feeds were read.

use ca_core::card::identity::KeyIdentifier;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::codes;
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};
use crate::transaction::Transaction;

/// Something happened to a card certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardEvent {
    /// What its sender calls it: 1 to 255 octets; the same event always has the same.
    pub event_id: String,
    /// The key identifier of the card CA's key.
    pub issuer_key_id: KeyIdentifier,
    /// The card certificate's serial number.
    pub serial: SerialNumber,
    /// Rises with each event of this card certificate.
    pub sequence: i64,
    /// What happened.
    pub change: CardChange,
    /// How it came to us.
    pub source: CardEventSource,
}

/// What happened to a card certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardChange {
    /// It was revoked, for good.
    Revoked {
        /// Why; never certificateHold.
        reason: RevocationReason,
        /// When.
        at: DateTime<Utc>,
    },
}

/// How a card event came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardEventSource {
    /// The back office sent it.
    Push,
    /// We read it from the back office's feed.
    Feed,
    /// We found it in the card CA's CRL.
    Crl,
}

/// Whether an event is new here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Stored, for the CA role to apply.
    New,
    /// An event of this id is stored already.
    Known,
}

impl Reader {
    /// Received events that were not applied yet, oldest first; `limit` at most.
    pub fn unapplied_card_events(&self, limit: u32) -> Result<Vec<CardEvent>, StoreFault> {
        self.read(|session| {
            sql("SELECT event_id, issuer_key_id, serial, sequence, reason, occurred_at, source FROM card_event_inbox \
                 WHERE applied_at IS NULL ORDER BY id LIMIT ?")
            .bind(i64::from(limit))
            .rows(session, decode)
        })
    }

    /// How far a feed was read: the cursor to go on from.
    pub fn feed_cursor(&self, name: &str) -> Result<Option<String>, StoreFault> {
        self.read(|session| sql("SELECT cursor FROM feed_cursor WHERE name = ?").bind(name).optional(session, |row| row.text()))
    }
}

impl Transaction<'_> {
    /// Puts an event into the inbox, once.
    ///
    /// Errors: a fault of class `Check` for the reason certificateHold or an id that is empty or too long.
    pub fn receive_card_event(&mut self, event: &CardEvent, now: DateTime<Utc>) -> Result<Receipt, StoreFault> {
        let CardChange::Revoked { reason, at } = event.change;
        let inserted =
            sql("INSERT INTO card_event_inbox (event_id, issuer_key_id, serial, sequence, change, reason, occurred_at, source, received_at) \
             VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(event.event_id.as_str())
            .bind(&event.issuer_key_id)
            .bind(&event.serial)
            .bind(event.sequence)
            .bind(i16::from(reason.code()))
            .bind(at)
            .bind(source_code(event.source))
            .bind(now)
            .execute(self.session)?;
        Ok(if inserted == 0 { Receipt::Known } else { Receipt::New })
    }

    /// Notes that an event of the inbox was applied, and leaves the event of its having come, which the RA itself cannot leave.
    ///
    /// Nothing is inserted: an RA that held an insertion with the same id open could make a revocation from the feed wait for it.
    pub(crate) fn mark_applied(&mut self, event: &CardEvent, now: DateTime<Utc>) -> Result<(), StoreFault> {
        let marked = sql("UPDATE card_event_inbox SET applied_at = ? \
             WHERE event_id = ? AND applied_at IS NULL AND issuer_key_id = ? AND serial = ?")
        .bind(now)
        .bind(event.event_id.as_str())
        .bind(&event.issuer_key_id)
        .bind(&event.serial)
        .execute(self.session)?;
        if marked == 1 {
            self.emit(NewEvent::new(EventKind::CardEventReceived, now, json!({"event_id": event.event_id})));
        }
        Ok(())
    }

    /// Remembers how far a feed was read: once what was read from it is stored, so that a crash repeats events and loses none.
    pub fn set_feed_cursor(&mut self, name: &str, cursor: &str) -> Result<(), StoreFault> {
        sql("INSERT INTO feed_cursor (name, cursor) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET cursor = excluded.cursor")
            .bind(name)
            .bind(cursor)
            .execute(self.session)?;
        Ok(())
    }
}

fn decode(row: &mut Fields<'_, '_, '_>) -> Result<CardEvent, StoreFault> {
    Ok(CardEvent {
        event_id: row.text()?,
        issuer_key_id: row.key_identifier()?,
        serial: row.serial()?,
        sequence: row.big()?,
        change: CardChange::Revoked { reason: codes::reason(row.small()?)?, at: row.time()? },
        source: match row.small()? {
            1 => CardEventSource::Push,
            2 => CardEventSource::Feed,
            3 => CardEventSource::Crl,
            _ => return Err(StoreFault::Corrupt("a card event's source")),
        },
    })
}

fn source_code(source: CardEventSource) -> i16 {
    match source {
        CardEventSource::Push => 1,
        CardEventSource::Feed => 2,
        CardEventSource::Crl => 3,
    }
}
