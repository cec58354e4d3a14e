//! A thousand changes of an export by somebody who has not the log's key: each one found, and the right file and leaf named.

use std::ops::Range;
use std::path::{Path, PathBuf};

use audit_log::export::{Absent, ExportFormat, MANIFEST_FILE, ReadContent, Record, RecordEncoder, RecordReader};
use audit_log::testing::{Dice, SyntheticLog};
use audit_log::verify::{Rule, Verdict};
use audit_log::{Commitment, Salt};

use crate::stage::{Stage, clean, name, parts};

/// Across the border of two parts.
const FROM: u64 = 65_400;
const TO: u64 = 65_700;
const SIZE: usize = 65_800;
const BORDER: u64 = 65_536;

/// What has to be named.
#[derive(Debug)]
struct Expected {
    /// Findings name this file.
    file: String,
    /// The first finding's leaf is among these; `None` if no leaf is to be named.
    leaves: Option<Range<u64>>,
}

/// One export in memory, to be changed.
struct Victim {
    directory: PathBuf,
    format: ExportFormat,
    part: usize,
}

impl Victim {
    fn number(&self) -> usize {
        self.part
    }

    fn leaves(&self) -> Range<u64> {
        if self.part == 0 { FROM..BORDER } else { BORDER..TO }
    }

    fn records(&self) -> PathBuf {
        self.directory.join(format!("records-{:08}.{}", self.number(), self.format.as_str()))
    }

    fn hashes(&self) -> PathBuf {
        self.directory.join(format!("hashes-{:08}.bin", self.number()))
    }

    /// The lines of the records, the header apart.
    fn lines(&self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let octets = std::fs::read(self.records()).unwrap();
        let mut lines: Vec<Vec<u8>> = octets.split_inclusive(|octet| *octet == b'\n').map(<[u8]>::to_vec).collect();
        let header = if self.format == ExportFormat::Csv { lines.remove(0) } else { Vec::new() };
        assert_eq!(lines.len() as u64, self.leaves().end - self.leaves().start);
        (header, lines)
    }

    fn write(&self, header: &[u8], lines: &[Vec<u8>]) {
        std::fs::write(self.records(), [header, &lines.concat()].concat()).unwrap();
    }

    /// Changes lines; `change` says which leaves have to be named.
    fn edit(&self, change: impl FnOnce(&mut Vec<Vec<u8>>) -> Range<u64>) -> Expected {
        let (header, mut lines) = self.lines();
        let leaves = change(&mut lines);
        self.write(&header, &lines);
        Expected { file: name(&self.records()), leaves: Some(leaves) }
    }

    fn leaf(&self, line: usize) -> u64 {
        self.leaves().start + line as u64
    }

    /// The record of a line, with a content changed by `change`, encoded as it would be.
    fn changed(&self, line: &[u8], change: impl FnOnce(&mut u64, &mut Salt, &mut String) -> Option<Absent>) -> Vec<u8> {
        let header = RecordEncoder::new(self.format).header().as_bytes();
        let text = [header, line].concat();
        let mut reader = RecordReader::new(self.format, text.as_slice());
        let mut encoded = Vec::new();
        match reader.next_record().unwrap().unwrap() {
            Record::Present { mut leaf, mut salt, content } => {
                let mut content = content.text().to_owned();
                let commitment = Commitment::of(&salt, &content);
                let record = match change(&mut leaf, &mut salt, &mut content) {
                    Some(absent) => Record::Absent { leaf, absent, commitment },
                    None => Record::Present { leaf, salt, content: ReadContent::parse(&content).unwrap() },
                };
                RecordEncoder::new(self.format).encode(&record, &mut encoded);
            }
            Record::Absent { mut leaf, absent, commitment } => {
                let (mut salt, mut content) = (Salt([0; 32]), String::new());
                change(&mut leaf, &mut salt, &mut content);
                // Nothing of it can be dated or salted: its commitment is another instead.
                let commitment = if content.is_empty() && salt.0 == [0; 32] { commitment } else { Commitment([9; 32]) };
                RecordEncoder::new(self.format).encode(&Record::Absent { leaf, absent, commitment }, &mut encoded);
            }
        }
        encoded
    }
}

type Case = fn(&Victim, &mut Dice, &Scenery) -> Expected;

/// Other exports that pieces may come from.
struct Scenery {
    older: PathBuf,
    other: PathBuf,
}

