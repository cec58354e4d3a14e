//! The beat: each second the store is held against the highest that it is known to have reached, whether anything happens or not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chrono::Utc;
use schema::{Reader, StoreFault, Wake, Writer};

use super::mark::SignedLog;
use super::{HighWater, HighWaterFiles, Mark};
use crate::failure::Failure;
use crate::installation::Installation;
use crate::role::Role;

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// How soon the thread notices that it is to stop.
const STEP: Duration = Duration::from_millis(50);

/// Whether the store may be believed, as the watch knows it. All clones are one.
#[derive(Clone, Default)]
pub(crate) struct StoreTrust(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    doubt: Option<String>,
    went_back: bool,
    listener: Option<Box<dyn Fn(bool) + Send>>,
}

impl StoreTrust {
    /// Nothing, or a sentence on why the store is not to be believed now.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.lock().doubt.clone().map_or(Ok(()), Err)
    }

    /// `listener` is told, now and whenever that changes, whether the store is below its high-water mark with no new epoch begun in it:
    /// then nothing that it says of a status may be told.
    pub(crate) fn tell(&self, listener: impl Fn(bool) + Send + 'static) {
        let mut known = self.lock();
        listener(known.went_back);
        known.listener = Some(Box::new(listener));
    }

    fn set(&self, went_back: bool, doubt: Option<String>) {
        let mut known = self.lock();
        known.doubt = doubt;
        if known.went_back != went_back {
            known.went_back = went_back;
            if let Some(listener) = &known.listener {
                listener(went_back);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches over the store on behalf of one process.
pub(crate) struct Watch {
    reader: Reader,
    /// The CA role's, which begins the new epoch; the others only tell.
    writer: Option<Writer>,
    wake: Arc<Wake>,
    files: HighWaterFiles,
    /// The highest that this store is known to have reached.
    reached: Option<HighWater>,
    trust: StoreTrust,
    /// Whether that was seen in the store by this process, and not in a file only.
    has_looked: bool,
    /// What was wrong with the files at the last beat, so that it is told once.
    complaints: Vec<String>,
}

impl Watch {
    /// Looks for the first time, before anything is done: a store that went back is in a new epoch when this returns, if the process
    /// has the CA role.
    pub(crate) fn open(installation: &Installation, roles: &[Role]) -> Result<Self, Failure> {
        let database = &installation.database;
        let files = installation.high_water_files(roles);
        let reached = files.examine()?;
        let is_first = reached.is_none();
        let writer = roles.contains(&Role::Ca).then(|| database.writer());
        let (reader, wake) = (database.reader(), database.wake());
        let mut watch =
            Self { reader, writer, wake, files, reached, has_looked: false, trust: StoreTrust::default(), complaints: Vec::new() };
        watch.beat().map_err(Failure::store)?;
        if let Some(complaint) = watch.complaints.first() {
            return Err(Failure::settings(format!("store.high_water: {complaint}")));
        }
        let is_used = watch.reached.as_ref().is_some_and(|reached| !reached.mark.crl_numbers.is_empty());
        if is_first && is_used && !watch.files.paths().is_empty() {
            tracing::warn!(
                "there was no high-water file, and the store is not new: whether it was restored from a backup cannot be known. If it \
                 was, run `tsunagi restore begin` now"
            );
        }
        if watch.files.paths().is_empty() && roles != [Role::Ra] {
            tracing::warn!("store.high_water names no file: a store that was restored from a backup will not be noticed");
        }
        Ok(watch)
    }

    /// What others may ask it.
    pub(crate) fn trust(&self) -> StoreTrust {
        self.trust.clone()
    }

    /// Beats in a thread of its own until `stop`.
    pub(crate) fn run(mut self, stop: Arc<AtomicBool>) -> Result<JoinHandle<()>, Failure> {
        let work = move || {
            let mut next = Instant::now() + BEAT;
            while !stop.load(Ordering::Relaxed) {
                let left = next.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    thread::sleep(left.min(STEP));
                    continue;
                }
                next = Instant::now() + BEAT;
                if let Err(fault) = self.beat() {
                    metrics::counter!("tsunagi_high_water_faults_total").increment(1);
                    tracing::warn!(%fault, "the store could not be held against its high-water mark");
                }
            }
        };
        thread::Builder::new().name("high-water".to_owned()).spawn(work).map_err(|error| Failure::other(format!("high-water: {error}")))
    }

    fn beat(&mut self) -> Result<(), StoreFault> {
        // Before the store is read: what this process has seen committed, and what another has written down, must be in it.
        let committed = self.wake.position();
        let known = self.read_files();
        let mut mark = self.look()?;
        let replaced = known.iter().find_map(|known| known.replaced_in(&self.reader).transpose()).transpose()?;
        if let Some(why) = self.went_back(&mark, committed.0).or(replaced) {
            let Some(writer) = &self.writer else {
                self.tell(true, format!("the store went back: {why}. `tsunagi restore begin` on the CA's machine begins a new epoch"));
                return Ok(());
            };
            tracing::error!(why, "the store went back: a new epoch begins, and nothing is issued until `tsunagi restore reconcile`");
            metrics::counter!("tsunagi_store_went_back_total").increment(1);
            self.trust.set(true, Some(format!("the store went back: {why}")));
            begin_epoch(&self.reader, writer, self.reached.as_ref().map(|reached| &reached.mark))?;
            mark = Mark::of_store(&self.reader, Utc::now())?;
            // What was reached is above the store, and is what is to be found again.
            if let Some(reached) = &mut self.reached {
                let known = reached.mark.clone();
                reached.before = Some(reached.before.take().map_or_else(|| known.clone(), |before| known.clone().highest(before)));
                reached.mark = mark.clone();
            }
        }
        if self.wake.position().0 > mark.position {
            self.wake.restart(schema::EventPosition(mark.position));
        }
        let since = self.reader.store_state()?.reconciling_since;
        metrics::gauge!("tsunagi_store_epoch").set(mark.epoch as f64);
        metrics::gauge!("tsunagi_store_reconciling").set(if since.is_some() { 1.0 } else { 0.0 });
        match since {
            Some(since) => {
                let since = crate::output::time(since);
                self.tell(false, format!("the store is restored and not reconciled since {since}: run `tsunagi restore reconcile`"));
            }
            None => self.trust.set(false, None),
        }
        self.keep(mark, since.is_some());
        Ok(())
    }

    /// How far the store has come: nothing of it changes without an event.
    fn look(&self) -> Result<Mark, StoreFault> {
        let state = self.reader.store_state()?;
        match &self.reached {
            Some(reached) if self.has_looked && (reached.mark.epoch, reached.mark.position) == (state.epoch, state.position.0) => {
                // But that the log is signed later than it is appended to.
                Ok(Mark { at: Utc::now(), log: SignedLog::of_store(&self.reader)?, ..reached.mark.clone() })
            }
            _ if self.files.paths().is_empty() && self.writer.is_none() => Mark::of_events(&self.reader, Utc::now()),
            _ => Mark::of_store(&self.reader, Utc::now()),
        }
    }

    /// Another process may keep the same files, and a file of another machine may have been put in place.
    /// Returns all marks that are known, each for itself: what was seen in one is not there in another, if both are not of one past.
    fn read_files(&mut self) -> Vec<Mark> {
        let mut known: Vec<Mark> = self.reached.iter().map(|reached| reached.mark.clone()).collect();
        for (_, found) in self.files.look() {
            let super::Found::Sound(found) = found else { continue };
            known.push(found.mark.clone());
            self.reached = Some(match self.reached.take() {
                Some(reached) => reached.highest(found),
                None => found,
            });
        }
        known.dedup();
        known
    }

    fn went_back(&self, mark: &Mark, committed: i64) -> Option<String> {
        if let Some(why) = self.reached.as_ref().and_then(|reached| mark.below(&reached.mark)) {
            return Some(why);
        }
        let is_later_epoch = self.reached.as_ref().is_some_and(|reached| mark.epoch > reached.mark.epoch);
        (mark.position < committed && !is_later_epoch)
            .then(|| format!("its last event is {} and was {committed}, as this process has seen", mark.position))
    }

    /// Brings the files to this mark.
    fn keep(&mut self, mark: Mark, is_reconciling: bool) {
        let before = if is_reconciling { self.before(&mark) } else { None };
        let is_kept = |found: &super::Found| match found {
            super::Found::Sound(found) => found.mark.tells_the_same(&mark) && found.before == before,
            _ => false,
        };
        let mut complaints = Vec::new();
        if !self.files.look().iter().all(|(_, found)| is_kept(found)) {
            for (path, error) in self.files.write(&mark, before.as_ref()) {
                complaints.push(format!("{} cannot be written: {error}", path.display()));
            }
        }
        metrics::counter!("tsunagi_high_water_faults_total").increment(complaints.len() as u64);
        if complaints.is_empty() {
            metrics::gauge!("tsunagi_high_water_timestamp_seconds").set(mark.at.timestamp() as f64);
        } else if complaints != self.complaints {
            tracing::error!(?complaints, "a high-water file is not kept");
        }
        self.complaints = complaints;
        let instance = self.reached.take().map(|reached| reached.instance).unwrap_or_default();
        self.reached = Some(HighWater { instance, mark, before });
        self.has_looked = true;
    }

    /// What had been reached before the present epoch, if that is known here. Another process may have begun it.
    fn before(&self, mark: &Mark) -> Option<Mark> {
        let reached = self.reached.clone()?;
        let known = (reached.mark.epoch < mark.epoch && reached.mark.is_beyond(mark)).then_some(reached.mark);
        match (known, reached.before) {
            (Some(known), Some(before)) => Some(known.highest(before)),
            (known, before) => known.or(before),
        }
    }

    fn tell(&self, went_back: bool, doubt: String) {
        if self.trust.check().as_ref() != Err(&doubt) {
            tracing::error!("{doubt}");
        }
        self.trust.set(went_back, Some(doubt));
    }
}

/// Begins a new epoch, above everything that is known to have been reached. Tried a few times: a batch of writes in which it is not the
/// first is refused as a whole.
pub(crate) fn begin_epoch(reader: &Reader, writer: &Writer, reached: Option<&Mark>) -> Result<u64, StoreFault> {
    let ca_keys = reader.ca_keys()?;
    let now = Utc::now();
    let known = match reached {
        Some(reached) => reached.clone().highest(Mark::of_store(reader, now)?),
        None => Mark::of_store(reader, now)?,
    };
    let numbers = known.raised(&ca_keys);
    let mut attempts = 0;
    loop {
        let numbers = numbers.clone();
        let begun = writer.write(move |tx| tx.begin_epoch(known.epoch + 1, &numbers, now));
        match begun {
            Err(StoreFault::WentBack) if attempts < 20 => attempts += 1,
            begun => return begun,
        }
        thread::sleep(STEP);
    }
}
