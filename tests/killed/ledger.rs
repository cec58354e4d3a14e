//! What was acknowledged, and what must therefore be.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sandbox::kind::Kind;
use sandbox::phone::Enrolled;

/// What must be true of a certificate in the end. Each is more than the one before, and none is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Must {
    Live,
    Held,
    Revoked,
    /// The phone went away before it had its answer.
    Anything,
}

/// An issued certificate.
#[derive(Debug, Clone)]
pub(crate) struct Issued {
    pub(crate) kind: Kind,
    pub(crate) serial: String,
    pub(crate) der: Vec<u8>,
    pub(crate) must: Must,
}

/// Everything that somebody was promised.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    certificates: Mutex<BTreeMap<(Kind, String), Issued>>,
    /// Instructions that were done, by their names.
    pub(crate) instructions: Mutex<Vec<String>>,
    /// Card events that were received.
    pub(crate) card_events: AtomicUsize,
    /// Commands whose signed confirmation was received.
    pub(crate) confirmations: Mutex<Vec<String>>,
    /// What was done how often, for whoever reads what came of it.
    counts: Mutex<BTreeMap<String, usize>>,
    acknowledged: AtomicUsize,
}

impl Ledger {
    pub(crate) fn issued(&self, enrolled: &Enrolled) {
        let (kind, serial) = (enrolled.kind, enrolled.serial.clone());
        let issued = Issued { kind, serial: serial.clone(), der: enrolled.certificate.clone(), must: Must::Live };
        let known = locked(&self.certificates).insert((kind, serial), issued);
        assert!(known.is_none(), "one serial number was issued twice");
    }

    /// Whatever else must be true of these, this must.
    pub(crate) fn must<'e>(&self, must: Must, certificates: impl IntoIterator<Item = &'e Enrolled>) {
        let mut known = locked(&self.certificates);
        for enrolled in certificates {
            let issued = known.get_mut(&(enrolled.kind, enrolled.serial.clone())).expect("it was issued");
            issued.must = issued.must.max(must);
        }
    }

    pub(crate) fn certificates(&self) -> Vec<Issued> {
        locked(&self.certificates).values().cloned().collect()
    }

    pub(crate) fn any_certificate(&self) -> Option<Issued> {
        let known = locked(&self.certificates);
        let place = sandbox::keys::random_below(known.len().max(1)).unwrap();
        known.values().nth(place).cloned()
    }

    /// Somebody was told that this is done.
    pub(crate) fn acknowledged(&self, what: &str) {
        self.count(what);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn acknowledgements(&self) -> usize {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, what: &str) {
        *locked(&self.counts).entry(what.to_owned()).or_default() += 1;
    }

    pub(crate) fn told(&self) -> String {
        locked(&self.counts).iter().map(|(what, count)| format!("  {count:6} {what}\n")).collect()
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
