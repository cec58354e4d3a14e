//! What an auditor asks to take away of the log.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::instruction::statement::optional_past_time;

/// Of how many characters the public key of an age identity consists: `age1` and 58 of bech32.
const RECIPIENT_CHARACTERS: usize = 62;

/// A stretch of the log, to be written down with proofs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "AuditExportJson")]
pub struct AuditExport {
    /// Where it begins; without it, with the first leaf.
    pub from: Option<Bound>,
    /// Where it ends, exclusive; without it, with the last leaf that a checkpoint covers.
    pub to: Option<Bound>,
    /// How it is written.
    pub format: RecordFormat,
    /// The size of a tree that the auditor knows: a proof that the log extends it goes with the export.
    pub previous_size: Option<u64>,
    /// Whom evidence is encrypted to: an X25519 recipient of age. Without it there is no evidence.
    pub recipient: Option<String>,
}

/// A place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A leaf's index.
    Leaf(u64),
    /// A moment.
    Time(DateTime<Utc>),
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecordFormat {
    /// A JSON object on each line.
    Jsonl,
    /// Comma-separated values (RFC 4180).
    Csv,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditExportJson {
    from_leaf: Option<u64>,
    to_leaf: Option<u64>,
    #[serde(default, deserialize_with = "optional_past_time")]
    from: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "optional_past_time")]
    to: Option<DateTime<Utc>>,
    format: RecordFormat,
    previous_size: Option<u64>,
    recipient: Option<String>,
}

impl TryFrom<AuditExportJson> for AuditExport {
    type Error = &'static str;

    fn try_from(json: AuditExportJson) -> Result<Self, Self::Error> {
        if json.recipient.as_deref().is_some_and(|recipient| !is_recipient(recipient)) {
            return Err("a recipient is the public key of an age identity: age1 and 58 characters");
        }
        Ok(Self {
            from: bound(json.from_leaf, json.from)?,
            to: bound(json.to_leaf, json.to)?,
            format: json.format,
            previous_size: json.previous_size,
            recipient: json.recipient,
        })
    }
}

fn bound(leaf: Option<u64>, time: Option<DateTime<Utc>>) -> Result<Option<Bound>, &'static str> {
    match (leaf, time) {
        (Some(_), Some(_)) => Err("a bound is a leaf or a time, not both"),
        (leaf, time) => Ok(leaf.map(Bound::Leaf).or(time.map(Bound::Time))),
    }
}

fn is_recipient(text: &str) -> bool {
    text.len() == RECIPIENT_CHARACTERS
        && text.starts_with("age1")
        && text.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit())
}
