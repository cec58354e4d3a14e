//! Trees that the auditor knew before: each later one has to extend them.

use crate::compact_range::CompactRange;
use crate::export::{Manifest, nodes_of};
use crate::hash::Hash;
use crate::note::SignedCheckpoint;
use crate::proof::verify_consistency;

use super::finding::{Findings, Place, Rule};

/// A tree that was known.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Where from.
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) root: Hash,
}

/// How the tree of an export is shown to extend a known one.
pub(super) enum Extension {
    /// It is shown, or there is nothing to show.
    Settled(Option<u64>),
    /// From the leaf hashes, when they are read as far as its size.
    FromLeaves(Known),
}

impl Known {
    pub(super) fn of(name: &str, checkpoint: &SignedCheckpoint) -> Self {
        Self { name: name.to_owned(), size: checkpoint.size(), root: *checkpoint.root() }
    }

    /// Whether the export's tree extends this one, as far as its manifest says.
    pub(super) fn extended_by(&self, manifest: &Manifest, tree: &SignedCheckpoint, place: &Place, findings: &mut Findings) -> Extension {
        let (size, name) = (self.size, &self.name);
        let not = |findings: &mut Findings, words: String| {
            findings.add(Rule::Earlier, place, words);
            Extension::Settled(None)
        };
        if tree.size() < size {
            let words = format!("its tree of {} leaves is older than that of {name}, which had {size}: it was taken before", tree.size());
            return not(findings, words);
        }
        if tree.size() == size {
            return if *tree.root() == self.root {
                Extension::Settled(Some(size))
            } else {
                not(findings, format!("its tree has as many leaves as that of {name} and another root: the log was forked"))
            };
        }
        if size == 0 {
            return Extension::Settled(Some(0));
        }
        if let Some(previous) = manifest.previous.as_ref().filter(|previous| previous.size == size) {
            return match verify_consistency(&previous.consistency, size, &self.root, tree.size(), tree.root()) {
                Ok(()) => Extension::Settled(Some(size)),
                Err(_) => not(
                    findings,
                    format!("its tree is not shown to extend that of {name}, of {size} leaves: its consistency proof is wrong"),
                ),
            };
        }
        if (manifest.from..=manifest.to).contains(&size) {
            return Extension::FromLeaves(self.clone());
        }
        let words = format!(
            "nothing shows that its tree extends that of {name}: it has no consistency proof from {size} leaves, and not all leaves from there on"
        );
        not(findings, words)
    }

    /// Whether the leaves up to the known size have the known root. `before` covers those before `from`, `hashes` begin there.
    pub(super) fn is_root_of(&self, before: &CompactRange, from: u64, hashes: &[Hash]) -> bool {
        let mut covered = before.clone();
        let leaves = usize::try_from(self.size - from).ok().and_then(|leaves| hashes.get(..leaves));
        let rest = leaves.and_then(|leaves| CompactRange::new(from, self.size, nodes_of(from, leaves)).ok());
        rest.is_some_and(|rest| covered.append(&rest).is_ok()) && covered.root() == Some(self.root)
    }
}
