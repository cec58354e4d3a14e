//! The issuance log: each committed event becomes a leaf of a Merkle tree, in the order of positions, exactly once, by whoever leads.
//!
//! ```text
//! events -> leaves, tiles and head, in one fenced transaction -> signed note, cosigned -> tile directory
//! ```
//!
//! Each arrow is a piece of work of its own that can be killed anywhere: what is to be signed is committed before it is signed, what is
//! published is stored before it is published, and the next leader goes on from the store. Before it does, it holds the store against
//! everybody who knows the log; where a tree is known that the store does not have, it neither appends nor signs.

mod asking;
mod examination;
mod fault;
mod sequencing;
mod settings;
mod signing;
mod state;
mod submission;
mod witnesses;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use audit_log::stored::StoredTiles;
use audit_log::{Checkpoint, LogKey, SignedCheckpoint, TileDirectory, TileSource};
use ca_core::chain::Chain;
use ca_core::clock::Clock;
use schema::lease::Lease;
use schema::{Reader, StoreFault, Wake, Writer};

pub use self::asking::{WitnessSays, WitnessTold, ask_witnesses};
pub use self::fault::LogFault;
use self::sequencing::Sequencer;
pub(crate) use self::sequencing::content;
pub use self::settings::{LogSettings, LogSettingsRefusal, WitnessSettings, is_origin};
pub use self::state::{DisputedBy, KnownTree, LogDispute, LogState};
use self::witnesses::Witness;
pub use self::witnesses::{WitnessClaim, WitnessPace};

/// A note is signed so often at most, while leaves come in.
const SIGN: Duration = Duration::from_millis(400);
/// The tile directory is brought up to date so often at most: its files are brought to disk one by one.
const PUBLISH: Duration = Duration::from_secs(1);
/// A thread looks so often for what it was not told of: a cosignature that can be asked for again, a directory that is lost.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a thread notices that it is to stop, that it leads, and that a witness can be asked again.
const STEP: Duration = Duration::from_millis(100);
/// How long the log waits before it tries again what failed.
const PAUSE_AFTER_FAULT: Duration = Duration::from_secs(1);
/// How long others come first after a full batch, while more are waiting.
const GIVE_WAY: Duration = Duration::from_millis(5);

/// What a log is kept with.
pub struct LogParts {
    /// The log's key.
    pub key: Arc<LogKey>,
    /// Where tiles and checkpoint are published.
    pub directory: TileDirectory,
    /// Reads the store.
    pub reader: Reader,
    /// Writes to it.
    pub writer: Writer,
    /// Tells of its events.
    pub wake: Arc<Wake>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How it is kept; paths are absolute.
    pub settings: LogSettings,
    /// How long witnesses are waited for.
    pub pace: WitnessPace,
}

/// Keeps the issuance log while this process leads.
pub struct LogKeeper {
    key: Arc<LogKey>,
    directory: TileDirectory,
    reader: Reader,
    writer: Writer,
    wake: Arc<Wake>,
    clock: Arc<dyn Clock>,
    settings: LogSettings,
    witnesses: Mutex<Vec<Witness>>,
    sequencer: Mutex<Option<Sequencer>>,
    state: Arc<LogState>,
}

impl LogKeeper {
    /// Nothing is read yet, and nobody asked.
    ///
    /// # Errors
    /// A sentence about the settings, if a witness's key or CA certificates cannot be used.
    pub fn new(parts: LogParts) -> Result<Self, String> {
        let LogParts { key, directory, reader, writer, wake, clock, settings, pace } = parts;
        let witnesses = settings.witnesses.iter().map(|witness| Witness::new(witness, pace)).collect::<Result<_, _>>();
        Ok(Self {
            key,
            directory,
            reader,
            writer,
            wake,
            clock,
            witnesses: Mutex::new(witnesses.map_err(|complaint| format!("witnesses: {complaint}"))?),
            settings,
            sequencer: Mutex::default(),
            state: Arc::default(),
        })
    }

    /// How the log stands.
    pub fn state(&self) -> Arc<LogState> {
        Arc::clone(&self.state)
    }

    /// Keeps the log until `stop` is set, while `lease` gives the lease of this process. Faults are logged, counted and tried again.
    /// Blocks: it wants a thread of its own, and starts two more.
    pub fn run(&self, lease: &(dyn Fn() -> Option<Lease> + Sync), stop: &AtomicBool) {
        thread::scope(|scope| {
            scope.spawn(|| self.keep_signing(lease, stop));
            scope.spawn(|| self.keep_publishing(lease, stop));
            self.keep_sequencing(lease, stop);
        });
    }

