//! A log that follows another, because leaves that were signed are gone for good: what the auditor has of the former one is held against the
//! leaves that this one took over. Its `log.began` says how many these are, and their root.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::compact_range::CompactRange;
use crate::export::{Manifest, Part, nodes_of};
use crate::hash::{Hash, split_hashes};
use crate::note::{Checkpoint, LogVerifier};

use super::coverage::Coverage;
use super::earlier::root_with;
use super::finding::{Findings, Place, Rule};
use super::rules::Followed;
use super::verdict::Statement;

/// An export as it lies there, whose manifest was signed by a log key.
#[derive(Debug)]
pub(super) struct Lying {
    pub(super) directory: PathBuf,
    pub(super) manifest: Manifest,
}

/// What the auditor has of another log.
#[derive(Debug)]
struct Former {
    name: String,
    origin: String,
    size: u64,
    /// The verifier key and the root that it signed; `None` where no key was given that did.
    signed: Option<(String, Hash)>,
    export: Option<Lying>,
}

/// All of that, and the exports of this log to hold it against.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    formers: Vec<Former>,
    exports: Vec<Lying>,
}

impl Renewal {
    /// A checkpoint that this log did not sign; whether it is one of another log.
    pub(super) fn checkpoint(&mut self, name: &str, note: &str, log: &LogVerifier, keys: &[LogVerifier]) -> bool {
        let signed = keys.iter().find_map(|key| Checkpoint::verify(note, key).ok().map(|tree| (key.vkey(), *tree.root())));
        let Some(tree) = text_of(note).and_then(|text| Checkpoint::parse(&text).ok()) else { return false };
        if tree.origin != log.name() || signed.is_some() {
            self.formers.push(Former { name: name.to_owned(), origin: tree.origin, size: tree.size, signed, export: None });
            return true;
        }
        false
    }

    /// An export whose manifest this log did not sign; whether it is one of another log.
    pub(super) fn export(&mut self, directory: &Path, name: &str, note: &str, log: &LogVerifier, keys: &[LogVerifier]) -> bool {
        let Some(manifest) = text_of(note).and_then(|text| Manifest::parse(&text).ok()) else { return false };
        let key = keys.iter().find(|key| key.open(note).is_ok());
        if !self.checkpoint(name, &manifest.checkpoint, log, keys) {
            return false;
        }
        // The manifest has to be signed as well, for the leaf hashes to be those of the tree.
        if let Some(former) = self.formers.last_mut().filter(|_| key.is_some()) {
            former.export = Some(Lying { directory: directory.to_owned(), manifest });
        }
        true
    }

    /// An export of this log was read.
    pub(super) fn read(&mut self, directory: &Path, manifest: Manifest) {
        self.exports.push(Lying { directory: directory.to_owned(), manifest });
    }

    /// Holds what there is of former logs against this one: what is proved, and what is not.
    pub(super) fn judge(&self, followed: &[Followed], findings: &mut Findings) -> (Vec<Statement>, Vec<Statement>) {
        let (mut proved, mut not) = (Vec::new(), Vec::new());
        for former in &self.formers {
            let Former { name, origin, size, .. } = former;
            let place = Place::directory(name);
            let Some(taken_over) = followed.iter().find(|followed| followed.origin == *origin) else {
                let words = format!("it is of another log, {origin}, and no record at hand says that this log follows that one");
                findings.add(Rule::Earlier, &place, words);
                continue;
            };
            let what = |what: &str| format!("continuity: {what} {origin}, of which {name} has {size} leaves");
            let Some((key, root)) = &former.signed else {
                not.push(Statement::new(what("that this log has what was in the former one,"), "its key was not given (--former-log-key)"));
                continue;
            };
            if *key != taken_over.key {
                findings.add(Rule::Earlier, &place, format!("this log follows {origin} of another key than signed it"));
                continue;
            }
            let Some((kept, kept_root)) = taken_over.tree else {
                let words = "log.began does not say how many leaves were taken over";
                not.push(Statement::new(what("that this log has what was in the former one,"), words));
                continue;
            };
            // Both logs have these leaves, or else the former one has no more.
            let (common, own) = if *size <= kept {
                (*size, Some(*root))
            } else {
                let lost = size - kept;
                let words = format!("this log took over {kept} leaves: the last {lost} were signed, and are gone for good");
                not.push(Statement::new(what("the rest of"), words));
                (kept, former.export.as_ref().and_then(|export| export.root_of(kept)))
            };
            let here = self.exports.iter().find_map(|export| export.root_of(common));
            let refuted = |other: Option<Hash>| here.zip(other).is_some_and(|(here, other)| here != other);
            if refuted(own) || (common == kept && refuted(Some(kept_root))) {
                let words = format!("the first {common} leaves of this log are not those of {origin}, which it says that it follows");
                findings.add(Rule::Earlier, &place, words);
            } else if here.is_some() && own.is_some() {
                proved.push(Statement::new(
                    format!("the first {common} leaves are those of the former log {origin}, as {name} has them"),
                    "the root that its key signed, or leads to",
                ));
            } else {
                let words =
                    format!("it takes the leaf hashes of both logs around leaf {common}: give the exports, and not checkpoints alone");
                not.push(Statement::new(what("that this log has what was in the former one,"), words));
            }
        }
        (proved, not)
    }
}

impl Renewal {
    /// What was read of former logs are leaves of this one, as far as it took them over.
    pub(super) fn cover(&self, followed: &[Followed], coverage: &mut Coverage) {
        for former in &self.formers {
            let taken_over = followed.iter().find(|followed| followed.origin == former.origin).and_then(|followed| followed.tree);
            let kept = taken_over.map_or(0, |(kept, _)| kept);
            match &former.export {
                Some(Lying { manifest, .. }) if manifest.from < kept => {
                    coverage.export((manifest.from, manifest.to.min(kept)), 0, &Place::directory(&former.name));
                }
                Some(_) => {}
                None => coverage.former_checkpoint(former.size.min(kept)),
            }
        }
    }
}

impl Lying {
    /// The root of its log's first `size` leaves, if its leaf hashes show it: nothing is taken from them that the signed subtrees do not say.
    fn root_of(&self, size: u64) -> Option<Hash> {
        let manifest = &self.manifest;
        let mut covered = CompactRange::new(0, manifest.from, manifest.before.clone()).ok()?;
        if size == manifest.from {
            return covered.root();
        }
        for part in &manifest.parts {
            if size < part.to {
                let leaves = usize::try_from(size.checked_sub(part.from)?).ok()?;
                return root_with(&covered, part.from, self.hashes(part)?.get(..leaves)?);
            }
            covered.append(&CompactRange::new(part.from, part.to, part.nodes.clone()).ok()?).ok()?;
            if size == part.to {
                return covered.root();
            }
        }
        None
    }

    fn hashes(&self, part: &Part) -> Option<Vec<Hash>> {
        let mut octets = Vec::new();
        let file = File::open(self.directory.join(&part.hashes.name)).ok()?;
        file.take(part.hashes.octets).read_to_end(&mut octets).ok()?;
        split_hashes(&octets).filter(|hashes| hashes.len() as u64 == part.leaves() && nodes_of(part.from, hashes) == part.nodes)
    }
}

/// The text of a note, whoever signed it.
fn text_of(note: &str) -> Option<String> {
    note.split_once("\n\n").map(|(text, _)| format!("{text}\n"))
}
