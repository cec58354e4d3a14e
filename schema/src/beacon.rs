//! Beacons: random values that the CA role draws and that a challenge begins with.

use ca_core::application::challenge::Beacon;
use chrono::{DateTime, TimeDelta, Utc};

use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

/// Beacons are kept for a day: much longer than they are good for.
const KEPT: TimeDelta = TimeDelta::days(1);

impl Reader {
    /// Beacons drawn at `since` or later, oldest first; a thousand at most, the newest.
    pub fn beacons(&self, since: DateTime<Utc>) -> Result<Vec<Beacon>, StoreFault> {
        let mut newest_first = self.read(|session| {
            sql("SELECT value, drawn_at FROM beacon WHERE drawn_at >= ? ORDER BY drawn_at DESC LIMIT 1000")
                .bind(since)
                .rows(session, decode)
        })?;
        newest_first.reverse();
        Ok(newest_first)
    }

    /// The beacon drawn last.
    pub fn latest_beacon(&self) -> Result<Option<Beacon>, StoreFault> {
        self.read(|session| sql("SELECT value, drawn_at FROM beacon ORDER BY drawn_at DESC LIMIT 1").optional(session, decode))
    }
}

impl Transaction<'_> {
    /// Stores a drawn beacon and forgets those a day older.
    pub fn draw_beacon(&mut self, beacon: &Beacon) -> Result<(), StoreFault> {
        sql("INSERT INTO beacon (value, drawn_at) VALUES (?, ?)")
            .bind(beacon.value.as_slice())
            .bind(beacon.drawn_at)
            .execute(self.session)?;
        sql("DELETE FROM beacon WHERE drawn_at < ?").bind(beacon.drawn_at - KEPT).execute(self.session)?;
        Ok(())
    }
}

fn decode(row: &mut crate::sql::Fields<'_, '_, '_>) -> Result<Beacon, StoreFault> {
    Ok(Beacon { value: row.bytes()?.try_into().map_err(|_| StoreFault::Corrupt("a beacon's length"))?, drawn_at: row.time()? })
}
