//! When the next list of a scope is due.

use ca_core::issuer::CaKeyId;
use ca_core::revocation::RevocationReason;
use chrono::{DateTime, TimeDelta, Utc};
use schema::EventPosition;
use schema::crl::{CrlCause, PublishedCrl};
use schema::status_change::{StatusChange, StatusChangeKind};

use crate::schedule::Schedule;
use crate::settings::{AtOnce, CrlSettings};

/// Which of two lists that are due is made first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// There is no list, or the one in force ends soon.
    Endangered,
    /// A key may be in wrong hands.
    Urgent,
    /// Whatever else is due.
    Other,
}

/// A list that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Why.
    pub cause: CrlCause,
    /// How urgently.
    pub urgency: Urgency,
    /// Among equals, whoever has waited longest comes first.
    pub since: DateTime<Utc>,
}

/// What the publisher remembers of a scope: the certificates of one CA key that name one shard. Everything but what waits is in
/// the store, and that is found again by reading the changes after the last list's position.
#[derive(Debug, Clone)]
pub struct Scope {
    ca_key: CaKeyId,
    shard: u16,
    label: String,
    retired: bool,
    latest: Option<PublishedCrl>,
    waiting: Option<Waiting>,
    /// No list is made at once before this moment, and for so long after the last one.
    rest_until: DateTime<Utc>,
    rest: TimeDelta,
    failures: u32,
    retry_at: Option<DateTime<Utc>>,
    /// How long revocations took was recorded up to here.
    recorded: EventPosition,
    unlisted: Moments,
    listed: Moments,
}

/// Changes that are to be published at once and are not yet listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    /// When the first was noticed.
    since: DateTime<Utc>,
    urgent: bool,
}

/// When revocations were committed, to a tenth of a second: a million of them take no more room than the minutes they came in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Moments(Vec<(DateTime<Utc>, u64)>);

impl Moments {
    fn add(&mut self, at: DateTime<Utc>) {
        let at = at - TimeDelta::milliseconds(at.timestamp_millis().rem_euclid(100));
        match self.0.last_mut() {
            Some((last, count)) if *last == at => *count += 1,
            _ => self.0.push((at, 1)),
        }
    }

    pub(crate) fn as_slice(&self) -> &[(DateTime<Utc>, u64)] {
        &self.0
    }
}

impl Scope {
    /// A scope as the store has it. `recorded`: up to where it is recorded how long revocations took, 0 if that never was.
    pub fn new(ca_key: CaKeyId, shard: u16, label: String, latest: Option<PublishedCrl>, recorded: EventPosition) -> Self {
        Self {
            ca_key,
            shard,
            label,
            retired: false,
            recorded: recorded_until(latest.as_ref(), recorded),
            latest,
            waiting: None,
            rest_until: DateTime::UNIX_EPOCH,
            rest: TimeDelta::zero(),
            failures: 0,
            retry_at: None,
            unlisted: Moments::default(),
            listed: Moments::default(),
        }
    }

    /// The CA key that signs its lists.
    pub fn ca_key(&self) -> CaKeyId {
        self.ca_key
    }

    /// Its shard.
    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// What its lists are called.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The list in force.
    pub fn latest(&self) -> Option<&PublishedCrl> {
        self.latest.as_ref()
    }

    /// How many attempts failed since the last list.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether its last list is published: none is made any more.
    pub fn is_closed(&self) -> bool {
        self.latest.as_ref().is_some_and(|latest| latest.cause == CrlCause::Final)
    }

    /// From where on changes must be read to know what waits; `None` where nothing can.
    pub fn read_from(&self) -> Option<EventPosition> {
        let latest = self.latest.as_ref().filter(|_| !self.is_closed())?;
        Some(latest.event_position.min(self.recorded))
    }

    /// Whatever was noticed will be noticed again.
    pub fn begin_again(&mut self, recorded: EventPosition) {
        self.recorded = recorded_until(self.latest.as_ref(), recorded);
        self.waiting = None;
        (self.unlisted, self.listed) = Default::default();
    }

    /// Its CA key is retired: the next list is the last.
    pub fn retire(&mut self) {
        self.retired = true;
    }

    /// A status changed, which was noticed at `now`.
    pub fn notice(&mut self, change: &StatusChange, now: DateTime<Utc>, at_once: AtOnce) {
        let urgent = match change.kind {
            // A revocation that does not say its reason counts as urgent.
            StatusChangeKind::Revoked => change.reason.is_none_or(RevocationReason::is_urgent),
            StatusChangeKind::Held | StatusChangeKind::Released => false,
            _ => return,
        };
        let is_listed = self.latest.as_ref().is_some_and(|latest| change.position <= latest.event_position);
        if change.kind != StatusChangeKind::Released && change.position > self.recorded && !change.is_test {
            if is_listed { self.listed.add(change.at) } else { self.unlisted.add(change.at) }
        }
        if !is_listed && (urgent || at_once == AtOnce::Any) {
            let waiting = self.waiting.get_or_insert(Waiting { since: now, urgent });
            waiting.urgent |= urgent;
        }
    }

