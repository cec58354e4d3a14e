//! One verification: what the auditor knew, then one export after the other, in the order of visits.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::SecondsFormat;

use crate::compact_range::{CompactRange, root_of_ranges};
use crate::export::{MANIFEST_FILE, MANIFEST_OCTETS, Manifest};
use crate::note::{Checkpoint, LogVerifier, SignedCheckpoint, WitnessVerifier};

use super::cosigning::Cosigning;
use super::coverage::{Coverage, Unread};
use super::earlier::{Earlier, Known};
use super::evidence::{EvidenceMeans, Witnessing};
use super::finding::{Findings, Place, Rule};
use super::foresight::lost_runs;
use super::part::Reading;
use super::renewal::Renewal;
use super::rules::{Measures, Rules};
use super::unjudged::Why;
use super::verdict::{self, ExportTold, Statement, Verdict};

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Leaves of the export that were read.
    pub done: u64,
    /// Leaves that it has.
    pub of: u64,
}

/// Nothing can be judged.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// There is no export.
    #[error("{path} is no export: {error}")]
    NoExport {
        /// The manifest.
        path: String,
        /// Why it cannot be read.
        error: std::io::Error,
    },
}

/// A verification that goes on from export to export.
pub struct Verification<'a> {
    log: &'a LogVerifier,
    witnesses: &'a [WitnessVerifier],
    cosigning: Cosigning<'a>,
    coverage: Coverage,
    evidence: Option<Witnessing<'a>>,
    rules: Rules,
    former_logs: &'a [LogVerifier],
    earlier: Earlier,
    renewal: Renewal,
    findings: Findings,
    exports: Vec<ExportTold>,
    has_evidence: bool,
    /// What was issued in the last export, though evidence was asked for and it has none: the first leaf, and how many.
    unproved: Option<(Place, u64)>,
}

impl<'a> Verification<'a> {
    /// Nothing is known yet but the log's key, and whose cosignatures are asked for. Without means, evidence is not opened.
    pub fn new(
        log: &'a LogVerifier,
        witnesses: &'a [WitnessVerifier],
        measures: Measures,
        evidence: Option<&'a EvidenceMeans<'a>>,
    ) -> Self {
        Self {
            log,
            witnesses,
            cosigning: Cosigning::new(witnesses),
            coverage: Coverage::default(),
            evidence: evidence.map(Witnessing::new),
            rules: Rules::new(measures),
            former_logs: &[],
            earlier: Earlier::default(),
            renewal: Renewal::default(),
            findings: Findings::default(),
            exports: Vec::new(),
            has_evidence: false,
            unproved: None,
        }
    }

    /// The keys of logs that this one follows, because they could not go on: what the auditor has of them is held against it.
    #[must_use]
    pub fn with_former_logs(self, former_logs: &'a [LogVerifier]) -> Self {
        Self { former_logs, ..self }
    }

    /// A checkpoint that the auditor has kept, or got from elsewhere; `name` says which. All of them before the exports.
    pub fn checkpoint(&mut self, name: &str, note: &str) {
        match Checkpoint::verify(note, self.log) {
            Ok(checkpoint) => {
                self.coverage.checkpoint(checkpoint.size());
                self.earlier.add(Known::of(name, &checkpoint), &mut self.findings);
            }
            Err(refusal) => {
                if !self.renewal.checkpoint(name, note, self.log, self.former_logs) {
                    self.findings.add(Rule::Earlier, &Place::directory(name), format!("no checkpoint of this log: {refusal}"));
                }
            }
        }
    }

    /// Asks an export, which is to be read after others, which leaves of theirs it says a restored store lost. If it was not asked, events that
    /// happened again in the place of those are findings.
    pub fn foresee(&mut self, directory: &Path) {
        let note = manifest_note(directory).ok();
        let text = note.and_then(|note| self.log.open(&note).ok());
        if let Some(manifest) = text.and_then(|text| Manifest::parse(text.text()).ok()) {
            lost_runs(directory, &manifest, |run| self.rules.foresee(run.from, run.to, run.told_at));
        }
    }

