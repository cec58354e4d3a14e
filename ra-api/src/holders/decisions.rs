//! Learning of the CA's decisions: one thread follows the events and wakes whoever waits for an application.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ca_core::application::ApplicationId;
use schema::{EventKind, EventPosition, Reader, StoreFault, Wake};
use tokio::sync::oneshot;

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

/// Decided applications, as the events tell. Cheap to clone; the thread ends when the last clone is gone.
#[derive(Clone)]
pub struct Decisions {
    shared: Arc<Shared>,
    _end: Arc<EndOnDrop>,
}

impl Decisions {
    /// Starts to follow the events after the present position.
    pub fn follow(reader: Reader, wake: Arc<Wake>) -> Result<Self, StoreFault> {
        let position = reader.position()?;
        let shared = Arc::new(Shared::default());
        let follower = Follower { reader, wake, position, shared: Arc::clone(&shared) };
        std::thread::Builder::new()
            .name("ra-decisions".into())
            .spawn(move || follower.run())
            .map_err(|_| StoreFault::Misuse("no thread can be started"))?;
        Ok(Self { _end: Arc::new(EndOnDrop(Arc::clone(&shared))), shared })
    }

    /// Waits until the application has been decided, for `patience` at most; tells whether it has, as far as the events say.
    pub async fn wait(&self, application: ApplicationId, patience: Duration) -> bool {
        let Some(decided) = self.shared.register(application) else {
            return true;
        };
        match tokio::time::timeout(patience, decided).await {
            Ok(told) => told.is_ok(),
            Err(_) => {
                self.shared.forget_departed(application);
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

#[derive(Default)]
struct State {
    waiting: HashMap<ApplicationId, Vec<oneshot::Sender<()>>>,
    decided: HashSet<ApplicationId>,
    decided_in_order: VecDeque<ApplicationId>,
    ended: bool,
}

impl Shared {
    /// `None` if the application was decided a moment ago.
    fn register(&self, application: ApplicationId) -> Option<oneshot::Receiver<()>> {
        let mut state = self.lock();
        if state.decided.contains(&application) {
            return None;
        }
        let (tell, decided) = oneshot::channel();
        state.waiting.entry(application).or_default().push(tell);
        self.changed.notify_one();
        Some(decided)
    }

    fn forget_departed(&self, application: ApplicationId) {
        let mut state = self.lock();
        if let Some(waiting) = state.waiting.get_mut(&application) {
            waiting.retain(|tell| !tell.is_closed());
            if waiting.is_empty() {
                state.waiting.remove(&application);
            }
        }
    }

    fn tell(&self, application: ApplicationId) {
        let mut state = self.lock();
        if state.decided.insert(application) {
            state.decided_in_order.push_back(application);
            if state.decided_in_order.len() > REMEMBERED
                && let Some(oldest) = state.decided_in_order.pop_front()
            {
                state.decided.remove(&oldest);
            }
        }
        for tell in state.waiting.remove(&application).unwrap_or_default() {
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
                if let (EventKind::ApplicationIssued | EventKind::ApplicationRefused, Some(application)) = (event.kind, event.application) {
                    self.shared.tell(application);
                }
            }
            if is_last_page {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_asks_before_or_just_after_the_decision_is_told() {
        let shared = Shared::default();
        let (early, late) = (ApplicationId(1), ApplicationId(2));
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
        let application = ApplicationId(1);
        drop(shared.register(application).unwrap());
        shared.forget_departed(application);
        assert!(shared.lock().waiting.is_empty());
    }

    #[test]
    fn only_so_many_decisions_are_remembered() {
        let shared = Shared::default();
        for id in 0..REMEMBERED as i64 + 10 {
            shared.tell(ApplicationId(id));
        }
        assert_eq!(shared.lock().decided.len(), REMEMBERED);
        assert!(shared.register(ApplicationId(0)).is_some());
    }
}
