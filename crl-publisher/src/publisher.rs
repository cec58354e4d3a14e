//! Making lists and publishing them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ca_core::chain::Chain;
use ca_core::clock::Clock;
use ca_core::issuer::{CaKeyId, Issuer};
use ca_core::revocation::RevocationReason;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use schema::crl::StoredCrl;
use schema::lease::Lease;
use schema::{Event, EventKind, EventPosition, Reader, StoreFault, Wake, Writer};

use crate::before::entry::RevokedCertificate;
use crate::follower::{Cause, Follower, Latest};
use crate::before::gate::{self, GateFault, Standing};
use crate::before::list::{self, Entries, Heading, ListFault};
use crate::schedule::Schedule;
use crate::settings::{AtOnce, CrlSettings, SettingsRefusal};

/// Publishes a full CRL for each CA key: regularly, and at once where the settings say so. To be run by whoever leads the CA role.
///
/// It can be killed anywhere: a number reserved and not used is a gap, which RFC 5280 section 5.2.3 allows; everything else is one
/// transaction, and what was missed is found again in the events after the last list's position.
pub struct Publisher {
    issuers: Vec<(Issuer, Follower)>,
    reader: Reader,
    writer: Writer,
    clock: Arc<dyn Clock>,
    settings: CrlSettings,
    schedule: Schedule,
    /// Events up to here were looked at; `None` before the first look.
    seen: Option<EventPosition>,
}

/// A list that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The CA key.
    pub ca_key: CaKeyId,
    /// The list's number.
    pub number: u64,
    /// When it was made.
    pub this_update: DateTime<Utc>,
    /// By when there will be another.
    pub next_update: DateTime<Utc>,
    /// How many certificates it lists.
    pub entries: u64,
    /// Why it was made.
    pub cause: Cause,
}

/// A list could not be published; the last one stays in force.
#[derive(Debug, thiserror::Error)]
pub enum PublishFault {
    /// The store failed, or the lease has passed to another.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// It could not be written or signed.
    #[error(transparent)]
    List(#[from] ListFault),
    /// It is not what it should be.
    #[error("the new list was not let through: {0}")]
    Gate(#[from] GateFault),
    /// The schedule has no time left to come.
    #[error("the schedule has no time left to come")]
    ScheduleEnded,
}

impl From<der::Error> for PublishFault {
    fn from(error: der::Error) -> Self {
        Self::List(ListFault::Encoding(error))
    }
}

/// The longest pause between two looks at the events, for those of other processes, and at the stop flag.
const POLL: Duration = Duration::from_millis(500);

/// Events read at a time.
const EVENT_PAGE: u32 = 500;

impl Publisher {
    /// A publisher for the CA keys of `issuers`. Nothing is read yet.
    ///
    /// # Errors
    /// If the settings do not pass.
    pub fn new(
        issuers: Vec<Issuer>,
        reader: Reader,
        writer: Writer,
        clock: Arc<dyn Clock>,
        settings: CrlSettings,
    ) -> Result<Self, SettingsRefusal> {
        let schedule = settings.check()?;
        let issuers = issuers.into_iter().map(|issuer| (issuer, Follower::default())).collect();
        Ok(Self { issuers, reader, writer, clock, settings, schedule, seen: None })
    }

    /// Publishes whenever it is due, until `stop` is set, while `lease` gives the lease of this process. Faults are logged, counted
    /// and tried again. Blocks: it wants a thread of its own.
    pub fn run(&mut self, wake: &Wake, lease: &dyn Fn() -> Option<Lease>, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let Some(lease) = lease() else {
                // Another leads, and publishes: what we know will be old when it is our turn.
                self.seen = None;
                wake.wait_timeout(EventPosition(i64::MAX), POLL);
                continue;
            };
            match self.run_once(Some(&lease)) {
                Ok(_) => {
                    let seen = self.seen.unwrap_or(EventPosition(0));
                    wake.wait_timeout(seen, self.pause());
                }
                Err(fault) => {
                    tracing::error!(%fault, "the CRL publisher cannot read the store");
                    wake.wait_timeout(EventPosition(i64::MAX), POLL);
                }
            }
        }
    }

    /// Publishes the lists that are due now; one that fails does not keep back the others. With a lease, every write is fenced.
    ///
    /// # Errors
    /// If the store cannot say what is due.
    pub fn run_once(&mut self, lease: Option<&Lease>) -> Result<Vec<Result<Published, PublishFault>>, StoreFault> {
        let due = self.due(self.clock.now())?;
        Ok(due.into_iter().map(|(ca_key, cause)| self.publish(ca_key, cause, lease)).collect())
    }

    /// Which CA keys' lists are due at `now`, after a look at the events since the last time.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn due(&mut self, now: DateTime<Utc>) -> Result<Vec<(CaKeyId, Cause)>, StoreFault> {
        self.follow(now)?;
        let due = |(issuer, follower): &(Issuer, Follower)| {
            follower.due(now, &self.schedule, &self.settings).map(|cause| (issuer.ca_key().id(), cause))
        };
        Ok(self.issuers.iter().filter_map(due).collect())
    }

