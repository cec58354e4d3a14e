//! Refusals of the RA after a valid card signature, on their way to being events.
//!
//! The RA cannot write events: whoever could might block the event counter and with it every revocation. It leaves its refusals
//! here, and the CA role makes events of them.

use ca_core::digest::Sha256Digest;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{placeholders, sql};
use crate::transaction::Transaction;

impl Reader {
    /// Whether refusals wait to become events.
    pub fn rejections_wait(&self) -> Result<bool, StoreFault> {
        self.read(|session| Ok(sql("SELECT 1 FROM rejection LIMIT 1").optional(session, |_| Ok(()))?.is_some()))
    }
}

impl Transaction<'_> {
    /// Leaves the refusal of an application: its digest and the code, nothing about the person.
    pub fn leave_rejection(&mut self, application: &Sha256Digest, code: &str, now: DateTime<Utc>) -> Result<(), StoreFault> {
        sql("INSERT INTO rejection (digest, code, rejected_at) VALUES (?, ?, ?)")
            .bind(application)
            .bind(code)
            .bind(now)
            .execute(self.session)?;
        Ok(())
    }

    /// Makes events of up to 64 waiting refusals; how many there were. The RA dates them, but not later than it is.
    pub fn take_rejections(&mut self, now: DateTime<Utc>) -> Result<usize, StoreFault> {
        let waiting = sql("SELECT id, digest, code, rejected_at FROM rejection ORDER BY id LIMIT 64")
            .rows(self.session, |row| Ok((row.big()?, row.digest()?, row.text()?, row.time()?)))?;
        if waiting.is_empty() {
            return Ok(0);
        }
        // By their ids: on PostgreSQL a lower one may be committed later.
        let mut delete = sql(format!("DELETE FROM rejection WHERE id IN ({})", placeholders(waiting.len())));
        for (id, ..) in &waiting {
            delete = delete.bind(*id);
        }
        delete.execute(self.session)?;
        let count = waiting.len();
        for (_, digest, code, rejected_at) in waiting {
            let mut data = json!({ "code": code, "application": digest.to_string() });
            if rejected_at > now {
                data["rejected_at"] = json!(rejected_at);
            }
            self.emit(NewEvent::new(EventKind::ApplicationRejected, rejected_at.min(now), data));
        }
        Ok(count)
    }
}
