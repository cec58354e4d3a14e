//! Following the store, so that what is remembered is forgotten as soon as it is no longer so.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca_core::digest::Sha256Digest;
use chrono::{DateTime, TimeDelta, Utc};
use schema::epoch::StoreState;
use schema::status_change::{StatusChange, StatusChangeKind};
use schema::{Reader, StoreFault, Wake};

use crate::cache::Cache;
use crate::freshness::{Distrust, Freshness};
use crate::metrics::Metrics;

/// Looks at what changed. One thread at a time does.
pub struct Follower {
    reader: Reader,
    cache: Arc<Cache>,
    freshness: Arc<Freshness>,
    metrics: Arc<Metrics>,
    /// What tells the event at [`Freshness::seen`] from any other: a store that has another there is not the one that was followed.
    seen_event: Mutex<Option<Sha256Digest>>,
    /// The latest time that the clock on the wall has shown: milliseconds since 1970.
    latest: AtomicI64,
    clock_is_back: AtomicBool,
    /// Since when the clock, having gone back, has gone on steadily: ticks, and what it showed.
    steady_since: (AtomicU64, AtomicI64),
}

/// So often the store is asked, if nobody wakes the follower before.
pub const PERIOD: Duration = Duration::from_millis(100);

/// And not more often than this, however often it is woken.
pub const PAUSE: Duration = Duration::from_millis(10);

/// So many changes are read at once.
const CHANGES: u32 = 10_000;

/// A clock that shows less than this before the latest time is being adjusted; beyond, it went back.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// After going on steadily for so many milliseconds a clock that went back is believed: then it was wrong before.
const STEADY_MILLISECONDS: u64 = 60_000;

impl Follower {
    /// For what is kept in `cache`.
    pub fn new(reader: Reader, cache: Arc<Cache>, freshness: Arc<Freshness>, metrics: Arc<Metrics>) -> Self {
        let (latest, clock_is_back) = (AtomicI64::new(i64::MIN), AtomicBool::new(false));
        Self { reader, cache, freshness, metrics, seen_event: Mutex::default(), latest, clock_is_back, steady_since: Default::default() }
    }

    /// One look: kills what has changed since the last. It began at `tick`, which is `now` on the wall.
    ///
    /// # Errors
    /// If the store could not be read: then this was no look.
    pub fn look(&self, tick: u64, now: DateTime<Utc>) -> Result<(), StoreFault> {
        self.watch_clock(tick, now);
        self.freshness.asks(tick);
        let state = self.reader.store_state_since(self.freshness.seen());
        self.freshness.reached(state.is_ok());
        let (state, event_at_seen) = state?;
        if self.judge(&state, event_at_seen) {
            self.apply_changes(&state, now)?;
            self.freshness.complete(tick, now);
            self.cache.grow_old(tick);
            self.metrics.last_look.set(now.timestamp_millis() as f64 / 1_000.0);
        }
        self.metrics.cached(self.cache.octets(), self.cache.entries(), self.cache.take_evictions());
        Ok(())
    }

    /// Whether the clock on the wall is behind a time that it has shown before.
    pub fn clock_is_back(&self) -> bool {
        self.clock_is_back.load(Ordering::Relaxed)
    }

    /// Waits until there may be something new: woken by this process, or after the usual time.
    pub fn wait(&self, wake: &Wake) {
        std::thread::sleep(PAUSE);
        wake.wait_timeout(self.freshness.seen(), PERIOD.saturating_sub(PAUSE));
    }

    /// Whether the store is to be believed, and followed.
    fn judge(&self, state: &StoreState, event_at_seen: Option<Sha256Digest>) -> bool {
        let freshness = &self.freshness;
        let (epoch, before) = (freshness.epoch(), freshness.judgement());
        // Having lost its last events, it may have gone beyond them since: then there are others in their places.
        let lost_events = state.position < freshness.seen() || event_at_seen != self.seen_event();
        let went_back = state.epoch < epoch || (state.epoch == epoch && lost_events);
        // Having gone back, it is not to be believed by passing the old position again: only a new epoch says that somebody knows.
        let still_back = before == Some(Distrust::WentBack) && state.epoch <= epoch;
        let judgement = if state.reconciling_since.is_some() {
            Some(Distrust::Reconciling)
        } else if went_back || still_back {
            Some(Distrust::WentBack)
        } else {
            None
        };
        if judgement != before {
            match judgement {
                Some(distrust) => {
                    tracing::error!(reason = %distrust, epoch = state.epoch, position = state.position.0, "no status is told");
                }
                None => tracing::info!(epoch = state.epoch, position = state.position.0, "statuses are told again"),
            }
        }
        if judgement.is_some() {
            if judgement != before {
                freshness.judge(judgement);
                self.forget();
            }
            return false;
        }
        if before.is_some() || state.epoch != epoch {
            self.forget();
            freshness.follow_from(state.epoch, state.position);
            self.remember_event(state.event);
            freshness.judge(None);
        }
        true
    }