    /// Makes a list of a CA key now and publishes it.
    ///
    /// # Errors
    /// See [`PublishFault`]; it is due again a while later.
    pub fn publish(&mut self, ca_key: CaKeyId, cause: Cause, lease: Option<&Lease>) -> Result<Published, PublishFault> {
        let Some(place) = self.issuers.iter().position(|(issuer, _)| issuer.ca_key().id() == ca_key) else {
            return Err(StoreFault::Misuse("no issuer of that CA key").into());
        };
        let issuer = self.issuers[place].0.clone();
        let label = issuer.ca_key().label();
        let started = Instant::now();
        match self.make(&issuer, cause, lease) {
            Ok((published, latest)) => {
                self.issuers[place].1.published(latest);
                metrics::counter!("tsunagi_crl_published_total", "ca_key" => label.clone(), "cause" => cause.as_str()).increment(1);
                metrics::gauge!("tsunagi_crl_entries", "ca_key" => label.clone()).set(published.entries as f64);
                metrics::gauge!("tsunagi_crl_next_update_seconds", "ca_key" => label.clone()).set(published.next_update.timestamp() as f64);
                metrics::histogram!("tsunagi_crl_publish_seconds", "ca_key" => label.clone()).record(started.elapsed().as_secs_f64());
                tracing::info!(
                    ca_key = label,
                    number = published.number,
                    entries = published.entries,
                    cause = cause.as_str(),
                    "CRL published"
                );
                Ok(published)
            }
            Err(fault) => {
                self.issuers[place].1.failed(self.clock.now() + self.settings.retry());
                metrics::counter!("tsunagi_crl_faults_total", "ca_key" => label.clone()).increment(1);
                tracing::error!(ca_key = label, fault = %Chain(&fault), "CRL not published; the last one stays in force");
                Err(fault)
            }
        }
    }

    /// The entries are read in pages, each at another moment, with no snapshot held. Still every revocation up to the position
    /// noted before the first page is on the list: it was committed before, and revocation is permanent, so no page can miss it; nor
    /// can it miss a hold, unless that was lifted since. What changed later may or may not be on it, has a later position and makes
    /// another list due.
    fn make(&self, issuer: &Issuer, cause: Cause, lease: Option<&Lease>) -> Result<(Published, Latest), PublishFault> {
        let ca_key = issuer.ca_key().id();
        let now = self.clock.now();
        let position = self.reader.position()?;
        let previous = self.reader.latest_crl(ca_key)?;
        let next_regular = self.schedule.next_after(now).ok_or(PublishFault::ScheduleEnded)?;
        let keep_from = self.keep_from(previous.as_ref());

        let fence = lease.cloned();
        let number = self.writer.write(move |transaction| {
            fence.as_ref().map(|lease| transaction.check_lease(lease)).transpose()?;
            transaction.reserve_crl_number(ca_key, now)
        })?;
        let heading =
            Heading { number, this_update: now.trunc_subsecs(0), next_update: next_regular.trunc_subsecs(0) + self.settings.overlap() };
        let entries = self.entries(ca_key, keep_from)?;
        let der = list::sign(issuer, &heading, &entries)?;
        gate::check(&der, issuer, &heading, entries.count(), previous.as_ref().map(|crl| crl.der.as_slice()), |serial| {
            Ok(match self.reader.certificate_status(ca_key, serial)? {
                Some(status) if status.not_after < keep_from => Standing::LongExpired,
                Some(status) if status.revocation.is_none() => Standing::Free,
                _ => Standing::Listed,
            })
        })?;

        let crl = StoredCrl {
            ca_key,
            number,
            der,
            this_update: heading.this_update,
            next_update: heading.next_update,
            entries: entries.count(),
            event_position: position,
        };
        let fence = lease.cloned();
        self.writer.write(move |transaction| {
            fence.as_ref().map(|lease| transaction.check_lease(lease)).transpose()?;
            transaction.publish_crl(&crl, now)
        })?;
        let Heading { number, this_update, next_update } = heading;
        let published = Published { ca_key, number, this_update, next_update, entries: entries.count(), cause };
        Ok((published, Latest { number, this_update, position }))
    }

