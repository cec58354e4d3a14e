//! Who is wrong where records, the file of leaf hashes and the signed subtrees of a part do not agree.

use crate::export::{Part, nodes_of};
use crate::hash::Hash;

use super::finding::{Findings, Place, Rule};
use super::told::Told;

/// So many contradictions between records and leaf hashes are tried out one way and the other.
const TRIED: usize = 6;

/// The leaf hashes of a part that lead to its signed subtrees, if they can be told; what offends is found.
///
/// `filed` is the content of the file of leaf hashes, if it has the right length.
pub(super) fn settle(part: &Part, told: &Told, filed: Option<Vec<Hash>>, place: &Place, findings: &mut Findings) -> Option<Vec<Hash>> {
    let (records, hashes) = (place.file(&part.records.name), place.file(&part.hashes.name));
    let is_signed = |hashes: &[Hash]| nodes_of(part.from, hashes) == part.nodes;
    let contradict = |at: usize, filed: &[Hash]| told.hashes[at].is_some_and(|told| told != filed[at]);

    let Some(filed) = filed.filter(|filed| filed.len() == told.hashes.len()) else {
        let all: Option<Vec<Hash>> = told.hashes.iter().copied().collect();
        let proven = all.filter(|all| is_signed(all));
        if proven.is_none() && told.findings.is_empty() {
            let words = "without its file of leaf hashes it cannot be told which of the part's records are not those of the tree";
            findings.add(Rule::Commitment, &records.leaves(part.from, part.to), words);
        }
        return proven;
    };
    let disputed: Vec<usize> = (0..filed.len()).filter(|at| contradict(*at, &filed)).collect();
    let leaf = |at: usize| part.from + at as u64;
    let settled = settled(told, &filed, &disputed, is_signed);
    for at in &disputed {
        match settled.as_ref().map(|settled| told.hashes[*at] == Some(settled[*at])) {
            Some(false) => findings.add(Rule::Commitment, &records.leaf(leaf(*at)), "it is not what the log committed to"),
            Some(true) => findings.add(Rule::Hashes, &hashes.leaf(leaf(*at)), "its hash is not that of the tree; its record is"),
            None => {
                let words = format!("it does not agree with {}, and which of the two was changed cannot be told", part.hashes.name);
                findings.add(Rule::Commitment, &records.leaf(leaf(*at)), words);
            }
        }
    }
    if let Some(settled) = &settled {
        // Hashes of records that cannot be read, of which the tree knows better.
        for at in (0..filed.len()).filter(|at| filed[*at] != settled[*at] && !disputed.contains(at)) {
            findings.add(Rule::Hashes, &hashes.leaf(leaf(at)), "its hash is not that of the tree");
        }
    } else {
        let (from, to) = first_wrong_subtree(part, &filed);
        let words = if disputed.is_empty() {
            "records and leaf hashes agree with one another, and are not those of the tree"
        } else {
            "the leaf hashes are not those of the tree"
        };
        findings.add(Rule::Hashes, &hashes.leaves(from, to), words);
        if disputed.is_empty() {
            findings.add(Rule::Commitment, &records.leaves(from, to), words);
        }
    }
    settled
}

/// The hashes that lead to the signed subtrees: those of the file, those of the records, or, where few are disputed, a mixture.
fn settled(told: &Told, filed: &[Hash], disputed: &[usize], is_signed: impl Fn(&[Hash]) -> bool) -> Option<Vec<Hash>> {
    if is_signed(filed) {
        return Some(filed.to_vec());
    }
    let choose = |by_record: &dyn Fn(usize) -> bool| {
        let mut chosen = filed.to_vec();
        for (nth, at) in disputed.iter().enumerate().filter(|(nth, _)| by_record(*nth)) {
            let _ = nth;
            chosen[*at] = told.hashes[*at].unwrap_or(filed[*at]);
        }
        Some(chosen).filter(|chosen| is_signed(chosen))
    };
    if disputed.is_empty() {
        return None;
    }
    choose(&|_| true).or_else(|| {
        let mixtures = if disputed.len() <= TRIED { 1_u32..(1 << disputed.len()) - 1 } else { 0..0 };
        mixtures.into_iter().find_map(|mixture| choose(&|nth| mixture >> nth & 1 == 1))
    })
}

/// The leaves of the first signed subtree that the hashes do not give.
fn first_wrong_subtree(part: &Part, filed: &[Hash]) -> (u64, u64) {
    let nodes = nodes_of(part.from, filed);
    let subtrees = crate::compact_range::aligned_subtrees(part.from, part.to);
    let wrong = subtrees.zip(nodes.iter().zip(&part.nodes)).find(|(_, (found, signed))| found != signed);
    wrong.map_or((part.from, part.to), |(subtree, _)| {
        let first = subtree.number << subtree.level;
        (first, first + (1 << subtree.level))
    })
}
