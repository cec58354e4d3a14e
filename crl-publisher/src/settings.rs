//! What an administrator may choose about CRLs.

use std::num::NonZeroU16;
use std::path::PathBuf;

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
    /// Over how many lists a CA key's certificates are spread from now on: each names its own for ever. Default 1; 1 to 1024.
    pub shards: NonZeroU16,
    /// Which revocations are published at once instead of with the next regular list. Default `any`.
    pub at_once: AtOnce,
    /// The milliseconds to wait after such a revocation for more of them, so that many make one list. Default 200.
    pub delay_milliseconds: u32,
    /// The least seconds between two lists of a scope made for that reason. Default 1.
    pub interval_seconds: u32,
    /// How many times as long as the last list of a scope took, none is made at once after it. Default 4: making lists takes a fifth
    /// of the time at most, however many revocations come.
    pub rest_multiple: u16,
    /// The seconds after which a failed attempt is repeated; after each further failure twice as long. Default 10.
    pub retry_seconds: u32,
    /// How many revoked certificates are read from the store at a time. Default 10,000.
    pub page_entries: u32,
    /// How many entries, taken at random, are compared with what the status service tells before a list is published. Default 20.
    pub gate_sample: u16,
    /// Where published lists lie. Default `crl`.
    pub directory: PathBuf,
    /// The days for which regular lists are kept for download. Default 7.
    pub keep_days: u16,
    /// The seconds for which an HTTP cache may repeat a list. Default 10.
    pub cache_seconds: u32,
    /// Where lists are copied besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3Settings>,
}

/// An S3-compatible object store to which lists are copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Settings {
    /// `https://…`, or `http://…` for a store on this machine.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What objects' names begin with. Default nothing.
    #[serde(default)]
    pub prefix: String,
    /// Whether the bucket is named in the path instead of the host. Default yes, as most stores but Amazon's want it.
    #[serde(default = "yes")]
    pub path_style: bool,
    /// The file with the access key's name.
    pub access_key_file: PathBuf,
    /// The file with the secret.
    pub secret_key_file: PathBuf,
    /// The certificate, PEM, of the one CA that may vouch for the endpoint's name; for `https://` only, and needed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<PathBuf>,
    /// The seconds that one request may take. Default 60.
    #[serde(default = "a_minute")]
    pub request_seconds: u16,
}

fn yes() -> bool {
    true
}

fn a_minute() -> u16 {
    60
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
            shards: NonZeroU16::MIN,
            at_once: AtOnce::Any,
            delay_milliseconds: 200,
            interval_seconds: 1,
            rest_multiple: 4,
            retry_seconds: 10,
            page_entries: 10_000,
            gate_sample: 20,
            directory: PathBuf::from("crl"),
            keep_days: 7,
            cache_seconds: 10,
            s3: None,
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
    /// Regular lists come too seldom for their overlap.
    #[error("crl.schedule and crl.overlap_seconds: a list would be good for more than 10 days")]
    TooLong,
    /// A list that fails would not be tried again before the one before it ends.
    #[error("crl.overlap_seconds must be at least twice crl.retry_seconds: else there may be a moment without a valid list")]
    NoRetryWithinOverlap,
    /// Something about the object store.
    #[error("crl.s3.{0}")]
    S3(&'static str),
}

/// CA/Browser Forum Baseline Requirements 4.9.7: a CRL is good for 10 days at most.
const LONGEST_LIFE_SECONDS: u32 = 864_000;

/// The same.
pub(crate) const LONGEST_LIFE: TimeDelta = TimeDelta::seconds(LONGEST_LIFE_SECONDS as i64);

impl CrlSettings {
    /// Checks each setting, and those that belong together; gives the schedule as understood.
    ///
    /// # Errors
    /// See [`SettingsRefusal`].
    pub fn check(&self) -> Result<Schedule, SettingsRefusal> {
        let ranges = [
            // A day is left for the time between two lists.
            ("overlap_seconds", self.overlap_seconds, 1, LONGEST_LIFE_SECONDS - 86_400),
            ("shards", u32::from(self.shards.get()), 1, 1_024),
            ("delay_milliseconds", self.delay_milliseconds, 0, 3_600_000),
            ("interval_seconds", self.interval_seconds, 0, 86_400),
            ("rest_multiple", u32::from(self.rest_multiple), 0, 1_000),
            ("retry_seconds", self.retry_seconds, 1, 3_600),
            ("page_entries", self.page_entries, 1, 100_000),
            ("gate_sample", u32::from(self.gate_sample), 0, 1_000),
            ("keep_days", u32::from(self.keep_days), 1, 3_650),
            ("cache_seconds", self.cache_seconds, 0, 86_400),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(SettingsRefusal::Range { key, least, most });
            }
        }
        if self.overlap_seconds < 2 * self.retry_seconds {
            return Err(SettingsRefusal::NoRetryWithinOverlap);
        }
        let schedule = Schedule::parse(&self.schedule)?;
        if schedule.pauses_longer_than(TimeDelta::seconds(i64::from(LONGEST_LIFE_SECONDS - self.overlap_seconds))) {
            return Err(SettingsRefusal::TooLong);
        }
        self.s3.as_ref().map(S3Settings::check).transpose()?;
        Ok(schedule)
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

    /// However often it failed, it is tried several times within the overlap.
    pub(crate) fn longest_retry(&self) -> TimeDelta {
        (self.overlap() / 8).min(TimeDelta::minutes(10)).max(self.retry())
    }

    pub(crate) fn keep(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.keep_days))
    }
}

