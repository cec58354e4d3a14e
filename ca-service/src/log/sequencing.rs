//! Bringing events into the tree: each once, in the order of positions.

use std::time::Instant;

use audit_log::{ChangedTile, Commitment, Content, Edge, Salt};
use schema::EventPosition;
use schema::lease::Lease;
use schema::log::{EventRow, LeafBatch, LogTile, NewLeaf};

use super::{LogFault, LogKeeper};

/// Events brought into the log in one transaction at most: as many as others can wait for that write at the same time.
const BATCH: u32 = 4_096;

/// Salts are drawn so many at a time at least.
const SALTS: usize = 64;

/// What is needed to append, since the store was looked at.
pub(super) struct Sequencer {
    /// The epoch of the lease under which it was.
    epoch: i64,
    edge: Edge,
    /// The last event that has a leaf.
    position: EventPosition,
    /// Drawn, and not used yet.
    salts: Vec<Salt>,
}

impl Sequencer {
    pub(super) fn new(epoch: i64, edge: Edge, position: EventPosition) -> Self {
        Self { epoch, edge, position, salts: Vec::new() }
    }

    /// The salts for as many leaves, and no more are drawn than are used but for a few.
    fn salt(&mut self) -> Result<Salt, LogFault> {
        if self.salts.is_empty() {
            self.salts = Salt::draw(SALTS)?;
        }
        self.salts.pop().ok_or(LogFault::Randomness(audit_log::commitment::NoRandomness))
    }
}

impl LogKeeper {
    /// Brings the next events into the log that are committed and not in it; how many they were. Before the first time under a lease
    /// the store is held against what others know of the log.
    pub fn sequence(&self, lease: &Lease) -> Result<u32, LogFault> {
        let mut place = self.lock_sequencer();
        // After a fault there is none: whatever is committed by then is read anew.
        let known = place.take().filter(|sequencer| sequencer.epoch == lease.epoch && self.state.is_examined(lease.epoch));
        let mut sequencer = match known {
            Some(sequencer) => sequencer,
            None => self.begin(lease)?,
        };
        let appended = self.append_next(&mut sequencer, lease)?;
        *place = Some(sequencer);
        Ok(appended)
    }

    fn append_next(&self, sequencer: &mut Sequencer, lease: &Lease) -> Result<u32, LogFault> {
        let began = Instant::now();
        let first_leaf = sequencer.edge.size();
        let mut leaves = Vec::new();
        let mut text = String::new();
        let read = self.reader.events_to_sequence(sequencer.position, BATCH, |event| {
            text.clear();
            content(&event).write(&mut text);
            let salt = sequencer.salt()?;
            leaves.push(NewLeaf { position: event.position, salt: salt.0, commitment: Commitment::of(&salt, &text).0 });
            Ok::<(), LogFault>(())
        })?;
        let Some(last) = leaves.last().map(|leaf| leaf.position) else { return Ok(0) };
        let commitments: Vec<Commitment> = leaves.iter().map(|leaf| Commitment(leaf.commitment)).collect();
        let tiles = sequencer.edge.append(&commitments).into_iter().map(stored_tile).collect();
        let batch = LeafBatch { first_leaf, leaves, tiles, root: sequencer.edge.root() };
        let (lease, now) = (lease.clone(), self.clock.now());
        // The database checks the lease, the tree that the batch was made upon, and that no event is passed over.
        self.writer.write(move |tx| tx.append_leaves(&lease, &batch, now)).map_err(LogFault::Store)?;
        sequencer.position = last;
        self.state.grew(sequencer.edge.size());
        metrics::counter!("tsunagi_log_leaves_total").increment(read.into());
        metrics::gauge!("tsunagi_log_size").set(sequencer.edge.size() as f64);
        metrics::histogram!("tsunagi_log_batch_seconds").record(began.elapsed().as_secs_f64());
        Ok(read)
    }

    /// Whether a batch of so many leaves was a full one, so that more are waiting.
    pub(super) fn is_full(appended: u32) -> bool {
        appended >= BATCH
    }
}

/// What a leaf of the event commits to.
pub(crate) fn content<'a>(event: &EventRow<'a>) -> Content<'a> {
    Content {
        application: event.application.map(|id| id.0),
        at: event.at,
        certificate: event.certificate.map(|id| id.0),
        data: event.data,
        kind: event.kind,
        position: event.position.0,
    }
}

fn stored_tile(tile: ChangedTile) -> LogTile {
    LogTile { level: tile.level, number: tile.number, hashes: tile.hashes }
}
