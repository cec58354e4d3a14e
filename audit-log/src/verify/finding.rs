//! What verification found wrong: by which rule, in which file, at which leaf, in words.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

/// What a finding offends against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The manifest is signed by the log key and agrees with itself.
    Manifest,
    /// The checkpoint is signed by the log key, and the tree of the export has its root.
    Checkpoint,
    /// The checkpoint bears the cosignature of each witness that was asked for (C2SP tlog-cosignature).
    Witness,
    /// The tree extends the one that the auditor knew (RFC 6962 section 2.1.2).
    Earlier,
    /// An export goes on where those before it ended: no leaf between two visits is left unread.
    Gap,
    /// A file is there, of the length and the SHA-256 that the manifest gives.
    File,
    /// The file of leaf hashes gives the subtrees that the manifest gives.
    Hashes,
    /// A record has the form of the format, exactly.
    Record,
    /// Each leaf of the range has one record, in order.
    Order,
    /// A record gives the leaf hash that stands in the tree.
    Commitment,
    /// As many records are there, purged and lost as the manifest says.
    Count,
    /// A record's content says what its kind has to say.
    Content,
    /// Positions of events go on without a gap: no event was left out of the log.
    Position,
    /// The log began once, under the key that the auditor was given.
    Began,
    /// A certificate was issued upon an application that was accepted before and not decided.
    Accepted,
    /// A holder has one live or held certificate of each kind at most.
    OneLive,
    /// What happens to a certificate can happen in its state (docs/lifecycle.md).
    State,
    /// What happened to a card certificate reached what hangs on it in time.
    Cascade,
    /// CRL numbers rise within their scope (RFC 5280 section 5.2.3).
    CrlNumber,
    /// What was purged was old enough.
    Purged,
    /// What a restored store lost is accounted for.
    Lost,
    /// A card signed for what was issued.
    Evidence,
}

impl Rule {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Checkpoint => "checkpoint",
            Self::Witness => "witness",
            Self::Earlier => "earlier",
            Self::Gap => "gap",
            Self::File => "file",
            Self::Hashes => "hashes",
            Self::Record => "record",
            Self::Order => "order",
            Self::Commitment => "commitment",
            Self::Count => "count",
            Self::Content => "content",
            Self::Position => "position",
            Self::Began => "began",
            Self::Accepted => "accepted",
            Self::OneLive => "one_live",
            Self::State => "state",
            Self::Cascade => "cascade",
            Self::CrlNumber => "crl_number",
            Self::Purged => "purged",
            Self::Lost => "lost",
            Self::Evidence => "evidence",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it offends against.
    pub rule: Rule,
    /// The export's directory.
    pub directory: String,
    /// The file, if it lies in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The leaf; where no single one can be told, the first that it may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// The leaf after the last that it may be, where no single one can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_leaf: Option<u64>,
    /// What is wrong, for people.
    pub words: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.directory)?;
        if let Some(file) = &self.file {
            write!(f, ", {file}")?;
        }
        match (self.leaf, self.to_leaf) {
            (Some(leaf), Some(to)) => write!(f, ", leaves {leaf} to {}", to.saturating_sub(1))?,
            (Some(leaf), None) => write!(f, ", leaf {leaf}")?,
            _ => {}
        }
        write!(f, ": {} [{}]", self.words, self.rule)
    }
}

/// Where a finding lies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The export's directory.
    pub directory: String,
    /// The file.
    pub file: Option<String>,
    /// The leaf, or the first of several.
    pub leaf: Option<u64>,
    /// The leaf after the last of several.
    pub to_leaf: Option<u64>,
}

impl Place {
    /// A directory as a whole.
    pub fn directory(name: &str) -> Self {
        Self { directory: name.to_owned(), ..Self::default() }
    }

    /// A file in it.
    #[must_use]
    pub fn file(&self, name: &str) -> Self {
        Self { file: Some(name.to_owned()), leaf: None, to_leaf: None, ..self.clone() }
    }

    /// A leaf in that file.
    #[must_use]
    pub fn leaf(&self, leaf: u64) -> Self {
        Self { leaf: Some(leaf), to_leaf: None, ..self.clone() }
    }

    /// One of these leaves in that file.
    #[must_use]
    pub fn leaves(&self, from: u64, to: u64) -> Self {
        let several = to > from.saturating_add(1);
        Self { leaf: Some(from), to_leaf: several.then_some(to), ..self.clone() }
    }
}

/// What was found, in a bounded place: the first of each rule, and how many there are.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    counts: BTreeMap<Rule, u64>,
}

/// So many findings of one rule are kept; more are only counted.
pub const KEPT_OF_A_RULE: u64 = 100;

impl Findings {
    /// Adds one.
    pub fn add(&mut self, rule: Rule, place: &Place, words: impl Into<String>) {
        let count = self.counts.entry(rule).or_default();
        *count += 1;
        if *count <= KEPT_OF_A_RULE {
            let Place { directory, file, leaf, to_leaf } = place.clone();
            self.kept.push(Finding { rule, directory, file, leaf, to_leaf, words: words.into() });
        }
    }

    /// Adds what was found elsewhere.
    pub fn append(&mut self, other: Self) {
        for (rule, count) in other.counts {
            *self.counts.entry(rule).or_default() += count;
        }
        self.kept.extend(other.kept);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Those kept, as they were added.
    pub fn kept(&self) -> &[Finding] {
        &self.kept
    }

    /// How many there are of each rule.
    pub fn counts(&self) -> &BTreeMap<Rule, u64> {
        &self.counts
    }

    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_findings_is_counted_and_not_kept() {
        let mut findings = Findings::default();
        let place = Place::directory("export").file("records-00000000.jsonl");
        for leaf in 0..10_000 {
            findings.add(Rule::Commitment, &place.leaf(leaf), "wrong");
        }
        findings.add(Rule::State, &place.leaf(3), "impossible");
        assert_eq!((findings.kept().len(), findings.total()), (101, 10_001));
        assert_eq!(findings.kept()[0].to_string(), "export, records-00000000.jsonl, leaf 0: wrong [commitment]");
    }

    #[test]
    fn several_leaves_are_named_by_the_first_and_the_last() {
        let place = Place::directory("export").leaves(7, 9);
        assert_eq!((place.leaf, place.to_leaf), (Some(7), Some(9)));
        assert_eq!(place.leaves(7, 8).to_leaf, None);
    }
}
