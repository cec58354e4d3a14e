//! Trees that the auditor knew before: each later one has to extend them, every one of them.

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
    /// Whether the leaf hashes of the export at hand are to show it.
    by_leaves: bool,
    /// Why no export has shown yet that its tree extends this one.
    not_yet: Option<(Place, String)>,
}

/// All that were, and that no export was shown to extend yet.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    known: Vec<Known>,
    /// The largest that the export at hand was shown to extend.
    extends: Option<u64>,
}

/// Whether the tree of an export extends a known one.
enum Extension {
    Shown,
    Refuted(String),
    /// From the leaf hashes, when they are read as far as its size.
    ByLeaves,
    /// By this export it is neither shown nor refuted.
    Unshown(String),
}

impl Known {
    pub(super) fn of(name: &str, checkpoint: &SignedCheckpoint) -> Self {
        Self { name: name.to_owned(), size: checkpoint.size(), root: *checkpoint.root(), by_leaves: false, not_yet: None }
    }

    /// As far as the export's manifest says.
    fn extended_by(&self, manifest: &Manifest, tree: &SignedCheckpoint) -> Extension {
        let (size, name) = (self.size, &self.name);
        if tree.size() < size {
            let words = format!("its tree of {} leaves is older than that of {name}, which had {size}: it was taken before", tree.size());
            return Extension::Unshown(words);
        }
        if tree.size() == size {
            if *tree.root() == self.root {
                return Extension::Shown;
            }
            return Extension::Refuted(format!("its tree has as many leaves as that of {name} and another root: the log was forked"));
        }
        if size == 0 {
            return Extension::Shown;
        }
        if let Some(previous) = manifest.previous.as_ref().filter(|previous| previous.size == size) {
            if verify_consistency(&previous.consistency, size, &self.root, tree.size(), tree.root()).is_ok() {
                return Extension::Shown;
            }
            let words = format!("its tree is not shown to extend that of {name}, of {size} leaves: its consistency proof is wrong");
            return Extension::Refuted(words);
        }
        if (manifest.from..=manifest.to).contains(&size) {
            return Extension::ByLeaves;
        }
        Extension::Unshown(format!(
            "nothing shows that its tree extends that of {name}: it has no consistency proof from {size} leaves, and not all leaves from there on"
        ))
    }

    /// Whether the leaves up to the known size have the known root. `before` covers those before `from`, `hashes` begin there.
    fn is_root_of(&self, before: &CompactRange, from: u64, hashes: &[Hash]) -> bool {
        let leaves = usize::try_from(self.size - from).ok().and_then(|leaves| hashes.get(..leaves));
        leaves.and_then(|leaves| root_with(before, from, leaves)) == Some(self.root)
    }
}

/// The root of the leaves that `before` covers, up to `from`, and of these.
pub(super) fn root_with(before: &CompactRange, from: u64, leaves: &[Hash]) -> Option<Hash> {
    let mut covered = before.clone();
    let rest = CompactRange::new(from, from + leaves.len() as u64, nodes_of(from, leaves)).ok()?;
    covered.append(&rest).ok()?;
    covered.root()
}

impl Earlier {
    /// A tree is known from now on. Two of one size are the same, or the log was forked.
    pub(super) fn add(&mut self, known: Known, findings: &mut Findings) {
        let same_size: Vec<&Known> = self.known.iter().filter(|other| other.size == known.size).collect();
        if let Some(other) = same_size.iter().find(|other| other.root != known.root) {
            let words = format!("its tree has as many leaves as that of {} and another root: the log was forked", other.name);
            findings.add(Rule::Earlier, &Place::directory(&known.name), words);
        }
        if same_size.iter().all(|other| other.root != known.root) {
            self.known.push(known);
        }
    }

    /// Holds all that are known against an export.
    pub(super) fn hold(&mut self, manifest: &Manifest, tree: &SignedCheckpoint, place: &Place, findings: &mut Findings) {
        self.extends = None;
        let mut kept = Vec::new();
        for mut known in std::mem::take(&mut self.known) {
            match known.extended_by(manifest, tree) {
                Extension::Shown => self.extends = self.extends.max(Some(known.size)),
                Extension::Refuted(words) => findings.add(Rule::Earlier, place, words),
                Extension::ByLeaves => kept.push(Known { by_leaves: true, ..known }),
                Extension::Unshown(words) => {
                    known.not_yet = Some((place.clone(), words));
                    kept.push(known);
                }
            }
        }
        self.known = kept;
    }

    /// A part of that export was read: `covered` covers what is before it, `hashes` are those of its leaves.
    pub(super) fn leaves(
        &mut self,
        (from, to): (u64, u64),
        covered: Option<&CompactRange>,
        hashes: Option<&[Hash]>,
        place: &Place,
        findings: &mut Findings,
    ) {
        let extends = &mut self.extends;
        self.known.retain_mut(|known| {
            if !known.by_leaves || !(from..=to).contains(&known.size) {
                return true;
            }
            known.by_leaves = false;
            match covered.zip(hashes).map(|(covered, hashes)| known.is_root_of(covered, from, hashes)) {
                Some(true) => *extends = (*extends).max(Some(known.size)),
                Some(false) => {
                    let words = format!("its first {} leaves are not those of {}: the log was forked", known.size, known.name);
                    findings.add(Rule::Earlier, place, words);
                }
                None => {
                    let words = format!("nothing shows that its tree extends that of {}: its leaf hashes cannot be told", known.name);
                    known.not_yet = Some((place.clone(), words));
                    return true;
                }
            }
            false
        });
    }

    /// The export is over: its tree is known now as well. The largest that it was shown to extend.
    pub(super) fn end(&mut self, name: &str, tree: &SignedCheckpoint) -> Option<u64> {
        self.known.push(Known::of(name, tree));
        self.extends
    }

    /// Nothing more comes that could show anything.
    pub(super) fn finish(&mut self, findings: &mut Findings) {
        for (place, words) in self.known.drain(..).filter_map(|known| known.not_yet) {
            findings.add(Rule::Earlier, &place, words);
        }
    }
}
