//! Whether the clock goes as time does.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// A clock that goes off by more than this at once is not believed.
const LEAP: TimeDelta = TimeDelta::minutes(5);

/// A clock that has been off, and steady, for so long is right: it was set, or the machine slept.
const BELIEVED: Duration = Duration::from_secs(120);

/// The clock held against the monotonic one. A list that is made while the clock is ahead for a moment would be in force for as long
/// as nobody makes a right one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Steady {
    /// When both were read last and the clock was believed.
    believed: Option<(DateTime<Utc>, Instant)>,
    /// Since when it has not been.
    off_since: Option<Instant>,
}

impl Steady {
    /// Reads both. Whether the clock is to be believed.
    pub(super) fn look(&mut self, now: DateTime<Utc>, instant: Instant) -> bool {
        let off_since = *self.off_since.get_or_insert(instant);
        let believed = self.allows(now, instant) || instant.saturating_duration_since(off_since) >= BELIEVED;
        if believed {
            self.believed = Some((now, instant));
            self.off_since = None;
        }
        believed
    }

    /// Whether the clock was believed at the last look.
    pub(super) fn is_steady(&self) -> bool {
        self.off_since.is_none()
    }

    /// Whether `now` is what the clock should say; anything before the first look.
    pub(super) fn allows(&self, now: DateTime<Utc>, instant: Instant) -> bool {
        let Some((then, earlier)) = self.believed else { return true };
        let passed = TimeDelta::from_std(instant.saturating_duration_since(earlier)).unwrap_or(TimeDelta::MAX);
        ((now - then) - passed).abs() <= LEAP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leap_is_not_believed_until_the_clock_has_been_steady() {
        let (start, begun) = ("2026-03-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap(), Instant::now());
        let mut steady = Steady::default();
        let mut look = |seconds: u64, ahead: TimeDelta| {
            let passed = Duration::from_secs(seconds);
            steady.look(start + TimeDelta::from_std(passed).unwrap() + ahead, begun + passed)
        };
        let (none, day) = (TimeDelta::zero(), TimeDelta::days(1));
        assert!(look(0, none) && look(3_600, none));
        // Ahead for a second, and right again at once.
        assert!(!look(3_601, day));
        assert!(look(3_602, none) && look(3_603, TimeDelta::minutes(4)));
        // Ahead and back: each time it takes two minutes.
        assert!(!look(3_700, day) && !look(3_819, day) && look(3_820, day) && look(3_821, day));
        assert!(!look(3_822, none) && look(3_942, none));
    }
}
