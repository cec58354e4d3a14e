//! Regular times: `cron` expressions of six fields, in UTC.

use std::str::FromStr as _;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

/// When something is done regularly, in UTC.
#[derive(Debug, Clone)]
pub struct Timetable {
    expression: String,
    times: cron::Schedule,
}

/// The text is no timetable that can be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimetableRefusal {
    /// Not six fields of cron, seconds first.
    #[error("{0:?} is not a schedule: six fields, seconds first")]
    Syntax(String),
    /// It has no time left to come.
    #[error("{0:?} never comes")]
    Never(String),
}

impl Timetable {
    /// Reads six fields: second, minute, hour, day of month, month, day of week (Sunday is 1). A seventh, of years, is refused,
    /// because such a timetable would come to an end.
    pub fn parse(text: &str) -> Result<Self, TimetableRefusal> {
        let syntax = || TimetableRefusal::Syntax(text.to_owned());
        if text.split_whitespace().count() != 6 {
            return Err(syntax());
        }
        let times = cron::Schedule::from_str(text).map_err(|_| syntax())?;
        times.after(&DateTime::UNIX_EPOCH).next().ok_or_else(|| TimetableRefusal::Never(text.to_owned()))?;
        Ok(Self { expression: text.to_owned(), times })
    }

    /// The six fields as they were given.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Whether one of its times lies after `last` and not after `now`: however many there were, one run makes up for them.
    pub fn has_come(&self, last: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.last_until(now).is_some_and(|time| time > last)
    }

    /// Its last time not after `moment`.
    fn last_until(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // What comes before a whole second is at the second before it at the latest.
        let next_second = moment.trunc_subsecs(0) + TimeDelta::seconds(1);
        self.times.after(&next_second).next_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_that_was_missed_has_come_and_one_that_was_kept_has_not() {
        let hourly = Timetable::parse("0 0 * * * *").unwrap();
        let now = at("2026-11-21T12:30:00Z");
        assert!(hourly.has_come(at("2026-11-21T11:59:59Z"), now));
        assert!(hourly.has_come(at("2026-11-01T00:00:00Z"), now));
        assert!(!hourly.has_come(at("2026-11-21T12:00:00Z"), now));
        assert!(!hourly.has_come(now, now));
        assert!(hourly.has_come(at("2026-11-21T12:30:00Z"), at("2026-11-21T13:00:00Z")));
    }

    #[test]
    fn five_or_seven_fields_and_impossible_days_are_refused() {
        assert_eq!(Timetable::parse("0 * * * *").unwrap_err(), TimetableRefusal::Syntax("0 * * * *".to_owned()));
        assert!(matches!(Timetable::parse("0 0 0 1 1 * 2099"), Err(TimetableRefusal::Syntax(_))));
        assert!(matches!(Timetable::parse("0 0 0 31 2 *"), Err(TimetableRefusal::Never(_))));
    }
}
