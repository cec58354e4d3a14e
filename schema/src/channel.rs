//! The ways by which news of cards come, and when something was last heard over each: the age of the evidence.

use chrono::{DateTime, Utc};

use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

/// A way by which news of cards come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The back office sends events.
    Push,
    /// We read the back office's feed.
    Feed,
    /// We read the card CA's CRLs.
    CardCrl,
    /// We compare all cards with the back office.
    Comparison,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 4] = [Self::Push, Self::Feed, Self::CardCrl, Self::Comparison];

    /// The word stored, and used in metrics and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Feed => "feed",
            Self::CardCrl => "card_crl",
            Self::Comparison => "comparison",
        }
    }
}

impl Reader {
    /// When something was last heard over a channel; the store's creation if nothing ever was.
    pub fn last_success(&self, channel: Channel) -> Result<DateTime<Utc>, StoreFault> {
        self.read(|session| {
            let found =
                sql("SELECT last_success_at FROM channel WHERE name = ?").bind(channel.as_str()).optional(session, |row| row.time())?;
            match found {
                Some(at) => Ok(at),
                None => sql("SELECT created_at FROM store_meta")
                    .optional(session, |row| row.time())?
                    .ok_or(StoreFault::Corrupt("store_meta is empty")),
            }
        })
    }
}

impl Transaction<'_> {
    /// Something was heard over a channel. What was noted by a clock that was ahead is overwritten.
    pub fn touch_channel(&mut self, channel: Channel, now: DateTime<Utc>) -> Result<(), StoreFault> {
        sql("INSERT INTO channel (name, last_success_at) VALUES (?, ?) ON CONFLICT (name) \
             DO UPDATE SET last_success_at = excluded.last_success_at")
        .bind(channel.as_str())
        .bind(now)
        .execute(self.session)?;
        Ok(())
    }
}
