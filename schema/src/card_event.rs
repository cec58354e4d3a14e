//! Card events as they come in, by push, feed or CRL, and how far the feeds were read.

use std::collections::HashMap;

use ca_core::card::identity::KeyIdentifier;
pub use ca_core::lifecycle::{CardChange, CardChangeKind};
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::codes;
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, few_sizes, sql, value_rows};
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

/// How a card event came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardEventSource {
    /// The back office sent it, and the RA received it: whoever has broken into that may have made it up.
    Push,
    /// We read it from the back office's feed.
    Feed,
    /// We found it in the card CA's CRL.
    Crl,
    /// We asked the back office how the card certificate stands.
    Comparison,
}

impl CardEventSource {
    const fn code(self) -> i16 {
        match self {
            Self::Push => 1,
            Self::Feed => 2,
            Self::Crl => 3,
            Self::Comparison => 4,
        }
    }
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
    /// Received events that were not applied yet, oldest first; `limit` at most. Their source is [`CardEventSource::Push`] whatever
    /// the rows say, for the RA wrote them.
    pub fn unapplied_card_events(&self, limit: u32) -> Result<Vec<CardEvent>, StoreFault> {
        self.read(|session| {
            sql("SELECT event_id, issuer_key_id, serial, sequence, change, reason, occurred_at FROM card_event_inbox \
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
    /// Puts events into the inbox, each once, many in a statement; how many of them are new.
    ///
    /// Errors: a fault of class `Check` for the reason certificateHold or an id that is empty or too long.
    pub fn receive_card_events(&mut self, events: &[CardEvent], now: DateTime<Utc>) -> Result<usize, StoreFault> {
        let mut new = 0;
        for some in few_sizes(events) {
            let mut insert = sql(format!(
                "INSERT INTO card_event_inbox \
                 (event_id, issuer_key_id, serial, sequence, change, reason, occurred_at, source, received_at) \
                 VALUES {} ON CONFLICT DO NOTHING",
                value_rows(some.len(), 9)
            ));
            for event in some {
                insert = insert
                    .bind(event.event_id.as_str())
                    .bind(&event.issuer_key_id)
                    .bind(&event.serial)
                    .bind(event.sequence)
                    .bind(i16::from(event.change.kind().code()))
                    .bind(event.change.reason())
                    .bind(event.change.at())
                    .bind(event.source.code())
                    .bind(now);
            }
            new += insert.execute(self.session)?;
        }
        Ok(new)
    }

    /// Notes which of these events of the inbox are applied: what they are called, and when the RA says they came.
    ///
    /// Nothing is inserted: an RA that held an insertion with the same id open could make a revocation from the feed wait for it.
    pub(crate) fn mark_applied(&mut self, events: &[CardEvent], now: DateTime<Utc>) -> Result<HashMap<String, DateTime<Utc>>, StoreFault> {
        let mut marked = HashMap::new();
        for some in few_sizes(events) {
            let mut update = sql(format!(
                "WITH v (event_id, issuer_key_id, serial) AS (VALUES {}) UPDATE card_event_inbox SET applied_at = ? FROM v \
                 WHERE card_event_inbox.event_id = v.event_id AND card_event_inbox.issuer_key_id = v.issuer_key_id \
                 AND card_event_inbox.serial = v.serial AND card_event_inbox.applied_at IS NULL \
                 RETURNING card_event_inbox.event_id, card_event_inbox.received_at",
                value_rows(some.len(), 3)
            ));
            for event in some {
                update = update.bind(event.event_id.as_str()).bind(&event.issuer_key_id).bind(&event.serial);
            }
            marked.extend(update.bind(now).rows(self.session, |row| Ok((row.text()?, row.time()?)))?);
        }
        Ok(marked)
    }

    /// Leaves the events of card events' having come, which the RA itself cannot leave.
    pub(crate) fn tell_received(&mut self, marked: &HashMap<String, DateTime<Utc>>, now: DateTime<Utc>) {
        let mut marked: Vec<_> = marked.iter().collect();
        marked.sort_unstable();
        for (event_id, received_at) in marked {
            let data = json!({"event_id": event_id, "received_at": received_at});
            self.emit(NewEvent::new(EventKind::CardEventReceived, now, data));
        }
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
        change: decode_change(row)?,
        source: CardEventSource::Push,
    })
}

fn decode_change(row: &mut Fields<'_, '_, '_>) -> Result<CardChange, StoreFault> {
    let kind = u8::try_from(row.small()?).ok().and_then(CardChangeKind::from_code);
    let reason = row.optional_small()?.map(codes::reason).transpose()?;
    let at = row.time()?;
    kind.and_then(|kind| CardChange::new(kind, reason, at)).ok_or(StoreFault::Corrupt("a card event's change"))
}
