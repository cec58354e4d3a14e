//! Who answers at present: CA keys and responder certificates as the store has them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use ca_core::issuer::{CaKey, CaKeyId};
use ca_core::signer::Signer;
use chrono::{DateTime, TimeDelta, Utc};
use schema::{Reader, StoreFault};

use crate::authority::{Authorities, Authority};
use crate::responder::Responder;

/// Keeps [`Authorities`] up to date without a restart: for each CA key the responders that its certificates make of the keys that we
/// hold. When the store fails, what was read before stays in use until the certificates themselves run out.
pub struct Registry {
    reader: Reader,
    keys: Vec<Arc<dyn Signer>>,
    refresh: TimeDelta,
    current: ArcSwapOption<Authorities>,
    /// When they are to be read again.
    due: Mutex<DateTime<Utc>>,
}

/// How long to wait before asking again when something was missing.
const RETRY: TimeDelta = TimeDelta::seconds(1);

impl Registry {
    /// For the responder keys `keys`. Nothing is read yet.
    pub fn new(reader: Reader, keys: Vec<Arc<dyn Signer>>, refresh: TimeDelta) -> Self {
        Self { reader, keys, refresh, current: ArcSwapOption::empty(), due: Mutex::new(DateTime::<Utc>::MIN_UTC) }
    }

    /// The authorities as they were last read; `None` if that was never possible.
    pub fn authorities(&self) -> Option<Arc<Authorities>> {
        self.current.load_full()
    }

    /// Reads them again if it is time, which blocks on the store. If another is at it, waits only if there is nothing to go on with.
    pub fn refresh(&self, now: DateTime<Utc>) {
        let mut due = match self.due.try_lock() {
            Ok(due) => due,
            Err(_) if self.current.load().is_some() => return,
            Err(_) => self.due.lock().unwrap_or_else(PoisonError::into_inner),
        };
        // A clock that was set back would leave it due in a far future.
        if now < *due && *due - now <= self.refresh {
            return;
        }
        let wait = match self.read(now) {
            Ok(authorities) => {
                let complete = authorities.are_complete(now);
                self.current.store(Some(Arc::new(authorities)));
                if complete { self.refresh } else { self.refresh.min(RETRY) }
            }
            Err(fault) => {
                metrics::counter!("tsunagi_ocsp_refresh_faults_total").increment(1);
                tracing::error!(%fault, "CA keys and responder certificates could not be read");
                self.refresh.min(RETRY)
            }
        };
        *due = now + wait;
    }

    fn read(&self, now: DateTime<Utc>) -> Result<Authorities, StoreFault> {
        let ca_keys = self.reader.ca_keys()?;
        let stored = self.reader.responders()?;
        let scopes = self.reader.crl_scopes()?;
        let retired: BTreeSet<CaKeyId> = scopes.iter().filter(|scope| scope.retired_at.is_some()).map(|scope| scope.ca_key).collect();
        let known = self.authorities().unwrap_or_default();
        let authority = |ca_key: CaKey| {
            // They come oldest first.
            let of_key = stored.iter().rev().filter(|responder| responder.ca_key == ca_key.id() && now <= responder.not_after);
            let responders = of_key.filter_map(|stored| self.responder(&known, &ca_key, &stored.der)).collect();
            let is_retired = retired.contains(&ca_key.id());
            let authority = Authority::new(ca_key.clone(), responders, is_retired).map_err(|_| StoreFault::Corrupt("a CA key's dates"))?;
            if authority.responder(now).is_none() {
                tracing::warn!(kind = %ca_key.kind(), generation = ca_key.generation(), "no valid responder certificate of this CA key");
            }
            Ok(Arc::new(authority))
        };
        ca_keys.into_iter().map(authority).collect::<Result<_, _>>().map(Authorities)
    }

    /// The responder that the certificate makes of one of our keys.
    fn responder(&self, known: &Authorities, ca_key: &CaKey, certificate: &[u8]) -> Option<Arc<Responder>> {
        let mut before = known.0.iter().filter(|authority| authority.id() == ca_key.id()).flat_map(|authority| authority.responders());
        if let Some(same) = before.find(|responder| responder.certificate_der() == certificate) {
            return Some(Arc::clone(same));
        }
        self.keys.iter().find_map(|key| Responder::new(ca_key, certificate.to_vec(), Arc::clone(key)).ok()).map(Arc::new)
    }
}
