//! What verification comes to: what was found, what was proved by what, and what was not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::export::{MANIFEST_FILE, Manifest};

use super::coverage::Unread;
use super::evidence::EvidenceCounts;
use super::finding::{Finding, Rule};
use super::unjudged::UnjudgedCount;

/// What verification came to.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict {
    /// Whether nothing was found.
    pub clean: bool,
    /// The exports that were read, in this order.
    pub exports: Vec<ExportTold>,
    /// The first record that is not what it has to be; the first that contradicts a rule, if all are what was committed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Finding>,
    /// How many findings there are.
    pub found: u64,
    /// How many of each rule.
    pub by_rule: BTreeMap<Rule, u64>,
    /// The findings, at most a hundred of a rule.
    pub findings: Vec<Finding>,
    /// Leaves of the tree that no export has that was read.
    pub not_read: Vec<Unread>,
    /// What could not be judged.
    pub not_judged: Vec<UnjudgedCount>,
    /// What was proved, and by what.
    pub proved: Vec<Statement>,
    /// What was not.
    pub not_proved: Vec<Statement>,
    /// Certificates issued as examples for relying parties, upon no application and for nobody.
    pub test_certificates: u64,
    /// Evidence, if it was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceCounts>,
}

/// What an export says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportTold {
    /// Its directory.
    pub directory: String,
    /// What it is called.
    pub export: String,
    /// When it was taken, RFC 3339.
    pub taken_at: String,
    /// By whom.
    pub taken_by: String,
    /// The first leaf.
    pub from: u64,
    /// The leaf after the last.
    pub to: u64,
    /// Records with content.
    pub records: u64,
    /// Records whose content was purged.
    pub purged: u64,
    /// Records whose content was lost.
    pub lost: u64,
    /// The size of the tree.
    pub size: u64,
    /// Its root, in base64.
    pub root: String,
    /// The witnesses that cosigned it, of those asked for, and when.
    pub cosigned: Vec<String>,
    /// Who else signed its checkpoint by the note's lines: they were not asked for, and nothing says that they did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cosigned_unjudged: Vec<String>,
    /// What lies in its directory and is not of the export: at most a hundred names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unnamed: Vec<String>,
    /// The earlier tree that it was shown to extend: its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<u64>,
}

/// Something proved or not, and by what or for want of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// What.
    pub what: String,
    /// By what, or for want of what.
    pub by: String,
}

impl Statement {
    pub(super) fn new(what: impl Into<String>, by: impl Into<String>) -> Self {
        Self { what: what.into(), by: by.into() }
    }
}

/// So many names are told.
const NAMES: usize = 100;

/// Whose signatures stand under a checkpoint beside the log's and those of witnesses that are judged.
pub(super) fn unjudged_signers(checkpoint: &str, judged: &[&str]) -> Vec<String> {
    let lines = checkpoint.rsplit_once("\n\n").map_or("", |(_, signatures)| signatures).lines();
    let names = lines.filter_map(|line| line.strip_prefix("— ")?.split(' ').next());
    let mut others: Vec<String> = names.filter(|name| !judged.contains(name)).take(NAMES).map(str::to_owned).collect();
    others.dedup();
    others
}

/// What lies in an export's directory and is not named by its manifest.
pub(super) fn unnamed(directory: &Path, manifest: &Manifest) -> Vec<String> {
    let named: BTreeSet<&str> = manifest.parts.iter().flat_map(|part| part.files()).map(|file| file.name.as_str()).collect();
    let there = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let names = there.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut others: Vec<String> = names.filter(|name| name != MANIFEST_FILE && !named.contains(name.as_str())).take(NAMES).collect();
    others.sort_unstable();
    others
}

/// The finding to be named first: of those about what was committed to, the one with the lowest leaf; else of those about what it says. A record
/// that was changed makes others look wrong, and so does not come after them.
pub(super) fn first(findings: &[Finding]) -> Option<Finding> {
    let is_changed =
        |finding: &&Finding| matches!(finding.rule, Rule::Record | Rule::Order | Rule::Commitment | Rule::Hashes | Rule::Count);
    let lowest = |findings: Vec<&Finding>| findings.into_iter().min_by_key(|finding| finding.leaf.unwrap_or(u64::MAX)).cloned();
    let (changed, others): (Vec<_>, Vec<_>) = findings.iter().partition(is_changed);
    let (in_records, elsewhere): (Vec<_>, Vec<_>) = others.into_iter().partition(|finding| finding.leaf.is_some());
    lowest(changed).or_else(|| elsewhere.first().map(|finding| (*finding).clone())).or_else(|| lowest(in_records))
}