    /// Reads an export; `name` is what its directory is called.
    ///
    /// # Errors
    /// If there is none. What is wrong with one that is there, is found.
    pub fn export(&mut self, directory: &Path, name: &str, progress: &mut dyn FnMut(Progress)) -> Result<(), Unreadable> {
        let place = Place::directory(name);
        let note = manifest_note(directory)?;
        if self.log.open(&note).is_err() && self.renewal.export(directory, name, &note, self.log, self.former_logs) {
            return Ok(());
        }
        let Some((manifest, tree)) = self.manifest(&note, &place.file(MANIFEST_FILE)) else { return Ok(()) };
        let mut told = ExportTold::of(name, &manifest, &tree);
        told.cosigned = self.cosigning.cosigned(&tree, &place.file(MANIFEST_FILE), &mut self.findings);
        self.coverage.export((manifest.from, manifest.to), tree.size(), &place.file(MANIFEST_FILE));
        let judged: Vec<&str> = self.witnesses.iter().map(WitnessVerifier::name).chain([self.log.name()]).collect();
        told.cosigned_unjudged = verdict::unjudged_signers(&manifest.checkpoint, &judged);
        told.unnamed = verdict::unnamed(directory, &manifest);
        let before = self.tree(&manifest, &tree, &place.file(MANIFEST_FILE));
        self.has_evidence |= manifest.recipient.is_some();
        let in_manifest = place.file(MANIFEST_FILE);
        self.earlier.hold(&manifest, &tree, &in_manifest, &mut self.findings);
        let taken_at = manifest.taken_at.timestamp_millis();
        self.rules.begin((manifest.from, manifest.to), taken_at, &in_manifest, &mut self.findings);
        let (mut covered, mut until, mut unproved) = (before, i64::MIN, None);
        if let Some(evidence) = &mut self.evidence {
            let without = manifest.recipient.is_none().then_some(Why::NoEvidence);
            without.or(self.rules.gap()).into_iter().for_each(|why| evidence.unread(why));
        }
        for part in &manifest.parts {
            let mut reading = Reading {
                directory,
                place: &place,
                format: manifest.format,
                rules: &mut self.rules,
                evidence: self.evidence.as_mut().filter(|_| manifest.recipient.is_some()),
                until: &mut until,
                unproved: &mut unproved,
            };
            let hashes = reading.read(part, &mut self.findings);
            self.earlier.leaves((part.from, part.to), covered.as_ref(), hashes.as_deref(), &in_manifest, &mut self.findings);
            covered = covered.and_then(|mut covered| {
                let next = CompactRange::new(part.from, part.to, part.nodes.clone()).ok()?;
                covered.append(&next).ok().map(|()| covered)
            });
            progress(Progress { done: part.to - manifest.from, of: manifest.to - manifest.from });
        }
        let ends = (manifest.to == tree.size()).then_some(manifest.key.as_str());
        let asked = unproved.filter(|_| self.evidence.is_some());
        self.unproved = asked.map(|(leaf, count)| (in_manifest.leaf(leaf), count));
        self.rules.end(ends, until, &place, &mut self.findings);
        told.extends = self.earlier.end(name, &tree);
        self.exports.push(told);
        self.renewal.read(directory, manifest);
        Ok(())
    }

    /// The manifest and its checkpoint, if the log key signed both.
    fn manifest(&mut self, note: &str, place: &Place) -> Option<(Manifest, SignedCheckpoint)> {
        let found = &mut self.findings;
        let opened = self.log.open(note).map_err(|refusal| found.add(Rule::Manifest, place, refusal.to_string())).ok()?;
        let manifest = Manifest::parse(opened.text()).map_err(|fault| found.add(Rule::Manifest, place, fault.to_string())).ok()?;
        if manifest.origin != self.log.name() || manifest.key != self.log.vkey() {
            found.add(Rule::Manifest, place, "it names another log than the key it is signed with");
        }
        let tree =
            Checkpoint::verify(&manifest.checkpoint, self.log).map_err(|refusal| found.add(Rule::Checkpoint, place, refusal.to_string()));
        let tree = tree.ok()?;
        if manifest.to > tree.size() {
            found.add(Rule::Checkpoint, place, "it goes beyond the tree of its checkpoint");
            return None;
        }
        Some((manifest, tree))
    }

    /// Whether subtrees before, in and after the range make up the tree; what covers the leaves before the range, if they do.
    fn tree(&mut self, manifest: &Manifest, tree: &SignedCheckpoint, place: &Place) -> Option<CompactRange> {
        let before = CompactRange::new(0, manifest.from, manifest.before.clone());
        let after = CompactRange::new(manifest.to, tree.size(), manifest.after.clone());
        let parts = manifest.parts.iter().map(|part| CompactRange::new(part.from, part.to, part.nodes.clone()));
        let ranges: Result<Vec<_>, _> = std::iter::once(before.clone()).chain(parts).chain([after]).collect();
        let root = ranges.and_then(|ranges| root_of_ranges(&ranges));
        if root.ok().as_ref() == Some(tree.root()) {
            return before.ok();
        }
        self.findings.add(Rule::Checkpoint, place, "the subtrees it names do not make up the tree of its checkpoint");
        None
    }

