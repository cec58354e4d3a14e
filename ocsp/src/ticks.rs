//! Time that only goes forward: what freshness is judged by, since a clock on the wall can be set back.

use std::time::Instant;

/// Milliseconds since some beginning. Injected, so that tests need not wait.
pub trait Ticks: Send + Sync {
    /// The present moment; never less than an earlier one, and at least 1.
    fn now(&self) -> u64;
}

/// The machine's own, which a change of the date does not touch.
#[derive(Debug, Clone, Copy)]
pub struct SystemTicks(Instant);

impl SystemTicks {
    /// Counts from now on.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Ticks for SystemTicks {
    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}