    /// Certificates that ended before this moment need no entry any more: an entry stays until it was on one regular list issued
    /// after the certificate's end (RFC 5280 section 3.3). The list before was made at or after a regular time; the first list
    /// from that time on was the regular one, and it had the entries of all certificates that had ended by then.
    fn keep_from(&self, previous: Option<&StoredCrl>) -> DateTime<Utc> {
        previous.and_then(|previous| self.schedule.last_until(previous.this_update)).unwrap_or(DateTime::UNIX_EPOCH)
    }

    fn entries(&self, ca_key: CaKeyId, keep_from: DateTime<Utc>) -> Result<Entries, PublishFault> {
        let mut entries = Entries::default();
        let mut after = None;
        // The store lists what ends after a moment, in milliseconds; whatever ends at `keep_from` itself stays too.
        let ended_by = keep_from - TimeDelta::milliseconds(1);
        loop {
            let page = self.reader.revoked_certificates(ca_key, ended_by, after.as_ref(), self.settings.page_entries)?;
            for revoked in &page {
                entries.push(&RevokedCertificate::new(&revoked.serial, &revoked.revocation)?)?;
            }
            match page.last() {
                Some(last) => after = Some(last.serial.clone()),
                None => return Ok(entries),
            }
        }
    }

    /// Looks at what is new in the store: lists that another leader published, revocations, holds, and holds that were lifted.
    fn follow(&mut self, now: DateTime<Utc>) -> Result<(), StoreFault> {
        for (issuer, follower) in &mut self.issuers {
            let ca_key = issuer.ca_key().id();
            let known = follower.latest().map(|latest| latest.number);
            if self.seen.is_none() || self.reader.latest_crl_number(ca_key)? != known {
                *follower = Follower::new(self.reader.latest_crl(ca_key)?.map(|crl| Latest {
                    number: crl.number,
                    this_update: crl.this_update,
                    position: crl.event_position,
                }));
                // Revocations that were noticed for the list before are to be noticed again.
                self.seen = None;
            }
        }
        let mut seen = match self.seen {
            Some(seen) => seen,
            None => {
                let listed = self.issuers.iter().filter_map(|(_, follower)| follower.latest()).map(|latest| latest.position).min();
                listed.map_or_else(|| self.reader.position(), Ok)?
            }
        };
        loop {
            let events = self.reader.events_after(seen, EVENT_PAGE)?;
            let Some(last) = events.last() else { break };
            seen = last.position;
            for event in &events {
                match event.kind {
                    EventKind::CertificateRevoked => self.notice(event, is_urgent(event), now),
                    EventKind::CertificateHeld | EventKind::CertificateReleased => self.notice(event, false, now),
                    _ => {}
                }
            }
        }
        self.seen = Some(seen);
        Ok(())
    }

    /// An event that does not say its CA key counts for all: a list too many does no harm.
    fn notice(&mut self, event: &Event, urgent: bool, now: DateTime<Utc>) {
        if self.settings.at_once == AtOnce::Urgent && !urgent {
            return;
        }
        let ca_key = event.data.get("ca_key").and_then(|value| value.as_i64());
        for (issuer, follower) in &mut self.issuers {
            if ca_key.is_none_or(|ca_key| ca_key == i64::from(issuer.ca_key().id().0)) {
                follower.revoked(event.position, now);
            }
        }
    }

    /// How long nothing will be due unless there is an event.
    fn pause(&self) -> Duration {
        let now = self.clock.now();
        let next = self.issuers.iter().filter_map(|(_, follower)| follower.next_due(now, &self.schedule, &self.settings)).min();
        let left = next.and_then(|next| (next - now).to_std().ok()).unwrap_or(Duration::ZERO);
        if next.is_none() { POLL } else { left.clamp(Duration::from_millis(1), POLL) }
    }
}

/// A revocation that does not say its reason counts as urgent.
fn is_urgent(event: &Event) -> bool {
    let reason = event.data.get("reason").and_then(|value| value.as_str());
    reason.and_then(|reason| reason.parse::<RevocationReason>().ok()).is_none_or(RevocationReason::is_urgent)
}
