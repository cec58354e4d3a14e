//! What a file of records tells of the tree: for each leaf the hash that follows from its record.

use crate::Commitment;
use crate::export::{Absent, Part, PartFile, Record, RecordProblem, RecordReader};
use crate::hash::Hash;

use super::feed::Handed;
use super::finding::{Findings, Place, Rule};
use super::sequence::{Sequence, Step};

/// What a file of records was found to hold.
pub(super) struct Told {
    /// What follows from each record of the part; nothing from those that are not there or are none.
    pub(super) hashes: Vec<Option<Hash>>,
    /// How many say that their content was purged, and that it was lost.
    pub(super) purged: u64,
    pub(super) lost: u64,
    /// The first and the last of these.
    pub(super) absent: Option<(u64, u64)>,
    /// The file itself.
    pub(super) file: PartFile,
    /// Records that are none, or not in their place.
    pub(super) findings: Findings,
}

/// Reads all of a part's records. What comes after something that cannot be read on from is only hashed.
pub(super) fn read(mut reader: RecordReader<Handed>, part: &Part, place: &Place) -> Told {
    let leaves = usize::try_from(part.leaves()).unwrap_or(0);
    let (mut hashes, mut findings) = (vec![None; leaves], Findings::default());
    let mut sequence = Sequence::new(part.from, part.to);
    let (mut purged, mut lost, mut absent) = (0, 0, None);
    loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(fault) => {
                let leaf = sequence.pass();
                let place = leaf.map_or_else(|| place.clone(), |leaf| place.leaf(leaf));
                findings.add(Rule::Record, &place, fault.to_string());
                if goes_on(&fault.problem) { continue } else { break }
            }
        };
        let leaf = record.leaf();
        match sequence.step(leaf) {
            Step::Due => {}
            Step::Skips { from } => findings.add(Rule::Order, &place.leaf(from), missing(from, leaf)),
            Step::Stray { due } => {
                let words = format!("the record of leaf {leaf} stands where that of leaf {due} is due");
                findings.add(Rule::Order, &place.leaf(if due < part.to { due } else { leaf }), words);
                continue;
            }
        }
        let commitment = match &record {
            Record::Present { salt, content, .. } => Commitment::of(salt, content.text()),
            Record::Absent { absent: why, commitment, .. } => {
                match why {
                    Absent::Purged => purged += 1,
                    Absent::Lost => lost += 1,
                }
                absent = Some((absent.map_or(leaf, |(first, _)| first), leaf));
                *commitment
            }
        };
        if let Some(slot) = usize::try_from(leaf - part.from).ok().and_then(|at| hashes.get_mut(at)) {
            *slot = Some(commitment.leaf_hash());
        }
    }
    if let Some(due) = sequence.due() {
        findings.add(Rule::Order, &place.leaf(due), missing(due, part.to));
    }
    let file = reader.into_inner().finish().finish(part.records.name.clone());
    Told { hashes, purged, lost, absent, file, findings }
}

/// Whether the next line can be read after this problem with one.
pub(super) fn goes_on(problem: &RecordProblem) -> bool {
    matches!(problem, RecordProblem::Malformed | RecordProblem::Content | RecordProblem::Columns)
}

fn missing(from: u64, to: u64) -> String {
    if to - from == 1 { "its record is missing".to_owned() } else { format!("its record and those up to leaf {} are missing", to - 1) }
}
