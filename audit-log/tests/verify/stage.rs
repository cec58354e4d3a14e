//! A log, a place for its exports, and their verification.

use std::path::{Path, PathBuf};

use audit_log::export::{ExportFormat, MANIFEST_FILE};
use audit_log::testing::{Order, SyntheticLog};
use audit_log::verify::{Finding, Measures, Rule, Verdict, Verification};

/// A log and a place for its exports.
pub(crate) struct Stage {
    pub(crate) log: SyntheticLog,
    pub(crate) place: tempfile::TempDir,
}

impl Stage {
    /// With a log of so many leaves.
    pub(crate) fn new(seed: u64, leaves: usize) -> Self {
        Self { log: SyntheticLog::new(seed, leaves).unwrap(), place: tempfile::tempdir().unwrap() }
    }

    /// An export of a range of all its leaves' tree.
    pub(crate) fn export(&self, name: &str, from: u64, to: u64, format: ExportFormat) -> PathBuf {
        self.ordered(name, self.log.leaves.len(), self.log.order(from, to, format))
    }

    /// An export of the tree of its first `size` leaves.
    pub(crate) fn ordered(&self, name: &str, size: usize, order: Order) -> PathBuf {
        let directory = self.place.path().join(name);
        self.log.export(&directory, size, order).unwrap();
        directory
    }

    /// What verification of these exports comes to, one visit after the other.
    pub(crate) fn verify(&self, directories: &[&Path]) -> Verdict {
        let verifier = self.log.key.verifier();
        // So late that what happens in the chronicles may have been purged.
        let measures = Measures { now: 2_240_000_000_000, ..Measures::default() };
        let mut verification = Verification::new(verifier, &[], measures, None);
        directories.iter().skip(1).for_each(|later| verification.foresee(later));
        for directory in directories {
            verification.export(directory, &name(directory), &mut |_| ()).unwrap();
        }
        verification.finish()
    }
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Nothing was found.
#[track_caller]
pub(crate) fn clean(verdict: &Verdict) {
    assert!(verdict.clean && verdict.found == 0 && verdict.first.is_none(), "{:#?}", verdict.findings);
}

/// Something was found, and this first.
#[track_caller]
pub(crate) fn found(verdict: &Verdict, rule: Rule, leaf: u64) -> &Finding {
    assert!(!verdict.clean, "nothing was found");
    let first = verdict.first.as_ref().unwrap();
    assert_eq!((first.rule, first.leaf), (rule, Some(leaf)), "{:#?}", verdict.findings);
    first
}

/// The files of an export, without the manifest.
pub(crate) fn parts(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| name(path) != MANIFEST_FILE).collect();
    files.sort();
    files
}
