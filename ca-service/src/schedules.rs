//! What is done regularly, by the one leader: each schedule's last run is on record, so that a time missed while nobody led is
//! made up for by one run, and a run that was broken off is begun again.

use std::fmt;
use std::str::FromStr;

use ca_core::chain::Chain;
use chrono::{DateTime, Utc};
use schema::schedule::ScheduleRecord;

use crate::CaFault;
use crate::role::CaRole;
use crate::timetable::Timetable;

/// What is done regularly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScheduleName {
    /// Certificates past their end are marked expired.
    Expire,
    /// Holds past the policy's deadline become revocations.
    HoldDeadlines,
    /// Cards are looked at a second time, days after issuance.
    SecondLooks,
    /// Every linked card's state is compared with the back office's.
    Compare,
    /// Notices that were not told are tried again.
    RetryNotices,
    /// Commands to phones are sent again, or expire.
    RetryCommands,
    /// Test certificates are made anew before they end.
    TestCertificates,
    /// This clock is compared with others.
    CheckClock,
    /// What was kept long enough is purged.
    Purge,
}

/// The word names nothing that is done regularly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no schedule has this name")]
pub struct UnknownSchedule;

impl ScheduleName {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Expire,
        Self::HoldDeadlines,
        Self::SecondLooks,
        Self::Compare,
        Self::RetryNotices,
        Self::RetryCommands,
        Self::TestCertificates,
        Self::CheckClock,
        Self::Purge,
    ];

    /// The word in instructions, in the store and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expire => "expire",
            Self::HoldDeadlines => "hold-deadlines",
            Self::SecondLooks => "second-looks",
            Self::Compare => "compare",
            Self::RetryNotices => "retry-notices",
            Self::RetryCommands => "retry-commands",
            Self::TestCertificates => "test-certificates",
            Self::CheckClock => "check-clock",
            Self::Purge => "purge",
        }
    }
}

impl fmt::Display for ScheduleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ScheduleName {
    type Err = UnknownSchedule;

    fn from_str(word: &str) -> Result<Self, UnknownSchedule> {
        Self::ALL.into_iter().find(|name| name.as_str() == word).ok_or(UnknownSchedule)
    }
}

impl CaRole {
    /// Runs what is due, one after the other; what was run. Each runs on a thread of its own in service.
    pub fn run_schedules(&self) -> Result<Vec<ScheduleName>, CaFault> {
        let mut ran = Vec::new();
        for name in ScheduleName::ALL {
            if self.run_schedule_if_due(name)? {
                ran.push(name);
            }
        }
        Ok(ran)
    }

    /// Runs a schedule whose time has come since it last began, that was asked for, or whose last run was broken off. A run that
    /// fails is over, too: it says so, and waits for the next time.
    pub(crate) fn run_schedule_if_due(&self, name: ScheduleName) -> Result<bool, CaFault> {
        let record = self.reader.schedules()?.into_iter().find(|record| record.name == name.as_str());
        let timetable = self.timetable(name)?;
        if record.as_ref().map(|record| record.expression.as_str()) != Some(timetable.expression()) {
            let expression = timetable.expression().to_owned();
            self.write(move |tx| tx.define_schedule(name.as_str(), &expression))?;
        }
        if !is_due(timetable, record.as_ref(), self.clock.now()) {
            return Ok(false);
        }
        let now = self.clock.now();
        self.write(move |tx| tx.start_schedule(name.as_str(), now))?;
        let result = self.run_schedule(name);
        let outcome = match &result {
            Ok(done) => format!("{done} done"),
            Err(fault) => format!("failed: {}", Chain(fault)),
        };
        if let Err(fault) = result {
            // Neither is the work's own failure: whoever leads next begins it again.
            if matches!(fault, CaFault::Fenced | CaFault::Stopping) {
                return Err(fault);
            }
            metrics::counter!("tsunagi_ca_schedule_failures_total", "schedule" => name.as_str()).increment(1);
            tracing::error!(schedule = %name, fault = %Chain(&fault), "a scheduled run failed");
        }
        let outcome: String = outcome.chars().take(250).collect();
        let now = self.clock.now();
        self.write(move |tx| tx.finish_schedule(name.as_str(), &outcome, now))?;
        metrics::gauge!("tsunagi_ca_schedule_last_run_timestamp_seconds", "schedule" => name.as_str()).set(now.timestamp() as f64);
        Ok(true)
    }

    /// How many things the run did.
    fn run_schedule(&self, name: ScheduleName) -> Result<usize, CaFault> {
        match name {
            ScheduleName::Expire => self.expire_certificates(),
            ScheduleName::HoldDeadlines => self.enforce_hold_deadlines(),
            ScheduleName::SecondLooks => self.take_second_looks(),
            ScheduleName::Compare => self.compare_cards(),
            ScheduleName::RetryNotices => self.tell_holders(),
            ScheduleName::RetryCommands => Ok(self.expire_commands()? + self.send_commands()?),
            ScheduleName::TestCertificates => self.renew_test_certificates(),
            ScheduleName::CheckClock => self.check_clock(),
            ScheduleName::Purge => self.purge(),
        }
    }
}

fn is_due(timetable: &Timetable, record: Option<&ScheduleRecord>, now: DateTime<Utc>) -> bool {
    let Some(record) = record else { return true };
    let Some(started) = record.last_started_at else { return true };
    let broken_off = record.last_finished_at.is_none_or(|finished| finished < started);
    // One that began in the future is no reason to wait: the clock was set back.
    broken_off || started > now || record.requested_at.is_some() || timetable.has_come(started, now)
}
