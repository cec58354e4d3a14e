//! What whoever examines the store asks besides: events against leaves, and certificates against events.

use crate::certificate::CertificateId;
use crate::event::{self, Event, EventPosition};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;

impl Reader {
    /// Events up to this one that no leaf is of; `limit` at most. There are none where the log is whole.
    pub fn events_without_leaf(&self, until: EventPosition, limit: u32) -> Result<Vec<EventPosition>, StoreFault> {
        self.read(|session| {
            sql("SELECT e.position FROM event AS e LEFT JOIN log_leaf AS l ON l.position = e.position \
                 WHERE e.position <= ? AND l.leaf IS NULL ORDER BY e.position LIMIT ?")
            .bind(until.0)
            .bind(i64::from(limit))
            .rows(session, |row| Ok(EventPosition(row.big()?)))
        })
    }

    /// The events about the certificates from one row to another, by certificate and then in their order. One that does not decode is
    /// passed over: its leaf tells that it is not what it was.
    pub fn events_of_certificates(
        &self,
        first: CertificateId,
        last: CertificateId,
        mut visit: impl FnMut(Event),
    ) -> Result<(), StoreFault> {
        let events = self.read(|session| {
            sql("SELECT position, at, kind, certificate_id, application_id, data FROM event \
                 WHERE certificate_id >= ? AND certificate_id <= ? ORDER BY certificate_id, position")
            .bind(first.0)
            .bind(last.0)
            .rows(session, |row| Ok(event::decode(row).ok()))
        })?;
        events.into_iter().flatten().for_each(&mut visit);
        Ok(())
    }

    /// Whether more than a narrow row of the certificate is kept: it was not purged.
    pub fn is_certificate_kept(&self, certificate: CertificateId) -> Result<bool, StoreFault> {
        self.read(|session| {
            let kept = sql("SELECT COUNT(*) FROM certificate AS c LEFT JOIN certificate_body AS b ON b.certificate_id = c.id \
                 LEFT JOIN test_certificate AS t ON t.certificate_id = c.id \
                 WHERE c.id = ? AND (b.certificate_id IS NOT NULL OR t.certificate_id IS NOT NULL)");
            Ok(kept.bind(certificate.0).optional(session, |row| row.big())?.unwrap_or(0) > 0)
        })
    }
}
