//! What an export holds, in one line of canonical JSON under the log key's signature.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::octets::{file_hash, moment, tree_hashes};
use super::{ExportFormat, PART_LEAVES, evidence_file, hashes_file, parts_of, records_file};

/// The `type` of manifests that this version writes and reads.
pub const MANIFEST_TYPE: &str = "tsunagi.audit-export.v1";

/// The most octets of a manifest: signed notes are no longer than that.
pub const MANIFEST_OCTETS: usize = 1_000_000;

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(rename = "type")]
    r#type: ManifestType,
    /// What the export is called: 32 lower-case hexadecimal digits.
    pub export: String,
    /// The log's name.
    pub origin: String,
    /// The log's key as a C2SP verifier key. Whoever verifies has it from elsewhere; this says only which one is meant.
    pub key: String,
    /// When it was asked for.
    #[serde(with = "moment")]
    pub taken_at: DateTime<Utc>,
    /// Who asked for it: the name in the operator's certificate.
    pub taken_by: String,
    /// How its records are written.
    pub format: ExportFormat,
    /// The first leaf.
    pub from: u64,
    /// The first leaf after it.
    pub to: u64,
    /// How many leaves are there with content. Together with those purged and lost, as many as the range has.
    pub records: u64,
    /// How many leaves' contents were destroyed when their time was over.
    pub purged: u64,
    /// How many leaves' contents a restored store has forgotten.
    pub lost: u64,
    /// The checkpoint that everything here is under: a C2SP signed note, with the cosignatures it had.
    pub checkpoint: String,
    /// That the tree extends one that the auditor knew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// The hashes of the aligned subtrees that cover the leaves before the range, left to right.
    #[serde(with = "tree_hashes")]
    pub before: Vec<[u8; 32]>,
    /// The hashes of the aligned subtrees that cover the leaves after the range, up to the checkpoint's size.
    #[serde(with = "tree_hashes")]
    pub after: Vec<[u8; 32]>,
    /// The age recipient that the evidence is encrypted to, if there is evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The parts, in order, none missing.
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum ManifestType {
    #[serde(rename = "tsunagi.audit-export.v1")]
    V1,
}

/// A tree that the auditor knew, and that the checkpoint's extends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// How many leaves it had.
    pub size: u64,
    /// The consistency proof (RFC 6962 section 2.1.2) from it to the checkpoint's tree.
    #[serde(with = "tree_hashes")]
    pub consistency: Vec<[u8; 32]>,
}

/// One part of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its number: a leaf's index without its low 16 bits.
    pub number: u64,
    /// The first leaf.
    pub from: u64,
    /// The first leaf after it.
    pub to: u64,
    /// How many leaves' contents were destroyed when their time was over.
    pub purged: u64,
    /// How many leaves' contents a restored store has forgotten.
    pub lost: u64,
    /// The hashes of the aligned subtrees that cover it, left to right: one, if the part is whole.
    #[serde(with = "tree_hashes")]
    pub nodes: Vec<[u8; 32]>,
    /// The records.
    pub records: PartFile,
    /// The leaf hashes, 32 octets each, in order.
    pub hashes: PartFile,
    /// The evidence, if it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceFile>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartFile {
    /// Its name in the directory.
    pub name: String,
    /// Its length.
    pub octets: u64,
    /// Its SHA-256.
    #[serde(with = "file_hash")]
    pub sha256: [u8; 32],
}

/// A file of evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceFile {
    /// Of how many applications it has the evidence. Those accepted in this part whose evidence was purged have none.
    pub applications: u64,
    /// The encrypted file.
    pub file: PartFile,
}

/// What a manifest is made of, as far as it is no matter of course.
#[derive(Debug, Clone)]
pub struct ManifestContent {
    /// What the export is called.
    pub export: String,
    /// The log's name.
    pub origin: String,
    /// The log's verifier key.
    pub key: String,
    /// When it was asked for.
    pub taken_at: DateTime<Utc>,
    /// Who asked for it.
    pub taken_by: String,
    /// How its records are written.
    pub format: ExportFormat,
    /// The checkpoint.
    pub checkpoint: String,
    /// The tree that the auditor knew.
    pub previous: Option<Previous>,
    /// What covers the leaves before.
    pub before: Vec<[u8; 32]>,
    /// What covers the leaves after.
    pub after: Vec<[u8; 32]>,
    /// Whom the evidence is for.
    pub recipient: Option<String>,
    /// The parts: at least one.
    pub parts: Vec<Part>,
}

