//! How long revocations took from their commit until relying parties could learn of them: counted by minutes, for a history.

use ca_core::issuer::CaKeyId;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, TimeDelta, Utc};

use crate::codes;
use crate::event::{self, EventKind, EventPosition};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};
use crate::transaction::Transaction;

/// The upper bounds of the counters, in milliseconds; beyond the last there is one more counter.
pub const LATENCY_BOUNDS_MILLISECONDS: [u64; 15] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000];

/// Counters: one for each of [`LATENCY_BOUNDS_MILLISECONDS`], and one for what took longer.
pub const LATENCY_BUCKETS: usize = LATENCY_BOUNDS_MILLISECONDS.len() + 1;

/// So many positions are passed in one look at most.
const SPAN: i64 = 65_536;

/// By which way a revocation became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LatencyStage {
    /// The status service told it.
    Ocsp,
    /// A published CRL lists it.
    Crl,
}

impl LatencyStage {
    /// Every stage.
    pub const ALL: [Self; 2] = [Self::Ocsp, Self::Crl];

    /// The word used in JSON and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ocsp => "ocsp",
            Self::Crl => "crl",
        }
    }

    fn code(self) -> i16 {
        match self {
            Self::Ocsp => 1,
            Self::Crl => 2,
        }
    }
}

/// The revocations of one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyMinute {
    /// When the minute of their commits began.
    pub minute: DateTime<Utc>,
    /// How many.
    pub count: u64,
    /// What they took together, in milliseconds.
    pub sum_milliseconds: u64,
    /// The longest that one took, in milliseconds.
    pub max_milliseconds: u64,
    /// How many took no longer than each bound, and longer than the one before.
    pub buckets: [u64; LATENCY_BUCKETS],
    /// How many more were given up, because they were not told in time. They are in none of the other numbers.
    pub lost: u64,
}

impl LatencyMinute {
    fn empty(minute: DateTime<Utc>) -> Self {
        Self { minute, count: 0, sum_milliseconds: 0, max_milliseconds: 0, buckets: [0; LATENCY_BUCKETS], lost: 0 }
    }

    /// Counts one more.
    fn add(&mut self, milliseconds: u64) {
        let bucket = LATENCY_BOUNDS_MILLISECONDS.partition_point(|bound| *bound < milliseconds);
        if let Some(counter) = self.buckets.get_mut(bucket) {
            *counter += 1;
        }
        self.count += 1;
        self.sum_milliseconds = self.sum_milliseconds.saturating_add(milliseconds);
        self.max_milliseconds = self.max_milliseconds.max(milliseconds);
    }
}

/// What the counters of some minutes come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LatencySummary {
    /// How many revocations became known.
    pub count: u64,
    /// How many more were given up.
    pub lost: u64,
    /// The longest that one took that became known, in milliseconds.
    pub max_milliseconds: u64,
    sum_milliseconds: u64,
    buckets: [u64; LATENCY_BUCKETS],
}

impl LatencySummary {
    /// Of these minutes.
    pub fn of<'m>(minutes: impl IntoIterator<Item = &'m LatencyMinute>) -> Self {
        let mut summary = Self::default();
        for minute in minutes {
            summary.count += minute.count;
            summary.lost += minute.lost;
            summary.max_milliseconds = summary.max_milliseconds.max(minute.max_milliseconds);
            summary.sum_milliseconds = summary.sum_milliseconds.saturating_add(minute.sum_milliseconds);
            summary.buckets.iter_mut().zip(&minute.buckets).for_each(|(sum, counter)| *sum += counter);
        }
        summary
    }

    /// What one took on average that became known, in milliseconds; `None` if none did.
    pub fn mean_milliseconds(&self) -> Option<u64> {
        self.sum_milliseconds.checked_div(self.count)
    }

    /// In how many milliseconds this percentage of all became known, those that were given up among them: not more than that, for the
    /// counters know bounds only. `None` if so many did not become known, or there were none at all.
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let all = self.count + self.lost;
        let rank = (all * u64::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        for (place, counter) in self.buckets.iter().enumerate() {
            seen += counter;
            if seen >= rank {
                let bound = LATENCY_BOUNDS_MILLISECONDS.get(place).copied().unwrap_or(u64::MAX);
                return Some(bound.min(self.max_milliseconds));
            }
        }
        None
    }
}

