//! A part as it is made: each record checked against its commitment, its files hashed without being kept.

use ring::digest::{Context, SHA256};

use super::encode::{Record, RecordEncoder};
use super::{Absent, ExportFormat, Part, PartFile, hashes_file, records_file};
use crate::hash::{Hash, sha256};
use crate::{Commitment, CompactRange};

/// Takes the records of one part, in order. Holds the part's leaf hashes (2 MiB at most) and one line.
pub struct PartBuilder {
    number: u64,
    from: u64,
    to: u64,
    format: ExportFormat,
    lines: FileHash,
    line: Vec<u8>,
    leaf_hashes: Vec<Hash>,
    purged: u64,
    lost: u64,
}

/// Why a part cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartFault {
    /// Another leaf than the next one.
    #[error("leaf {expected} is missing: leaf {found} stands in its place")]
    Order {
        /// The next one.
        expected: u64,
        /// What came.
        found: u64,
    },
    /// What a leaf says is not what the log committed to.
    #[error("leaf {leaf} does not say what the log committed to")]
    Commitment {
        /// The leaf.
        leaf: u64,
    },
    /// Leaves at the end are missing.
    #[error("leaf {leaf} is missing")]
    Missing {
        /// The first of them.
        leaf: u64,
    },
}

impl PartBuilder {
    /// Begins a part that covers the leaves `from` to `to` (exclusive).
    pub fn new(format: ExportFormat, number: u64, from: u64, to: u64) -> Self {
        let mut lines = FileHash::new();
        lines.update(RecordEncoder::new(format).header().as_bytes());
        let leaf_hashes = Vec::with_capacity(usize::try_from(to.saturating_sub(from).min(super::PART_LEAVES)).unwrap_or(0));
        Self { number, from, to, format, lines, line: Vec::new(), leaf_hashes, purged: 0, lost: 0 }
    }

    /// Adds the next leaf, of which the log has this commitment.
    ///
    /// # Errors
    /// If it is another leaf, or its content is not what was committed to.
    pub fn add(&mut self, record: &Record<'_>, commitment: &Commitment) -> Result<(), PartFault> {
        let (leaf, expected) = (record.leaf(), self.from + self.leaf_hashes.len() as u64);
        if leaf != expected || leaf >= self.to {
            return Err(PartFault::Order { expected, found: leaf });
        }
        let committed = match record {
            Record::Present { salt, content, .. } => Commitment::of(salt, content.text()),
            Record::Absent { commitment, .. } => *commitment,
        };
        if committed != *commitment {
            return Err(PartFault::Commitment { leaf });
        }
        match record {
            Record::Absent { absent: Absent::Purged, .. } => self.purged += 1,
            Record::Absent { absent: Absent::Lost, .. } => self.lost += 1,
            Record::Present { .. } => {}
        }
        self.leaf_hashes.push(commitment.leaf_hash());
        self.line.clear();
        RecordEncoder::new(self.format).encode(record, &mut self.line);
        self.lines.update(&self.line);
        Ok(())
    }

    /// The hashes of the leaves that were added, in order.
    pub fn leaf_hashes(&self) -> &[Hash] {
        &self.leaf_hashes
    }

    /// Ends the part. That its nodes are those of the tree is for whoever knows the tree to check.
    ///
    /// # Errors
    /// If leaves are missing.
    pub fn finish(self) -> Result<Part, PartFault> {
        let end = self.from + self.leaf_hashes.len() as u64;
        if end != self.to {
            return Err(PartFault::Missing { leaf: end });
        }
        let hashes = self.leaf_hashes.as_flattened();
        Ok(Part {
            number: self.number,
            from: self.from,
            to: self.to,
            purged: self.purged,
            lost: self.lost,
            nodes: nodes_of(self.from, &self.leaf_hashes),
            records: self.lines.finish(records_file(self.number, self.format)),
            hashes: PartFile { name: hashes_file(self.number), octets: hashes.len() as u64, sha256: sha256(hashes) },
            evidence: None,
        })
    }
}

/// The hashes of the maximal aligned subtrees over leaf hashes that begin with the leaf `from`, left to right.
pub fn nodes_of(from: u64, leaf_hashes: &[Hash]) -> Vec<Hash> {
    let mut range = CompactRange::empty(from);
    leaf_hashes.iter().for_each(|hash| range.push(*hash));
    range.nodes().to_vec()
}

/// A file that is hashed and counted as it is made.
pub struct FileHash {
    context: Context,
    octets: u64,
}

impl FileHash {
    /// Of an empty file.
    #[expect(clippy::new_without_default, reason = "a digest begun is not a value that stands for nothing")]
    pub fn new() -> Self {
        Self { context: Context::new(&SHA256), octets: 0 }
    }

    /// Adds octets at the end.
    pub fn update(&mut self, octets: &[u8]) {
        self.context.update(octets);
        self.octets += octets.len() as u64;
    }

    /// What is to be said of the file.
    pub fn finish(self, name: String) -> PartFile {
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(self.context.finish().as_ref());
        PartFile { name, octets: self.octets, sha256 }
    }
}
