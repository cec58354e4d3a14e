//! What was found not to be as it should.

use serde::Serialize;

/// So many findings are told one by one.
const TOLD: usize = 1_000;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Where: a leaf, a tile, a certificate's row.
    pub(crate) place: String,
    /// The first leaf that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) leaf: Option<u64>,
    /// A word for programs.
    pub(crate) code: &'static str,
    /// A sentence.
    pub(crate) words: String,
}

/// All of them, in the order in which they were found: leaves by rising index first.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) told: Vec<Finding>,
    pub(crate) total: u64,
}

impl Findings {
    pub(crate) fn add(&mut self, place: impl Into<String>, leaf: Option<u64>, code: &'static str, words: impl Into<String>) {
        self.total += 1;
        if self.told.len() < TOLD {
            self.told.push(Finding { place: place.into(), leaf, code, words: words.into() });
        }
    }

    /// About one leaf.
    pub(crate) fn leaf(&mut self, leaf: u64, code: &'static str, words: impl Into<String>) {
        self.add(format!("leaf {leaf}"), Some(leaf), code, words);
    }
}
