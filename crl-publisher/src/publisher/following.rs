//! Following what changes: scopes, lists that another leader published, and certificates' statuses.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ca_core::chain::Chain;
use ca_core::issuer::{CaKey, CaKeyId};
use chrono::{DateTime, Utc};
use schema::{EventPosition, StoreFault};

use super::latency::recorded_under;
use super::{POLL, Publisher};
use crate::scope::Scope;
use crate::shelf::label;

/// Lists that another publishes are looked at so often.
const WATCH: Duration = Duration::from_secs(10);

/// Changes read at a time.
const PAGE: u32 = 5_000;

impl Publisher {
    /// Looks at what is new in the store. Whether lists may be made at all: not from a restored database that has not been
    /// reconciled with what was published before.
    pub(super) fn follow(&mut self, now: DateTime<Utc>) -> Result<bool, StoreFault> {
        let state = self.reader.store_state()?;
        if state.reconciling_since.is_some() || self.epoch.is_some_and(|epoch| epoch != state.epoch) {
            let led = self.led;
            self.forget();
            self.led = led;
            if state.reconciling_since.is_some() {
                return Ok(false);
            }
        }
        self.epoch = Some(state.epoch);
        if self.seen.is_none() || self.refreshed.is_none_or(|refreshed| refreshed.elapsed() >= POLL) {
            self.refresh(now)?;
            self.refreshed = Some(Instant::now());
        }
        let mut seen = match self.seen {
            Some(seen) => seen,
            None => self.scopes.values().filter_map(Scope::read_from).min().unwrap_or(state.position),
        };
        while seen < state.position {
            let (changes, until) = self.reader.status_changes_after(seen, PAGE)?;
            for change in &changes {
                if let Some(scope) = self.scopes.get_mut(&(change.ca_key, change.shard)) {
                    scope.notice(change, now, self.settings.at_once);
                }
            }
            if until <= seen {
                break;
            }
            seen = until;
        }
        self.seen = Some(seen);
        self.record_listed(now);
        Ok(true)
    }

    /// The scopes and their lists in force, as the store has them.
    fn refresh(&mut self, now: DateTime<Utc>) -> Result<(), StoreFault> {
        let mut latest: BTreeMap<_, _> = self.reader.latest_crls()?.into_iter().map(|list| ((list.ca_key, list.shard), list)).collect();
        let mut ca_keys: Option<BTreeMap<CaKeyId, CaKey>> = None;
        for found in self.reader.crl_scopes()? {
            let key = (found.ca_key, found.shard);
            let latest = latest.remove(&key);
            let known = self.scopes.get(&key);
            if known.is_none_or(|known| known.latest().map(|list| list.number) != latest.as_ref().map(|list| list.number)) {
                let ca_keys = match &mut ca_keys {
                    Some(ca_keys) => ca_keys,
                    none => none.insert(self.reader.ca_keys()?.into_iter().map(|ca_key| (ca_key.id(), ca_key)).collect()),
                };
                let ca_key = ca_keys.get(&found.ca_key).ok_or(StoreFault::Corrupt("a CRL shard of no CA key"))?;
                let label = label(ca_key, found.shard);
                if !self.issuers.contains_key(&found.ca_key) && self.led.is_some() && known.is_none() {
                    tracing::warn!(crl = label, "the CA key is not at hand: its lists are not published by this process");
                }
                let recorded = self.reader.follower(&recorded_under(found.ca_key, found.shard))?;
                self.scopes.insert(key, Scope::new(found.ca_key, found.shard, label, latest, recorded));
                // Revocations that were noticed for the list before are to be noticed again.
                self.seen = None;
            }
            if let Some(scope) = self.scopes.get_mut(&key).filter(|_| found.retired_at.is_some()) {
                scope.retire();
            }
        }
        if self.seen.is_none() {
            self.begin_again()?;
        }
        self.tell(now);
        Ok(())
    }

    /// How long each list in force is still good, for whoever is to be alarmed.
    fn tell(&self, now: DateTime<Utc>) {
        for scope in self.scopes.values() {
            let label = scope.label().to_owned();
            let endangered = scope.is_endangered(now, &self.settings);
            metrics::gauge!("tsunagi_crl_endangered", "crl" => label.clone()).set(if endangered { 1.0 } else { 0.0 });
            let next_update = scope.latest().map_or(0, |list| list.next_update.timestamp());
            metrics::gauge!("tsunagi_crl_next_update_seconds", "crl" => label).set(next_update as f64);
        }
    }

    /// Whoever does not lead tells it too, of the lists that another publishes: what was told while leading would grow old.
    pub(super) fn watch(&mut self) {
        if self.refreshed.is_some_and(|refreshed| refreshed.elapsed() < WATCH) {
            return;
        }
        if let Err(fault) = self.refresh(self.clock.now()) {
            tracing::warn!(fault = %Chain(&fault), "the CRL publisher cannot read the store");
        }
        self.forget();
        self.refreshed = Some(Instant::now());
    }

    /// Every scope forgets what it noticed, because all of it will be read again.
    fn begin_again(&mut self) -> Result<(), StoreFault> {
        for scope in self.scopes.values_mut() {
            let recorded = self.reader.follower(&recorded_under(scope.ca_key(), scope.shard()))?;
            scope.begin_again(recorded);
        }
        Ok(())
    }

    /// The position up to which every change was noticed: what a list made now has at least.
    pub(super) fn noticed(&self) -> Result<EventPosition, StoreFault> {
        self.seen.ok_or(StoreFault::Misuse("a list is made before the first look"))
    }
}
