//! The regular times.

use std::str::FromStr;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

/// When regular lists are made, in UTC.
#[derive(Debug, Clone)]
pub struct Schedule(cron::Schedule);

/// The text is no schedule that we can keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleRefusal {
    /// Not six fields of cron, seconds first.
    #[error("{0:?} is not a schedule: six fields, seconds first")]
    Syntax(String),
    /// It has no time left to come.
    #[error("{0:?} never comes")]
    Never(String),
}

impl Schedule {
    /// Reads six fields: second, minute, hour, day of month, month, day of week (Sunday is 1). A seventh, of years, is refused,
    /// because such a schedule would come to an end.
    ///
    /// # Errors
    /// See [`ScheduleRefusal`].
    pub fn parse(text: &str) -> Result<Self, ScheduleRefusal> {
        let syntax = || ScheduleRefusal::Syntax(text.to_owned());
        if text.split_whitespace().count() != 6 {
            return Err(syntax());
        }
        let schedule = Self(cron::Schedule::from_str(text).map_err(|_| syntax())?);
        schedule.next_after(DateTime::UNIX_EPOCH).ok_or_else(|| ScheduleRefusal::Never(text.to_owned()))?;
        Ok(schedule)
    }

    /// The first regular time after `moment`.
    pub fn next_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.0.after(&moment).next()
    }

    /// The last regular time not after `moment`.
    pub fn last_until(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // What comes before a whole second is at the second before it at the latest.
        let next_second = moment.trunc_subsecs(0) + TimeDelta::seconds(1);
        self.0.after(&next_second).next_back()
    }

    /// Whether there are regular times further apart than `most`, which is a day at least: looked for over two years, in which
    /// every day of the week and of the month comes.
    pub fn pauses_longer_than(&self, most: TimeDelta) -> bool {
        let most = most.max(TimeDelta::days(1));
        // A leap year and the one after it.
        let Some(mut last) = DateTime::from_timestamp(1_830_297_600, 0).and_then(|begin| self.next_after(begin)) else { return true };
        let end = last + TimeDelta::days(800);
        while last < end {
            // The last time within reach; if it is the same again, nothing comes in between.
            match self.last_until(last + most) {
                Some(next) if next > last => last = next,
                _ => return true,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_regular_time_is_its_own_last_and_never_its_own_next() {
        let hourly = Schedule::parse("0 0 * * * *").unwrap();
        for (moment, last, next) in [
            ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"),
            ("2026-03-01T12:00:00.001Z", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"),
            ("2026-03-01T11:59:59.999Z", "2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z"),
            ("2026-03-01T00:30:00Z", "2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z"),
            ("2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2027-01-01T01:00:00Z"),
        ] {
            assert_eq!(hourly.last_until(at(moment)), Some(at(last)), "{moment}");
            assert_eq!(hourly.next_after(at(moment)), Some(at(next)), "{moment}");
        }
    }

    #[test]
    fn days_of_the_week_count_from_sunday_as_1() {
        let sundays = Schedule::parse("0 0 3 * * 1").unwrap();
        assert_eq!(sundays.next_after(at("2026-11-21T00:00:00Z")), Some(at("2026-11-22T03:00:00Z")));
        assert_eq!(sundays.last_until(at("2026-11-21T00:00:00Z")), Some(at("2026-11-15T03:00:00Z")));
    }

    #[test]
    fn five_or_seven_fields_and_impossible_days_are_refused() {
        assert_eq!(Schedule::parse("0 * * * *").unwrap_err(), ScheduleRefusal::Syntax("0 * * * *".to_owned()));
        assert!(matches!(Schedule::parse("0 0 0 1 1 * 2099"), Err(ScheduleRefusal::Syntax(_))));
        assert!(matches!(Schedule::parse("0 0 0 31 2 *"), Err(ScheduleRefusal::Never(_))));
    }
}
