//! How long to wait before trying again.

use chrono::TimeDelta;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

/// Waits that double with each attempt, up to a longest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Backoff {
    /// The seconds before the second attempt. Default 30.
    pub first_seconds: u32,
    /// The seconds between two attempts at most. Default 21,600 (6 hours).
    pub longest_seconds: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first_seconds: 30, longest_seconds: 21_600 }
    }
}

impl Backoff {
    /// The wait after `attempts` attempts, the first of which counts 1; up to an eighth is taken off by chance, so that what
    /// failed together does not come back together.
    pub fn after(&self, attempts: u64) -> TimeDelta {
        let doublings = attempts.saturating_sub(1).min(32);
        let seconds = (u64::from(self.first_seconds) << doublings).min(u64::from(self.longest_seconds));
        let mut octet = [0];
        // Without chance, the wait is the whole one.
        let taken_off = if SystemRandom::new().fill(&mut octet).is_ok() { u64::from(octet[0]) } else { 0 };
        let milliseconds = seconds * 1_000;
        let milliseconds = milliseconds - milliseconds / 8 * taken_off / 255;
        TimeDelta::milliseconds(i64::try_from(milliseconds).unwrap_or(i64::MAX / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { first_seconds: 30, longest_seconds: 600 };
        for (attempts, whole) in [(0, 30), (1, 30), (2, 60), (3, 120), (5, 480), (6, 600), (60, 600), (u64::MAX, 600)] {
            let wait = backoff.after(attempts);
            assert!(wait <= TimeDelta::seconds(whole) && wait >= TimeDelta::seconds(whole) * 7 / 8, "{attempts}: {wait}");
        }
    }
}
