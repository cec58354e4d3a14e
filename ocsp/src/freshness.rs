//! How far this process has followed the store, and whether what it remembers may be told.
//!
//! The follower writes here; whoever answers reads. The order in which both go about it is what makes a remembered status safe:
//!
//! - the follower raises [`Freshness::seen`] *before* it kills the entries whose certificates changed, and only then says that the look is
//!   complete;
//! - an entry is kept only if its snapshot was taken at `seen` or later, which is checked under the lock under which it would be killed;
//! - whoever answers asks when the last complete look began *before* looking whether an entry is alive.
//!
//! So an entry found alive after a look that began at a moment knows of every change committed before that moment.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use schema::event::EventPosition;

/// What was known to be true when the last complete look at the store began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// When that look began, by the clock on the wall.
    pub as_of: DateTime<Utc>,
    /// Whether it is relied upon although the store cannot be reached now.
    pub cut_off: bool,
}

/// Why nothing that the store says of a status is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// It was restored, and what it had forgotten is not back in it yet.
    #[error("the store was restored and is being reconciled")]
    Reconciling,
    /// It has gone back to what it was before, and no new epoch has begun.
    #[error("the store went back")]
    WentBack,
}

/// Where the follower stands.
pub struct Freshness {
    seen: AtomicI64,
    epoch: AtomicU64,
    era: AtomicU64,
    /// When the last complete look began: ticks, 0 before the first.
    looked: AtomicU64,
    /// The same by the clock on the wall: milliseconds since 1970.
    looked_at: AtomicI64,
    /// When the follower asked the store a question that it has not answered yet: ticks, 0 if there is none.
    asked: AtomicU64,
    reachable: AtomicBool,
    distrust: AtomicU8,
    /// What whoever keeps the high-water mark says.
    went_back: AtomicBool,
    cut_off_milliseconds: u64,
}

/// So long a complete look is relied upon while the store can be reached: no status is served that is older than this.
pub const LOOK_MILLISECONDS: u64 = 1_000;

/// By so much more the clock on the wall may have gone forward than the ticks: it is being adjusted.
const WALL_TOLERANCE_MILLISECONDS: u64 = 2_000;

const TRUSTED: u8 = 0;
const RECONCILING: u8 = 1;
const WENT_BACK: u8 = 2;

impl Freshness {
    /// Nothing has been looked at yet. `cut_off_milliseconds`: so long the last look is relied upon while the store cannot be reached.
    pub fn new(cut_off_milliseconds: u64) -> Self {
        Self {
            seen: AtomicI64::new(0),
            epoch: AtomicU64::new(0),
            era: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            looked_at: AtomicI64::new(0),
            asked: AtomicU64::new(0),
            reachable: AtomicBool::new(true),
            distrust: AtomicU8::new(TRUSTED),
            went_back: AtomicBool::new(false),
            cut_off_milliseconds,
        }
    }

    /// What may be told from memory at `now` (ticks), which is `wall` on the wall; `None` if the store must be read.
    pub fn known(&self, now: u64, wall: DateTime<Utc>) -> Option<Known> {
        let known = self.known_within(now, wall, LOOK_MILLISECONDS);
        if known.is_none() && (!self.is_reachable() || self.is_hanging(now)) { self.known_when_cut_off(now, wall) } else { known }
    }

    /// What may be told from memory at `now` (ticks) by somebody who has tried to read the store in vain.
    pub fn known_when_cut_off(&self, now: u64, wall: DateTime<Utc>) -> Option<Known> {
        self.known_within(now, wall, self.cut_off_milliseconds)
    }

    /// The clock on the wall has a say only in that more time has gone by: ticks stand still while the machine sleeps.
    fn known_within(&self, now: u64, wall: DateTime<Utc>, bound: u64) -> Option<Known> {
        let age = self.age(now)?;
        // Loaded after `looked`: at worst it is that of a later look, which is complete too.
        let as_of = DateTime::from_timestamp_millis(self.looked_at.load(Ordering::Acquire))?;
        let slept = u64::try_from((wall - as_of).num_milliseconds()).is_ok_and(|wall_age| wall_age > bound + WALL_TOLERANCE_MILLISECONDS);
        (age <= bound && !slept).then_some(Known { as_of, cut_off: age > LOOK_MILLISECONDS })
    }