    /// What it came to.
    pub fn finish(mut self) -> Verdict {
        if let Some((place, count)) = self.unproved.take() {
            let words = format!("evidence was asked for, and the export has none for {count} certificates issued, this one and later ones");
            self.findings.add(Rule::Evidence, &place, words);
        }
        let evidence = self.evidence.as_ref().map(Witnessing::counts);
        self.earlier.finish(&mut self.findings);
        let (of_formers, not_of_formers) = self.renewal.judge(self.rules.followed(), &mut self.findings);
        self.renewal.cover(self.rules.followed(), &mut self.coverage);
        self.coverage.end(&mut self.findings);
        let uncosigned = self.cosigning.end(&mut self.findings);
        let (proved, not_proved) = self.statements(of_formers, [uncosigned, not_of_formers].concat());
        Verdict {
            clean: self.findings.is_empty(),
            first: verdict::first(self.findings.kept()),
            found: self.findings.total(),
            by_rule: self.findings.counts().clone(),
            not_read: self.coverage.unread(),
            not_judged: self.rules.unjudged().counts(),
            findings: self.findings.kept().to_vec(),
            proved,
            not_proved,
            test_certificates: self.rules.test_certificates(),
            evidence,
            exports: self.exports,
        }
    }

    /// What is proved by what, and what is not for want of what: only where nothing was found is anything proved.
    fn statements(&self, mut proved: Vec<Statement>, unproved: Vec<Statement>) -> (Vec<Statement>, Vec<Statement>) {
        let mut not: Vec<_> = self.coverage.unread().iter().map(Unread::statement).collect();
        let Some(last) = self.exports.last().filter(|_| self.findings.is_empty()) else {
            not.push(Statement::new("anything", "there are findings"));
            return (Vec::new(), not);
        };
        for export in &self.exports {
            proved.push(Statement::new(
                format!(
                    "what the records of leaves {} to {} say is what the log committed to, and none of them is missing",
                    export.from,
                    export.to - 1
                ),
                "the commitments, the leaf hashes and the root that the log key signed",
            ));
        }
        match last.extends {
            Some(size) => proved.push(Statement::new(
                format!("nothing was changed or left out of the first {size} leaves since the checkpoint you had of them"),
                "the consistency of that checkpoint with this one",
            )),
            None => not.push(Statement::new(
                "that nothing was changed since an earlier visit",
                "no earlier checkpoint was given: keep this one, and give it with --previous next time",
            )),
        }
        if !self.rules.followed().is_empty() {
            not.push(Statement::new(
                "what the last leaves of the former log said",
                "this log follows one of which signed leaves were lost: see its log.began",
            ));
        }
        if self.rules.is_of_another_lifecycle() {
            not.push(Statement::new(
                "that cascades followed the life cycle that was in force",
                "records name another (their policy) than the one they were judged by: name it with --lifecycle or --policies",
            ));
        }
        if !self.rules.is_whole() {
            not.push(Statement::new(
                "rules as far as they follow from records that are not at hand",
                "records before these, or purged ones: see what could not be judged",
            ));
        }
        if self.witnesses.is_empty() {
            not.push(Statement::new(
                "that everybody is shown this one log, and not you another than others",
                "no witness's key was given (--witness)",
            ));
        } else {
            proved.push(Statement::new(
                "this is the log that everybody is shown",
                format!("the cosignatures of {}", last.cosigned.join(", ")),
            ));
        }
        not.extend(unproved);
        match &self.evidence {
            Some(evidence) if self.has_evidence => proved.push(Statement::new(
                format!("a card signed for the key of each of {} certificates issued", evidence.counts().proved),
                "the card-signed messages, and the card CAs given",
            )),
            _ => not.push(Statement::new(
                "that a card signed for each issuance",
                "evidence was not taken with the export, or not opened (--with-evidence, --identity, --card-ca)",
            )),
        }
        not.push(Statement::new("that every event was recorded at all", "only what was recorded can be in a log"));
        not.push(Statement::new("that times are right", "records have the time of the CA's own clock"));
        if self.exports.iter().any(|export| export.purged + export.lost > 0) {
            not.push(Statement::new("what purged and lost records said", "only their commitments are left"));
        }
        (proved, not)
    }
}

impl ExportTold {
    fn of(name: &str, manifest: &Manifest, tree: &SignedCheckpoint) -> Self {
        Self {
            directory: name.to_owned(),
            export: manifest.export.clone(),
            taken_at: manifest.taken_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            taken_by: manifest.taken_by.clone(),
            from: manifest.from,
            to: manifest.to,
            records: manifest.records,
            purged: manifest.purged,
            lost: manifest.lost,
            size: tree.size(),
            root: STANDARD.encode(tree.root()),
            cosigned: Vec::new(),
            cosigned_unjudged: Vec::new(),
            unnamed: Vec::new(),
            extends: None,
        }
    }
}

/// The manifest's text, as far as a manifest can be long.
fn manifest_note(directory: &Path) -> Result<String, Unreadable> {
    let path = directory.join(MANIFEST_FILE);
    let unreadable = |error| Unreadable::NoExport { path: path.display().to_string(), error };
    let mut octets = Vec::new();
    // A note has a few lines of signatures more than its text.
    let limit = MANIFEST_OCTETS as u64 + (1 << 16);
    File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut octets)).map_err(unreadable)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}
