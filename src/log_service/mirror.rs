//! The log of a status machine: its directory is kept as the store is.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use audit_log::{Checkpoint, LogVerifier, NoteRefusal, StoredTiles, TileDirectory, TileFault, tree_root};
use ca_core::chain::Chain;
use schema::{Reader, StoreFault};

/// So often the store is looked at: a checkpoint is signed a few times a second, and what is published stays as files.
const PERIOD: Duration = Duration::from_secs(1);

/// The pause after a fault.
const RETRY: Duration = Duration::from_secs(5);

/// Where the process has the CA role, which publishes while it leads, a checkpoint is left to it for so long.
const COURTESY: Duration = Duration::from_secs(5);

/// Brings the log from the store into a directory. What it brings is what a signed checkpoint says, or nothing: the signature is verified,
/// the root computed again, and what is published already must be the beginning of it.
pub(crate) struct Mirror {
    directory: TileDirectory,
    reader: Reader,
    courtesy: Duration,
    /// The directory's checkpoint while the store has another, and since when it has stood there.
    behind: Option<(Option<String>, Instant)>,
    /// What was told of, so that it is told once.
    told: BTreeSet<String>,
}

/// The directory cannot be brought up to the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MirrorFault {
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] StoreFault),
    /// The store's checkpoint is not signed by the log's key.
    #[error("the store's checkpoint is none")]
    Note(#[from] NoteRefusal),
    /// Tiles cannot be read or written, or the directory has more than the store or something else.
    #[error("the directory of the log stays as it is")]
    Tiles(#[from] TileFault),
    /// The store has a checkpoint and no key for it.
    #[error("the store has a checkpoint of a log that has not begun")]
    NotBegun,
    /// The store's tiles are not those of its checkpoint.
    #[error("the store's tiles do not lead to the root of its checkpoint")]
    Root,
}

impl Mirror {
    /// Of this store into this directory. Beside a CA role, `with_ca_role`, only what that leaves lying.
    pub(crate) fn new(directory: TileDirectory, reader: Reader, with_ca_role: bool) -> Self {
        let courtesy = if with_ca_role { COURTESY } else { Duration::ZERO };
        Self { directory, reader, courtesy, behind: None, told: BTreeSet::new() }
    }

    /// Keeps the directory as the store is until `stop` is set. What is published stays whatever happens. Blocks.
    pub(crate) fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let pause = match self.look() {
                Ok(()) => {
                    self.told.clear();
                    PERIOD
                }
                Err(fault) => {
                    metrics::counter!("tsunagi_log_mirror_faults_total").increment(1);
                    let fault = Chain(&fault).to_string();
                    if self.told.insert(fault.clone()) {
                        tracing::error!(fault, "the log is not given out as the store has it");
                    }
                    RETRY
                }
            };
            let until = Instant::now() + pause;
            while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// Publishes the store's checkpoint, if it is another than the directory's.
    ///
    /// # Errors
    /// See [`MirrorFault`]; the directory is as it was then.
    pub(crate) fn look(&mut self) -> Result<(), MirrorFault> {
        let head = self.reader.log_head()?;
        let Some(note) = head.note else { return Ok(()) };
        let here = self.directory.checkpoint()?;
        if here.as_deref() == Some(note.text.as_str()) {
            self.behind = None;
            return Ok(());
        }
        let since = match &self.behind {
            Some((known, since)) if *known == here => *since,
            _ => Instant::now(),
        };
        self.behind = Some((here, since));
        if since.elapsed() < self.courtesy {
            return Ok(());
        }
        let key = LogVerifier::parse(&head.identity.ok_or(MirrorFault::NotBegun)?.verifier_key)?;
        let checkpoint = Checkpoint::verify(&note.text, &key)?;
        let tiles =
            StoredTiles::new(|first, count| self.reader.log_commitments(first, count), |level, number| self.reader.log_tile(level, number));
        if tree_root(&tiles, checkpoint.size())? != *checkpoint.root() {
            return Err(MirrorFault::Root);
        }
        Ok(self.directory.publish(&tiles, &checkpoint)?)
    }
}