/// Why a text is no manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    /// Longer than any manifest.
    #[error("the manifest is longer than {MANIFEST_OCTETS} octets")]
    TooLong,
    /// No JSON of that form; the place in the line, from 1.
    #[error("the manifest is not of the form {MANIFEST_TYPE}: at column {column}")]
    Malformed {
        /// The column in octets.
        column: usize,
    },
    /// Another encoding of the same: what is signed is one text only.
    #[error("the manifest is not canonical JSON on one line")]
    NotCanonical,
    /// Statements that exclude one another.
    #[error("the manifest contradicts itself: {0}")]
    Contradiction(&'static str),
}

impl Manifest {
    /// Puts a manifest together; range and counts follow from the parts.
    ///
    /// # Errors
    /// If the parts are none, do not follow one another, or say of themselves what cannot be.
    pub fn new(content: ManifestContent) -> Result<Self, ManifestFault> {
        let ManifestContent { export, origin, key, taken_at, taken_by, format, checkpoint, previous, before, after, recipient, parts } =
            content;
        let from = parts.first().map_or(0, |part| part.from);
        let to = parts.last().map_or(0, |part| part.to);
        let purged = parts.iter().map(|part| part.purged).sum();
        let lost = parts.iter().map(|part| part.lost).sum();
        let records = to.saturating_sub(from).saturating_sub(purged).saturating_sub(lost);
        let r#type = ManifestType::V1;
        let manifest = Self {
            r#type,
            export,
            origin,
            key,
            taken_at,
            taken_by,
            format,
            from,
            to,
            records,
            purged,
            lost,
            checkpoint,
            previous,
            before,
            after,
            recipient,
            parts,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// The text that is signed: canonical JSON (keys sorted, nothing between) and a line feed.
    pub fn to_text(&self) -> String {
        // serde_json keeps an object's keys sorted, and what is here cannot fail to be JSON.
        let mut text = serde_json::to_value(self).map(|value| value.to_string()).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads the text of a note, whose signature is checked apart: of the right form, canonical, and in agreement with itself. Names of files are
    /// those that belong to their parts, and so lead nowhere else.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, ManifestFault> {
        if text.len() > MANIFEST_OCTETS {
            return Err(ManifestFault::TooLong);
        }
        let manifest: Self = serde_json::from_str(text).map_err(|error| ManifestFault::Malformed { column: error.column() })?;
        manifest.check()?;
        if manifest.to_text() == text { Ok(manifest) } else { Err(ManifestFault::NotCanonical) }
    }

    fn check(&self) -> Result<(), ManifestFault> {
        use ManifestFault::Contradiction;

        if self.export.len() != 32 || !self.export.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(Contradiction("an export is called by 32 hexadecimal digits"));
        }
        if self.from >= self.to || self.to > i64::MAX as u64 {
            return Err(Contradiction("the range is empty or has no end"));
        }
        let expected = usize::try_from((self.to - 1) / PART_LEAVES - self.from / PART_LEAVES + 1).unwrap_or(usize::MAX);
        if self.parts.len() != expected {
            return Err(Contradiction("there are more or fewer parts than the range has"));
        }
        for (part, (number, from, to)) in self.parts.iter().zip(parts_of(self.from, self.to)) {
            if (part.number, part.from, part.to) != (number, from, to) {
                return Err(Contradiction("a part is not where the range has it"));
            }
            part.check(self.format, self.recipient.is_some())?;
        }
        let purged: u64 = self.parts.iter().map(|part| part.purged).sum();
        let lost: u64 = self.parts.iter().map(|part| part.lost).sum();
        if (self.purged, self.lost) != (purged, lost) || self.records != self.to - self.from - purged - lost {
            return Err(Contradiction("the counts of the parts are not those of the whole"));
        }
        Ok(())
    }
}

impl Part {
    /// How many leaves it covers.
    pub const fn leaves(&self) -> u64 {
        self.to - self.from
    }

    /// All its files.
    pub fn files(&self) -> impl Iterator<Item = &PartFile> {
        [Some(&self.records), Some(&self.hashes), self.evidence.as_ref().map(|evidence| &evidence.file)].into_iter().flatten()
    }

    fn check(&self, format: ExportFormat, with_evidence: bool) -> Result<(), ManifestFault> {
        use ManifestFault::Contradiction;

        if self.purged.checked_add(self.lost).is_none_or(|absent| absent > self.leaves()) {
            return Err(Contradiction("more is absent from a part than it has"));
        }
        if self.records.name != records_file(self.number, format) || self.hashes.name != hashes_file(self.number) {
            return Err(Contradiction("a file has another name than its part gives it"));
        }
        if self.hashes.octets != self.leaves() * 32 {
            return Err(Contradiction("a file of hashes has another length than its part"));
        }
        match &self.evidence {
            Some(evidence) if evidence.file.name != evidence_file(self.number) => {
                Err(Contradiction("a file has another name than its part gives it"))
            }
            evidence if evidence.is_some() != with_evidence => Err(Contradiction("evidence is there without a recipient, or the reverse")),
            _ => Ok(()),
        }
    }
}
