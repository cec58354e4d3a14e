//! What is remembered: statuses by certificate, and signed answers by the octets of their questions, within a bound.

use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ahash::RandomState;
use ca_core::issuer::CaKeyId;
use ca_core::serial::SerialNumber;
use quick_cache::sync::Cache as Bounded;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};
use schema::event::EventPosition;

use crate::answers::Answer;
use crate::freshness::Freshness;
use crate::status::StatusEntry;

/// Which way the octets of a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// A request in DER.
    Body,
    /// The path of a GET as it was sent, after `/ocsp/`.
    Path,
}

/// A question by its octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Asked<'a> {
    /// Which way they came.
    pub form: Form,
    /// The octets.
    pub octets: &'a [u8],
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct AskedKey {
    form: Form,
    octets: Box<[u8]>,
}

impl Equivalent<AskedKey> for Asked<'_> {
    fn equivalent(&self, key: &AskedKey) -> bool {
        self.form == key.form && *self.octets == *key.octets
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct CertificateKey {
    ca_key: CaKeyId,
    serial: SerialNumber,
}

/// The memory of the responder.
///
/// A signed answer points at the statuses that it tells. It is good for as long as all of them are alive; what kills a status thereby
/// kills every answer that tells it, without looking for them. A status that is dropped for want of room is killed as well: nobody could
/// find it to kill it later.
pub struct Cache {
    statuses: Bounded<CertificateKey, Arc<StatusEntry>, StatusWeight, RandomState, StatusLifecycle>,
    answers: Bounded<AskedKey, Arc<Answer>, AnswerWeight, RandomState, AnswerLifecycle>,
    /// Under one of these, chosen by the certificate, a status is kept or killed.
    locks: Vec<Mutex<()>>,
    hash: RandomState,
    evicted: Evictions,
    /// When the last complete look began: ticks.
    looked: AtomicU64,
}

/// How many entries were dropped for want of room.
#[derive(Debug, Clone, Default)]
struct Evictions(Arc<AtomicU64>);

const LOCKS: usize = 64;

/// A status is read again after so many milliseconds, also if nothing is known to have changed: no mistake is for ever. What was signed
/// with it may be told for as long as answers are used again. While the store cannot be read no status gets older.
pub const STATUS_MILLISECONDS: u64 = 600_000;

/// A quarter of the room is for statuses: many answers tell one status, and a status takes about a tenth of an answer.
const STATUS_SHARE: u64 = 4;

/// What a status takes, with its key and its place in the table.
const STATUS_OCTETS: u64 = 280;

/// What an answer takes beside its own octets and those of its question: its headers, its place in the table, and what the allocator
/// adds to each of some ten pieces.
const ANSWER_OCTETS: u64 = 800;

/// What an answer about one certificate takes in all, usually.
const USUAL_ANSWER_OCTETS: u64 = 2_000;

impl Cache {
    /// Of `octets` at most, near enough.
    pub fn new(octets: u64) -> Self {
        let evicted = Evictions::default();
        let (for_statuses, for_answers) = (octets / STATUS_SHARE, octets - octets / STATUS_SHARE);
        let hash = RandomState::new();
        Self {
            statuses: bounded(for_statuses, STATUS_OCTETS, StatusWeight, hash.clone(), StatusLifecycle(evicted.clone())),
            answers: bounded(for_answers, USUAL_ANSWER_OCTETS, AnswerWeight, hash.clone(), AnswerLifecycle(evicted.clone())),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            hash,
            evicted,
            looked: AtomicU64::new(0),
        }
    }

    /// The answer to these octets, dead or alive.
    pub fn answer(&self, asked: &Asked<'_>) -> Option<Arc<Answer>> {
        self.answers.get(asked)
    }

    /// Keeps an answer to these octets.
    pub fn keep_answer(&self, asked: &Asked<'_>, answer: Arc<Answer>) {
        self.answers.insert(AskedKey { form: asked.form, octets: asked.octets.into() }, answer);
    }

    /// The status of a certificate, if it is remembered and alive.
    pub fn status(&self, ca_key: CaKeyId, serial: &SerialNumber) -> Option<Arc<StatusEntry>> {
        let entry = self.statuses.get(&CertificateRef { ca_key, serial }).filter(|entry| entry.is_alive())?;
        let is_old = self.looked.load(Ordering::Relaxed).saturating_sub(entry.kept_at()) > STATUS_MILLISECONDS;
        (!is_old).then_some(entry)
    }

    /// A complete look began at `tick`.
    pub(crate) fn grow_old(&self, tick: u64) {
        self.looked.store(tick, Ordering::Relaxed);
    }

    /// Keeps a status that was read in `epoch` by somebody who had asked for the era before, unless something newer is known. The
    /// returned entry is alive exactly if it is kept, or a newer one was there already, which then is returned.
    pub fn keep_status(
        &self,
        freshness: &Freshness,
        (era, epoch): (u64, u64),
        (ca_key, serial): (CaKeyId, &SerialNumber),
        entry: StatusEntry,
    ) -> Arc<StatusEntry> {
        let key = CertificateRef { ca_key, serial };
        let lock = self.lock(&key);
        if !freshness.admits(era, epoch, entry.position()) {
            entry.kill();
            return Arc::new(entry);
        }
        if let Some(newer) = self.statuses.peek(&key).filter(|known| known.is_alive() && known.position() > entry.position()) {
            return newer;
        }
        entry.keep_from(self.looked.load(Ordering::Relaxed));
        let entry = Arc::new(entry);
        self.statuses.insert(CertificateKey { ca_key, serial: serial.clone() }, Arc::clone(&entry));
        drop(lock);
        entry
    }

    /// A certificate's status changed at `position`: whatever was read before is dead. [`Freshness::advance`] comes first.
    pub fn kill(&self, ca_key: CaKeyId, serial: &SerialNumber, position: EventPosition) {
        let key = CertificateRef { ca_key, serial };
        let lock = self.lock(&key);
        if let Some((_, dead)) = self.statuses.remove_if(&key, |entry| entry.position() < position) {
            dead.kill();
        }
        drop(lock);
    }

    /// Everything is forgotten, also what is just being read.
    pub fn forget_everything(&self, freshness: &Freshness) {
        freshness.begin_era();
        // Whoever still holds a lock has checked the era before; from here on nobody keeps what was read in an earlier one.
        let locks: Vec<_> = self.locks.iter().map(|lock| lock.lock().unwrap_or_else(PoisonError::into_inner)).collect();
        self.statuses.retain(|_, entry| {
            entry.kill();
            false
        });
        drop(locks);
        self.answers.clear();
    }

    /// The octets that it takes, near enough.
    pub fn octets(&self) -> u64 {
        self.statuses.weight() + self.answers.weight()
    }

    /// How many statuses and how many answers.
    pub fn entries(&self) -> (usize, usize) {
        (self.statuses.len(), self.answers.len())
    }

    /// How many of both were dropped for want of room since this was asked last.
    pub fn take_evictions(&self) -> u64 {
        self.evicted.0.swap(0, Ordering::Relaxed)
    }

    fn lock(&self, key: &CertificateRef<'_>) -> MutexGuard<'_, ()> {
        let place = usize::try_from(self.hash.hash_one(key) % LOCKS as u64).unwrap_or_default();
        self.locks[place].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounded<K: Eq + Hash, V: Clone, W: Weighter<K, V> + Clone, L: Lifecycle<K, V> + Clone>(
    octets: u64,
    each: u64,
    weight: W,
    hash: RandomState,
    lifecycle: L,
) -> Bounded<K, V, W, RandomState, L> {
    let items = usize::try_from(octets / each).unwrap_or(usize::MAX);
    // Both numbers are given, which is all that building the options asks for.
    match OptionsBuilder::new().estimated_items_capacity(items).weight_capacity(octets).build() {
        Ok(options) => Bounded::with_options(options, weight, hash, lifecycle),
        Err(_) => Bounded::with(items, octets, weight, hash, lifecycle),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CertificateRef<'a> {
    ca_key: CaKeyId,
    serial: &'a SerialNumber,
}

impl Equivalent<CertificateKey> for CertificateRef<'_> {
    fn equivalent(&self, key: &CertificateKey) -> bool {
        self.ca_key == key.ca_key && *self.serial == key.serial
    }
}

#[derive(Debug, Clone, Copy)]
struct StatusWeight;

impl Weighter<CertificateKey, Arc<StatusEntry>> for StatusWeight {
    fn weight(&self, _key: &CertificateKey, _entry: &Arc<StatusEntry>) -> u64 {
        STATUS_OCTETS
    }
}

#[derive(Debug, Clone, Copy)]
struct AnswerWeight;

impl Weighter<AskedKey, Arc<Answer>> for AnswerWeight {
    fn weight(&self, key: &AskedKey, answer: &Arc<Answer>) -> u64 {
        ANSWER_OCTETS + (key.octets.len() + answer.octets_beside()) as u64
    }
}

/// Kills statuses that leave the table, under the table's own lock.
#[derive(Debug, Clone)]
struct StatusLifecycle(Evictions);

impl Lifecycle<CertificateKey, Arc<StatusEntry>> for StatusLifecycle {
    type RequestState = Option<Arc<StatusEntry>>;

    fn begin_request(&self) -> Self::RequestState {
        None
    }

    fn on_evict(&self, state: &mut Self::RequestState, _key: CertificateKey, entry: Arc<StatusEntry>) {
        // A newer status of the same certificate pushes the older one out, too.
        if entry.is_alive() {
            self.0.0.fetch_add(1, Ordering::Relaxed);
        }
        entry.kill();
        // One of them is freed only when the lock is gone; there is rarely another.
        *state = Some(entry);
    }
}

/// Counts answers that leave the table.
#[derive(Debug, Clone)]
struct AnswerLifecycle(Evictions);

impl Lifecycle<AskedKey, Arc<Answer>> for AnswerLifecycle {
    type RequestState = Option<Arc<Answer>>;

    fn begin_request(&self) -> Self::RequestState {
        None
    }

    fn on_evict(&self, state: &mut Self::RequestState, _key: AskedKey, answer: Arc<Answer>) {
        if answer.is_alive() {
            self.0.0.fetch_add(1, Ordering::Relaxed);
        }
        *state = Some(answer);
    }
}
