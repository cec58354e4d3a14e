//! One transaction for several pieces of work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::connection::Session;
use crate::event::{self, EventPosition, NewEvent};
use crate::fault::StoreFault;
use crate::transaction::Transaction;
use crate::wake::Wake;

/// A batch is tried so often when what failed may pass.
const ATTEMPTS: u32 = 5;

const SAVEPOINT: &str = "SAVEPOINT item";
const NEXT_SAVEPOINT: &str = "RELEASE SAVEPOINT item; SAVEPOINT item";
const UNDO_AND_NEXT: &str = "ROLLBACK TO SAVEPOINT item; RELEASE SAVEPOINT item; SAVEPOINT item";
const RELEASE: &str = "RELEASE SAVEPOINT item";
const UNDO: &str = "ROLLBACK TO SAVEPOINT item; RELEASE SAVEPOINT item";

/// A piece of work with a place for its result.
pub(crate) trait Job: Send {
    /// Runs it, replacing an earlier run's result; tells whether what it wrote is to stay.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool;

    /// Replaces the result by a fault.
    fn fail(&mut self, fault: StoreFault);

    /// Sends the result off.
    fn answer(self: Box<Self>);
}

/// A closure, its result, and who waits for it.
pub(crate) struct Work<F, T, E> {
    run: F,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Work<F, T, E> {
    pub(crate) fn new(run: F, answer: oneshot::Sender<Result<T, E>>) -> Self {
        Self { run, result: None, answer }
    }
}

impl<F, T, E> Job for Work<F, T, E>
where
    F: FnMut(&mut Transaction<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreFault> + Send,
{
    fn run(&mut self, transaction: &mut Transaction<'_>) -> bool {
        // A piece that panicked is rolled back, so nothing half-done is seen; the thread must go on for the others.
        let result = catch_unwind(AssertUnwindSafe(|| (self.run)(transaction))).unwrap_or_else(|_| Err(E::from(StoreFault::Panicked)));
        let stays = result.is_ok();
        self.result = Some(result);
        stays
    }

    fn fail(&mut self, fault: StoreFault) {
        self.result = Some(Err(E::from(fault)));
    }

    fn answer(self: Box<Self>) {
        // Whoever no longer listens has dropped the receiver.
        let _ = self.answer.send(self.result.unwrap_or_else(|| Err(E::from(StoreFault::Stopped))));
    }
}

/// Runs all jobs in one transaction and answers them after the commit, or after giving up.
pub(crate) fn run(
    jobs: &mut Vec<Box<dyn Job>>,
    session: &mut Option<Session>,
    connect: impl Fn() -> Result<Session, StoreFault>,
    wake: &Wake,
) {
    let started = Instant::now();
    let outcome = attempts(jobs, session, connect, wake.position());
    match outcome {
        Ok(Attempted::RolledBack) => {}
        Ok(Attempted::Committed(moved)) => {
            metrics::histogram!("tsunagi_store_commit_seconds").record(started.elapsed().as_secs_f64());
            metrics::counter!("tsunagi_store_commits_total").increment(1);
            metrics::counter!("tsunagi_store_writes_total").increment(jobs.len() as u64);
            if let Some(position) = moved {
                wake.advance(position);
            }
            wake.ring();
        }
        Err(fault) => {
            tracing::error!(%fault, writes = jobs.len(), "a batch of writes failed");
            jobs.iter_mut().for_each(|job| job.fail(fault.clone()));
        }
    }
    jobs.drain(..).for_each(Job::answer);
}

fn attempts(
    jobs: &mut [Box<dyn Job>],
    slot: &mut Option<Session>,
    connect: impl Fn() -> Result<Session, StoreFault>,
    seen: EventPosition,
) -> Result<Attempted, StoreFault> {
    let mut attempt = 1;
    // Pieces hardly ever fail, and savepoints cost as much as a statement each: the batch is first run without them.
    let mut isolation = Isolation::Together;
    loop {
        let session = match slot {
            Some(session) => session,
            None => slot.insert(connect()?),
        };
        let failure = match fill(jobs, session, isolation, attempt == ATTEMPTS, seen) {
            Ok(Filled::PieceFailed) => {
                if session.batch("ROLLBACK").is_err() {
                    *slot = None;
                }
                // A piece that is alone has its answer: nothing of it stays.
                if jobs.len() == 1 {
                    return Ok(Attempted::RolledBack);
                }
                isolation = Isolation::Savepoints;
                continue;
            }
            Ok(Filled::Ready(position)) => match session.batch("COMMIT") {
                Ok(()) => return Ok(Attempted::Committed(position)),
                // It may have been committed: trying again could do everything twice.
                Err(fault) if fault.is_closed() => {
                    *slot = None;
                    return Err(StoreFault::OutcomeUnknown);
                }
                Err(fault) => fault,
            },
            Err(fault) => fault,
        };
        session.settle();
        let again = failure.is_closed() || session.may_pass(&failure);
        // SQLite may have rolled back by itself; then, and after any other failure here, a new connection is the safe state.
        if failure.is_closed() || session.batch("ROLLBACK").is_err() {
            *slot = None;
        }
        if !again || attempt == ATTEMPTS {
            return Err(failure);
        }
        metrics::counter!("tsunagi_store_retries_total").increment(1);
        std::thread::sleep(Duration::from_millis(5 << attempt));
        attempt += 1;
    }
}

/// How a batch ended that did not fail as a whole.
enum Attempted {
    /// On disk; the position of the last event, if there were any.
    Committed(Option<EventPosition>),
    /// Its only piece failed and was undone.
    RolledBack,
}

/// How the pieces of a batch are kept apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Isolation {
    /// Not at all: if one fails, all are undone.
    Together,
    /// Each in a savepoint: one that fails is undone alone.
    Savepoints,
}

/// What came of running the pieces.
enum Filled {
    /// All is ready to be committed; the position of the last event, if there were any.
    Ready(Option<EventPosition>),
    /// A piece failed with nothing to keep it apart from the others; the transaction must be rolled back.
    PieceFailed,
}

/// Everything up to the commit. An `Err` means that the transaction is of no use any more.
fn fill(
    jobs: &mut [Box<dyn Job>],
    session: &mut Session,
    isolation: Isolation,
    last_attempt: bool,
    seen: EventPosition,
) -> Result<Filled, StoreFault> {
    session.settle();
    session.batch(session.begin_statement())?;
    let mut events: Vec<NewEvent> = Vec::new();
    let mut before_item = SAVEPOINT;
    let mut after_last = "";
    for job in jobs.iter_mut() {
        if isolation == Isolation::Savepoints {
            session.batch(before_item)?;
        }
        let kept = events.len();
        let stays = job.run(&mut Transaction::new(session, &mut events));
        let trouble = session.settle();
        if let Some(fault) = &trouble {
            if fault.is_closed() || (session.may_pass(fault) && !last_attempt) {
                return Err(fault.clone());
            }
            if stays {
                job.fail(fault.clone());
            }
        }
        if isolation == Isolation::Together {
            if !stays || trouble.is_some() {
                return Ok(Filled::PieceFailed);
            }
        } else if stays && trouble.is_none() {
            (before_item, after_last) = (NEXT_SAVEPOINT, RELEASE);
        } else {
            events.truncate(kept);
            (before_item, after_last) = (UNDO_AND_NEXT, UNDO);
        }
    }
    if !after_last.is_empty() {
        session.batch(after_last)?;
    }
    event::append(session, &events, seen).map(Filled::Ready)
}
