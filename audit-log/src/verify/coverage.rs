//! Which leaves of the tree were read, and which were not: before the first export, between two of them, after the last.
//!
//! That a tree extends another is shown by hashes alone, so an export may leave out what lies between, and everything that is signed is right. What was
//! left out may be what nobody was to see. A gap after what the auditor has is therefore a finding; the rest is told.

use serde::Serialize;

use super::finding::{Findings, Place, Rule};
use super::verdict::Statement;

/// Leaves of the tree that were not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// The first.
    pub from: u64,
    /// The leaf after the last.
    pub to: u64,
    /// Why.
    pub why: WhyUnread,
}

/// Why leaves were not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyUnread {
    /// No export that was given has them.
    NoExport,
    /// A checkpoint that covers them was given, and no export that has them.
    CheckpointAlone,
    /// The exports end before the tree does.
    AfterTheExports,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    /// First leaf, after the last, and by which export.
    read: Vec<(u64, u64, Place)>,
    /// The size of the checkpoint that was named last, which stands for a visit whose export is not at hand.
    kept: Option<u64>,
    /// The size of the largest tree of an export.
    size: u64,
}

/// What lies before an export, or after all of them, and was not read.
struct Gap<'a> {
    from: u64,
    to: u64,
    before: Option<&'a Place>,
}

impl Coverage {
    /// A checkpoint of a tree of this size is known. Of several, the last is that of the last visit.
    pub(super) fn checkpoint(&mut self, size: u64) {
        self.kept = Some(size);
    }

    /// A checkpoint of a former log, of which this one has so many leaves: where none of this log stands for the last visit.
    pub(super) fn former_checkpoint(&mut self, size: u64) {
        self.kept = self.kept.max(Some(size));
    }

    /// An export of these leaves of a tree of `size` was read.
    pub(super) fn export(&mut self, (from, to): (u64, u64), size: u64, place: &Place) {
        self.size = self.size.max(size);
        let at = self.read.partition_point(|(earlier, ..)| *earlier <= from);
        self.read.insert(at, (from, to, place.clone()));
    }

    /// Nothing more is read. Each export has to go on where another ended, the first of them where the visit did that a checkpoint stands for.
    pub(super) fn end(&self, findings: &mut Findings) {
        for Gap { from, to, before } in self.gaps() {
            let is_first = self.read.first().is_some_and(|(first, ..)| *first == to);
            let due = if is_first { self.kept.map(|kept| kept.max(from)) } else { Some(from) };
            if let Some((place, due)) = before.zip(due).filter(|(_, due)| *due < to) {
                let words = format!("{} not been read by you: the export does not begin where what you have ends", have(due, to));
                findings.add(Rule::Gap, &place.leaves(due, to), words);
            }
        }
    }

    /// What was not read of the largest tree.
    pub(super) fn unread(&self) -> Vec<Unread> {
        let mut unread = Vec::new();
        for Gap { from, to, before } in self.gaps() {
            let covered = self.kept.unwrap_or(0).clamp(from, to);
            let why = if before.is_some() { WhyUnread::NoExport } else { WhyUnread::AfterTheExports };
            let parts = [Unread { from, to: covered, why: WhyUnread::CheckpointAlone }, Unread { from: covered, to, why }];
            unread.extend(parts.into_iter().filter(|part| part.from < part.to));
        }
        unread
    }

    fn gaps(&self) -> Vec<Gap<'_>> {
        let (mut gaps, mut next) = (Vec::new(), 0);
        let read = self.read.iter().map(|(from, to, place)| (*from, *to, Some(place)));
        for (from, to, before) in read.chain([(self.size, self.size, None)]) {
            if next < from {
                gaps.push(Gap { from: next, to: from, before });
            }
            next = next.max(to);
        }
        gaps
    }
}

impl Unread {
    /// What is not proved for want of them.
    pub(super) fn statement(&self) -> Statement {
        let by = match self.why {
            WhyUnread::NoExport => "no export that was given has them",
            WhyUnread::CheckpointAlone => "only a checkpoint over them was given; whether you read them when you took it, you know alone",
            WhyUnread::AfterTheExports => "the tree goes on after the export, and so may what its records lead to",
        };
        Statement::new(format!("anything of {} not been read by you", have(self.from, self.to).replace(" have", ", which have")), by)
    }
}

fn have(from: u64, to: u64) -> String {
    if to - from == 1 { format!("leaf {from} has") } else { format!("leaves {from} to {} have", to - 1) }
}
