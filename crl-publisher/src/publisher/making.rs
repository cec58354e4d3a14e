//! The way of one list: reserved, written, let through the gate, stored, published, put on the shelf.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use ca_core::chain::Chain;
use ca_core::issuer::{CaKeyId, Issuer};
use ca_core::ocsp::WitnessFault;
use ca_core::serial::SerialNumber;
use ca_core::signer::{DigestAlgorithm, StreamingDigest};
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use schema::crl::{CRL_CHUNK_OCTETS, CrlCause, PublishedCrl};
use schema::lease::Lease;
use schema::{StoreFault, Transaction};

use super::Publisher;
use super::steps::PublishStep;
use crate::gate::{self, Asked, GateFault, GateInput, GateReport, PreviousList, Standing};
use crate::list::{Heading, ListFault, ListWriter, WrittenList};
use crate::scope::{Scope, is_ahead};
use crate::settings::LONGEST_LIFE;
use crate::shelf::{Expected, FillFault, ShelfFault};

/// A list that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The list, as the store has it.
    pub list: PublishedCrl,
    /// What the gate found.
    pub report: GateReport,
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
    /// The list before is not on the shelf, and could not be put there to be compared with.
    #[error("the list before is not on the shelf")]
    Previous(#[from] FillFault),
    /// The file cannot be read again.
    #[error("the new list's file")]
    File(#[from] io::Error),
    /// The file is no longer what the gate let through.
    #[error("the new list's file is not the one that was let through")]
    FileChanged,
    /// The clock has leapt since it was looked at.
    #[error("the clock has leapt: {0} would be the new list's thisUpdate")]
    Clock(DateTime<Utc>),
    /// The schedule has no time left to come.
    #[error("the schedule has no time left to come")]
    ScheduleEnded,
}

/// After the status service could not be asked, lists go without it for so long.
const AWAY: Duration = Duration::from_secs(10);

impl Publisher {
    /// The entries are read in pages, each at another moment, with no snapshot held. Still every revocation up to the position
    /// noted before the first page is on the list: it was committed before, and revocation is permanent, so no page can miss it; nor
    /// can it miss a hold, unless that was lifted since. What changed later may or may not be on it, has a later position and makes
    /// another list due.
    pub(super) fn make(
        &mut self,
        issuer: &Issuer,
        scope: &Scope,
        cause: CrlCause,
        lease: Option<&Lease>,
    ) -> Result<Published, PublishFault> {
        let now = self.clock.now();
        if !self.steady.allows(now, Instant::now()) {
            return Err(PublishFault::Clock(now));
        }
        let next_update = match cause {
            CrlCause::Final => Heading::NEVER,
            _ => self.schedule.next_after(now).ok_or(PublishFault::ScheduleEnded)?.trunc_subsecs(0) + self.settings.overlap(),
        };
        let (ca_key, shard) = (scope.ca_key(), scope.shard());
        let number = self.fenced(lease, move |transaction| transaction.reserve_crl_number_in(ca_key, shard, now))?;
        self.steps.reached(PublishStep::Reserved);
        let heading = Heading { number, this_update: now.trunc_subsecs(0), next_update };
        let work = self.shelf.work_directory();
        let file = work.join(format!("{}-{number}.crl", scope.label()));
        let made = self.make_numbered(issuer, scope, &heading, cause, &file, lease);
        if let Err(fault) = &made {
            self.give_up(scope, number, fault, &file, lease);
        }
        made
    }

    fn make_numbered(
        &mut self,
        issuer: &Issuer,
        scope: &Scope,
        heading: &Heading,
        cause: CrlCause,
        file: &Path,
        lease: Option<&Lease>,
    ) -> Result<Published, PublishFault> {
        let event_position = self.noticed()?;
        let keep_from = self.keep_from(scope.latest(), heading.this_update);
        let written = self.write(issuer, scope, heading, keep_from, file)?;
        self.steps.reached(PublishStep::Written);
        let report = self.let_through(issuer, scope, &written, keep_from, event_position)?;
        self.steps.reached(PublishStep::Passed);
        self.store(scope.ca_key(), heading.number, file, &report, lease)?;
        self.steps.reached(PublishStep::Stored);

        let list = PublishedCrl {
            ca_key: scope.ca_key(),
            shard: scope.shard(),
            number: heading.number,
            this_update: heading.this_update,
            next_update: heading.next_update,
            entries: report.entries,
            octets: report.octets,
            sha256: report.sha256,
            event_position,
            cause,
        };
        let (to_publish, clock) = (list.clone(), self.clock.clone());
        self.fenced(lease, move |transaction| transaction.publish_crl_in(&to_publish, clock.now()))?;
        self.steps.reached(PublishStep::Published);

        self.shelve(issuer, &list, file);
        self.steps.reached(PublishStep::Shelved);
        Ok(Published { list, report })
    }

    /// It is published whatever becomes of the shelf: that is filled from the store if this fails.
    fn shelve(&mut self, issuer: &Issuer, list: &PublishedCrl, file: &Path) {
        let expected = Expected::of(issuer.ca_key(), list);
        if let Err(fault) = self.shelf.place(&expected, file) {
            metrics::counter!("tsunagi_crl_shelf_faults_total").increment(1);
            tracing::error!(crl = expected.label, fault = %Chain(&fault), "a published CRL is not on the shelf");
            self.shelf_is_behind = true;
        }
    }

    fn write(
        &self,
        issuer: &Issuer,
        scope: &Scope,
        heading: &Heading,
        keep_from: DateTime<Utc>,
        file: &Path,
    ) -> Result<WrittenList, PublishFault> {
        let mut writer = ListWriter::begin(&file.with_extension("entries"))?;
        let ended_by = ended_by(keep_from);
        let (ca_key, shard, page) = (scope.ca_key(), scope.shard(), self.settings.page_entries);
        let mut after: Option<SerialNumber> = None;
        loop {
            let mut pushed = Ok(());
            after = self.reader.revoked_in_scope(ca_key, shard, ended_by, after.as_ref(), page, |entry| {
                if pushed.is_ok() {
                    pushed = writer.push(entry);
                }
            })?;
            pushed?;
            if after.is_none() {
                return Ok(writer.finish(heading, issuer, shard, file)?);
            }
        }
    }

    fn let_through(
        &mut self,
        issuer: &Issuer,
        scope: &Scope,
        written: &WrittenList,
        keep_from: DateTime<Utc>,
        position: schema::EventPosition,
    ) -> Result<GateReport, PublishFault> {
        let (ca_key, shard) = (scope.ca_key(), scope.shard());
        let ended_by = ended_by(keep_from);
        let previous = scope.latest().map(|latest| self.previous(issuer, scope, latest)).transpose()?;
        let reader = self.reader.clone();
        // Many lists in a row are not to wait each for somebody who is away.
        let is_away = self.unreachable.is_some_and(|since| since.elapsed() < AWAY);
        let witness = self.witness.as_deref().filter(|_| !is_away);
        let report = gate::check(GateInput {
            path: &written.path,
            issuer,
            shard,
            heading: &written.heading,
            previous: scope.latest().zip(previous.as_deref()).map(|(latest, path)| PreviousList { path, number: latest.number }),
            count: &mut || reader.gate_count(ca_key, shard, ended_by, position),
            standing: &mut |serials| {
                let statuses = reader.certificate_statuses(ca_key, serials)?;
                let standing = |status: Option<schema::status::CertificateStatus>| match status {
                    Some(status) if status.not_after < keep_from => Standing::LongExpired,
                    Some(status) if status.revocation.is_none() => Standing::Free,
                    _ => Standing::Listed,
                };
                Ok(statuses.into_iter().map(standing).collect())
            },
            witness,
            sample: usize::from(self.settings.gate_sample),
        })?;
        match &report.asked {
            // Somebody is there, and it is not our status service, or it has a wrong key or time: the next list asks again.
            Asked::Unchecked(fault @ WitnessFault::Unbelievable(_)) => {
                tracing::error!(crl = scope.label(), %fault, "the status service cannot be believed; the list is published all the same");
                metrics::counter!("tsunagi_crl_unbelievable_total").increment(1);
            }
            // Lists are needed most when the status service is down.
            Asked::Unchecked(fault) => {
                tracing::warn!(crl = scope.label(), %fault, "the status service could not be asked; the list is published without it");
                metrics::counter!("tsunagi_crl_unwitnessed_total").increment(1);
                self.unreachable = Some(Instant::now());
            }
            _ if is_away => metrics::counter!("tsunagi_crl_unwitnessed_total").increment(1),
            _ => {}
        }
        Ok(report)
    }

    /// The file of the list before. After a failure it is held against the store first: that file may be what was wrong.
    fn previous(&self, issuer: &Issuer, scope: &Scope, latest: &PublishedCrl) -> Result<std::path::PathBuf, PublishFault> {
        let here = self.shelf.look(scope.label(), latest.number).ok().flatten();
        if let Some(here) = here.filter(|_| scope.failures() == 0) {
            return Ok(here.path);
        }
        let expected = Expected::of(issuer.ca_key(), latest);
        let fill = |sink: &mut dyn FnMut(&[u8]) -> io::Result<()>| {
            self.reader.crl_chunks(latest.ca_key, latest.number, |octets| Ok::<_, FillFault>(sink(octets)?)).map(drop)
        };
        self.shelf.fill(&expected, fill)?;
        let filled = self.shelf.look(scope.label(), latest.number).map_err(FillFault::from)?;
        Ok(filled.map(|list| list.path).ok_or_else(|| FillFault::from(ShelfFault::Octets(self.shelf.work_directory())))?)
    }

    fn store(&self, ca_key: CaKeyId, number: u64, file: &Path, report: &GateReport, lease: Option<&Lease>) -> Result<(), PublishFault> {
        let mut file = File::open(file)?;
        let mut digest = StreamingDigest::new(DigestAlgorithm::Sha256);
        // Each piece in a transaction of its own: others have their turn in between, and one piece is in memory.
        for sequence in 0.. {
            let mut chunk = Vec::with_capacity(CRL_CHUNK_OCTETS);
            file.by_ref().take(CRL_CHUNK_OCTETS as u64).read_to_end(&mut chunk)?;
            if chunk.is_empty() {
                break;
            }
            digest.update(&chunk);
            self.fenced(lease, move |transaction| transaction.append_crl_chunk(ca_key, number, sequence, &chunk))?;
            self.steps.reached(PublishStep::Storing);
        }
        if digest.finish().as_bytes() == report.sha256.as_bytes() { Ok(()) } else { Err(PublishFault::FileChanged) }
    }

    /// What is left of it goes, and why is kept for operators. If the store cannot take that, it is in the log.
    fn give_up(&self, scope: &Scope, number: u64, fault: &PublishFault, file: &Path, lease: Option<&Lease>) {
        let (ca_key, reason, now) = (scope.ca_key(), Chain(fault).to_string(), self.clock.now());
        let recorded = self.fenced(lease, move |transaction| transaction.fail_crl(ca_key, number, &reason, now));
        if let Err(fault) = recorded {
            tracing::warn!(crl = scope.label(), fault = %Chain(&fault), "why a CRL was not published is not recorded");
        }
        if let Err(error) = fs::remove_file(file).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
        {
            tracing::warn!(crl = scope.label(), %error, "an unpublished CRL is not removed");
        }
    }

    /// Certificates that ended before this moment need no entry any more: an entry stays until it was on one regular list issued
    /// after the certificate's end (RFC 5280 section 3.3). The list before was made at or after a regular time; the first list
    /// from that time on was the regular one, and it had the entries of all certificates that had ended by then. When a clock that
    /// was ahead really made the list before is not known: then whatever ended in the longest life of a list stays once more.
    fn keep_from(&self, previous: Option<&PublishedCrl>, now: DateTime<Utc>) -> DateTime<Utc> {
        let Some(previous) = previous else { return DateTime::UNIX_EPOCH };
        let is_ahead = is_ahead(previous.this_update, now);
        let made = if is_ahead { now - LONGEST_LIFE } else { previous.this_update.min(now) };
        self.schedule.last_until(made).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// A write of ours: nothing of it is done if the lease has passed on.
    fn fenced<T: Send + 'static>(
        &self,
        lease: Option<&Lease>,
        mut work: impl FnMut(&mut Transaction<'_>) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, StoreFault> {
        let fence = lease.cloned();
        self.writer.write(move |transaction| {
            fence.as_ref().map(|lease| transaction.check_lease(lease)).transpose()?;
            work(transaction)
        })
    }
}

/// The store lists what ends after a moment, in milliseconds; whatever ends at `keep_from` itself stays too.
fn ended_by(keep_from: DateTime<Utc>) -> DateTime<Utc> {
    keep_from - TimeDelta::milliseconds(1)
}
