//! Comparing this machine's clock with others: every date in the log, in certificates and in lists is of this clock.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use schema::event::{EventKind, NewEvent};
use serde_json::json;

use crate::CaFault;
use crate::role::CaRole;

/// Whose clock this one is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClockSource {
    /// The back office's, over pinned HTTPS.
    BackOffice,
    /// That of the database's machine.
    Database,
}

impl ClockSource {
    const fn as_str(self) -> &'static str {
        match self {
            Self::BackOffice => "back_office",
            Self::Database => "database",
        }
    }

    /// What another clock's time leaves out.
    const fn resolution(self) -> TimeDelta {
        match self {
            Self::BackOffice => TimeDelta::seconds(1),
            Self::Database => TimeDelta::milliseconds(1),
        }
    }
}

impl fmt::Display for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far this clock is ahead of another, as far as that can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offset {
    /// The middle of what is possible; negative if this clock is behind.
    ahead: TimeDelta,
    /// How far it may be from there: half of the round trip and half of what the other clock leaves out.
    uncertainty: TimeDelta,
}

impl Offset {
    /// From a question sent and answered by this clock, and the time in the answer, cut off at `resolution`.
    fn measured(sent: DateTime<Utc>, told: DateTime<Utc>, answered: DateTime<Utc>, resolution: TimeDelta) -> Self {
        let (least, most) = (sent - (told + resolution), answered - told);
        Self { ahead: (least + most) / 2, uncertainty: (most - least) / 2 }
    }

    /// Whether it can be no more than this, one way or the other.
    fn is_within(&self, limit: TimeDelta) -> bool {
        self.ahead.abs() - self.uncertainty <= limit
    }
}

impl CaRole {
    /// Compares this clock with the back office's and, where the database has one of its own, with that; leaves an event of each. How
    /// many there were to compare with. One that cannot be had keeps the other from nothing.
    pub fn check_clock(&self) -> Result<usize, CaFault> {
        let of_database = self.compare_clock(ClockSource::Database, || Ok(self.reader.database_clock()?));
        let of_back_office = self.compare_clock(ClockSource::BackOffice, || Ok(Some(self.back_office.clock()?)));
        Ok(of_database? + of_back_office?)
    }

    fn compare_clock(&self, source: ClockSource, ask: impl Fn() -> Result<Option<DateTime<Utc>>, CaFault>) -> Result<usize, CaFault> {
        let sent = self.clock.now();
        let Some(told) = ask()? else { return Ok(0) };
        let offset = Offset::measured(sent, told, self.clock.now(), source.resolution());
        let within = offset.is_within(self.settings.clock_max_offset);
        let (ahead, uncertainty) = (offset.ahead.num_milliseconds(), offset.uncertainty.num_milliseconds());
        metrics::gauge!("tsunagi_clock_offset_seconds", "source" => source.as_str()).set(ahead as f64 / 1_000.0);
        metrics::gauge!("tsunagi_clock_within_limit", "source" => source.as_str()).set(if within { 1.0 } else { 0.0 });
        if !within {
            tracing::warn!(%source, offset_milliseconds = ahead, "this machine's clock is not the time that others have");
        }
        let data = json!({
            "source": source.as_str(), "offset_milliseconds": ahead, "uncertainty_milliseconds": uncertainty, "within": within,
        });
        let now = self.clock.now();
        self.write(move |tx| {
            tx.emit(NewEvent::new(EventKind::ClockChecked, now, data.clone()));
            Ok(())
        })?;
        Ok(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: TimeDelta = TimeDelta::seconds(1);

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-21T14:12:{text}Z").parse().unwrap()
    }

    #[test]
    fn the_round_trip_and_the_part_of_a_second_that_is_not_told_are_no_offset() {
        // Told in the middle of the second 22, between question and answer: the clocks agree.
        let offset = Offset::measured(at("22.400"), at("22"), at("22.600"), SECOND);
        assert_eq!((offset.ahead, offset.uncertainty), (TimeDelta::zero(), TimeDelta::milliseconds(600)));
        assert!(offset.is_within(TimeDelta::zero()));
        // An answer that took ten seconds says as much as it can.
        let slow = Offset::measured(at("20"), at("22"), at("30"), SECOND);
        assert!(slow.is_within(TimeDelta::zero()));
        assert_eq!(slow.uncertainty, TimeDelta::milliseconds(5_500));
    }

    #[test]
    fn a_clock_is_out_of_its_limit_only_if_it_must_be() {
        let limit = TimeDelta::seconds(5);
        let ahead = |text: &str| Offset::measured(at(text), at("22"), at(text), SECOND);
        assert_eq!(ahead("32.500").ahead, TimeDelta::seconds(10));
        assert!(!ahead("32.500").is_within(limit) && !ahead("12.500").is_within(limit));
        assert!(ahead("28").is_within(limit) && !ahead("28.001").is_within(limit));
        assert!(ahead("17").is_within(limit) && !ahead("16.999").is_within(limit));
    }
}
