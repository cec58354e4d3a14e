//! Exports for auditors: prepared part by part by whoever leads, each record checked against its commitment and the tree, and signed.
//!
//! Nothing of the records is kept: the same leaves make the same octets again when they are fetched, unless records were purged since. What is kept is what the manifest says
//! of each part, and the evidence, encrypted. A process that is killed leaves an export to the next one, which goes on after the last part.

mod evidence;
mod fault;
mod preparing;
mod settings;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use audit_log::stored::StoredTiles;
use audit_log::{LogKey, TileDirectory, TileSource};
use ca_core::chain::Chain;
use ca_core::clock::Clock;
use schema::audit_export::{AuditExport, ExportId};
use schema::lease::Lease;
use schema::{Reader, StoreFault, Wake, Writer};

pub use self::fault::{Defect, ExportFault};
pub use self::settings::{AuditSettings, AuditSettingsRefusal};
use crate::log::pause;

/// How long new work is let wait at least.
const LEISURE: Duration = Duration::from_millis(100);
/// How often exports are looked for where no commit tells of one.
const POLL: Duration = Duration::from_millis(500);
/// How long the work waits before it tries again what failed, or looks whether another leads.
const PAUSE_AFTER_FAULT: Duration = Duration::from_secs(2);
/// An export is tried so often in a row.
const ATTEMPTS: u32 = 5;
/// Exports that expire in one round at most.
const EXPIRING: u32 = 20;

/// What prepares exports.
pub struct ExporterParts {
    /// The log's key, which signs manifests.
    pub key: Arc<LogKey>,
    /// The published tiles: where the store's differ, they tell which leaf it is.
    pub directory: TileDirectory,
    /// Reads the store.
    pub reader: Reader,
    /// Writes to it.
    pub writer: Writer,
    /// Tells of its events.
    pub wake: Arc<Wake>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How exports are kept.
    pub settings: AuditSettings,
}

/// Prepares exports for auditors while this process leads.
pub struct Exporter {
    key: Arc<LogKey>,
    directory: TileDirectory,
    reader: Reader,
    writer: Writer,
    wake: Arc<Wake>,
    clock: Arc<dyn Clock>,
    settings: AuditSettings,
    /// The export that failed last, and how often in a row.
    failing: Mutex<Option<(ExportId, u32)>>,
}

impl Exporter {
    /// Nothing is read yet.
    pub fn new(parts: ExporterParts) -> Self {
        let ExporterParts { key, directory, reader, writer, wake, clock, settings } = parts;
        Self { key, directory, reader, writer, wake, clock, settings, failing: Mutex::default() }
    }

    /// Prepares exports until `stop` is set, while `lease` gives the lease of this process. Faults are logged, counted and tried again.
    /// Blocks: it wants a thread of its own.
    pub fn run(&self, lease: &dyn Fn() -> Option<Lease>, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let seen = self.wake.commits();
            match lease().map_or(Ok(false), |lease| self.advance(&lease)) {
                Ok(true) => {}
                Ok(false) => {
                    // While much is issued there is a commit each few milliseconds: nobody waits for an export that impatiently.
                    thread::sleep(LEISURE);
                    self.wake.wait_for_commit(seen, POLL);
                }
                Err(ExportFault::Store(StoreFault::Fenced(_))) => {
                    tracing::warn!("another process has taken the lead, and prepares exports");
                    pause(stop, PAUSE_AFTER_FAULT);
                }
                Err(fault) => {
                    metrics::counter!("tsunagi_ca_faults_total", "work" => "exports").increment(1);
                    tracing::error!(fault = %Chain(&fault), "an export does not go on; it is tried again");
                    pause(stop, PAUSE_AFTER_FAULT);
                }
            }
        }
    }

    /// One piece of work: the end of the exports whose time is over, or the next part of the oldest one that is being prepared, or its
    /// manifest; whether there was any.
    ///
    /// # Errors
    /// If store or key failed: nothing is lost, and the same piece is tried again. What is wrong with the log itself ends the export, which
    /// then tells so; and so does what fails time and again, for others wait behind it.
    pub fn advance(&self, lease: &Lease) -> Result<bool, ExportFault> {
        if self.expire(lease)? {
            return Ok(true);
        }
        let Some(export) = self.reader.audit_exports_preparing(1)?.pop() else { return Ok(false) };
        let work = || if export.cursor < export.to_leaf { self.prepare_part(lease, &export) } else { self.finish(lease, &export) };
        match catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(ExportFault::Panicked)) {
            Ok(()) => {
                *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Ok(true)
            }
            Err(ExportFault::Defect(defect)) => self.give_up(lease, &export, &defect).map(|()| true),
            Err(fault) if fault.is_of_the_export() && self.has_failed(export.id) >= ATTEMPTS => {
                tracing::error!(export = export.public_id, fault = %Chain(&fault), "an export does not go on");
                self.give_up(lease, &export, &Defect::Hopeless { times: ATTEMPTS }).map(|()| true)
            }
            Err(fault) => Err(fault),
        }
    }

    /// Counts that an export failed; how often it has in a row.
    fn has_failed(&self, export: ExportId) -> u32 {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let times = failing.filter(|(id, _)| *id == export).map_or(1, |(_, times)| times + 1);
        *failing = Some((export, times));
        times
    }

    fn give_up(&self, lease: &Lease, export: &AuditExport, defect: &Defect) -> Result<(), ExportFault> {
        let (lease, id, now) = (lease.clone(), export.id, self.clock.now());
        metrics::counter!("tsunagi_ca_exports_failed_total").increment(1);
        tracing::error!(export = export.public_id, %defect, "an export failed");
        let failure = defect.to_string();
        self.writer.write(move |tx| tx.fail_export(&lease, id, &failure, now))?;
        Ok(())
    }

    /// Ends what has been ready for long enough.
    fn expire(&self, lease: &Lease) -> Result<bool, ExportFault> {
        let now = self.clock.now();
        let expired = self.reader.audit_exports_ready_before(now - self.settings.keep(), EXPIRING)?;
        for export in &expired {
            let (lease, id) = (lease.clone(), export.id);
            self.writer.write(move |tx| tx.expire_export(&lease, id, now))?;
        }
        Ok(!expired.is_empty())
    }

    /// The tree as it is stored.
    fn tree(&self) -> impl TileSource + '_ {
        StoredTiles::new(|first, count| self.reader.log_commitments(first, count), |level, number| self.reader.log_tile(level, number))
    }
}