/// A revocation or hold as it was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedRevocation {
    /// Its event's place.
    pub position: EventPosition,
    /// When, by the clock of who did it.
    pub at: DateTime<Utc>,
    /// The key that signed the certificate.
    pub ca_key: CaKeyId,
    /// The certificate's serial number.
    pub serial: SerialNumber,
    /// The CRL shard that it names.
    pub shard: u16,
    /// Whether it may come back.
    pub is_hold: bool,
}

impl Reader {
    /// The revocations and holds after a position, in order, without those of test certificates; `limit` at most. With them, the
    /// position up to which there are no others: `position` itself where nothing has happened since, and less than the store's where
    /// one look was not enough.
    pub fn revocations_after(&self, position: EventPosition, limit: u32) -> Result<(Vec<CommittedRevocation>, EventPosition), StoreFault> {
        self.read(|session| {
            // Read first: whatever has a position up to this one is committed, and seen by what is read next.
            let until = event::position(session)?.0.min(position.0.saturating_add(SPAN));
            let found = sql("SELECT e.position, e.at, c.ca_key_id, c.serial, c.shard, e.kind FROM event AS e \
                 CROSS JOIN certificate AS c WHERE e.position > ? AND e.position <= ? AND c.id = e.certificate_id \
                 AND e.kind IN ('certificate.held', 'certificate.revoked') \
                 AND NOT EXISTS (SELECT 1 FROM test_certificate AS t WHERE t.certificate_id = c.id) ORDER BY e.position LIMIT ?")
            .bind(position.0)
            .bind(until)
            .bind(i64::from(limit))
            .rows(session, |row| {
                Ok(CommittedRevocation {
                    position: EventPosition(row.big()?),
                    at: row.time()?,
                    ca_key: CaKeyId(row.int()?),
                    serial: row.serial()?,
                    shard: codes::shard(row.small()?)?,
                    is_hold: row.text()? == EventKind::CertificateHeld.as_str(),
                })
            })?;
            let is_full = found.len() >= limit as usize;
            let until = found.last().filter(|_| is_full).map_or(EventPosition(until.max(position.0)), |last| last.position);
            Ok((found, until))
        })
    }

    /// The minutes from `from` until before `to` in which revocations were committed that have become known since, oldest first.
    pub fn latency_history(&self, stage: LatencyStage, from: DateTime<Utc>, to: DateTime<Utc>) -> Result<Vec<LatencyMinute>, StoreFault> {
        // The first minute that begins at `from` or later.
        let first = from.timestamp().div_euclid(60) + i64::from(from.timestamp_millis().rem_euclid(60_000) != 0);
        let end = to.timestamp().div_euclid(60) + i64::from(to.timestamp_millis().rem_euclid(60_000) != 0);
        self.read(|session| {
            sql(format!("SELECT {COLUMNS} FROM revocation_latency WHERE stage = ? AND minute >= ? AND minute < ? ORDER BY minute"))
                .bind(stage.code())
                .bind(first)
                .bind(end)
                .rows(session, decode)
        })
    }
}

