//! Times, summed up by percentiles.

use std::time::Duration;

use serde::Serialize;

/// What many measured times come to, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyReport {
    /// How many.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// The 90th percentile.
    pub p90_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl LatencyReport {
    /// Sums up; all zero if there are none.
    pub fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self {
            count: latencies.len() as u64,
            p50_ms: percentile(&latencies, 50),
            p90_ms: percentile(&latencies, 90),
            p99_ms: percentile(&latencies, 99),
            max_ms: percentile(&latencies, 100),
        }
    }

    /// As a line of a table: count, then the figures.
    pub(super) fn line(&self, what: &str) -> String {
        format!("{what:<44} {:>8} {:>9.1} {:>9.1} {:>9.1} {:>9.1}\n", self.count, self.p50_ms, self.p90_ms, self.p99_ms, self.max_ms)
    }

    /// The heading of such lines.
    pub(super) fn heading() -> String {
        format!("{:<44} {:>8} {:>9} {:>9} {:>9} {:>9}\n", "", "count", "p50 ms", "p90 ms", "p99 ms", "max ms")
    }
}

/// The smallest latency that so many per cent do not exceed, in milliseconds; 0 if there are none.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let latencies: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&latencies, 50), 100.0);
        assert_eq!(percentile(&latencies, 99), 198.0);
        assert_eq!(percentile(&latencies, 100), 200.0);
        assert_eq!(percentile(&[], 50), 0.0);
        assert_eq!(LatencyReport::of(latencies).p90_ms, 180.0);
    }
}
