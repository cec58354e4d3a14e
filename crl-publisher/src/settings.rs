//! What an administrator may choose about CRLs.

use std::num::NonZeroU16;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::schedule::{Schedule, ScheduleRefusal};

/// The settings of the CRL publisher. Unknown keys are refused; [`CrlSettings::check`] holds them against each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrlSettings {
    /// When regular lists are made: six fields, *seconds first* (second minute hour day-of-month month day-of-week; Sunday is 1),
    /// in UTC. Default `0 0 * * * *`, hourly (ETSI EN 319 411-1 CRL period: 24 hours at most).
    pub schedule: String,
    /// The seconds for which a list is still good after the next one should have been there: nextUpdate is the next regular time
    /// and this. It is how long the publisher may be down unnoticed. Default 21,600 (6 hours).
    pub overlap_seconds: u32,
    /// Which revocations are published at once instead of with the next regular list. Default `any`.
    pub at_once: AtOnce,
    /// The milliseconds to wait after such a revocation for more of them, so that many make one list. Default 200.
    pub delay_milliseconds: u32,
    /// The least seconds between two lists made for that reason. Default 1.
    pub interval_seconds: u32,
    /// The seconds after which a failed attempt is repeated. Default 10.
    pub retry_seconds: u32,
    /// Over how many lists the new certificates of each CA key are spread, 1 to 1,024. Each names its list for ever: another number
    /// moves no certificate that is issued, and lists once named go on. Default 1.
    pub shards: NonZeroU16,
    /// How many revoked certificates are read from the store at a time. Default 1,000.
    pub page_entries: u32,
    /// The seconds for which an HTTP cache may repeat a list. Default 10.
    pub cache_seconds: u32,
}

/// Which revocations are published at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AtOnce {
    /// Those whose reason says that a key is in wrong hands. Holds, and their lifting, wait.
    Urgent,
    /// All, and holds, and their lifting.
    Any,
}

impl Default for CrlSettings {
    fn default() -> Self {
        Self {
            schedule: "0 0 * * * *".to_owned(),
            overlap_seconds: 21_600,
            at_once: AtOnce::Any,
            delay_milliseconds: 200,
            interval_seconds: 1,
            retry_seconds: 10,
            shards: NonZeroU16::MIN,
            page_entries: 1_000,
            cache_seconds: 10,
        }
    }
}

/// The settings contradict each other or a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsRefusal {
    /// The schedule is none.
    #[error("crl.schedule: {0}")]
    Schedule(#[from] ScheduleRefusal),
    /// A number out of its range.
    #[error("crl.{key} must be from {least} to {most}")]
    Range {
        /// The key.
        key: &'static str,
        /// The least allowed.
        least: u32,
        /// The most allowed.
        most: u32,
    },
}

impl CrlSettings {
    /// Checks each setting; gives the schedule as understood.
    ///
    /// # Errors
    /// See [`SettingsRefusal`].
    pub fn check(&self) -> Result<Schedule, SettingsRefusal> {
        let ranges = [
            // CA/Browser Forum Baseline Requirements 4.9.7: a CRL is good for 10 days at most.
            ("overlap_seconds", self.overlap_seconds, 1, 864_000),
            ("delay_milliseconds", self.delay_milliseconds, 0, 3_600_000),
            ("interval_seconds", self.interval_seconds, 0, 86_400),
            ("retry_seconds", self.retry_seconds, 1, 3_600),
            ("shards", u32::from(self.shards.get()), 1, 1_024),
            ("page_entries", self.page_entries, 1, 100_000),
            ("cache_seconds", self.cache_seconds, 0, 86_400),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(SettingsRefusal::Range { key, least, most });
            }
        }
        Ok(Schedule::parse(&self.schedule)?)
    }

    pub(crate) fn overlap(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.overlap_seconds))
    }

    pub(crate) fn delay(&self) -> TimeDelta {
        TimeDelta::milliseconds(i64::from(self.delay_milliseconds))
    }

    pub(crate) fn interval(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.interval_seconds))
    }

    pub(crate) fn retry(&self) -> TimeDelta {
        TimeDelta::seconds(i64::from(self.retry_seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_a_broken_schedule_or_number_does_not() {
        let default = CrlSettings::default();
        assert!(default.check().is_ok());
        for schedule in ["", "* * * * *", "0 0 0 30 2 *", "hourly", "0 0 0 1 1 * 2020"] {
            let settings = CrlSettings { schedule: schedule.to_owned(), ..default.clone() };
            assert!(matches!(settings.check(), Err(SettingsRefusal::Schedule(_))), "{schedule}");
        }
        let settings = CrlSettings { overlap_seconds: 0, ..default };
        assert!(matches!(settings.check(), Err(SettingsRefusal::Range { key: "overlap_seconds", .. })));
    }
}
