//! Reading statuses from the store, many questions at a time, away from the threads that serve connections.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use ca_core::clock::Clock;
use ca_core::issuer::CaKeyId;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use schema::Reader;
use schema::status::StatusSnapshot;
use tokio::sync::oneshot;

use crate::cache::Cache;
use crate::fault::AnswerFault;
use crate::freshness::{Distrust, Freshness};
use crate::status::{Status, StatusEntry};

/// What the store said.
#[derive(Debug, Clone)]
pub struct Looked {
    /// A status for each serial number asked about, in order.
    pub entries: Vec<Arc<StatusEntry>>,
    /// A time before which it was read, by the clock on the wall.
    pub as_of: DateTime<Utc>,
}

/// Reads statuses, and remembers what it read where that is safe.
pub struct Lookup {
    reader: Reader,
    cache: Arc<Cache>,
    freshness: Arc<Freshness>,
    clock: Arc<dyn Clock>,
}

impl Lookup {
    /// From `reader` into `cache`.
    pub fn new(reader: Reader, cache: Arc<Cache>, freshness: Arc<Freshness>, clock: Arc<dyn Clock>) -> Self {
        Self { reader, cache, freshness, clock }
    }

    /// The statuses of certificates of one CA key, all of one moment. Blocks.
    ///
    /// # Errors
    /// If the store cannot be read, or what it says is not to be told.
    pub fn look(&self, ca_key: CaKeyId, serials: &[SerialNumber]) -> Result<Looked, AnswerFault> {
        // All before the store is read: what happens in between makes what was read too old to be kept, or shows that it went back.
        let (era, epoch, seen) = (self.freshness.era(), self.freshness.epoch(), self.freshness.seen());
        let as_of = self.clock.now();
        let snapshot = self.reader.status_at(ca_key, serials).map_err(|fault| AnswerFault::Source(Arc::new(fault)))?;
        if snapshot.reconciling {
            return Err(Distrust::Reconciling.into());
        }
        if epoch != 0 && (snapshot.epoch != epoch || snapshot.position < seen) {
            return Err(Distrust::WentBack.into());
        }
        let StatusSnapshot { position, statuses, .. } = snapshot;
        if statuses.len() != serials.len() {
            return Err(AnswerFault::SourceMiscounted { asked: serials.len(), given: statuses.len() });
        }
        let keep = |(serial, stored)| {
            let entry = StatusEntry::new(Status::of(stored), position);
            self.cache.keep_status(&self.freshness, (era, epoch), (ca_key, serial), entry)
        };
        Ok(Looked { entries: serials.iter().zip(statuses).map(keep).collect(), as_of })
    }
}

/// Questions that wait for the store.
pub struct Lookups {
    waiting: Mutex<VecDeque<Waiting>>,
    arrived: Condvar,
    count: AtomicUsize,
    most: usize,
}

struct Waiting {
    ca_key: CaKeyId,
    serials: Vec<SerialNumber>,
    answer: oneshot::Sender<Result<Looked, AnswerFault>>,
}

/// So many serial numbers are asked for at once: one statement's worth.
const TOGETHER: usize = 64;

/// So often a thread without work looks whether it is to stop.
const IDLE: Duration = Duration::from_millis(200);

impl Lookups {
    /// At most `most` questions wait, those being read included.
    pub fn new(most: usize) -> Self {
        Self { waiting: Mutex::default(), arrived: Condvar::new(), count: AtomicUsize::new(0), most }
    }

    /// Asks; whoever drops the receiver is not answered.
    ///
    /// # Errors
    /// [`AnswerFault::Busy`]
    pub fn ask(&self, ca_key: CaKeyId, serials: Vec<SerialNumber>) -> Result<oneshot::Receiver<Result<Looked, AnswerFault>>, AnswerFault> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(AnswerFault::Busy);
        }
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(Waiting { ca_key, serials, answer });
        self.arrived.notify_one();
        Ok(answered)
    }

    /// Answers questions until `stop`: the work of one thread.
    pub fn work(&self, lookup: &Lookup, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let together = self.take();
            let taken = together.len();
            if taken > 0 {
                Self::answer(lookup, together);
                self.count.fetch_sub(taken, Ordering::Relaxed);
            }
        }
    }

    /// Questions about certificates of one CA key, one statement's worth; none if there are none for a while.
    fn take(&self) -> Vec<Waiting> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut waiting, _) =
            self.arrived.wait_timeout_while(waiting, IDLE, |waiting| waiting.is_empty()).unwrap_or_else(PoisonError::into_inner);
        let Some(ca_key) = waiting.front().map(|first| first.ca_key) else { return Vec::new() };
        let mut together = Vec::new();
        let mut serials = 0;
        while let Some(next) = waiting.front() {
            serials += next.serials.len();
            if next.ca_key != ca_key || (serials > TOGETHER && !together.is_empty()) {
                break;
            }
            together.extend(waiting.pop_front());
        }
        if !waiting.is_empty() {
            self.arrived.notify_one();
        }
        together
    }

    fn answer(lookup: &Lookup, mut together: Vec<Waiting>) {
        together.retain(|question| !question.answer.is_closed());
        let Some(ca_key) = together.first().map(|question| question.ca_key) else { return };
        // Each once, however many ask.
        let mut places = HashMap::new();
        let mut serials = Vec::new();
        for serial in together.iter().flat_map(|question| &question.serials) {
            places.entry(serial.clone()).or_insert_with(|| {
                serials.push(serial.clone());
                serials.len() - 1
            });
        }
        let looked = lookup.look(ca_key, &serials);
        for question in together {
            let answer = match &looked {
                Ok(looked) => {
                    let entries = question.serials.iter().filter_map(|serial| places.get(serial).map(|place| &looked.entries[*place]));
                    Ok(Looked { entries: entries.cloned().collect(), as_of: looked.as_of })
                }
                Err(fault) => Err(fault.again()),
            };
            // Whoever has not waited is not to be told.
            drop(question.answer.send(answer));
        }
    }
}