impl Transaction<'_> {
    /// Records how long revocations took, each with the time of its commit.
    pub fn record_latency(&mut self, stage: LatencyStage, measured: &[(DateTime<Utc>, TimeDelta)]) -> Result<(), StoreFault> {
        let milliseconds = |took: &TimeDelta| Some(u64::try_from(took.num_milliseconds()).unwrap_or(0));
        self.count_by_minutes(stage, measured.iter().map(|(at, took)| (minute_of(*at), milliseconds(took))).collect())
    }

    /// Records that revocations, with the times of their commits, were not told in time.
    pub fn record_lost(&mut self, stage: LatencyStage, lost: &[DateTime<Utc>]) -> Result<(), StoreFault> {
        self.count_by_minutes(stage, lost.iter().map(|at| (minute_of(*at), None)).collect())
    }

    fn count_by_minutes(&mut self, stage: LatencyStage, mut outcomes: Vec<(i64, Option<u64>)>) -> Result<(), StoreFault> {
        // Always in the same order, so that two writers do not wait for each other.
        outcomes.sort_unstable();
        for of_minute in outcomes.chunk_by(|one, other| one.0 == other.0) {
            let Some((minute, _)) = of_minute.first() else { continue };
            let lock = self.session.update_lock();
            let text = format!("SELECT {COLUMNS} FROM revocation_latency WHERE stage = ? AND minute = ?{lock}");
            let known = sql(text).bind(stage.code()).bind(*minute).optional(self.session, decode)?;
            let mut counted = match known {
                Some(known) => known,
                None => LatencyMinute::empty(codes::time(minute * 60_000)?),
            };
            of_minute.iter().for_each(|(_, milliseconds)| match milliseconds {
                Some(milliseconds) => counted.add(*milliseconds),
                None => counted.lost += 1,
            });
            let buckets = serde_json::json!(counted.buckets).to_string();
            sql("INSERT INTO revocation_latency (stage, minute, count, sum_milliseconds, max_milliseconds, buckets, lost) \
                 VALUES (?, ?, ?, ?, ?, ?, ?) \
                 ON CONFLICT (stage, minute) DO UPDATE SET count = excluded.count, sum_milliseconds = excluded.sum_milliseconds, \
                 max_milliseconds = excluded.max_milliseconds, buckets = excluded.buckets, lost = excluded.lost")
            .bind(stage.code())
            .bind(*minute)
            .bind(codes::stored(counted.count)?)
            .bind(codes::stored(counted.sum_milliseconds)?)
            .bind(codes::stored(counted.max_milliseconds)?)
            .bind(buckets.as_str())
            .bind(codes::stored(counted.lost)?)
            .execute(self.session)?;
        }
        Ok(())
    }
}

const COLUMNS: &str = "minute, count, sum_milliseconds, max_milliseconds, buckets, lost";

fn minute_of(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(60).max(0)
}

fn decode(row: &mut Fields<'_, '_, '_>) -> Result<LatencyMinute, StoreFault> {
    let minute = row.big()?.checked_mul(60_000).ok_or(StoreFault::Corrupt("a minute"))?;
    Ok(LatencyMinute {
        minute: codes::time(minute)?,
        count: row.unsigned()?,
        sum_milliseconds: row.unsigned()?,
        max_milliseconds: row.unsigned()?,
        buckets: serde_json::from_value(row.json()?).map_err(|_| StoreFault::Corrupt("counters of latency"))?,
        lost: row.unsigned()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_upper_bounds_and_what_was_lost_took_for_ever() {
        let mut minute = LatencyMinute::empty(DateTime::UNIX_EPOCH);
        assert_eq!(LatencySummary::of([&minute]).percentile(50), None);
        (0..98).for_each(|_| minute.add(40));
        minute.add(700);
        let summary = LatencySummary::of([&minute]);
        assert_eq!([50, 90, 99].map(|percent| summary.percentile(percent)), [Some(50), Some(50), Some(700)]);
        assert_eq!((summary.mean_milliseconds(), summary.max_milliseconds), (Some(46), 700));
        minute.lost = 1;
        let summary = LatencySummary::of([&minute, &minute]);
        assert_eq!((summary.count, summary.lost), (198, 2));
        assert_eq!([50, 99, 100].map(|percent| summary.percentile(percent)), [Some(50), Some(700), None]);
    }

    #[test]
    fn each_duration_is_counted_under_the_first_bound_that_it_does_not_exceed() {
        let mut minute = LatencyMinute::empty(DateTime::UNIX_EPOCH);
        for milliseconds in [0, 50, 51, 86_400_000, 86_400_001] {
            minute.add(milliseconds);
        }
        let counted = |bucket: usize| minute.buckets[bucket];
        assert_eq!((counted(0), counted(1), counted(14), counted(15)), (2, 1, 1, 1));
        assert_eq!((minute.count, minute.max_milliseconds), (5, 86_400_001));
        assert_eq!(minute.buckets.iter().sum::<u64>(), 5);
    }
}
