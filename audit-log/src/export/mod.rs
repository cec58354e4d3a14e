//! Exports for auditors: a directory with a signed manifest, and for each part of the log a file of records, one of leaf hashes, and perhaps
//! one of evidence, encrypted to the auditor.
//!
//! Parts are cut where 65,536 leaves begin, so that a part in the middle is one whole subtree. The same range in the same format makes the same
//! octets whoever writes them: the CA role hashes what the RA will send. docs/auditors.md describes the format for others.

mod content;
mod encode;
#[cfg(feature = "evidence")]
mod evidence;
mod manifest;
mod octets;
mod part;
mod read;

pub use content::ReadContent;
pub use encode::{CSV_HEADER, Record, RecordEncoder};
#[cfg(feature = "evidence")]
pub use evidence::{Evidence, EvidenceFault, EvidenceReader, EvidenceWriter, Identities, Recipient};
pub use manifest::{EvidenceFile, MANIFEST_OCTETS, MANIFEST_TYPE, Manifest, ManifestContent, ManifestFault, Part, PartFile, Previous};
pub use part::{FileHash, PartBuilder, PartFault, nodes_of};
pub use read::{RecordFault, RecordProblem, RecordReader};

use serde::{Deserialize, Serialize};

/// The leaves of one part: parts begin where the index is a multiple of it, the first of an export perhaps later, the last ends perhaps earlier.
pub const PART_LEAVES: u64 = 1 << 16;

/// The most parts of an export, so that its manifest stays a note that can be read: sixty-five million leaves.
pub const PARTS: u64 = 1_000;

/// The manifest's file.
pub const MANIFEST_FILE: &str = "manifest.note";

/// The most octets of one line of records: what is longer is no line of ours.
pub const LINE_OCTETS: usize = 1 << 20;

/// How records are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// A JSON object on each line.
    Jsonl,
    /// Comma-separated values (RFC 4180): a header, CRLF at each line's end, the content quoted.
    Csv,
}

impl ExportFormat {
    /// The word in manifests and instructions.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// Why a leaf's content is no longer there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Absent {
    /// Destroyed when its time was over.
    Purged,
    /// Forgotten by a store that was restored.
    Lost,
}

impl Absent {
    /// The word in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Purged => "purged",
            Self::Lost => "lost",
        }
    }
}

/// The part that a leaf lies in.
pub const fn part_of(leaf: u64) -> u64 {
    leaf / PART_LEAVES
}

/// The parts that cover the leaves `from` to `to` (exclusive), in order: number, first leaf, end.
pub fn parts_of(from: u64, to: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    let numbers = if from < to { part_of(from)..part_of(to - 1) + 1 } else { 0..0 };
    numbers.map(move |number| (number, from.max(number * PART_LEAVES), to.min((number + 1).saturating_mul(PART_LEAVES))))
}

/// The name of a part's file of records.
pub fn records_file(number: u64, format: ExportFormat) -> String {
    format!("records-{number:08}.{}", format.as_str())
}

/// The name of a part's file of leaf hashes.
pub fn hashes_file(number: u64) -> String {
    format!("hashes-{number:08}.bin")
}

/// The name of a part's file of evidence.
pub fn evidence_file(number: u64) -> String {
    format!("evidence-{number:08}.age")
}

#[cfg(test)]
mod tests;