const CASES: [(&str, Case); 19] = [
    ("flip a byte of a record", flip_record),
    ("flip a byte of a record again", flip_record),
    ("drop a record", drop_record),
    ("swap two records", swap_records),
    ("double a record", double_record),
    ("cut the file", cut),
    ("date a record anew", redate),
    ("salt a record anew", resalt),
    ("swap the files of records", swap_record_files),
    ("swap the files of hashes", swap_hash_files),
    ("flip a byte of the hashes", flip_hash),
    ("flip a byte of the manifest", flip_manifest),
    ("change the checkpoint", change_checkpoint),
    ("drop a file", drop_file),
    ("bring back an older manifest", replay_manifest),
    ("mix two exports", mix),
    ("drop a record and number the others anew", renumber),
    ("say that a record was purged", purge),
    ("change a record and its hash", change_consistently),
];

fn flip_record(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    victim.edit(|lines| {
        let line = pick(lines.len(), dice);
        let at = pick(lines[line].len(), dice);
        lines[line][at] ^= u8::try_from(1 + dice.below(255)).unwrap();
        victim.leaf(line)..victim.leaf(line) + 1
    })
}

fn drop_record(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    victim.edit(|lines| {
        let line = pick(lines.len(), dice);
        lines.remove(line);
        victim.leaf(line)..victim.leaf(line) + 1
    })
}

fn swap_records(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    victim.edit(|lines| {
        let one = pick(lines.len() - 1, dice);
        let other = one + 1 + pick(lines.len() - one - 1, dice);
        lines.swap(one, other);
        victim.leaf(one)..victim.leaf(one) + 1
    })
}

fn double_record(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    victim.edit(|lines| {
        let line = pick(lines.len(), dice);
        let copy = lines[line].clone();
        lines.insert(line + 1, copy);
        // Named is the place, by the leaf that is due there.
        victim.leaf(line)..victim.leaf(line) + 2
    })
}

fn cut(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    let (header, lines) = victim.lines();
    let octets = [header.clone(), lines.concat()].concat();
    let at = pick(octets.len(), dice);
    std::fs::write(victim.records(), &octets[..at]).unwrap();
    let mut end = header.len();
    let line = lines.iter().position(|line| {
        end += line.len();
        at < end
    });
    let leaf = victim.leaf(line.unwrap());
    Expected { file: name(&victim.records()), leaves: Some(leaf..leaf + 1) }
}

fn redate(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    victim.edit(|lines| {
        let line = pick(lines.len(), dice);
        let changed = victim.changed(&lines[line], |_, _, content| {
            *content = content.replacen("\"at\":\"20", "\"at\":\"21", 1) + if content.is_empty() { "x" } else { "" };
            None
        });
        assert_ne!(changed, lines[line]);
        lines[line] = changed;
        victim.leaf(line)..victim.leaf(line) + 1
    })
}

fn resalt(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    let fresh = Salt(dice.octets());
    victim.edit(|lines| {
        let line = pick(lines.len(), dice);
        lines[line] = victim.changed(&lines[line], |_, salt, _| {
            *salt = fresh;
            None
        });
        victim.leaf(line)..victim.leaf(line) + 1
    })
}

fn swap_record_files(victim: &Victim, _: &mut Dice, _: &Scenery) -> Expected {
    let other = Victim { directory: victim.directory.clone(), part: 1 - victim.part, ..*victim };
    swap(&victim.records(), &other.records());
    // Nothing stands in the first part's file that belongs there.
    Expected { file: name(&victim.records()), leaves: Some(FROM..FROM + 1) }
}

fn swap_hash_files(victim: &Victim, _: &mut Dice, _: &Scenery) -> Expected {
    let other = Victim { directory: victim.directory.clone(), part: 1 - victim.part, ..*victim };
    swap(&victim.hashes(), &other.hashes());
    // The records are those of the tree, all of them.
    Expected { file: name(&victim.hashes()), leaves: None }
}

fn flip_hash(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    let mut octets = std::fs::read(victim.hashes()).unwrap();
    let at = pick(octets.len(), dice);
    octets[at] ^= u8::try_from(1 + dice.below(255)).unwrap();
    std::fs::write(victim.hashes(), octets).unwrap();
    let leaf = victim.leaf(at / 32);
    Expected { file: name(&victim.hashes()), leaves: Some(leaf..leaf + 1) }
}

fn flip_manifest(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    let path = victim.directory.join(MANIFEST_FILE);
    let mut octets = std::fs::read(&path).unwrap();
    let at = pick(octets.len(), dice);
    octets[at] ^= u8::try_from(1 + dice.below(255)).unwrap();
    std::fs::write(path, octets).unwrap();
    Expected { file: MANIFEST_FILE.to_owned(), leaves: None }
}

fn change_checkpoint(victim: &Victim, _: &mut Dice, _: &Scenery) -> Expected {
    let path = victim.directory.join(MANIFEST_FILE);
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replacen(&format!("\\n{SIZE}\\n"), &format!("\\n{}\\n", SIZE + 1), 1);
    assert_ne!(text, changed);
    std::fs::write(path, changed).unwrap();
    Expected { file: MANIFEST_FILE.to_owned(), leaves: None }
}

