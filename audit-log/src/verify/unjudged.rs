//! What could not be judged, and why: counted, so that nothing is passed over in silence.

use std::collections::BTreeMap;

use serde::Serialize;

use super::finding::Rule;

/// Why something could not be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// What it follows from lies before the records at hand.
    BeforeTheRecords,
    /// What it follows from may be among the records that were purged.
    Purged,
    /// A restored store has forgotten it: what follows is not held against it.
    Lost,
    /// The record was left by an older program, and does not say it.
    PoorerRecord,
    /// At the end of the records its time was not over yet.
    NotOverYet,
    /// The export has no evidence, or it was not asked to be read.
    NoEvidence,
    /// The record names another life cycle than the one that it was judged by.
    OtherLifecycle,
    /// A record before it could not be read.
    Unreadable,
    /// There are too many, too far apart, to be kept in mind.
    NoRoom,
}

impl Why {
    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::BeforeTheRecords => "what they follow from lies before the records at hand",
            Self::Purged => "what they follow from may be among the records that were purged",
            Self::Lost => "a restored store has forgotten them, so that what followed was not held against them",
            Self::PoorerRecord => "the records were left by an older program and do not say it",
            Self::NotOverYet => "at the end of the records their time was not over yet",
            Self::NoEvidence => "there is no evidence with the export, or it was not read",
            Self::OtherLifecycle => "the records name another life cycle than the one they were judged by",
            Self::Unreadable => "records before them could not be read",
            Self::NoRoom => "there are too many, too far apart, to be kept in mind",
        }
    }
}

/// How many could not be judged, by rule and cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unjudged(BTreeMap<(Rule, Why), u64>);

/// One line of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UnjudgedCount {
    /// The rule.
    pub rule: Rule,
    /// Why.
    pub why: Why,
    /// How many records.
    pub count: u64,
}

impl Unjudged {
    /// One more.
    pub fn add(&mut self, rule: Rule, why: Why) {
        self.add_many(rule, why, 1);
    }

    /// So many more.
    pub fn add_many(&mut self, rule: Rule, why: Why, count: u64) {
        if count > 0 {
            *self.0.entry((rule, why)).or_default() += count;
        }
    }

    /// All of them.
    pub fn counts(&self) -> Vec<UnjudgedCount> {
        self.0.iter().map(|((rule, why), count)| UnjudgedCount { rule: *rule, why: *why, count: *count }).collect()
    }
}
