//! Contents are destroyed only when their time is over: records of an issuance are kept 10 years after its end (docs/backup.md, the
//! installation may say longer). When a purged record was made nobody can tell any more, but those before it were made no later, or about
//! then: if the latest of these is too young, so is it. And the log itself says how many were purged: `log.purged`.

use serde::Deserialize;

use super::super::event::{Event, Milliseconds, told};
use super::super::finding::{Findings, Place, Rule};
use super::super::unjudged::{Unjudged, Why};
use super::{Measures, Scene};

const YEAR: Milliseconds = 365 * 86_400_000;

/// So much may the auditor's clock, and those of a log, be apart.
const CLOCKS_APART: Milliseconds = 86_400_000;

#[derive(Debug, Default)]
pub(super) struct Purged {
    /// The latest time that a record has.
    latest: Option<Milliseconds>,
    taken_at: Option<Milliseconds>,
    /// Leaves that were purged, how many the log says were, and the first of them.
    leaves: u64,
    told: u64,
    first: Option<u64>,
}

#[derive(Deserialize)]
struct PurgedData {
    leaves: u64,
}

impl Purged {
    /// An export begins.
    pub(super) fn export_taken(&mut self, at: Milliseconds, measures: &Measures, place: &Place, findings: &mut Findings) {
        if at > measures.now.saturating_add(CLOCKS_APART) {
            findings.add(Rule::Manifest, place, format!("it says that it was taken at {}, which is not yet", told(at)));
        }
        // What is younger than anybody's clock is not old enough by a time that is yet to come.
        self.taken_at = Some(at.min(measures.now.saturating_add(CLOCKS_APART)));
    }

    pub(super) fn present(&mut self, event: &Event<'_>) {
        self.latest = self.latest.max(Some(event.at));
    }

    /// `log.purged`: whether it says what it has to.
    pub(super) fn announced(&mut self, event: &Event<'_>) -> bool {
        let data = event.data::<PurgedData>();
        self.told = self.told.saturating_add(data.as_ref().map_or(0, |data| data.leaves));
        data.is_some()
    }

    pub(super) fn purged(&mut self, leaf: u64, measures: &Measures, place: &Place, findings: &mut Findings, unjudged: &mut Unjudged) {
        self.leaves += 1;
        self.first.get_or_insert(leaf);
        let Some((latest, taken_at)) = self.latest.zip(self.taken_at) else {
            unjudged.add(Rule::Purged, Why::BeforeTheRecords);
            return;
        };
        if latest > taken_at - i64::from(measures.retention_years) * YEAR {
            let words = format!(
                "its content was purged, though a record before it is of {} and records are kept {} years",
                told(latest),
                measures.retention_years
            );
            findings.add(Rule::Purged, &place.leaf(leaf), words);
        }
    }

    /// The records are over, and so is the tree. What the log says was purged is of no less leaves, if all its records were told.
    pub(super) fn end(&self, are_all: bool, scene: &mut Scene<'_>) {
        if are_all && self.leaves > self.told {
            let words = format!("{} leaves are said to be purged, and the log tells of {}", self.leaves, self.told);
            scene.findings.add(Rule::Purged, &scene.place.leaf(self.first.unwrap_or(0)), words);
        }
    }
}
