//! One part of an export: its files, read once, on two threads. One hashes, the other follows the rules.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::sync_channel;

use crate::export::{ExportFormat, FileHash, LINE_OCTETS, Part, PartFile, Record, RecordReader};
use crate::hash::{Hash, split_hashes};

use super::event::{Event, Milliseconds};
use super::evidence::Witnessing;
use super::feed::{Feed, Handed, ON_THEIR_WAY};
use super::finding::{Findings, Place, Rule};
use super::rules::Rules;
use super::sequence::{Sequence, Step};
use super::settle::settle;
use super::told::{self, Told, goes_on};
use super::unjudged::Why;

/// What a part is read with.
pub(super) struct Reading<'a, 'b> {
    pub(super) directory: &'a Path,
    pub(super) place: &'a Place,
    pub(super) format: ExportFormat,
    /// Rules over the content.
    pub(super) rules: &'a mut Rules,
    /// Evidence, if it is judged.
    pub(super) evidence: Option<&'a mut Witnessing<'b>>,
    /// The time of the last record that the CA role dated.
    pub(super) until: &'a mut Milliseconds,
    /// What was issued and could be proved by evidence, where none is judged: the first leaf, and how many.
    pub(super) unproved: &'a mut Option<(u64, u64)>,
}

impl Reading<'_, '_> {
    /// Reads a part; the hashes of its leaves, if they can be told.
    pub(super) fn read(&mut self, part: &Part, findings: &mut Findings) -> Option<Vec<Hash>> {
        let filed = self.hashes(part, findings);
        if let Some(evidence) = &mut self.evidence {
            evidence.begin(self.directory, part, self.place, findings);
        }
        // What rules find comes after what shows which records are to be believed.
        let mut by_rules = Findings::default();
        let told = self.records(part, findings, &mut by_rules);
        if let Some(evidence) = &mut self.evidence {
            evidence.end(&mut by_rules);
        }
        if let Some(file) = &part.evidence {
            self.encrypted(&file.file, findings);
        }
        let settled = told.and_then(|told| {
            let settled = settle(part, &told, filed, self.place, findings);
            self.whole(part, &told, findings);
            findings.append(told.findings);
            settled
        });
        findings.append(by_rules);
        settled
    }

    /// The file of leaf hashes, if it has the right length.
    fn hashes(&self, part: &Part, findings: &mut Findings) -> Option<Vec<Hash>> {
        let place = self.place.file(&part.hashes.name);
        let mut octets = Vec::new();
        let read = open(self.directory, &part.hashes, &place, findings)?.take(part.hashes.octets + 1).read_to_end(&mut octets);
        if let Err(error) = read {
            findings.add(Rule::File, &place, format!("cannot be read: {error}"));
            return None;
        }
        let mut hash = FileHash::new();
        hash.update(&octets);
        compare(&hash.finish(part.hashes.name.clone()), &part.hashes, &place, findings);
        split_hashes(&octets).filter(|_| octets.len() as u64 == part.hashes.octets)
    }

    /// The file of records, told to the rules by this thread and hashed by another.
    fn records(&mut self, part: &Part, findings: &mut Findings, by_rules: &mut Findings) -> Option<Told> {
        let place = self.place.file(&part.records.name);
        let Some(file) = open(self.directory, &part.records, &place, findings) else {
            (part.from..part.to).for_each(|leaf| self.rules.unreadable(leaf));
            return None;
        };
        let (sender, receiver) = sync_channel(ON_THEIR_WAY);
        let format = self.format;
        std::thread::scope(|scope| {
            let hashing = scope.spawn(|| told::read(RecordReader::new(format, Handed::new(receiver)), part, &place));
            // What is beyond the signed length is read only as far as it shows that something is there.
            let feed = Feed::new(file, part.records.octets.saturating_add(LINE_OCTETS as u64), sender);
            let followed = self.follow(RecordReader::new(format, feed), part, &place, by_rules);
            if let Err(error) = followed {
                findings.add(Rule::File, &place, format!("cannot be read: {error}"));
            }
            hashing.join().ok()
        })
    }

    fn follow(&mut self, mut reader: RecordReader<Feed>, part: &Part, place: &Place, findings: &mut Findings) -> io::Result<()> {
        let mut sequence = Sequence::new(part.from, part.to);
        loop {
            let record = match reader.next_record() {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(fault) => {
                    if let Some(leaf) = sequence.pass() {
                        self.unreadable(leaf, leaf + 1);
                    }
                    if goes_on(&fault.problem) { continue } else { break }
                }
            };
            match sequence.step(record.leaf()) {
                Step::Due => {}
                Step::Skips { from } => self.unreadable(from, record.leaf()),
                Step::Stray { .. } => continue,
            }
            self.tell(&record, place, findings);
        }
        if let Some(from) = sequence.due() {
            self.unreadable(from, part.to);
        }
        reader.into_inner().drain()
    }

