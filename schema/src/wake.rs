//! In-process notice that there are new events.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::event::EventPosition;

/// Tells the threads of this process that a commit of this process moved the event counter.
///
/// A hint only: other processes' commits are not seen, so whoever follows events also asks
/// [`Reader::position`](crate::Reader::position) now and then.
#[derive(Debug)]
pub struct Wake {
    position: Mutex<EventPosition>,
    moved: Condvar,
    commits: Mutex<u64>,
    committed: Condvar,
}

impl Wake {
    pub(crate) fn new(position: EventPosition) -> Self {
        Self { position: Mutex::new(position), moved: Condvar::new(), commits: Mutex::new(0), committed: Condvar::new() }
    }

    /// The last position known to this process.
    pub fn position(&self) -> EventPosition {
        *self.lock()
    }

    /// Blocks until the position is beyond `last` or `timeout` has passed; returns the last known position.
    pub fn wait_timeout(&self, last: EventPosition, timeout: Duration) -> EventPosition {
        let deadline = Instant::now() + timeout;
        let mut position = self.lock();
        while *position <= last {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            position = self.moved.wait_timeout(position, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *position
    }

    /// How many commits this process has made; with it, [`Self::wait_for_commit`] misses none.
    pub fn commits(&self) -> u64 {
        *self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until this process has committed more than `seen` times, with events or without, or `timeout` has passed.
    pub fn wait_for_commit(&self, seen: u64, timeout: Duration) {
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.committed.wait_timeout_while(commits, timeout, |commits| *commits <= seen));
    }

    /// There was a commit.
    pub(crate) fn ring(&self) {
        *self.commits.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.committed.notify_all();
    }

    /// The database was found restored, with this position: what was known of later ones is forgotten.
    pub fn restart(&self, position: EventPosition) {
        *self.lock() = position;
        self.moved.notify_all();
    }

    pub(crate) fn advance(&self, position: EventPosition) {
        {
            let mut known = self.lock();
            if position <= *known {
                return;
            }
            *known = position;
        }
        self.moved.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, EventPosition> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_waiting_thread_learns_of_an_advance_and_a_late_one_does_not_wait() {
        let wake = Arc::new(Wake::new(EventPosition(3)));
        let waiting = std::thread::spawn({
            let wake = Arc::clone(&wake);
            move || wake.wait_timeout(EventPosition(3), Duration::from_secs(30))
        });
        wake.advance(EventPosition(5));
        assert_eq!(waiting.join().unwrap(), EventPosition(5));
        assert_eq!(wake.wait_timeout(EventPosition(4), Duration::from_secs(30)), EventPosition(5));
        assert_eq!(wake.wait_timeout(EventPosition(5), Duration::from_millis(1)), EventPosition(5));
    }
}