    /// How long ago the last complete look began, in milliseconds; `None` before the first.
    pub fn age(&self, now: u64) -> Option<u64> {
        Some(self.looked.load(Ordering::Acquire)).filter(|looked| *looked > 0).map(|looked| now.saturating_sub(looked))
    }

    /// Whether the last look is too old to be relied upon in any case.
    pub fn is_cut_off(&self, now: u64) -> bool {
        self.age(now).is_none_or(|age| age > self.cut_off_milliseconds)
    }

    /// Whether the follower has waited for the store's state for longer than a look is relied upon.
    fn is_hanging(&self, now: u64) -> bool {
        let asked = self.asked.load(Ordering::Acquire);
        asked > 0 && now.saturating_sub(asked) > LOOK_MILLISECONDS
    }

    /// Whether the store answered the follower's last question.
    pub fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Acquire)
    }

    /// Why nothing is told, if so.
    pub fn distrust(&self) -> Option<Distrust> {
        if self.went_back.load(Ordering::Acquire) {
            return Some(Distrust::WentBack);
        }
        match self.distrust.load(Ordering::Acquire) {
            TRUSTED => None,
            RECONCILING => Some(Distrust::Reconciling),
            _ => Some(Distrust::WentBack),
        }
    }

    /// Whether what a snapshot said at `position` of `epoch` may be kept by somebody who read [`Self::era`] before taking it.
    pub fn admits(&self, era: u64, epoch: u64, position: EventPosition) -> bool {
        self.era.load(Ordering::SeqCst) == era
            && self.epoch.load(Ordering::SeqCst) == epoch
            && self.seen.load(Ordering::SeqCst) <= position.0
            && self.distrust().is_none()
    }

    /// Rises whenever everything is forgotten.
    pub fn era(&self) -> u64 {
        self.era.load(Ordering::SeqCst)
    }

    /// The epoch that is followed; 0 before the first look.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// Up to here changes have been, or are just being, applied.
    pub fn seen(&self) -> EventPosition {
        EventPosition(self.seen.load(Ordering::SeqCst))
    }

    /// A new era: whatever was read before is not kept any more.
    pub(crate) fn begin_era(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
    }

    /// Follows another epoch, or the first, from `position` on.
    pub(crate) fn follow_from(&self, epoch: u64, position: EventPosition) {
        self.epoch.store(epoch, Ordering::SeqCst);
        self.seen.store(position.0, Ordering::SeqCst);
    }

    /// Changes up to `position` are about to be applied.
    pub fn advance(&self, position: EventPosition) {
        self.seen.store(position.0, Ordering::SeqCst);
    }

    /// Every change committed before `tick`, which was `at` on the wall, is applied.
    pub fn complete(&self, tick: u64, at: DateTime<Utc>) {
        self.looked_at.store(at.timestamp_millis(), Ordering::Release);
        self.looked.store(tick.max(1), Ordering::Release);
    }

    /// At `tick` the store is asked.
    pub fn asks(&self, tick: u64) {
        self.asked.store(tick.max(1), Ordering::Release);
    }

    /// Whether the store answers.
    pub(crate) fn reached(&self, reachable: bool) {
        self.asked.store(0, Ordering::Release);
        self.reachable.store(reachable, Ordering::Release);
    }

    /// What the follower thinks of the store.
    pub(crate) fn judge(&self, distrust: Option<Distrust>) {
        let code = match distrust {
            None => TRUSTED,
            Some(Distrust::Reconciling) => RECONCILING,
            Some(Distrust::WentBack) => WENT_BACK,
        };
        self.distrust.store(code, Ordering::Release);
    }

    /// What the follower thought of the store last, whatever others say.
    pub(crate) fn judgement(&self) -> Option<Distrust> {
        match self.distrust.load(Ordering::Acquire) {
            TRUSTED => None,
            RECONCILING => Some(Distrust::Reconciling),
            _ => Some(Distrust::WentBack),
        }
    }

    /// What somebody else has found out about the store.
    pub(crate) fn store_went_back(&self, went_back: bool) {
        self.went_back.store(went_back, Ordering::Release);
    }
}