    fn apply_changes(&self, state: &StoreState, now: DateTime<Utc>) -> Result<(), StoreFault> {
        self.metrics.behind.set((state.position.0 - self.freshness.seen().0).max(0) as f64);
        while self.freshness.seen() < state.position {
            let seen = self.freshness.seen();
            let following = self.reader.status_changes_following((seen, self.seen_event()), CHANGES)?;
            // Lost since the look began, or another server is asked: the next look finds out.
            let (changes, (until, event)) = following.ok_or(StoreFault::WentBack)?;
            if until <= seen {
                // It was ahead a moment ago: the next look will find out what happened.
                return Err(StoreFault::Corrupt("the events end before the event counter"));
            }
            self.freshness.advance(until);
            self.remember_event(event);
            for change in &changes {
                self.cache.kill(change.ca_key, &change.serial, change.position);
                self.measure(change, now);
            }
        }
        Ok(())
    }

    fn seen_event(&self) -> Option<Sha256Digest> {
        *self.seen_event.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember_event(&self, event: Option<Sha256Digest>) {
        *self.seen_event.lock().unwrap_or_else(PoisonError::into_inner) = event;
    }

    /// From the commit of a revocation to the moment from which nobody is told anything else.
    fn measure(&self, change: &StatusChange, now: DateTime<Utc>) {
        if matches!(change.kind, StatusChangeKind::Revoked | StatusChangeKind::Held) {
            let waited = (now - change.at).num_milliseconds().max(0);
            self.metrics.applied_seconds.record(waited as f64 / 1_000.0);
        }
    }

    fn watch_clock(&self, tick: u64, now: DateTime<Utc>) {
        let shown = now.timestamp_millis();
        let latest = self.latest.fetch_max(shown, Ordering::Relaxed);
        let is_back = latest.saturating_sub(shown) > CLOCK_TOLERANCE.num_milliseconds();
        if is_back && !self.clock_is_back.swap(true, Ordering::Relaxed) {
            self.metrics.clock_went_back.increment(1);
            let by = latest.saturating_sub(shown) / 1_000;
            tracing::error!(seconds = by, "the clock went back: what was signed for a later time is forgotten");
            self.steady_from(tick, shown);
            self.forget();
        } else if is_back {
            self.believe_if_steady(tick, shown);
        } else if shown >= latest && self.clock_is_back.swap(false, Ordering::Relaxed) {
            tracing::info!("the clock shows again what it has shown before");
        }
    }

    fn steady_from(&self, tick: u64, shown: i64) {
        self.steady_since.0.store(tick, Ordering::Relaxed);
        self.steady_since.1.store(shown, Ordering::Relaxed);
    }

    /// A clock that was ahead for a moment does not keep the process from being ready until the time that it showed.
    fn believe_if_steady(&self, tick: u64, shown: i64) {
        let (since, showed) = (self.steady_since.0.load(Ordering::Relaxed), self.steady_since.1.load(Ordering::Relaxed));
        let gone_by = tick.saturating_sub(since);
        let shown_gone_by = i128::from(shown) - i128::from(showed);
        if (shown_gone_by - i128::from(gone_by)).abs() > i128::from(CLOCK_TOLERANCE.num_milliseconds()) {
            self.steady_from(tick, shown);
            self.forget();
        } else if gone_by >= STEADY_MILLISECONDS {
            self.latest.store(shown, Ordering::Relaxed);
            self.clock_is_back.store(false, Ordering::Relaxed);
            tracing::info!("the clock has gone on steadily since it went back, and is believed");
        }
    }

    fn forget(&self) {
        self.cache.forget_everything(&self.freshness);
        self.metrics.forgotten.increment(1);
    }
}
