//! Which leaf is whose: of events, applications and times.

use ca_core::application::ApplicationId;
use chrono::{DateTime, Utc};

use super::LogRecord;
use crate::event::EventPosition;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;

// Nobody promises that times rise with positions. So the outermost position of a stretch of time is looked for among all of them, in the
// index of times, which has the positions with it: a second or so for ten million. The sums keep the database from going through the events
// themselves by position, which can take a minute. A bound before or after everything, the most usual one, is seen at the first or last event.
impl Reader {
    /// The leaves of the events about an application, in order: of its acceptance, of the certificates issued on it, and so on. Those that
    /// have none yet are not there.
    pub fn leaves_of_application(&self, application: ApplicationId, mut visit: impl FnMut(LogRecord<'_>)) -> Result<(), StoreFault> {
        let found = self.read(|session| {
            sql("SELECT l.leaf FROM event AS e JOIN log_leaf AS l ON l.position = e.position \
                 WHERE e.application_id = ? ORDER BY e.position LIMIT 1000")
            .bind(application)
            .rows(session, |row| row.unsigned())
        })?;
        for leaf in found {
            self.log_records(leaf, 1, |record| -> Result<(), StoreFault> {
                visit(record);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The leaf of an event, if it has one.
    pub fn leaf_of_position(&self, position: EventPosition) -> Result<Option<u64>, StoreFault> {
        self.read(|session| sql("SELECT leaf FROM log_leaf WHERE position = ?").bind(position.0).optional(session, |row| row.unsigned()))
    }

    /// The first leaf of an event of this time or later: no leaf before it is of such an event. `None` if there is none.
    pub fn first_leaf_at(&self, time: DateTime<Utc>) -> Result<Option<u64>, StoreFault> {
        let first = self.read(|session| {
            let lowest = sql("SELECT position, at FROM event ORDER BY position LIMIT 1")
                .optional(session, |row| Ok((row.big()?, row.time()?)))?
                .filter(|(_, at)| *at >= time);
            if let Some((position, _)) = lowest {
                return Ok(Some(Some(position)));
            }
            sql("SELECT MIN(position + 0) FROM event WHERE at >= ?").bind(time).optional(session, |row| row.optional_big())
        })?;
        first.flatten().map_or(Ok(None), |position| self.leaf_of_position(EventPosition(position)))
    }

    /// The number of leaves up to the last of an event before this time: no leaf from there on is of such an event.
    pub fn leaf_before(&self, time: DateTime<Utc>) -> Result<u64, StoreFault> {
        let last = self.read(|session| {
            let highest = sql("SELECT e.position, e.at FROM event AS e WHERE e.position <= (SELECT h.position FROM log_head AS h) \
                 ORDER BY e.position DESC LIMIT 1")
            .optional(session, |row| Ok((row.big()?, row.time()?)))?
            .filter(|(_, at)| *at < time);
            if let Some((position, _)) = highest {
                return Ok(Some(Some(position)));
            }
            sql("SELECT MAX(e.position + 0) FROM event AS e WHERE e.at < ? AND e.position + 0 <= (SELECT h.position FROM log_head AS h)")
                .bind(time)
                .optional(session, |row| row.optional_big())
        })?;
        let last = last.flatten().map_or(Ok(None), |position| self.leaf_of_position(EventPosition(position)))?;
        Ok(last.map_or(0, |leaf| leaf + 1))
    }
}
