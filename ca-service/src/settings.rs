//! How the CA role works.

use std::collections::BTreeMap;
use std::time::Duration;

use ca_core::digest::Sha256Digest;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::schedules::ScheduleName;
use crate::timetable::{Timetable, TimetableRefusal};

/// How the CA role works.
#[derive(Debug, Clone)]
pub struct CaRoleSettings {
    /// Applications issued on in one round at most.
    pub batch: u32,
    /// The time between two looks at the back office's feed.
    pub feed_interval: Duration,
    /// The time between two readings of the card CRLs.
    pub card_crl_interval: Duration,
    /// How long responder certificates last.
    pub responder_life: TimeDelta,
    /// How the life of certificates is looked after.
    pub life: LifeSettings,
    /// For how long an event may wait for the log before nothing is issued and no hold is lifted any more.
    pub log_max_lag: TimeDelta,
    /// How far this clock may be from others before that is told.
    pub clock_max_offset: TimeDelta,
    /// The age recipients that evidence may be encrypted to in exports; empty: any that an auditor names.
    pub evidence_recipients: Vec<String>,
    /// Digests of the settings' topics: what is recorded of the settings with which this process leads. Empty: nothing is.
    pub topics: BTreeMap<String, Sha256Digest>,
}

impl Default for CaRoleSettings {
    fn default() -> Self {
        Self {
            batch: 64,
            feed_interval: Duration::from_secs(5),
            card_crl_interval: Duration::from_secs(300),
            responder_life: TimeDelta::days(30),
            life: LifeSettings::default(),
            log_max_lag: TimeDelta::seconds(60),
            clock_max_offset: TimeDelta::seconds(5),
            evidence_recipients: Vec::new(),
            topics: BTreeMap::new(),
        }
    }
}

/// How the life of certificates is looked after. Unknown keys are refused; [`LifeSettings::check`] holds each to its range.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LifeSettings {
    /// When what is done regularly is done.
    pub schedules: ScheduleSettings,
    /// How old the evidence about cards may be.
    pub evidence: EvidenceLimits,
    /// What an operator may do to many at once.
    pub mass: MassSettings,
    /// The second look at a card after issuance.
    pub second_look: SecondLookSettings,
    /// Erase and lock commands to phones.
    pub device_commands: DeviceCommandSettings,
    /// Notices to holders.
    pub notices: NoticeSettings,
    /// Certificates with which relying parties try their checks.
    pub test_certificates: TestCertificateSettings,
    /// How long records are kept.
    pub retention: RetentionSettings,
}

/// When what is done regularly is done: six fields each, *seconds first* (second minute hour day-of-month month day-of-week;
/// Sunday is 1), in UTC. A time that was missed is made up for by one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleSettings {
    /// Certificates past their end are marked expired. Default `0 */10 * * * *`.
    pub expire: String,
    /// Holds past the policy's deadline become revocations. Default `30 */10 * * * *`.
    pub hold_deadlines: String,
    /// Cards are looked at a second time, days after issuance. Default `0 15 * * * *`, hourly.
    pub second_looks: String,
    /// Every linked card's state is compared with the back office's. Default `0 0 18 * * *`, daily (3:00 in Japan).
    pub compare: String,
    /// Notices that were not told are tried again. Default `15 * * * * *`, each minute.
    pub retry_notices: String,
    /// Commands to phones that were not confirmed are sent again, or expire. Default `45 * * * * *`, each minute.
    pub retry_commands: String,
    /// Test certificates that are missing or near their end are made anew. Default `0 5 * * * *`, hourly.
    pub test_certificates: String,
    /// This clock is compared with the back office's and the database's; besides, whenever a process takes the lead. Default
    /// `0 40 3 * * *`, daily.
    pub check_clock: String,
    /// What was kept for `ca.retention.years` is purged. Default `0 45 17 * * *`, daily (2:45 in Japan).
    pub purge: String,
}