    /// A list was published, which has everything noticed so far. It took from `began` to `ended`.
    pub fn published(&mut self, latest: PublishedCrl, began: DateTime<Utc>, ended: DateTime<Utc>, settings: &CrlSettings) {
        let took = (ended - began).max(TimeDelta::zero());
        self.rest_until = (began + settings.interval()).max(ended + took * i32::from(settings.rest_multiple));
        self.rest = self.rest_until - ended;
        self.latest = Some(latest);
        self.waiting = None;
        self.failures = 0;
        self.retry_at = None;
    }

    /// An attempt failed: the next waits twice as long as the one before, up to a bound that leaves several within the overlap.
    pub fn failed(&mut self, now: DateTime<Utc>, settings: &CrlSettings) {
        let doubled = settings.retry() * 2_i32.pow(self.failures.min(16));
        self.retry_at = Some(now + doubled.min(settings.longest_retry()));
        self.failures = self.failures.saturating_add(1);
    }

    /// Revocations that are on no list yet, and those that are on one while it was not recorded how long they took.
    pub(crate) fn take_moments(&mut self) -> (Moments, Moments) {
        if let Some(latest) = &self.latest {
            self.recorded = self.recorded.max(latest.event_position);
        }
        (std::mem::take(&mut self.unlisted), std::mem::take(&mut self.listed))
    }

    /// Whether revocations wait to be recorded that a list has already.
    pub(crate) fn has_listed(&self) -> bool {
        !self.listed.0.is_empty()
    }

    /// Those that are on a list while it was not recorded how long they took.
    pub(crate) fn take_listed(&mut self) -> Moments {
        std::mem::take(&mut self.listed)
    }

    /// Whether somebody should know: the list in force ends soon, half of the overlap is gone, or it is of a time to come.
    pub fn is_endangered(&self, now: DateTime<Utc>, settings: &CrlSettings) -> bool {
        self.is_ahead(now) || self.latest.as_ref().is_none_or(|latest| latest.next_update - now < settings.overlap() / 2)
    }

    /// Whether the list in force, which another is to follow, was made by a clock that was ahead.
    pub fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        !self.is_closed() && self.latest.as_ref().is_some_and(|latest| is_ahead(latest.this_update, now))
    }

    /// The list that is due at `now`, if one is.
    pub fn due(&self, now: DateTime<Utc>, schedule: &Schedule, settings: &CrlSettings) -> Option<Due> {
        if self.is_closed() || self.retry_from(now, settings).is_some() {
            return None;
        }
        let urgent = self.waiting.is_some_and(|waiting| waiting.urgent);
        let urgency = match (self.is_endangered(now, settings), urgent) {
            (true, _) => Urgency::Endangered,
            (false, true) => Urgency::Urgent,
            (false, false) => Urgency::Other,
        };
        let due = |cause, since| Some(Due { cause, urgency, since });
        let Some(latest) = &self.latest else {
            return due(if self.retired { CrlCause::Final } else { CrlCause::First }, DateTime::UNIX_EPOCH);
        };
        if self.retired {
            return due(CrlCause::Final, latest.this_update);
        }
        if self.is_ahead(now) || schedule.last_until(now).is_some_and(|regular| latest.this_update < regular) {
            return due(CrlCause::Regular, latest.this_update);
        }
        let waiting = self.waiting.filter(|waiting| self.at_once_from(waiting, now, settings) <= now)?;
        due(CrlCause::Revocation, waiting.since)
    }

    /// The next moment at which a list may be due, if it is known.
    pub fn next_due(&self, now: DateTime<Utc>, schedule: &Schedule, settings: &CrlSettings) -> Option<DateTime<Utc>> {
        if self.is_closed() {
            return None;
        }
        if let Some(retry_at) = self.retry_from(now, settings) {
            return Some(retry_at);
        }
        let Some(latest) = self.latest.as_ref().filter(|_| !self.retired && !self.is_ahead(now)) else { return Some(now) };
        let at_once = self.waiting.map(|waiting| self.at_once_from(&waiting, now, settings));
        [schedule.next_after(latest.this_update), at_once].into_iter().flatten().min()
    }

    /// When the next attempt is, if there is still time until then. One further away than any was put off by a clock that was ahead.
    fn retry_from(&self, now: DateTime<Utc>, settings: &CrlSettings) -> Option<DateTime<Utc>> {
        self.retry_at.filter(|retry_at| now < *retry_at && *retry_at <= now + settings.longest_retry())
    }

    /// What a clock that was ahead has put off is not waited for.
    fn at_once_from(&self, waiting: &Waiting, now: DateTime<Utc>, settings: &CrlSettings) -> DateTime<Utc> {
        let delayed = if waiting.since <= now { waiting.since + settings.delay() } else { now };
        let rested = if self.rest_until <= now + self.rest { self.rest_until } else { now };
        delayed.max(rested)
    }
}

/// A list whose thisUpdate lies further in the future than this was made by a clock that was ahead.
const AHEAD: TimeDelta = TimeDelta::minutes(1);

/// Whether a list of that thisUpdate was made by a clock that was ahead of the one that says `now`.
pub(crate) fn is_ahead(this_update: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    this_update - now > AHEAD
}

/// What was published before anything was recorded is not recorded any more.
fn recorded_until(latest: Option<&PublishedCrl>, recorded: EventPosition) -> EventPosition {
    match latest {
        Some(latest) if recorded.0 == 0 => latest.event_position,
        _ => recorded,
    }
}

#[cfg(test)]
mod tests;