    /// Brings events into the log as they are committed: the first of a crowd at once, the others together.
    fn keep_sequencing(&self, lease: &(dyn Fn() -> Option<Lease> + Sync), stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let Some(lease) = lease() else {
                // Another leads, and appends: what we know will be old when it is our turn, and disputes are the other's to tell of.
                self.state.stand_down();
                pause(stop, STEP);
                continue;
            };
            let (seen, began) = (self.wake.position(), Instant::now());
            match attempt(|| self.sequence(&lease)) {
                Ok(0) => drop(self.wake.wait_timeout(seen, self.settings.interval().min(STEP))),
                Ok(appended) if Self::is_full(appended) => thread::sleep(GIVE_WAY),
                Ok(_) => pause(stop, self.settings.interval().saturating_sub(began.elapsed())),
                Err(fault) => {
                    report("sequencing", &fault);
                    pause(stop, PAUSE_AFTER_FAULT);
                }
            }
        }
    }

    /// Signs what is committed.
    fn keep_signing(&self, lease: &(dyn Fn() -> Option<Lease> + Sync), stop: &AtomicBool) {
        let (mut size, mut looked) = (0, None::<Instant>);
        while !stop.load(Ordering::Relaxed) {
            let grown = self.state.wait_for_growth(size, STEP);
            let Some(lease) = lease() else {
                pause(stop, STEP);
                continue;
            };
            let is_time = looked.is_none_or(|looked| looked.elapsed() >= LOOK);
            if grown == size && !is_time {
                continue;
            }
            let began = Instant::now();
            (size, looked) = (grown, Some(began));
            let signed = told("signing", attempt(|| self.sign(&lease)));
            pause(stop, rest(signed, SIGN.saturating_sub(began.elapsed())));
        }
    }

    /// Publishes what is signed, apart from that: files may take their time, and a lost directory is written again file by file.
    fn keep_publishing(&self, lease: &(dyn Fn() -> Option<Lease> + Sync), stop: &AtomicBool) {
        let (mut notes, mut looked) = (0, None::<Instant>);
        while !stop.load(Ordering::Relaxed) {
            let stored = self.state.wait_for_note(notes, STEP);
            let Some(lease) = lease() else {
                pause(stop, STEP);
                continue;
            };
            if stored == notes && looked.is_some_and(|looked| looked.elapsed() < LOOK) {
                continue;
            }
            let began = Instant::now();
            (notes, looked) = (stored, Some(began));
            let published = told("publishing", attempt(|| self.publish(&lease)));
            pause(stop, rest(published, PUBLISH.saturating_sub(began.elapsed())));
        }
    }

    /// The tiles as they are stored.
    fn source(&self) -> impl TileSource + Sync + '_ {
        StoredTiles::new(|first, count| self.reader.log_commitments(first, count), |level, number| self.reader.log_tile(level, number))
    }

    /// The checkpoint in the tile directory, verified.
    fn published(&self) -> Result<Option<SignedCheckpoint>, LogFault> {
        let note = self.directory.checkpoint()?;
        note.map(|note| Checkpoint::verify(&note, self.key.verifier())).transpose().map_err(LogFault::Published)
    }

    fn lock_witnesses(&self) -> MutexGuard<'_, Vec<Witness>> {
        self.witnesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_sequencer(&self) -> MutexGuard<'_, Option<Sequencer>> {
        self.sequencer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One round of work. A panic is a fault of the program in that round: without its thread, a process would go on leading with no log.
fn attempt<T>(work: impl FnOnce() -> Result<T, LogFault>) -> Result<T, LogFault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(LogFault::Panicked))
}

/// Tells of a fault; `None` if there was one.
fn told<T>(work: &'static str, outcome: Result<T, LogFault>) -> Option<T> {
    outcome.inspect_err(|fault| report(work, fault)).ok()
}

/// How long a thread rests: as long as is given after it did something, not at all if there was nothing to do, and a while after a fault.
fn rest(done: Option<bool>, after_work: Duration) -> Duration {
    match done {
        Some(true) => after_work,
        Some(false) => Duration::ZERO,
        None => PAUSE_AFTER_FAULT,
    }
}

fn report(work: &'static str, fault: &LogFault) {
    if let LogFault::Store(StoreFault::Fenced(_)) = fault {
        // As it must be, and another goes on.
        tracing::warn!(work, "another process has taken the lead, and keeps the log");
        return;
    }
    metrics::counter!("tsunagi_log_faults_total", "work" => work).increment(1);
    tracing::error!(work, fault = %Chain(fault), "the issuance log does not go on; it is tried again");
}

/// Sleeps so long, or until `stop` is set.
pub(crate) fn pause(stop: &AtomicBool, duration: Duration) {
    let mut left = duration;
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        let step = left.min(STEP);
        thread::sleep(step);
        left -= step;
    }
}