    fn unreadable(&mut self, from: u64, to: u64) {
        let first = self.rules.next().map_or(from, |next| from.max(next));
        (first..to).for_each(|leaf| self.rules.unreadable(leaf));
    }

    fn tell(&mut self, record: &Record<'_>, place: &Place, findings: &mut Findings) {
        // An earlier export may have told it.
        if self.rules.next().is_some_and(|next| record.leaf() < next) {
            if let Record::Present { leaf, .. } = record {
                self.rules.told_again(*leaf, place, findings);
            }
            return;
        }
        match record {
            Record::Absent { leaf, absent, .. } => self.rules.absent(*leaf, *absent, place, findings),
            Record::Present { leaf, content, .. } => {
                let Some(event) = Event::new(*leaf, *content) else {
                    findings.add(Rule::Content, &place.leaf(*leaf), "its time is none");
                    self.rules.unreadable(*leaf);
                    return;
                };
                if !event.is_dated_by_ra() {
                    *self.until = event.at;
                }
                if let Some(evidence) = &mut self.evidence
                    && event.kind() == "application.accepted"
                {
                    evidence.accepted(&event, findings);
                }
                let issued = self.rules.present(&event, place, findings);
                let gap = self.rules.gap();
                if let Some(evidence) = &mut self.evidence {
                    match issued {
                        Some(issuance) => evidence.issued(*leaf, &issuance, gap, place, findings, self.rules.unjudged()),
                        None if matches!(event.kind(), "application.issued" | "application.refused") => evidence.decided(&event),
                        None => {}
                    }
                } else if let Some(issuance) = issued {
                    self.rules.unjudged().add(Rule::Evidence, Why::NoEvidence);
                    if issuance.public_key_sha256.is_some() {
                        let (first, count) = self.unproved.unwrap_or((*leaf, 0));
                        *self.unproved = Some((first, count + 1));
                    }
                }
            }
        }
    }

    /// Whether the file of records is the one that was signed for, and its counts are.
    fn whole(&self, part: &Part, told: &Told, findings: &mut Findings) {
        let place = self.place.file(&part.records.name);
        compare(&told.file, &part.records, &place, findings);
        let absent = told.absent.map_or_else(|| place.clone(), |(first, last)| place.leaves(first, last + 1));
        for (what, found, signed) in [("purged", told.purged, part.purged), ("lost", told.lost, part.lost)] {
            if found != signed && told.findings.is_empty() {
                let words = format!("{found} records are said to be {what} where the manifest says {signed}");
                findings.add(Rule::Count, &absent, words);
            }
        }
    }

    /// A file that only its reader can say more of: its length and hash.
    fn encrypted(&self, file: &PartFile, findings: &mut Findings) {
        let place = self.place.file(&file.name);
        let Some(opened) = open(self.directory, file, &place, findings) else { return };
        let (mut hash, mut piece) = (FileHash::new(), vec![0; 1 << 16]);
        let mut bounded = opened.take(file.octets.saturating_add(1));
        loop {
            match bounded.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => hash.update(&piece[..read]),
                Err(error) => {
                    findings.add(Rule::File, &place, format!("cannot be read: {error}"));
                    return;
                }
            }
        }
        compare(&hash.finish(file.name.clone()), file, &place, findings);
    }
}

fn open(directory: &Path, file: &PartFile, place: &Place, findings: &mut Findings) -> Option<File> {
    match File::open(directory.join(&file.name)) {
        Ok(opened) if opened.metadata().is_ok_and(|metadata| metadata.is_file()) => Some(opened),
        Ok(_) => {
            findings.add(Rule::File, place, "it is no file");
            None
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings.add(Rule::File, place, "the manifest names it, and it is not there");
            None
        }
        Err(error) => {
            findings.add(Rule::File, place, format!("cannot be read: {error}"));
            None
        }
    }
}

fn compare(found: &PartFile, signed: &PartFile, place: &Place, findings: &mut Findings) {
    if found.octets < signed.octets {
        findings.add(Rule::File, place, format!("it has {} octets where the manifest says {}", found.octets, signed.octets));
    } else if found.octets > signed.octets {
        findings.add(Rule::File, place, format!("it has more octets than the {} that the manifest says", signed.octets));
    } else if found.sha256 != signed.sha256 {
        findings.add(Rule::File, place, "its SHA-256 is not the one that the manifest says");
    }
}