fn drop_file(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    let files = parts(&victim.directory);
    let file = &files[pick(files.len(), dice)];
    std::fs::remove_file(file).unwrap();
    Expected { file: name(file), leaves: None }
}

fn replay_manifest(victim: &Victim, _: &mut Dice, scenery: &Scenery) -> Expected {
    std::fs::copy(scenery.older.join(format!("{}-{MANIFEST_FILE}", victim.format.as_str())), victim.directory.join(MANIFEST_FILE)).unwrap();
    // That one is signed, and of fewer leaves: the last part has more than it says.
    let last = Victim { directory: victim.directory.clone(), part: 1, ..*victim };
    Expected { file: name(&last.records()), leaves: Some(TO - 100..TO) }
}

fn mix(victim: &Victim, dice: &mut Dice, scenery: &Scenery) -> Expected {
    let from = Victim { directory: scenery.other.join(victim.format.as_str()), ..*victim };
    std::fs::copy(from.records(), victim.records()).unwrap();
    // With its hashes or without.
    let consistent = dice.below(2) == 0;
    if consistent {
        std::fs::copy(from.hashes(), victim.hashes()).unwrap();
    }
    let leaf = victim.leaves().start;
    Expected { file: name(&victim.records()), leaves: Some(leaf..if consistent { victim.leaves().end } else { leaf + 1 }) }
}

fn renumber(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    victim.edit(|lines| {
        let line = pick(lines.len(), dice);
        lines.remove(line);
        for later in &mut lines[line..] {
            *later = victim.changed(later, |leaf, _, _| {
                *leaf -= 1;
                None
            });
        }
        victim.leaf(line)..victim.leaf(line) + 1
    })
}

fn purge(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    let expected = victim.edit(|lines| {
        let present = (0..lines.len()).filter(|line| !lines[*line].windows(6).any(|word| word == b"purged"));
        let present: Vec<usize> = present.collect();
        let line = present[pick(present.len(), dice)];
        lines[line] = victim.changed(&lines[line], |_, _, _| Some(Absent::Purged));
        victim.leaf(line)..victim.leaf(line) + 1
    });
    // Its commitment is right. That one too many is said to be purged is told by number, and which is told by what is left.
    Expected { leaves: Some(victim.leaves().start..expected.leaves.unwrap().end), ..expected }
}

fn change_consistently(victim: &Victim, dice: &mut Dice, _: &Scenery) -> Expected {
    let fresh = Salt(dice.octets());
    let (header, mut lines) = victim.lines();
    let present: Vec<usize> = (0..lines.len()).filter(|line| !lines[*line].windows(6).any(|word| word == b"purged")).collect();
    let line = present[pick(present.len(), dice)];
    let mut hash = [0; 32];
    lines[line] = victim.changed(&lines[line], |_, salt, content| {
        *salt = fresh;
        hash = Commitment::of(salt, content).leaf_hash();
        None
    });
    victim.write(&header, &lines);
    let mut hashes = std::fs::read(victim.hashes()).unwrap();
    hashes[line * 32..][..32].copy_from_slice(&hash);
    std::fs::write(victim.hashes(), hashes).unwrap();
    // Which of a subtree's leaves it is nobody can tell, for only the subtree is signed.
    let leaf = victim.leaf(line);
    let (first, width) = subtree_of(leaf, &victim.leaves());
    Expected { file: name(&victim.records()), leaves: Some(first..first + width) }
}

/// The largest aligned subtree of a range that a leaf lies in.
fn subtree_of(leaf: u64, range: &Range<u64>) -> (u64, u64) {
    let widths = (0..17).map(|level| 1_u64 << level);
    let mut around = widths.map(|width| (leaf / width * width, width));
    around.rfind(|(first, width)| *first >= range.start && first + width <= range.end).unwrap()
}

fn pick(below: usize, dice: &mut Dice) -> usize {
    usize::try_from(dice.below(below as u64)).unwrap()
}

fn swap(one: &Path, other: &Path) {
    let (first, second) = (std::fs::read(one).unwrap(), std::fs::read(other).unwrap());
    std::fs::write(one, second).unwrap();
    std::fs::write(other, first).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(name(&path))).unwrap();
    }
}

