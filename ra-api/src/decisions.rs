//! Learning of the CA's decisions: one thread follows the events and wakes whoever waits for an application or an instruction.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;
use schema::{Event, EventKind, EventPosition, Reader, StoreFault, Wake};
use tokio::sync::oneshot;

use crate::recent::Recent;

/// How often the events are read while somebody waits: the CA may be another process, whose commits wake nobody here.
const POLL: Duration = Duration::from_millis(25);
/// How often they are read while nobody waits, so as not to fall behind.
const IDLE_POLL: Duration = Duration::from_secs(1);
/// How long to leave a store alone that has just failed.
const AFTER_FAULT: Duration = Duration::from_millis(500);
/// Events read at a time.
const PAGE: u32 = 500;
/// Decisions remembered for those who ask a moment too late.
const REMEMBERED: usize = 8_192;

/// What waits for the CA's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Undecided {
    /// An application.
    Application(ApplicationId),
    /// An instruction, by the SHA-256 of its octets.
    Instruction(Sha256Digest),
}

/// What was decided lately, as the events tell. Cheap to clone; the thread ends when the last clone is gone.
#[derive(Clone)]
pub struct Decisions {
    shared: Arc<Shared>,
    _end: Arc<EndOnDrop>,
}

impl Decisions {
    /// Starts to follow the events after the present position.
    pub fn follow(reader: Reader, wake: Arc<Wake>) -> Result<Self, StoreFault> {
        let state = reader.store_state()?;
        let shared = Arc::new(Shared::default());
        let follower = Follower { reader, wake, epoch: state.epoch, position: state.position, shared: Arc::clone(&shared) };
        std::thread::Builder::new()
            .name("ra-decisions".into())
            .spawn(move || follower.run())
            .map_err(|_| StoreFault::Misuse("no thread can be started"))?;
        Ok(Self { _end: Arc::new(EndOnDrop(Arc::clone(&shared))), shared })
    }

    /// Waits for the decision, for `patience` at most; tells whether it is there, as far as the events say. An instruction that
    /// waits for a second person's approval counts as decided.
    pub async fn wait(&self, question: Undecided, patience: Duration) -> bool {
        let Some(decided) = self.shared.register(question) else {
            return true;
        };
        match tokio::time::timeout(patience, decided).await {
            Ok(told) => told.is_ok(),
            Err(_) => {
                self.shared.forget_departed(question);
                false
            }
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    waiting: HashMap<Undecided, Vec<oneshot::Sender<()>>>,
    decided: Recent<Undecided>,
    ended: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { waiting: HashMap::new(), decided: Recent::new(REMEMBERED), ended: false }
    }
}

impl Shared {
    /// `None` if it was decided a moment ago.
    fn register(&self, question: Undecided) -> Option<oneshot::Receiver<()>> {
        let mut state = self.lock();
        if state.decided.contains(&question) {
            return None;
        }
        let (tell, decided) = oneshot::channel();
        state.waiting.entry(question).or_default().push(tell);
        self.changed.notify_one();
        Some(decided)
    }

    fn forget_departed(&self, question: Undecided) {
        let mut state = self.lock();
        if let Some(waiting) = state.waiting.get_mut(&question) {
            waiting.retain(|tell| !tell.is_closed());
            if waiting.is_empty() {
                state.waiting.remove(&question);
            }
        }
    }

    fn tell(&self, question: Undecided) {
        let mut state = self.lock();
        state.decided.insert(question);
        for tell in state.waiting.remove(&question).unwrap_or_default() {
            // Whoever has left does not mind.
            let _ = tell.send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct EndOnDrop(Arc<Shared>);

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.changed.notify_one();
    }
}

struct Follower {
    reader: Reader,
    wake: Arc<Wake>,
    epoch: u64,
    position: EventPosition,
    shared: Arc<Shared>,
}

impl Follower {
    fn run(mut self) {
        while self.somebody_waits_or_time_passes() {
            if let Err(fault) = self.catch_up() {
                tracing::warn!(%fault, "the events cannot be followed");
                std::thread::sleep(AFTER_FAULT);
            }
        }
    }

    /// Returns when there may be something to read; `false` when it is over.
    fn somebody_waits_or_time_passes(&self) -> bool {
        let state = self.shared.lock();
        if state.ended {
            return false;
        }
        if state.waiting.is_empty() {
            let idle = |state: &mut State| state.waiting.is_empty() && !state.ended;
            let (state, _) = self.shared.changed.wait_timeout_while(state, IDLE_POLL, idle).unwrap_or_else(PoisonError::into_inner);
            return !state.ended;
        }
        drop(state);
        self.wake.wait_timeout(self.position, POLL);
        true
    }

    fn catch_up(&mut self) -> Result<(), StoreFault> {
        loop {
            let events = self.reader.events_after(self.position, PAGE)?;
            let is_last_page = events.len() < PAGE as usize;
            for event in events {
                self.position = event.position;
                if let Some(question) = decided_by(&event) {
                    self.shared.tell(question);
                }
            }
            if is_last_page {
                return self.notice_restore();
            }
        }
    }

    /// A restored store gives positions out again. What was decided just before is found in the store by whoever waits for it.
    fn notice_restore(&mut self) -> Result<(), StoreFault> {
        let state = self.reader.store_state()?;
        if state.epoch != self.epoch {
            (self.epoch, self.position) = (state.epoch, state.position);
        }
        Ok(())
    }
}

/// What an event tells to be decided.
fn decided_by(event: &Event) -> Option<Undecided> {
    match event.kind {
        EventKind::ApplicationIssued | EventKind::ApplicationRefused => event.application.map(Undecided::Application),
        EventKind::InstructionDone | EventKind::InstructionRefused | EventKind::InstructionAwaitingApproval => {
            event.data["instruction"].as_str().and_then(Sha256Digest::from_hex).map(Undecided::Instruction)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn application(id: i64) -> Undecided {
        Undecided::Application(ApplicationId(id))
    }

    #[tokio::test]
    async fn whoever_asks_before_or_just_after_the_decision_is_told() {
        let shared = Shared::default();
        let (early, late) = (application(1), Undecided::Instruction(Sha256Digest::of(b"late")));
        let waiting = shared.register(early).unwrap();
        shared.tell(early);
        shared.tell(late);
        waiting.await.unwrap();
        assert!(shared.register(early).is_none());
        assert!(shared.register(late).is_none());
    }

    #[tokio::test]
    async fn those_who_have_left_are_forgotten() {
        let shared = Shared::default();
        let application = application(1);
        drop(shared.register(application).unwrap());
        shared.forget_departed(application);
        assert!(shared.lock().waiting.is_empty());
    }
}