impl Default for ScheduleSettings {
    fn default() -> Self {
        Self {
            expire: "0 */10 * * * *".to_owned(),
            hold_deadlines: "30 */10 * * * *".to_owned(),
            second_looks: "0 15 * * * *".to_owned(),
            compare: "0 0 18 * * *".to_owned(),
            retry_notices: "15 * * * * *".to_owned(),
            retry_commands: "45 * * * * *".to_owned(),
            test_certificates: "0 5 * * * *".to_owned(),
            check_clock: "0 40 3 * * *".to_owned(),
            purge: "0 45 17 * * *".to_owned(),
        }
    }
}

impl ScheduleSettings {
    /// The expression of one schedule.
    pub fn expression(&self, name: ScheduleName) -> &str {
        match name {
            ScheduleName::Expire => &self.expire,
            ScheduleName::HoldDeadlines => &self.hold_deadlines,
            ScheduleName::SecondLooks => &self.second_looks,
            ScheduleName::Compare => &self.compare,
            ScheduleName::RetryNotices => &self.retry_notices,
            ScheduleName::RetryCommands => &self.retry_commands,
            ScheduleName::TestCertificates => &self.test_certificates,
            ScheduleName::CheckClock => &self.check_clock,
            ScheduleName::Purge => &self.purge,
        }
    }
}

/// How old the last success of each channel that tells of cards may be before nothing is issued any more (SP 800-157r1
/// section 2.4: the issuer must know the state of what it derives from). Counted from the installation's beginning until the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvidenceLimits {
    /// The back office's feed, in seconds. Default 3,600 (1 hour).
    pub feed_seconds: u32,
    /// The card CRLs, in seconds. Default 86,400 (1 day, a card CRL's period).
    pub card_crl_seconds: u32,
    /// The full comparison, in seconds. Default 604,800 (7 days).
    pub comparison_seconds: u32,
}

impl Default for EvidenceLimits {
    fn default() -> Self {
        Self { feed_seconds: 3_600, card_crl_seconds: 86_400, comparison_seconds: 604_800 }
    }
}

/// What an operator may do to many certificates at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MassSettings {
    /// A mass command for more certificates than this waits for a second administrator. Default 100.
    pub second_person_above: u32,
    /// The hours for which it waits; then it must be given again. Default 24.
    pub approval_hours: u32,
}

impl Default for MassSettings {
    fn default() -> Self {
        Self { second_person_above: 100, approval_hours: 24 }
    }
}

/// The second look at a card after issuance: a card that was stolen before the report came in (NIST SP 800-157 of 2014, section
/// 2.1: seven days).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecondLookSettings {
    /// The days after issuance. Default 7.
    pub after_days: u32,
}

impl Default for SecondLookSettings {
    fn default() -> Self {
        Self { after_days: 7 }
    }
}

/// Erase and lock commands to phones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeviceCommandSettings {
    /// The days for which a command can be carried out. Default 90.
    pub life_days: u32,
    /// When an unconfirmed command is sent again. Default 300 seconds, doubling up to 1 day.
    pub backoff: Backoff,
}

impl Default for DeviceCommandSettings {
    fn default() -> Self {
        Self { life_days: 90, backoff: Backoff { first_seconds: 300, longest_seconds: 86_400 } }
    }
}

/// Notices to holders.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NoticeSettings {
    /// When a notice that was not taken is offered again. Default 30 seconds, doubling up to 6 hours. There is no end to it.
    pub backoff: Backoff,
}

/// Certificates with which relying parties try their checks: for the issuing key of each kind one good, one revoked, one held and one
/// expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TestCertificateSettings {
    /// Whether there are any. Default true.
    pub enabled: bool,
    /// The days for which one lasts; it is renewed when a third of them is left. Default 30.
    pub life_days: u32,
}

impl Default for TestCertificateSettings {
    fn default() -> Self {
        Self { enabled: true, life_days: 30 }
    }
}

/// How long records are kept: the card-signed applications, the certificates, what became of them, and the content of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// The years after a certificate's end for which they are kept; then they are purged. Default 10, as the practice of JPKI has it; 0:
    /// nothing is ever purged.
    pub years: u32,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { years: 10 }
    }
}