/// Whether a verdict names what it has to.
fn names(verdict: &Verdict, expected: &Expected) -> bool {
    let file = verdict.findings.iter().any(|finding| finding.file.as_deref() == Some(expected.file.as_str()));
    let leaf = match (&expected.leaves, &verdict.first) {
        (None, Some(_)) => true,
        (Some(leaves), Some(first)) => {
            let (from, to) = (first.leaf, first.to_leaf.or(first.leaf.map(|leaf| leaf + 1)));
            from.zip(to).is_some_and(|(from, to)| from < leaves.end && to > leaves.start && from >= leaves.start)
        }
        (_, None) => false,
    };
    !verdict.clean && file && leaf
}

#[test]
fn every_change_of_an_export_is_found_and_named() {
    let mut stage = Stage::new(31, SIZE);
    // Some have been purged, so that a record without content is nothing unusual.
    stage.log.destroy((0..SIZE).filter(|leaf| leaf % 37 == 5), Absent::Purged);
    let other = {
        let mut leaves = SyntheticLog::new(32, SIZE).unwrap().leaves;
        std::mem::swap(&mut stage.log.leaves, &mut leaves);
        let place = stage.place.path().join("other");
        std::fs::create_dir(&place).unwrap();
        for format in [ExportFormat::Jsonl, ExportFormat::Csv] {
            stage.log.export(&place.join(format.as_str()), SIZE, stage.log.order(FROM, TO, format)).unwrap();
        }
        stage.log.leaves = leaves;
        place
    };
    let older = stage.place.path().join("older");
    std::fs::create_dir(&older).unwrap();
    let formats = [ExportFormat::Jsonl, ExportFormat::Csv].map(|format| {
        let in_years = |order: audit_log::testing::Order| {
            let taken_at = order.taken_at + chrono::TimeDelta::days(4_100);
            audit_log::testing::Order { taken_at, ..order }
        };
        let earlier = stage.ordered(&format!("earlier-{}", format.as_str()), SIZE, in_years(stage.log.order(FROM, TO - 100, format)));
        std::fs::copy(earlier.join(MANIFEST_FILE), older.join(format!("{}-{MANIFEST_FILE}", format.as_str()))).unwrap();
        let directory = stage.ordered(format.as_str(), SIZE, in_years(stage.log.order(FROM, TO, format)));
        clean(&stage.verify(&[&directory]));
        (format, directory)
    });
    let scenery = Scenery { older, other };
    let mut dice = Dice::new(33);
    for turn in 0..1_007_usize {
        let (label, case) = CASES[turn % CASES.len()];
        let (format, original) = &formats[turn / CASES.len() % 2];
        let directory = stage.place.path().join("victim");
        copy(original, &directory);
        let victim = Victim { directory: directory.clone(), format: *format, part: pick(2, &mut dice) };
        let expected = case(&victim, &mut dice, &scenery);
        let verdict = stage.verify(&[&directory]);
        assert!(names(&verdict, &expected), "turn {turn}, {label}, {format:?}: {expected:?}\n{:#?}", verdict.findings);
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

#[test]
fn of_several_changes_each_is_named() {
    let stage = Stage::new(34, 2_000);
    let directory = stage.export("export", 0, 2_000, ExportFormat::Jsonl);
    let victim = Victim { directory: directory.clone(), format: ExportFormat::Jsonl, part: 0 };
    let path = victim.records();
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    for leaf in [700, 300, 1_500] {
        lines[leaf] = lines[leaf].replacen("\"at\":\"2026", "\"at\":\"2025", 1);
    }
    std::fs::write(path, lines.concat()).unwrap();
    let mut hashes = std::fs::read(victim.hashes()).unwrap();
    hashes[32 * 900] ^= 1;
    std::fs::write(victim.hashes(), hashes).unwrap();
    let verdict = stage.verify(&[&directory]);
    let named: Vec<_> =
        verdict.findings.iter().filter(|finding| finding.rule != Rule::File).map(|finding| (finding.rule, finding.leaf)).collect();
    for expected in [(Rule::Commitment, 300), (Rule::Commitment, 700), (Rule::Commitment, 1_500), (Rule::Hashes, 900)] {
        assert!(named.contains(&(expected.0, Some(expected.1))), "{expected:?}: {named:?}");
    }
    assert_eq!(verdict.first.unwrap().leaf, Some(300));
}

#[test]
fn another_s_key_and_no_export_at_all() {
    let stage = Stage::new(35, 100);
    let directory = stage.export("export", 0, 100, ExportFormat::Jsonl);
    let another = Stage::new(35, 100);
    assert_eq!(another.verify(&[&directory]).by_rule.keys().collect::<Vec<_>>(), [&Rule::Manifest]);
    let mut verification =
        audit_log::verify::Verification::new(stage.log.key.verifier(), &[], audit_log::verify::Measures::default(), None);
    assert!(verification.export(stage.place.path(), "none", &mut |_| ()).is_err());
}
