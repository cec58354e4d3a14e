//! Preparing a part, and the manifest over all of them.

use audit_log::export::{
    Absent, ExportFormat, Manifest, ManifestContent, PART_LEAVES, Part, PartBuilder, Previous, ReadContent, Record, nodes_of, part_of,
    parts_of,
};
use audit_log::{Checkpoint, Commitment, CompactRange, Hash, Salt, TileSource, consistency_proof, range_nodes, root_of_ranges};
use schema::StoreFault;
use schema::audit_export::{self as stored, AuditExport, ExportPart};
use schema::lease::Lease;
use schema::log::{LeafContent, LogRecord};

use super::Exporter;
use super::fault::{Defect, ExportFault};
use crate::log::content;

/// Leaves that the lowest stored tiles have one hash of.
const BLOCK: u64 = 256;
/// Parts that are read at once.
const PARTS_PAGE: u32 = 200;

impl Exporter {
    /// Checks the records of the next part, sums its files up, and stores what the manifest will say of it.
    pub(super) fn prepare_part(&self, lease: &Lease, export: &AuditExport) -> Result<(), ExportFault> {
        let (number, from, to) = parts_of(export.cursor, export.to_leaf).next().ok_or(Defect::StoredPart)?;
        let mut builder = PartBuilder::new(format(export.format), number, from, to);
        let mut text = String::new();
        let read = self.reader.log_records(from, to - from, |record| add(&mut builder, &record, &mut text));
        read.map_err(|fault| match fault {
            ExportFault::Store(StoreFault::Corrupt(what)) => {
                Defect::Unreadable { leaf: from + builder.leaf_hashes().len() as u64, what }.into()
            }
            other => other,
        })?;
        let mut part = builder.finish()?;
        // A whole part has one hash, which was stored when the part was full; what is no whole part, the root tells in the end.
        if part.nodes != range_nodes(&self.tree(), from, to)? {
            return Err(self.which(from, to)?.unwrap_or(Defect::Leaves { from, last: to - 1 }).into());
        }
        if let Some(recipient) = &export.recipient {
            part.evidence = Some(self.encrypt_evidence(lease, export, &part, recipient)?);
        }
        let detail = serde_json::to_value(&part).map_err(|_| Defect::StoredPart)?;
        let (lease, id) = (lease.clone(), export.id);
        let part = ExportPart { number, from_leaf: from, to_leaf: to, detail };
        self.writer.write(move |tx| tx.add_export_part(&lease, id, &part))?;
        Ok(())
    }

    /// Signs what is said of all parts, if they make the tree that the checkpoint states.
    pub(super) fn finish(&self, lease: &Lease, export: &AuditExport) -> Result<(), ExportFault> {
        let checkpoint = Checkpoint::verify(&export.checkpoint, self.key.verifier()).map_err(Defect::Checkpoint)?;
        let (from, to, size) = (export.from_leaf, export.to_leaf, checkpoint.size());
        let tree = self.tree();
        let parts = self.prepared_parts(export)?;
        let before = range_nodes(&tree, 0, from)?;
        let after = range_nodes(&tree, to, size)?;
        let whole = parts.iter().map(|part| CompactRange::new(part.from, part.to, part.nodes.clone()));
        let ranges =
            [CompactRange::new(0, from, before.clone())].into_iter().chain(whole).chain([CompactRange::new(to, size, after.clone())]);
        let root = ranges.collect::<Result<Vec<_>, _>>().and_then(|ranges| root_of_ranges(&ranges)).map_err(|_| Defect::Root)?;
        if root != *checkpoint.root() {
            for part in parts.iter().filter(|part| part.leaves() < PART_LEAVES) {
                if let Some(defect) = self.which(part.from, part.to)? {
                    return Err(defect.into());
                }
            }
            return Err(Defect::Root.into());
        }
        let previous = match export.previous_size {
            Some(previous) => Some(Previous { size: previous, consistency: consistency_proof(&tree, previous, size)? }),
            None => None,
        };
        let manifest = Manifest::new(ManifestContent {
            export: export.public_id.clone(),
            origin: self.key.origin().to_owned(),
            key: self.key.verifier().vkey(),
            taken_at: export.taken_at,
            taken_by: export.taken_by.clone(),
            format: format(export.format),
            checkpoint: export.checkpoint.clone(),
            previous,
            before,
            after,
            recipient: export.recipient.clone(),
            parts,
        });
        let note = self.key.sign(&manifest.map_err(Defect::Manifest)?.to_text())?;
        let (lease, id, now) = (lease.clone(), export.id, self.clock.now());
        self.writer.write(move |tx| tx.finish_export(&lease, id, &note, now))?;
        metrics::counter!("tsunagi_ca_exports_prepared_total").increment(1);
        Ok(())
    }

