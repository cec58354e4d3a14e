//! Who answers at present: CA keys and responder certificates as the store has them.

use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};

use ca_core::issuer::CaKey;
use ca_core::signer::Signer;
use chrono::{DateTime, TimeDelta, Utc};
use schema::{Reader, StoreFault};

use crate::authority::{Authorities, Authority};
use crate::responder::Responder;

/// Keeps [`Authorities`] up to date without a restart: for each CA key the newest valid certificate of a responder key that we
/// hold. They are read again by whoever asks when they are older than the refresh time, by one asker at a time while the others
/// go on with the old ones; and when the store fails, the old ones stay in use until the certificates themselves run out.
pub struct Registry {
    reader: Reader,
    keys: Vec<Arc<dyn Signer>>,
    refresh: TimeDelta,
    current: RwLock<Option<Current>>,
    refreshing: Mutex<()>,
}

#[derive(Clone)]
struct Current {
    authorities: Arc<Authorities>,
    /// When they are to be read again.
    due: DateTime<Utc>,
}

/// How long to wait before asking again when something was missing.
const RETRY: TimeDelta = TimeDelta::seconds(1);

impl Registry {
    /// For the responder keys `keys`. Nothing is read yet.
    pub fn new(reader: Reader, keys: Vec<Arc<dyn Signer>>, refresh: TimeDelta) -> Self {
        Self { reader, keys, refresh, current: RwLock::new(None), refreshing: Mutex::new(()) }
    }

    /// The authorities, read again if it is time. Blocks on the store then. `None` if they could not be read even once.
    pub fn authorities(&self, now: DateTime<Utc>) -> Option<Arc<Authorities>> {
        let current = self.current();
        if let Some(current) = &current
            && now < current.due
        {
            return Some(Arc::clone(&current.authorities));
        }
        let turn = match (self.refreshing.try_lock(), &current) {
            (Ok(turn), _) => turn,
            (Err(TryLockError::Poisoned(poisoned)), _) => poisoned.into_inner(),
            (Err(TryLockError::WouldBlock), Some(current)) => return Some(Arc::clone(&current.authorities)),
            // The very first reading: there is nothing to go on with meanwhile.
            (Err(TryLockError::WouldBlock), None) => self.refreshing.lock().unwrap_or_else(PoisonError::into_inner),
        };
        // Another may have been faster.
        if let Some(current) = self.current()
            && now < current.due
        {
            return Some(current.authorities);
        }
        let fresh = match self.read(now) {
            Ok(authorities) => {
                let complete = !authorities.0.is_empty() && authorities.0.iter().all(|authority| authority.responder().is_some());
                let due = now + if complete { self.refresh } else { self.refresh.min(RETRY) };
                Some(Current { authorities: Arc::new(authorities), due })
            }
            Err(fault) => {
                metrics::counter!("tsunagi_ocsp_refresh_faults_total").increment(1);
                tracing::error!(%fault, "CA keys and responder certificates could not be read");
                current.map(|current| Current { due: now + self.refresh.min(RETRY), ..current })
            }
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        drop(turn);
        fresh.map(|current| current.authorities)
    }

    fn current(&self) -> Option<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn read(&self, now: DateTime<Utc>) -> Result<Authorities, StoreFault> {
        let ca_keys = self.reader.ca_keys()?;
        let stored = self.reader.responders()?;
        let authority = |ca_key: &CaKey| {
            // They come oldest first; the newest that fits is wanted.
            let newest_first = stored.iter().rev().filter(|responder| responder.ca_key == ca_key.id());
            let responder = newest_first.filter_map(|stored| self.responder(ca_key, &stored.der)).find(|found| found.is_valid_at(now));
            if responder.is_none() {
                tracing::warn!(kind = %ca_key.kind(), generation = ca_key.generation(), "no valid responder certificate of this CA key");
            }
            Authority::new(ca_key, responder)
        };
        Ok(Authorities(ca_keys.iter().map(authority).collect()))
    }

    /// The responder that the certificate makes of one of our keys.
    fn responder(&self, ca_key: &CaKey, certificate: &[u8]) -> Option<Responder> {
        self.keys.iter().find_map(|key| Responder::new(ca_key, certificate.to_vec(), Arc::clone(key)).ok())
    }
}
