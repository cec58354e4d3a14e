//! What auditors take of the log: which leaves, how far they are prepared, and what the manifest says of them.
//!
//! An export's files are made again from the leaves whenever they are fetched; only the encrypted evidence is kept.

mod evidence;
mod preparing;

use ca_core::digest::Sha256Digest;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};

pub use evidence::AcceptedEvidence;
pub use preparing::NewExport;

/// The leaves of one part have the same number when they are divided by this.
pub const PART_LEAVES: u64 = 65_536;

/// The row of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExportId(pub i64);

/// How an export's records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExportFormat {
    /// A JSON object on each line.
    Jsonl,
    /// Comma-separated values (RFC 4180).
    Csv,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Jsonl, Self::Csv];

    /// The word used in JSON, in file names and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }

    /// The format of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == word)
    }

    const fn code(self) -> i16 {
        match self {
            Self::Jsonl => 1,
            Self::Csv => 2,
        }
    }

    fn from_code(code: i16) -> Result<Self, StoreFault> {
        Self::ALL.into_iter().find(|format| format.code() == code).ok_or(StoreFault::Corrupt("an export's format"))
    }
}

/// How far an export is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportState {
    /// Its parts are being prepared.
    Preparing,
    /// It can be fetched.
    Ready {
        /// The signed manifest.
        manifest: String,
        /// Since when.
        at: DateTime<Utc>,
    },
    /// It cannot be made.
    Failed {
        /// Why, without personal data: a sentence that names the leaf, if it is one.
        failure: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// Its evidence was removed; its other files can be made no more.
    Expired {
        /// The signed manifest.
        manifest: String,
        /// When.
        at: DateTime<Utc>,
    },
}

const PREPARING: i16 = 1;
const READY: i16 = 2;
const FAILED: i16 = 3;
const EXPIRED: i16 = 4;

/// An export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditExport {
    /// Its row.
    pub id: ExportId,
    /// Its name: 32 hexadecimal digits.
    pub public_id: String,
    /// The SHA-256 of the instruction by which it was asked for.
    pub instruction: Sha256Digest,
    /// The auditor's name, as the client certificate has it.
    pub taken_by: String,
    /// When it was taken.
    pub taken_at: DateTime<Utc>,
    /// Its first leaf.
    pub from_leaf: u64,
    /// The leaf after its last.
    pub to_leaf: u64,
    /// How its records are written.
    pub format: ExportFormat,
    /// The size of the tree that the auditor knows already.
    pub previous_size: Option<u64>,
    /// The age key to which evidence is encrypted; without one there is no evidence.
    pub recipient: Option<String>,
    /// Its parts are prepared up to, but not with, this leaf.
    pub cursor: u64,
    /// The signed note that it stands under.
    pub checkpoint: String,
    /// How far it is.
    pub state: ExportState,
}

/// A part of an export: the leaves in it whose number divided by [`PART_LEAVES`] is the part's.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportPart {
    /// Its number.
    pub number: u64,
    /// Its first leaf.
    pub from_leaf: u64,
    /// The leaf after its last.
    pub to_leaf: u64,
    /// What the manifest says of it.
    pub detail: Value,
}

const COLUMNS: &str = "x.id, x.public_id, i.digest, x.taken_by, x.taken_at, x.from_leaf, x.to_leaf, x.format, x.previous_size, \
     x.recipient, x.cursor, x.checkpoint, x.state, x.manifest, x.failure, x.settled_at \
     FROM audit_export AS x JOIN instruction AS i ON i.id = x.instruction_id";

impl Reader {
    /// The export of this name.
    pub fn audit_export(&self, public_id: &str) -> Result<Option<AuditExport>, StoreFault> {
        self.read(|session| sql(format!("SELECT {COLUMNS} WHERE x.public_id = ?")).bind(public_id).optional(session, decode))
    }

    /// Exports, the newest first, from before `before` on; `limit` at most.
    pub fn audit_exports(&self, before: Option<ExportId>, limit: u32) -> Result<Vec<AuditExport>, StoreFault> {
        self.read(|session| {
            sql(format!("SELECT {COLUMNS} WHERE x.id < ? ORDER BY x.id DESC LIMIT ?"))
                .bind(before.map_or(i64::MAX, |id| id.0))
                .bind(i64::from(limit))
                .rows(session, decode)
        })
    }

    /// The exports that are being prepared, the oldest first; `limit` at most.
    pub fn audit_exports_preparing(&self, limit: u32) -> Result<Vec<AuditExport>, StoreFault> {
        self.read(|session| {
            sql(format!("SELECT {COLUMNS} WHERE x.state = 1 ORDER BY x.id LIMIT ?")).bind(i64::from(limit)).rows(session, decode)
        })
    }

    /// The exports that were ready before a moment, the oldest first; `limit` at most.
    pub fn audit_exports_ready_before(&self, time: DateTime<Utc>, limit: u32) -> Result<Vec<AuditExport>, StoreFault> {
        self.read(|session| {
            sql(format!("SELECT {COLUMNS} WHERE x.state = 2 AND x.settled_at < ? ORDER BY x.settled_at LIMIT ?"))
                .bind(time)
                .bind(i64::from(limit))
                .rows(session, decode)
        })
    }

    /// An export's parts from a number on, in order; `limit` at most.
    pub fn audit_export_parts(&self, export: ExportId, first: u64, limit: u32) -> Result<Vec<ExportPart>, StoreFault> {
        let Ok(first) = i64::try_from(first) else { return Ok(Vec::new()) };
        self.read(|session| {
            sql("SELECT number, from_leaf, to_leaf, detail FROM audit_export_part WHERE export_id = ? AND number >= ? \
                 ORDER BY number LIMIT ?")
            .bind(export.0)
            .bind(first)
            .bind(i64::from(limit))
            .rows(session, |row| {
                Ok(ExportPart { number: row.unsigned()?, from_leaf: row.unsigned()?, to_leaf: row.unsigned()?, detail: row.json()? })
            })
        })
    }
}

fn decode(row: &mut Fields<'_, '_, '_>) -> Result<AuditExport, StoreFault> {
    Ok(AuditExport {
        id: ExportId(row.big()?),
        public_id: row.text()?,
        instruction: row.digest()?,
        taken_by: row.text()?,
        taken_at: row.time()?,
        from_leaf: row.unsigned()?,
        to_leaf: row.unsigned()?,
        format: ExportFormat::from_code(row.small()?)?,
        previous_size: row
            .optional_big()?
            .map(|size| u64::try_from(size).map_err(|_| StoreFault::Corrupt("a negative number")))
            .transpose()?,
        recipient: row.optional_text()?,
        cursor: row.unsigned()?,
        checkpoint: row.text()?,
        state: {
            let (state, manifest, failure, at) = (row.small()?, row.optional_text()?, row.optional_text()?, row.optional_time()?);
            match (state, manifest, failure, at) {
                (PREPARING, None, None, None) => ExportState::Preparing,
                (READY, Some(manifest), None, Some(at)) => ExportState::Ready { manifest, at },
                (FAILED, None, Some(failure), Some(at)) => ExportState::Failed { failure, at },
                (EXPIRED, Some(manifest), None, Some(at)) => ExportState::Expired { manifest, at },
                _ => return Err(StoreFault::Corrupt("an export's state")),
            }
        },
    })
}
