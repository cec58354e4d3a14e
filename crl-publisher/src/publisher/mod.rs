//! Making lists and publishing them.

mod following;
mod latency;
mod making;
mod steady;
mod steps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ca_core::chain::Chain;
use ca_core::clock::Clock;
use ca_core::issuer::{CaKeyId, Issuer};
use ca_core::ocsp::StatusWitness;
use chrono::{DateTime, TimeDelta, Utc};
use schema::crl::{CrlCause, CrlRetention};
use schema::lease::Lease;
use schema::{EventPosition, Reader, StoreFault, Wake, Writer};

pub use self::making::{PublishFault, Published};
use self::steady::Steady;
pub use self::steps::{NoPublishSteps, PublishStep, PublishSteps};
use crate::schedule::Schedule;
use crate::scope::{Due, Scope};
use crate::settings::{CrlSettings, SettingsRefusal};
use crate::shelf::{Filler, Shelf};

/// What a publisher is made of.
pub struct PublisherParts {
    /// Every generation of CA keys whose key is at hand: lists go on as long as their certificates live, and one longer.
    pub issuers: Vec<Issuer>,
    /// For reading.
    pub reader: Reader,
    /// For publishing.
    pub writer: Writer,
    /// The time in the lists.
    pub clock: Arc<dyn Clock>,
    /// What the administrator chose.
    pub settings: CrlSettings,
    /// Where lists are written and published.
    pub shelf: Arc<Shelf>,
    /// Who asks the status service what it says of certificates; without one the gate does not compare with it.
    pub witness: Option<Arc<dyn StatusWitness>>,
    /// Is told of each step of a list.
    pub steps: Arc<dyn PublishSteps>,
}

/// Publishes the full CRL of each scope: regularly, and at once where the settings say so. To be run by whoever leads the CA role.
///
/// It can be killed anywhere: a number reserved and not used is a gap, which RFC 5280 section 5.2.3 allows; what was written of a
/// list that was not published is removed by the next leader; and what was missed is found again in the changes after the last
/// list's position.
pub struct Publisher {
    issuers: BTreeMap<CaKeyId, Issuer>,
    reader: Reader,
    writer: Writer,
    clock: Arc<dyn Clock>,
    settings: CrlSettings,
    schedule: Schedule,
    shelf: Arc<Shelf>,
    filler: Filler,
    witness: Option<Arc<dyn StatusWitness>>,
    steps: Arc<dyn PublishSteps>,
    scopes: BTreeMap<(CaKeyId, u16), Scope>,
    /// Changes up to here were looked at; `None` before the first look.
    seen: Option<EventPosition>,
    /// The store's epoch when it was looked at last: in another, what was noticed counts for nothing. `None` before the first look.
    epoch: Option<u64>,
    /// The epoch of the lease under which this process leads, 0 if it publishes without one; `None` if it does not lead.
    led: Option<i64>,
    refreshed: Option<Instant>,
    pruned_at: Option<DateTime<Utc>>,
    /// Whether the shelf lacks a list that is published.
    shelf_is_behind: bool,
    /// When the status service could not be reached.
    unreachable: Option<Instant>,
    /// The clock, since this process looks at it regularly.
    steady: Steady,
}

/// The longest pause between two looks at the changes, for those of other processes, and at the stop flag.
const POLL: Duration = Duration::from_millis(500);

/// Lists that need not be kept any more are removed so often.
const PRUNE: TimeDelta = TimeDelta::minutes(10);

/// So many lists are removed in one transaction.
const PRUNED_AT_ONCE: u32 = 100;

impl Publisher {
    /// Nothing is read yet.
    ///
    /// # Errors
    /// If the settings do not pass.
    pub fn new(parts: PublisherParts) -> Result<Self, SettingsRefusal> {
        let PublisherParts { issuers, reader, writer, clock, settings, shelf, witness, steps } = parts;
        let schedule = settings.check()?;
        for issuer in issuers.iter().filter(|issuer| !issuer.signer().takes_digests()) {
            tracing::warn!(
                ca_key = issuer.ca_key().label(),
                "an RSA key in a file signs its CRLs from memory: each needs as much as it is long"
            );
        }
        Ok(Self {
            issuers: issuers.into_iter().map(|issuer| (issuer.ca_key().id(), issuer)).collect(),
            filler: Filler::new(Arc::clone(&shelf), reader.clone()),
            reader,
            writer,
            clock,
            settings,
            schedule,
            shelf,
            witness,
            steps,
            scopes: BTreeMap::new(),
            seen: None,
            epoch: None,
            led: None,
            refreshed: None,
            pruned_at: None,
            shelf_is_behind: true,
            unreachable: None,
            steady: Steady::default(),
        })
    }

