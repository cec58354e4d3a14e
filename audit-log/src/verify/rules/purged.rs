//! Contents are destroyed only when their time is over: records of an issuance are kept 10 years after its end (docs/backup.md, the
//! installation may say longer). When a purged record was made nobody can tell any more, but the one before it was made no later, or about
//! then: if even that is too young, so is it.

use super::super::event::{Event, Milliseconds, told};
use super::super::finding::{Findings, Place, Rule};
use super::super::unjudged::{Unjudged, Why};
use super::Measures;

const YEAR: Milliseconds = 365 * 86_400_000;

#[derive(Debug, Default)]
pub(super) struct Purged {
    before: Option<Milliseconds>,
    taken_at: Option<Milliseconds>,
}

impl Purged {
    /// An export begins.
    pub(super) fn export_taken(&mut self, at: Milliseconds) {
        self.taken_at = Some(at);
    }

    pub(super) fn present(&mut self, event: &Event<'_>) {
        self.before = Some(event.at);
    }

    pub(super) fn purged(&self, leaf: u64, measures: &Measures, place: &Place, findings: &mut Findings, unjudged: &mut Unjudged) {
        let Some((before, taken_at)) = self.before.zip(self.taken_at) else {
            unjudged.add(Rule::Purged, Why::BeforeTheRecords);
            return;
        };
        if before > taken_at - i64::from(measures.retention_years) * YEAR {
            let words = format!(
                "its content was purged, though the record before it is of {} and records are kept {} years",
                told(before),
                measures.retention_years
            );
            findings.add(Rule::Purged, &place.leaf(leaf), words);
        }
    }
}
