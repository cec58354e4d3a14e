//! Exports for auditors: prepared part by part by whoever leads, each record checked against its commitment and the tree, and signed.
//!
//! Nothing of the records is kept: the same leaves make the same octets again when they are fetched. What is kept is what the manifest says
//! of each part, and the evidence, encrypted. A process that is killed leaves an export to the next one, which goes on after the last part.

mod evidence;
mod fault;
mod preparing;
mod settings;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use audit_log::stored::StoredTiles;
use audit_log::{LogKey, TileDirectory, TileSource};
use ca_core::chain::Chain;
use ca_core::clock::Clock;
use schema::lease::Lease;
use schema::{Reader, StoreFault, Wake, Writer};

pub use self::fault::{Defect, ExportFault};
pub use self::settings::{AuditSettings, AuditSettingsRefusal};

/// How long new work is let wait at least.
const LEISURE: Duration = Duration::from_millis(100);
/// How often exports are looked for where no commit tells of one.
const POLL: Duration = Duration::from_millis(500);
/// How long the work waits before it tries again what failed.
const PAUSE_AFTER_FAULT: Duration = Duration::from_secs(2);
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
}

impl Exporter {
    /// Nothing is read yet.
    pub fn new(parts: ExporterParts) -> Self {
        let ExporterParts { key, directory, reader, writer, wake, clock, settings } = parts;
        Self { key, directory, reader, writer, wake, clock, settings }
    }

    /// Prepares exports until `stop` is set, while `lease` gives the lease of this process. Faults are logged, counted and tried again.
    /// Blocks: it wants a thread of its own.
    pub fn run(&self, lease: &dyn Fn() -> Option<Lease>, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let seen = self.wake.commits();
            let worked = match lease() {
                Some(lease) => catch_unwind(AssertUnwindSafe(|| self.advance(&lease))).unwrap_or(Err(ExportFault::Panicked)),
                None => Ok(false),
            };
            match worked {
                Ok(true) => {}
                Ok(false) => {
                    // While much is issued there is a commit each few milliseconds: nobody waits for an export that impatiently.
                    thread::sleep(LEISURE);
                    self.wake.wait_for_commit(seen, POLL);
                }
                Err(ExportFault::Store(StoreFault::Fenced(_))) => {
                    tracing::warn!("another process has taken the lead, and prepares exports")
                }
                Err(fault) => {
                    metrics::counter!("tsunagi_ca_faults_total", "work" => "exports").increment(1);
                    tracing::error!(fault = %Chain(&fault), "an export does not go on; it is tried again");
                    thread::sleep(PAUSE_AFTER_FAULT);
                }
            }
        }
    }

    /// One piece of work: the next part of the oldest export that is being prepared, or its manifest, or the end of those whose time is
    /// over; whether there was any.
    ///
    /// # Errors
    /// If store or key failed: nothing is lost, and the same piece is tried again. What is wrong with the log itself ends the export, which
    /// then tells so.
    pub fn advance(&self, lease: &Lease) -> Result<bool, ExportFault> {
        let Some(export) = self.reader.audit_exports_preparing(1)?.pop() else { return self.expire(lease) };
        let outcome = if export.cursor < export.to_leaf { self.prepare_part(lease, &export) } else { self.finish(lease, &export) };
        match outcome {
            Err(ExportFault::Defect(defect)) => {
                let (lease, id, now) = (lease.clone(), export.id, self.clock.now());
                metrics::counter!("tsunagi_ca_exports_failed_total").increment(1);
                tracing::error!(export = export.public_id, %defect, "an export failed");
                let failure = defect.to_string();
                self.writer.write(move |tx| tx.fail_export(&lease, id, &failure, now))?;
                Ok(true)
            }
            outcome => outcome.map(|()| true),
        }
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
