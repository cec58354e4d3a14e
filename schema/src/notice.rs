//! What holders are told over another way than their phone (NIST SP 800-157r1 section 2.2): at least once, and by one name each.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::certificate::CertificateId;
use crate::event::EventPosition;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{placeholders, sql};
use crate::transaction::Transaction;

/// A notice to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct NewNotice {
    /// The event it is about; each has one notice at most.
    pub event: EventPosition,
    /// The certificate whose holder is told.
    pub certificate: CertificateId,
    /// The text's name: 1 to 64 octets.
    pub template: String,
    /// What the text needs.
    pub arguments: Value,
}

/// A notice that waits to be told.
#[derive(Debug, Clone, PartialEq)]
pub struct DueNotice {
    /// The event it is about, by which the notice is called.
    pub event: EventPosition,
    /// Who is told.
    pub holder_id: String,
    /// The text's name.
    pub template: String,
    /// What the text needs.
    pub arguments: Value,
    /// When what it tells of happened.
    pub occurred_at: DateTime<Utc>,
    /// How often it was tried before.
    pub attempts: u64,
}

impl Reader {
    /// Notices whose time has come, longest due first; `limit` at most.
    pub fn due_notices(&self, limit: u32, now: DateTime<Utc>) -> Result<Vec<DueNotice>, StoreFault> {
        self.read(|session| {
            sql("SELECT n.event_position, h.holder_id, n.template, n.arguments, e.at, n.attempts \
                 FROM notice AS n JOIN holder AS h ON h.id = n.holder JOIN event AS e ON e.position = n.event_position \
                 WHERE n.state = 1 AND n.next_attempt_at <= ? ORDER BY n.next_attempt_at, n.id LIMIT ?")
            .bind(now)
            .bind(i64::from(limit))
            .rows(session, |row| {
                Ok(DueNotice {
                    event: EventPosition(row.big()?),
                    holder_id: row.text()?,
                    template: row.text()?,
                    arguments: row.json()?,
                    occurred_at: row.time()?,
                    attempts: row.unsigned()?,
                })
            })
        })
    }
}

impl Transaction<'_> {
    /// Stores a notice, once for each event, due at once; none about a test certificate, which nobody holds. Whether it is new.
    pub fn create_notice(&mut self, new: &NewNotice, now: DateTime<Utc>) -> Result<bool, StoreFault> {
        let inserted = sql("INSERT INTO notice (event_position, holder, template, arguments, next_attempt_at) \
             SELECT ?, c.holder, ?, ?, ? FROM certificate AS c WHERE c.id = ? \
             AND NOT EXISTS (SELECT 1 FROM test_certificate WHERE certificate_id = c.id) ON CONFLICT DO NOTHING")
        .bind(new.event.0)
        .bind(new.template.as_str())
        .bind(new.arguments.to_string().as_str())
        .bind(now)
        .bind(new.certificate.0)
        .execute(self.session)?;
        Ok(inserted == 1)
    }

    /// The back office accepted the notices of these events.
    pub fn notices_told(&mut self, events: &[EventPosition], now: DateTime<Utc>) -> Result<(), StoreFault> {
        self.update_notices("state = 2, told_at = ?, attempts = attempts + 1", events, now)
    }

    /// The back office did not accept the notices of these events; they are due again at `next`.
    pub fn retry_notices(&mut self, events: &[EventPosition], next: DateTime<Utc>) -> Result<(), StoreFault> {
        self.update_notices("next_attempt_at = ?, attempts = attempts + 1", events, next)
    }

    fn update_notices(&mut self, change: &str, events: &[EventPosition], at: DateTime<Utc>) -> Result<(), StoreFault> {
        for some in events.chunks(64) {
            let places = placeholders(some.len());
            let mut update = sql(format!("UPDATE notice SET {change} WHERE state = 1 AND event_position IN ({places})")).bind(at);
            for event in some {
                update = update.bind(event.0);
            }
            update.execute(self.session)?;
        }
        Ok(())
    }
}
