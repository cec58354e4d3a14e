//! The beacons in force, read from the store at most once a second.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ca_core::application::challenge::Beacon;
use chrono::{DateTime, TimeDelta, Utc};
use schema::{Reader, StoreFault};

/// How long what was read counts as the present.
const KEPT: Duration = Duration::from_secs(1);

/// The beacons in force. Blocks while it reads the store.
pub(crate) struct Beacons {
    reader: Reader,
    lifetime: TimeDelta,
    least_left: TimeDelta,
    known: Mutex<Option<(Instant, Vec<Beacon>)>>,
}

impl Beacons {
    /// Beacons that are good for `lifetime`; a challenge is made only on one that is good for `least_left` more.
    pub(crate) fn new(reader: Reader, lifetime: TimeDelta, least_left: TimeDelta) -> Self {
        Self { reader, lifetime, least_left, known: Mutex::new(None) }
    }

    /// The newest, if a challenge may be made on it now, and when that challenge ends.
    pub(crate) fn current(&self, now: DateTime<Utc>) -> Result<Option<(Beacon, DateTime<Utc>)>, StoreFault> {
        let newest = match self.kept() {
            Some(beacons) => beacons,
            None => self.read(now)?,
        }
        .into_iter()
        // One drawn by a clock that was far ahead counts for nothing.
        .filter(|beacon| beacon.drawn_at - now <= self.lifetime)
        .max_by_key(|beacon| beacon.drawn_at);
        Ok(newest.map(|beacon| (beacon, beacon.drawn_at + self.lifetime)).filter(|(_, end)| *end - now >= self.least_left))
    }

    /// Whether [`Self::current`] will answer without reading the store.
    pub(crate) fn are_fresh(&self) -> bool {
        self.kept().is_some()
    }

    /// The beacons among which that of `challenge` must be. Reads again where it is none of those known: another RA process may
    /// have seen a newer one.
    pub(crate) fn for_challenge(&self, challenge: &[u8; 48], now: DateTime<Utc>) -> Result<Vec<Beacon>, StoreFault> {
        match self.kept() {
            Some(beacons) if beacons.iter().any(|beacon| beacon.value == challenge[..32]) => Ok(beacons),
            _ => self.read(now),
        }
    }

    fn kept(&self) -> Option<Vec<Beacon>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(read_at, _)| read_at.elapsed() < KEPT).map(|(_, beacons)| beacons.clone())
    }

    fn read(&self, now: DateTime<Utc>) -> Result<Vec<Beacon>, StoreFault> {
        let beacons = self.reader.beacons(now - self.lifetime)?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), beacons.clone()));
        Ok(beacons)
    }
}