impl S3Settings {
    fn check(&self) -> Result<(), SettingsRefusal> {
        let demand = |holds: bool, complaint| if holds { Ok(()) } else { Err(SettingsRefusal::S3(complaint)) };
        let secure = self.endpoint.starts_with("https://");
        demand(secure || self.endpoint.starts_with("http://"), "endpoint: begins with https:// or http://")?;
        demand(secure == self.ca_certificate.is_some(), "ca_certificate: for https:// only, and needed there")?;
        demand(!self.bucket.is_empty() && !self.region.is_empty(), "bucket and region must not be empty")?;
        let sound = |prefix: &str| prefix.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        demand(self.prefix.is_empty() || sound(&self.prefix), "prefix: without a slash at its ends, and no empty part")?;
        demand((1..=3_600).contains(&self.request_seconds), "request_seconds: from 1 to 3600")
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

    #[test]
    fn a_list_is_good_for_ten_days_at_most_and_a_failed_one_is_tried_again_before_the_last_ends() {
        let with =
            |schedule: &str, overlap_seconds| CrlSettings { schedule: schedule.to_owned(), overlap_seconds, ..CrlSettings::default() };
        assert!(with("0 0 3 * * *", 777_600).check().is_ok());
        assert!(with("0 0 3 * * 1", 259_200).check().is_ok());
        assert_eq!(with("0 0 3 * * 1", 259_201).check().unwrap_err(), SettingsRefusal::TooLong);
        assert_eq!(with("0 0 3 1 * *", 21_600).check().unwrap_err(), SettingsRefusal::TooLong);
        // Each second, but in May only.
        assert_eq!(with("* * * * 5 *", 21_600).check().unwrap_err(), SettingsRefusal::TooLong);
        assert_eq!(with("0 0 * * * *", 19).check().unwrap_err(), SettingsRefusal::NoRetryWithinOverlap);
    }

    #[test]
    fn an_object_store_is_spoken_to_over_https_with_a_named_ca_or_without_tls_at_all() {
        let s3 = S3Settings {
            endpoint: "https://s3.example".to_owned(),
            region: "ap-northeast-1".to_owned(),
            bucket: "lists".to_owned(),
            prefix: "crl/jp".to_owned(),
            path_style: true,
            access_key_file: "access".into(),
            secret_key_file: "secret".into(),
            ca_certificate: Some("ca.pem".into()),
            request_seconds: 60,
        };
        s3.check().unwrap();
        assert!(S3Settings { ca_certificate: None, ..s3.clone() }.check().is_err());
        assert!(S3Settings { endpoint: "http://localhost:9000".to_owned(), ..s3.clone() }.check().is_err());
        for prefix in ["/crl", "crl/", "a//b", "../crl"] {
            assert!(S3Settings { prefix: prefix.to_owned(), ..s3.clone() }.check().is_err(), "{prefix}");
        }
    }
}