    /// Publishes whenever it is due, until `stop` is set, while `lease` gives the lease of this process. Faults are logged, counted
    /// and tried again. Blocks: it wants a thread of its own.
    pub fn run(&mut self, wake: &Wake, lease: &dyn Fn() -> Option<Lease>, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            if !self.is_clock_steady() {
                wake.wait_timeout(EventPosition(i64::MAX), POLL);
                continue;
            }
            let Some(lease) = lease() else {
                // Another leads, and publishes: what we know will be old when it is our turn.
                if self.led.is_some() {
                    self.forget();
                }
                self.watch();
                wake.wait_timeout(EventPosition(i64::MAX), POLL);
                continue;
            };
            match self.run_next(&lease) {
                // After each list another may be more urgent than those that were due before.
                Ok(Some(_)) => {}
                Ok(None) => {
                    let seen = self.seen.unwrap_or(EventPosition(0));
                    wake.wait_timeout(seen, self.pause());
                }
                Err(fault) => {
                    metrics::counter!("tsunagi_crl_store_faults_total").increment(1);
                    tracing::error!(fault = %Chain(&fault), "the CRL publisher cannot use the store");
                    self.forget();
                    wake.wait_timeout(EventPosition(i64::MAX), POLL);
                }
            }
        }
    }

    /// While the clock is not to be believed nothing is made, nor removed.
    fn is_clock_steady(&mut self) -> bool {
        let (now, before) = (self.clock.now(), self.steady);
        let is_steady = self.steady.look(now, Instant::now());
        if !is_steady && before.is_steady() {
            metrics::counter!("tsunagi_crl_clock_leaps_total").increment(1);
            tracing::error!(%now, "the clock has leapt: no CRL is made until it is right again, or has been steady for two minutes");
        }
        is_steady
    }

    /// Publishes the lists that are due now, the most urgent first; one that fails does not keep back the others. With a lease,
    /// every write is fenced.
    ///
    /// # Errors
    /// If the store cannot say what is due.
    pub fn run_once(&mut self, lease: Option<&Lease>) -> Result<Vec<Result<Published, PublishFault>>, StoreFault> {
        self.prepare(lease)?;
        self.refreshed = None;
        let due = self.due(self.clock.now())?;
        let outcomes = due.into_iter().map(|(ca_key, shard, due)| self.publish((ca_key, shard), due.cause, lease)).collect();
        self.tidy(lease);
        Ok(outcomes)
    }

    /// The most urgent one; `None` if none is due.
    fn run_next(&mut self, lease: &Lease) -> Result<Option<Result<Published, PublishFault>>, StoreFault> {
        self.prepare(Some(lease))?;
        let next = self.due(self.clock.now())?.into_iter().next();
        let outcome = next.map(|(ca_key, shard, due)| self.publish((ca_key, shard), due.cause, Some(lease)));
        self.tidy(Some(lease));
        Ok(outcome)
    }

    /// Which scopes' lists are due at `now`, the most urgent first, after a look at the changes since the last time.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn due(&mut self, now: DateTime<Utc>) -> Result<Vec<(CaKeyId, u16, Due)>, StoreFault> {
        if !self.follow(now)? {
            return Ok(Vec::new());
        }
        let at_hand = self.scopes.values().filter(|scope| self.issuers.contains_key(&scope.ca_key()));
        let due = |scope: &Scope| scope.due(now, &self.schedule, &self.settings).map(|due| (scope.ca_key(), scope.shard(), due));
        let mut due: Vec<_> = at_hand.filter_map(due).collect();
        due.sort_by_key(|(_, _, due)| (due.urgency, due.since));
        Ok(due)
    }

    /// Makes the list of a scope now and publishes it.
    fn publish(&mut self, key: (CaKeyId, u16), cause: CrlCause, lease: Option<&Lease>) -> Result<Published, PublishFault> {
        let began = self.clock.now();
        let (Some(issuer), Some(scope)) = (self.issuers.get(&key.0).cloned(), self.scopes.get(&key).cloned()) else {
            return Err(StoreFault::Misuse("no issuer of that scope").into());
        };
        let label = scope.label().to_owned();
        let work = Instant::now();
        match self.make(&issuer, &scope, cause, lease) {
            Ok(published) => {
                let ended = self.clock.now();
                if let Some(scope) = self.scopes.get_mut(&key) {
                    scope.published(published.list.clone(), began, ended, &self.settings);
                }
                if let Err(fault) = self.record_latency(key, ended, lease) {
                    tracing::error!(crl = label, fault = %Chain(&fault), "how long revocations took was not recorded");
                }
                metrics::counter!("tsunagi_crl_published_total", "crl" => label.clone(), "cause" => cause.as_str()).increment(1);
                metrics::gauge!("tsunagi_crl_entries", "crl" => label.clone()).set(published.list.entries as f64);
                metrics::histogram!("tsunagi_crl_publish_seconds", "crl" => label.clone()).record(work.elapsed().as_secs_f64());
                let (number, report) = (published.list.number, &published.report);
                let compared = report.compared.unwrap_or_default();
                tracing::info!(
                    crl = label,
                    number,
                    cause = cause.as_str(),
                    entries = report.entries,
                    counted_at = report.position.0,
                    new = compared.new,
                    holds_changed = compared.holds_changed,
                    lifted = compared.lifted,
                    expired = compared.expired,
                    "CRL published"
                );
                Ok(published)
            }
            Err(fault) => {
                if let Some(scope) = self.scopes.get_mut(&key) {
                    scope.failed(self.clock.now(), &self.settings);
                }
                metrics::counter!("tsunagi_crl_faults_total", "crl" => label.clone()).increment(1);
                tracing::error!(crl = label, fault = %Chain(&fault), "CRL not published; the last one stays in force");
                Err(fault)
            }
        }
    }

    /// What a new leader does first: it removes what the one before left unfinished, and sees to it that its own shelf has what is
    /// published.
    fn prepare(&mut self, lease: Option<&Lease>) -> Result<(), StoreFault> {
        let epoch = lease.map_or(0, |lease| lease.epoch);
        if self.led != Some(epoch) {
            if self.led.is_some() {
                self.forget();
            }
            if let Err(fault) = self.shelf.clear_unpublished() {
                tracing::error!(fault = %Chain(&fault), "what was left of unpublished CRLs is not removed");
            }
            let scopes = self.reader.crl_scopes()?;
            let fence = lease.cloned();
            self.writer.write(move |transaction| {
                fence.as_ref().map(|lease| transaction.check_lease(lease)).transpose()?;
                scopes.iter().try_for_each(|scope| transaction.clear_unpublished_crls(scope.ca_key, scope.shard).map(drop))
            })?;
            self.led = Some(epoch);
            self.shelf_is_behind = true;
        }
        if self.shelf_is_behind {
            self.fill_shelf();
        }
        Ok(())
    }

    /// Puts every published list on the shelf that is not there.
    fn fill_shelf(&mut self) {
        let faults = self.filler.look().unwrap_or_else(|fault| vec![fault]);
        for fault in &faults {
            metrics::counter!("tsunagi_crl_shelf_faults_total").increment(1);
            tracing::error!(fault = %Chain(fault), "a published CRL is not on the shelf");
        }
        self.shelf_is_behind = !faults.is_empty();
    }

    /// Removes lists that need not be kept any more.
    fn tidy(&mut self, lease: Option<&Lease>) {
        let now = self.clock.now();
        if self.pruned_at.is_some_and(|pruned_at| now < pruned_at + PRUNE) {
            return;
        }
        let keep = CrlRetention { regular_before: now - self.settings.keep(), at_once_before: now - TimeDelta::hours(1) };
        let fence = lease.cloned();
        let pruned = self.writer.write(move |transaction| {
            fence.as_ref().map(|lease| transaction.check_lease(lease)).transpose()?;
            transaction.prune_crls(&keep, PRUNED_AT_ONCE, now)
        });
        let pruned = pruned.map(|pruned| pruned.len()).unwrap_or_else(|fault| {
            tracing::error!(fault = %Chain(&fault), "earlier CRLs are not removed");
            0
        });
        if let Err(fault) = self.filler.remove_what_is_not_kept() {
            tracing::error!(fault = %Chain(&fault), "earlier CRLs are not removed from the shelf");
        }
        // A full load is followed by another at once.
        self.pruned_at = Some(now).filter(|_| pruned < PRUNED_AT_ONCE as usize);
    }

    /// Nothing in memory is to be relied on any more.
    fn forget(&mut self) {
        self.scopes.clear();
        self.seen = None;
        self.epoch = None;
        self.led = None;
        self.refreshed = None;
    }

    /// How long nothing will be due unless something changes.
    fn pause(&self) -> Duration {
        let now = self.clock.now();
        let next = self.scopes.values().filter_map(|scope| scope.next_due(now, &self.schedule, &self.settings)).min();
        let left = next.and_then(|next| (next - now).to_std().ok()).unwrap_or(Duration::ZERO);
        if next.is_none() { POLL } else { left.clamp(Duration::from_millis(1), POLL) }
    }
}
