//! When the next list of a CA key is due.

use chrono::{DateTime, Utc};
use schema::EventPosition;

use crate::schedule::Schedule;
use crate::settings::CrlSettings;

/// Why a list is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There has been none.
    First,
    /// A regular time came.
    Regular,
    /// A revocation that is to be published at once.
    Revocation,
}

impl Cause {
    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Regular => "regular",
            Self::Revocation => "revocation",
        }
    }
}

/// What the publisher remembers of a CA key's lists. Everything but the waiting revocation is in the store, and that one is
/// found again by reading the events after the last list's position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Follower {
    latest: Option<Latest>,
    /// When the first revocation that is not yet listed was noticed.
    waiting_since: Option<DateTime<Utc>>,
    /// After a failure: not before then.
    retry_at: Option<DateTime<Utc>>,
}

/// The list published last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latest {
    /// Its number.
    pub number: u64,
    /// When it was made.
    pub this_update: DateTime<Utc>,
    /// Every event up to here is in it.
    pub position: EventPosition,
}

impl Follower {
    /// Starts with what the store has.
    pub fn new(latest: Option<Latest>) -> Self {
        Self { latest, ..Self::default() }
    }

    /// The list published last.
    pub fn latest(&self) -> Option<&Latest> {
        self.latest.as_ref()
    }

    /// A revocation that is to be published at once took place at `position`, and was noticed at `now`.
    pub fn revoked(&mut self, position: EventPosition, now: DateTime<Utc>) {
        if self.latest.is_none_or(|latest| position > latest.position) {
            self.waiting_since.get_or_insert(now);
        }
    }

    /// A list was published; it has every revocation noticed so far.
    pub fn published(&mut self, latest: Latest) {
        *self = Self::new(Some(latest));
    }

    /// An attempt failed.
    pub fn failed(&mut self, retry_at: DateTime<Utc>) {
        self.retry_at = Some(retry_at);
    }

    /// Why a list is due at `now`, if one is.
    pub fn due(&self, now: DateTime<Utc>, schedule: &Schedule, settings: &CrlSettings) -> Option<Cause> {
        if self.retry_at.is_some_and(|retry_at| now < retry_at) {
            return None;
        }
        let Some(latest) = &self.latest else { return Some(Cause::First) };
        if schedule.last_until(now).is_some_and(|regular| latest.this_update < regular) {
            return Some(Cause::Regular);
        }
        self.revocation_due(latest, settings).filter(|due| *due <= now).map(|_| Cause::Revocation)
    }

    /// The next moment at which a list may be due, if it is known.
    pub fn next_due(&self, now: DateTime<Utc>, schedule: &Schedule, settings: &CrlSettings) -> Option<DateTime<Utc>> {
        if self.retry_at.is_some_and(|retry_at| now < retry_at) {
            return self.retry_at;
        }
        let Some(latest) = &self.latest else { return Some(now) };
        [schedule.next_after(latest.this_update), self.revocation_due(latest, settings)].into_iter().flatten().min()
    }

    fn revocation_due(&self, latest: &Latest, settings: &CrlSettings) -> Option<DateTime<Utc>> {
        self.waiting_since.map(|since| (since + settings.delay()).max(latest.this_update + settings.interval()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-03-01T{text}Z").parse().unwrap()
    }

    fn due(follower: &Follower, now: &str) -> Option<Cause> {
        let settings = CrlSettings::default();
        follower.due(at(now), &settings.check().unwrap(), &settings)
    }

    fn published_at(text: &str) -> Follower {
        Follower::new(Some(Latest { number: 1, this_update: at(text), position: EventPosition(10) }))
    }

    #[test]
    fn the_first_list_is_due_at_once_and_then_one_each_regular_time() {
        assert_eq!(due(&Follower::new(None), "12:00:00"), Some(Cause::First));
        let follower = published_at("12:30:00");
        assert_eq!(due(&follower, "12:59:59"), None);
        assert_eq!(due(&follower, "13:00:00"), Some(Cause::Regular));
        assert_eq!(due(&follower, "17:45:00"), Some(Cause::Regular));
        assert_eq!(due(&published_at("13:00:00"), "13:00:00"), None);
    }

    #[test]
    fn a_revocation_waits_for_others_but_only_from_the_first_on() {
        let mut follower = published_at("12:30:00");
        follower.revoked(EventPosition(10), at("12:40:00"));
        assert_eq!(due(&follower, "12:50:00"), None, "it is on the list already");
        follower.revoked(EventPosition(11), at("12:40:00"));
        follower.revoked(EventPosition(12), at("12:40:00.150"));
        assert_eq!(due(&follower, "12:40:00.199"), None);
        assert_eq!(due(&follower, "12:40:00.200"), Some(Cause::Revocation));
        let settings = CrlSettings::default();
        assert_eq!(follower.next_due(at("12:40:00"), &settings.check().unwrap(), &settings), Some(at("12:40:00.200")));
        follower.published(Latest { number: 2, this_update: at("12:40:00"), position: EventPosition(12) });
        assert_eq!(due(&follower, "12:50:00"), None);
    }

    #[test]
    fn lists_for_revocations_keep_their_interval_and_failures_are_not_repeated_at_once() {
        let mut follower = published_at("12:30:00");
        follower.revoked(EventPosition(11), at("12:30:00.100"));
        assert_eq!(due(&follower, "12:30:00.900"), None);
        assert_eq!(due(&follower, "12:30:01"), Some(Cause::Revocation));
        follower.failed(at("12:30:11"));
        assert_eq!(due(&follower, "12:30:10"), None);
        assert_eq!(due(&follower, "12:30:11"), Some(Cause::Revocation));
    }
}
