//! Leaving alone for a while what gave no answer: the back office, or a log that cannot be written.

use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// For how long. What needs it waits; what does not goes on.
const REST: TimeDelta = TimeDelta::seconds(5);

/// Since when it is left alone, and up to which row all that waits waits for it: so that hundreds of instructions are not verified
/// again at each look for others.
#[derive(Debug, Default)]
pub(crate) struct Rest(Mutex<Option<Resting>>);

#[derive(Debug, Clone, Copy)]
struct Resting {
    since: DateTime<Utc>,
    up_to: i64,
}

impl Rest {
    /// It gave no answer.
    pub(super) fn begin(&self, now: DateTime<Utc>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Resting { since: now, up_to: 0 });
    }

    /// The same, unless it is left alone already.
    pub(super) fn begin_unless_resting(&self, now: DateTime<Utc>) {
        if self.up_to(now).is_none() {
            self.begin(now);
        }
    }

    /// The row up to which all that waits waits for it, while it is left alone.
    pub(super) fn up_to(&self, now: DateTime<Utc>) -> Option<i64> {
        let rest = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        // One that begins in the future is none: the clock was set back.
        (now - REST < rest.since && rest.since <= now).then_some(rest.up_to)
    }

    /// All up to this row that waits waits for it.
    pub(super) fn note(&self, row: i64) {
        if let Some(rest) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            rest.up_to = rest.up_to.max(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_ends_by_itself_and_when_the_clock_is_set_back() {
        let (rest, begin) = (Rest::default(), DateTime::UNIX_EPOCH);
        assert_eq!(rest.up_to(begin), None);
        rest.begin(begin);
        rest.note(7);
        rest.note(3);
        assert_eq!(rest.up_to(begin + TimeDelta::seconds(4)), Some(7));
        assert_eq!(rest.up_to(begin + REST), None);
        assert_eq!(rest.up_to(begin - TimeDelta::seconds(1)), None);
        rest.begin(begin + REST);
        assert_eq!(rest.up_to(begin + REST), Some(0), "after a new question all wait anew");
    }
}