    /// The parts that are stored, in order.
    pub(super) fn prepared_parts(&self, export: &AuditExport) -> Result<Vec<Part>, ExportFault> {
        let (mut parts, mut next) = (Vec::new(), part_of(export.from_leaf));
        loop {
            let page = self.reader.audit_export_parts(export.id, next, PARTS_PAGE)?;
            let Some(last) = page.last() else { return Ok(parts) };
            next = last.number + 1;
            for part in page {
                parts.push(serde_json::from_value(part.detail).map_err(|_| Defect::StoredPart)?);
            }
        }
    }

    /// Which of these leaves the tree has otherwise, as far as that can be told: what was published tells the leaf, the stored tiles no more
    /// than 256 of them.
    fn which(&self, from: u64, to: u64) -> Result<Option<Defect>, ExportFault> {
        let tree = self.tree();
        let mut differing = None;
        let mut at = from;
        while at < to {
            let end = to.min((at / BLOCK + 1) * BLOCK);
            let count = u32::try_from(end - at).unwrap_or_default();
            let hashes: Vec<Hash> = self.reader.log_commitments(at, count)?.into_iter().map(|one| Commitment(one).leaf_hash()).collect();
            if let Some(leaf) = self.published_otherwise(at, &hashes) {
                return Ok(Some(Defect::Leaf { leaf }));
            }
            if end - at == BLOCK && differing.is_none() && stored_hash(&tree, at)? != nodes_of(at, &hashes) {
                differing = Some(Defect::Leaves { from: at, last: end - 1 });
            }
            at = end;
        }
        Ok(differing)
    }

    /// The first of these leaves that was published with another hash. Where the tiles are not to be had, there is none.
    fn published_otherwise(&self, from: u64, leaf_hashes: &[Hash]) -> Option<u64> {
        let (number, skipped) = (from / BLOCK, from % BLOCK);
        let width = u16::try_from(skipped + leaf_hashes.len() as u64).ok()?;
        let published = self.directory.tile(0, number, width).ok()?;
        let published = published.as_chunks::<32>().0.iter().skip(usize::try_from(skipped).ok()?);
        let differs = published.zip(leaf_hashes).position(|(published, hash)| published != hash)?;
        Some(from + differs as u64)
    }
}

/// The hash of a whole block, as it was stored when the block was full.
fn stored_hash(tree: &impl TileSource, first: u64) -> Result<Vec<Hash>, ExportFault> {
    Ok(range_nodes(tree, first, first + BLOCK)?)
}

fn add(builder: &mut PartBuilder, record: &LogRecord<'_>, text: &mut String) -> Result<(), ExportFault> {
    let (leaf, commitment) = (record.leaf, Commitment(record.commitment));
    let record = match &record.content {
        LeafContent::Present { event, salt } => {
            Record::Present { leaf, salt: Salt(*salt), content: ReadContent::write(content(event), text) }
        }
        LeafContent::Purged => Record::Absent { leaf, absent: Absent::Purged, commitment },
        LeafContent::Lost => Record::Absent { leaf, absent: Absent::Lost, commitment },
    };
    Ok(builder.add(&record, &commitment)?)
}

pub(super) fn format(format: stored::ExportFormat) -> ExportFormat {
    match format {
        stored::ExportFormat::Jsonl => ExportFormat::Jsonl,
        stored::ExportFormat::Csv => ExportFormat::Csv,
    }
}
