//! Challenges that were used: the CA role's own memory of them, which the RA cannot write.

use chrono::{DateTime, Utc};

use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

impl Reader {
    /// When a challenge was taken for good; `None` if it was not.
    pub fn challenge_redeemed_at(&self, challenge: &[u8; 48]) -> Result<Option<DateTime<Utc>>, StoreFault> {
        self.read(|session| {
            sql("SELECT spent_at FROM spent_challenge WHERE challenge = ?").bind(challenge.as_slice()).optional(session, |row| row.time())
        })
    }
}

impl Transaction<'_> {
    /// Takes a challenge for good; `false` if it was taken before.
    pub(crate) fn spend_challenge(&mut self, challenge: &[u8; 48], now: DateTime<Utc>) -> Result<bool, StoreFault> {
        let spent = sql("INSERT INTO spent_challenge (challenge, spent_at) VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(challenge.as_slice())
            .bind(now)
            .execute(self.session)?;
        Ok(spent == 1)
    }
}
