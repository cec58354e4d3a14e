//! The issuance log held against itself: what is stored of each event against its leaf, the leaves against the tree that was signed, the
//! tree against the tiles in the store and in the tile directory, and the events against the certificates and their states.
//!
//! What settles it is the signature: whoever has the database's file can change rows and take its triggers away, and cannot sign.

mod bodies;
mod findings;
mod leaves;
mod operators;
mod published;
mod states;
mod verdict;

use audit_log::{Checkpoint, LogVerifier, SignedCheckpoint, StoredTiles, TileDirectory, TileSource};
use schema::{Reader, StoreFault};

pub(crate) use findings::Findings;
use leaves::Leaves;
pub(crate) use verdict::Report;

/// What findings about it call it.
const PUBLISHED: &str = "the checkpoint in the tile directory";

/// What the tile directory has of a checkpoint.
enum Published {
    Signed(SignedCheckpoint),
    /// One that is none: a finding.
    Wrong,
    Nowhere,
}

/// What is held against each other.
pub(crate) struct LogCheck {
    pub(crate) reader: Reader,
    pub(crate) verifier: LogVerifier,
    pub(crate) directory: TileDirectory,
}

impl LogCheck {
    /// Looks at everything; `progress` hears what is being looked at, how much of it is done, and how much there is.
    ///
    /// Errors: the store fails. What it holds and should not is a finding.
    pub(crate) fn run(&self, mut progress: impl FnMut(&str, u64, u64)) -> Result<Report, StoreFault> {
        let mut findings = Findings::default();
        // First the directory, then the store: what was published had been stored before.
        let published = self.published(&mut findings);
        let head = self.reader.log_head()?;
        let has_begun = head.size > 0 || head.note.is_some();
        if matches!(published, Published::Nowhere) && has_begun {
            findings.add(PUBLISHED, None, "checkpoint_absent", format!("there is none in {}", self.directory.path().display()));
        }
        let published = if let Published::Signed(checkpoint) = published { Some(checkpoint) } else { None };
        let note = head.note.as_ref().and_then(|stored| match Checkpoint::verify(&stored.text, &self.verifier) {
            Ok(note) if note.size() == stored.size => Some(note),
            Ok(note) => {
                let words = format!("it is of {} leaves, and on record of {}", note.size(), stored.size);
                findings.add("the last note in the store", None, "note_other", words);
                None
            }
            Err(refusal) => {
                findings.add("the last note in the store", None, "note_unsigned", refusal.to_string());
                None
            }
        });
        let marks: Vec<u64> = [note.as_ref(), published.as_ref()].into_iter().flatten().map(|signed| signed.size()).collect();
        let mut leaves = Leaves::new(&self.reader, &head, &marks, &mut findings);
        leaves.examine(|done| progress("leaves", done, head.size))?;
        let tree = leaves.finish()?;
        for (what, signed) in [("the last note in the store", &note), (PUBLISHED, &published)] {
            let Some(signed) = signed else { continue };
            if signed.size() > head.size {
                let words =
                    format!("it is of {} leaves, and the store has {}: it has lost some, or was restored", signed.size(), head.size);
                findings.add(what, Some(head.size), "leaves_lost", words);
            } else if tree.roots.get(&signed.size()).is_some_and(|root| root != signed.root()) {
                let words = format!("the store's first {} leaves do not have the root that was signed", signed.size());
                findings.add(what, None, "root_other", words);
            }
        }
        let source = self.source();
        if let Some(published) = &published {
            let right = tree.roots.get(&published.size()).is_some_and(|root| root == published.root());
            let examination =
                published::Examination { directory: &self.directory, source: &source, reader: &self.reader, store_is_right: right };
            examination.run(published.size().min(head.size), &mut findings, |done| progress("tiles", done, head.size))?;
        }
        operators::examine(&self.reader, &mut findings, |done| progress("operators", done, done))?;
        let examined = states::examine(&self.reader, &mut findings, |done| progress("certificates", done, done))?;
        Ok(Report { head, note, published, tree, examined, findings })
    }

    fn published(&self, findings: &mut Findings) -> Published {
        let text = match self.directory.checkpoint() {
            Ok(Some(text)) => text,
            Ok(None) => return Published::Nowhere,
            Err(fault) => {
                findings.add(PUBLISHED, None, "checkpoint_unreadable", fault.to_string());
                return Published::Wrong;
            }
        };
        match Checkpoint::verify(&text, &self.verifier) {
            Ok(checkpoint) => Published::Signed(checkpoint),
            Err(refusal) => {
                findings.add(PUBLISHED, None, "checkpoint_unsigned", refusal.to_string());
                Published::Wrong
            }
        }
    }

    fn source(&self) -> impl TileSource + '_ {
        StoredTiles::new(|first, count| self.reader.log_commitments(first, count), |level, number| self.reader.log_tile(level, number))
    }
}
