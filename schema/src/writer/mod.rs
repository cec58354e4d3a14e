//! Writing: a thread for each writing connection, one commit for whatever has gathered.

mod batch;
mod pending;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::Purpose;
use crate::connection::Session;
use crate::fault::StoreFault;
use crate::location::Location;
use crate::transaction::Transaction;
use crate::wake::Wake;
use batch::{Job, Work};
pub use pending::Pending;

/// So many pieces of work share a commit at most. PostgreSQL keeps track of 64 savepoints of a transaction cheaply.
const BATCH_ITEMS: usize = 64;

/// How long a batch waits for more while several writers are at work: less than a commit takes.
const GATHER: Duration = Duration::from_millis(1);

/// So many pieces of work may wait; more are refused with [`StoreFault::Overloaded`].
const QUEUE_ITEMS: usize = 4096;

/// Hands work to the writing threads. Cheap to clone.
///
/// The failure of a piece undoes it alone: a batch in which one fails is rolled back and run again with a savepoint for each. The answer comes after the commit, so what was answered is
/// on disk. A piece may be run several times (another's failure, a lost connection, a serialization failure); the last result
/// counts.
#[derive(Clone)]
pub struct Writer {
    sender: Sender<Box<dyn Job>>,
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    /// Starts the threads. They connect when there is work, and end when all writers are gone.
    pub(crate) fn start(location: Location, wake: Arc<Wake>) -> Result<Self, StoreFault> {
        let (sender, receiver) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&waiting);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..location.writing_connections() {
            let (receiver, location) = (Arc::clone(&receiver), location.clone());
            let (wake, counter) = (Arc::clone(&wake), Arc::clone(&counter));
            std::thread::Builder::new()
                .name("store-writer".to_owned())
                .spawn(move || serve(&receiver, &location, &wake, &counter))
                .map_err(|error| StoreFault::Unreachable(error.to_string()))?;
        }
        Ok(Self { sender, waiting })
    }

    /// Runs `work` and returns its result once it is committed. Blocks: not for async tasks (see [`Writer::submit`]).
    pub fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnMut(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreFault> + Send + 'static,
    {
        self.submit(work).wait()
    }

    /// Queues `work` at once; the result is to be awaited, or waited for, and comes after the commit.
    ///
    /// Pieces submitted one after the other usually share a commit. SQLite runs them in that order; on PostgreSQL two
    /// connections write, so whatever must come later waits for the answer of what comes first.
    pub fn submit<T, E, F>(&self, work: F) -> Pending<T, E>
    where
        F: FnMut(&mut Transaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreFault> + Send + 'static,
    {
        let (answer, pending) = Pending::channel();
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= QUEUE_ITEMS {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            metrics::counter!("tsunagi_store_overloaded_total").increment(1);
            // The receiver is in hand: sending cannot fail.
            let _ = answer.send(Err(E::from(StoreFault::Overloaded)));
            return pending;
        }
        // If the threads are gone, the work and its sender are dropped, and waiting tells `Stopped`.
        if self.sender.send(Box::new(Work::new(work, answer))).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        pending
    }
}

fn serve(receiver: &Mutex<Receiver<Box<dyn Job>>>, location: &Location, wake: &Wake, waiting: &AtomicUsize) {
    let mut session: Option<Session> = None;
    let mut taken = 0;
    while let Some(mut jobs) = gather(receiver, taken > 1) {
        taken = jobs.len();
        batch::run(&mut jobs, &mut session, || Session::connect(location, Purpose::Write), wake);
        waiting.fetch_sub(taken, Ordering::Relaxed);
    }
}

/// The next batch; `None` when all writers are gone.
///
/// In a crowd (the last batch had several pieces, so several writers are at work) a moment's wait makes one commit of many. A
/// writer that is alone is never kept waiting.
fn gather(receiver: &Mutex<Receiver<Box<dyn Job>>>, crowd: bool) -> Option<Vec<Box<dyn Job>>> {
    let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
    let mut jobs = vec![receiver.recv().ok()?];
    let until = if crowd { Instant::now() + GATHER } else { Instant::now() };
    while jobs.len() < BATCH_ITEMS {
        let left = until.saturating_duration_since(Instant::now());
        let job = if left.is_zero() { receiver.try_recv().ok() } else { receiver.recv_timeout(left).ok() };
        let Some(job) = job else { break };
        jobs.push(job);
    }
    Some(jobs)
}