/// The settings contradict each other or a limit. Keys are named from the topic on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LifeSettingsRefusal {
    /// A schedule is none.
    #[error("schedules.{key}: {refusal}")]
    Schedule {
        /// The key.
        key: String,
        /// Why.
        refusal: TimetableRefusal,
    },
    /// A number out of its range.
    #[error("{key} must be from {least} to {most}")]
    Range {
        /// The key.
        key: &'static str,
        /// The least allowed.
        least: u32,
        /// The most allowed.
        most: u32,
    },
    /// The first wait is longer than the longest.
    #[error("{key}.first_seconds must not be above {key}.longest_seconds")]
    Backoff {
        /// The keys before the last.
        key: &'static str,
    },
}

impl LifeSettings {
    /// Checks each setting; gives the schedules as understood.
    pub fn check(&self) -> Result<Vec<(ScheduleName, Timetable)>, LifeSettingsRefusal> {
        let (commands, notices) = (&self.device_commands, &self.notices);
        let ranges = [
            ("evidence.feed_seconds", self.evidence.feed_seconds, 1, 2_592_000),
            ("evidence.card_crl_seconds", self.evidence.card_crl_seconds, 1, 2_592_000),
            ("evidence.comparison_seconds", self.evidence.comparison_seconds, 1, 7_776_000),
            ("mass.second_person_above", self.mass.second_person_above, 0, 1_000_000),
            ("mass.approval_hours", self.mass.approval_hours, 1, 720),
            // After a year, nobody needs one.
            ("second_look.after_days", self.second_look.after_days, 0, 366),
            ("device_commands.life_days", commands.life_days, 1, 3_660),
            ("device_commands.backoff.first_seconds", commands.backoff.first_seconds, 1, 86_400),
            ("device_commands.backoff.longest_seconds", commands.backoff.longest_seconds, 1, 2_592_000),
            ("notices.backoff.first_seconds", notices.backoff.first_seconds, 1, 86_400),
            ("notices.backoff.longest_seconds", notices.backoff.longest_seconds, 1, 2_592_000),
            ("test_certificates.life_days", self.test_certificates.life_days, 1, 365),
            ("retention.years", self.retention.years, 0, 100),
        ];
        for (key, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(LifeSettingsRefusal::Range { key, least, most });
            }
        }
        for (key, backoff) in [("device_commands.backoff", commands.backoff), ("notices.backoff", notices.backoff)] {
            if backoff.first_seconds > backoff.longest_seconds {
                return Err(LifeSettingsRefusal::Backoff { key });
            }
        }
        let timetable = |name: ScheduleName| {
            let refused = |refusal| LifeSettingsRefusal::Schedule { key: name.as_str().replace('-', "_"), refusal };
            Ok((name, Timetable::parse(self.schedules.expression(name)).map_err(refused)?))
        };
        ScheduleName::ALL.into_iter().map(timetable).collect()
    }

    pub(crate) fn second_look_delay(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.second_look.after_days))
    }

    pub(crate) fn command_life(&self) -> TimeDelta {
        TimeDelta::days(i64::from(self.device_commands.life_days))
    }

    pub(crate) fn approval_time(&self) -> TimeDelta {
        TimeDelta::hours(i64::from(self.mass.approval_hours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_a_broken_schedule_or_number_does_not() {
        assert_eq!(LifeSettings::default().check().unwrap().len(), ScheduleName::ALL.len());
        let mut settings = LifeSettings::default();
        settings.schedules.hold_deadlines = "hourly".to_owned();
        let refusal = settings.check().unwrap_err();
        assert!(refusal.to_string().starts_with("schedules.hold_deadlines: "), "{refusal}");
        let mut settings = LifeSettings::default();
        settings.evidence.feed_seconds = 0;
        assert!(matches!(settings.check(), Err(LifeSettingsRefusal::Range { key: "evidence.feed_seconds", .. })));
        let mut settings = LifeSettings::default();
        settings.notices.backoff.longest_seconds = 29;
        assert!(matches!(settings.check(), Err(LifeSettingsRefusal::Backoff { key: "notices.backoff" })));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<LifeSettings>(r#"{"mass":{"second_person_above":5}}"#).is_ok());
        assert!(serde_json::from_str::<LifeSettings>(r#"{"mass":{"second_person":5}}"#).is_err());
    }
}
