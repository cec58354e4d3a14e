//! Whether the log is written: what is issued or released while it is not, nobody could prove.

use chrono::{DateTime, TimeDelta, Utc};

use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;

/// How far the clocks of processes may be apart.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// Judges whether the log is written in time, from the store alone: so every process judges alike, wherever the log is written.
#[derive(Clone)]
pub struct LogHealth {
    reader: Reader,
    limit: TimeDelta,
}

impl LogHealth {
    /// `limit` is for how long events may wait while no checkpoint is signed.
    pub fn new(reader: Reader, limit: TimeDelta) -> Self {
        Self { reader, limit }
    }

    /// Since when events wait for the log, if they have waited for longer than they may: then nothing is to be issued, and no hold to be
    /// lifted. In a restored store that is not reconciled the log waits with everything else, and that is told otherwise.
    pub fn late_since(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreFault> {
        // Times of the future came by a clock that was ahead, and say nothing of now.
        let is_recent = |time: DateTime<Utc>| now - time <= self.limit && time - now <= CLOCK_SKEW;
        // A note was signed lately, so the log is written, if only to catch up: where much happens, events need not be read.
        if self.noted_at()?.is_some_and(is_recent) {
            return Ok(None);
        }
        let Some(since) = self.reader.unsequenced_since()?.filter(|since| !is_recent(*since)) else { return Ok(None) };
        Ok(if self.reader.store_state()?.reconciling_since.is_some() { None } else { Some(since) })
    }

    /// When the last note was stored.
    fn noted_at(&self) -> Result<Option<DateTime<Utc>>, StoreFault> {
        let found = self.reader.read(|session| sql("SELECT noted_at FROM log_head").optional(session, |row| row.optional_time()))?;
        Ok(found.flatten())
    }
}
