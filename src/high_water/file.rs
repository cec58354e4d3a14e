//! The file: JSON on one line, with its own checksum.
//!
//! ```json
//! {"high_water":{"instance":"9f…","mark":{"epoch":1,"position":57,"event":"4e…","crl_numbers":{"signature-1":3},"at":"…"},"before":null},"sha256":"…"}
//! ```
//!
//! `sha256` is that of the octets between `{"high_water":` and `,"sha256"`. `before` is what had been reached when the present epoch
//! began, as long as the store is not reconciled.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use ca_core::digest::Sha256Digest;
use serde::{Deserialize, Serialize};

use super::Mark;
use crate::failure::Failure;

/// Octets of a file at most: a scope of CRLs has about thirty, and before a reconciliation sixty.
const OCTETS: u64 = 1 << 20;

/// What stands in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HighWater {
    /// Of which store: what it is called from its creation on.
    pub(crate) instance: String,
    /// How far it had come.
    pub(crate) mark: Mark,
    /// How far it had come before the present epoch, while it is not reconciled.
    pub(crate) before: Option<Mark>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checked {
    high_water: HighWater,
    sha256: String,
}

/// What was found where a high-water file should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Missing,
    /// This store's.
    Sound(HighWater),
    /// Another store's.
    Foreign(String),
    /// Something that cannot be believed; why.
    Unreadable(String),
}

impl HighWater {
    fn encode(&self) -> serde_json::Result<String> {
        let body = serde_json::to_string(self)?;
        Ok(format!("{{\"high_water\":{body},\"sha256\":\"{}\"}}\n", Sha256Digest::of(body.as_bytes())))
    }

    fn decode(text: &str) -> Result<Self, String> {
        let checked: Checked = serde_json::from_str(text).map_err(|_| "it is no high-water file".to_owned())?;
        let body = serde_json::to_string(&checked.high_water).map_err(|error| error.to_string())?;
        if Sha256Digest::of(body.as_bytes()).to_string() != checked.sha256 {
            return Err("its checksum is wrong".to_owned());
        }
        Ok(checked.high_water)
    }

    /// The highest of both.
    pub(crate) fn highest(self, other: Self) -> Self {
        let before = match (self.before, other.before) {
            (Some(one), Some(another)) => Some(one.highest(another)),
            (one, another) => one.or(another),
        };
        Self { instance: self.instance, mark: self.mark.highest(other.mark), before }
    }
}

/// The files that a process keeps.
#[derive(Debug, Clone)]
pub(crate) struct HighWaterFiles {
    paths: Vec<PathBuf>,
    instance: String,
}

impl HighWaterFiles {
    /// The files at `paths` for the store that is called `instance`.
    pub(crate) fn new(paths: Vec<PathBuf>, instance: &str) -> Self {
        Self { paths, instance: instance.to_owned() }
    }

    /// Where they are.
    pub(crate) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// What is found at each place.
    pub(crate) fn look(&self) -> Vec<(&Path, Found)> {
        self.paths.iter().map(|path| (path.as_path(), self.look_at(path))).collect()
    }

    /// What is found at one place, which need not be one of these.
    pub(crate) fn look_at(&self, path: &Path) -> Found {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(OCTETS + 1).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Missing,
            Err(error) => return Found::Unreadable(error.to_string()),
            Ok(read) if read as u64 > OCTETS => return Found::Unreadable("it is too long".to_owned()),
            Ok(_) => {}
        }
        match HighWater::decode(&text) {
            Err(complaint) => Found::Unreadable(complaint),
            Ok(found) if found.instance != self.instance => Found::Foreign(found.instance),
            Ok(found) => Found::Sound(found),
        }
    }

    /// The highest of the files, before anything is done. Files that are another store's stop it; so does one that cannot be believed,
    /// unless another is sound.
    pub(crate) fn examine(&self) -> Result<Option<HighWater>, Failure> {
        let mut highest: Option<HighWater> = None;
        let mut unreadable = Vec::new();
        for (path, found) in self.look() {
            match found {
                Found::Missing => {}
                Found::Sound(found) => {
                    highest = Some(match highest.take() {
                        Some(known) => known.highest(found),
                        None => found,
                    })
                }
                Found::Foreign(instance) => {
                    return Err(Failure::settings(format!(
                        "{} is the high-water file of another store: of {instance}, and this is {}. Either store.url or \
                         store.high_water names the wrong one, or the store was made anew: then move the file away",
                        path.display(),
                        self.instance
                    ))
                    .with_code("high_water_foreign"));
                }
                Found::Unreadable(complaint) => unreadable.push((path, complaint)),
            }
        }
        for (path, complaint) in &unreadable {
            if highest.is_none() {
                return Err(Failure::settings(format!(
                    "{}: {complaint}. Without it nobody knows whether the store was restored from a backup. If it was, or if you are not \
                     sure, run `tsunagi restore begin`, which replaces the file; if you are sure that it was not, remove the file",
                    path.display()
                ))
                .with_code("high_water_unreadable"));
            }
            tracing::warn!(file = %path.display(), complaint, "a high-water file cannot be read; the others count");
        }
        Ok(highest)
    }

    /// Writes all of the files that are not another store's, each as a whole and on disk when this returns; gives the failures.
    pub(crate) fn write(&self, mark: &Mark, before: Option<&Mark>) -> Vec<(PathBuf, io::Error)> {
        let high_water = HighWater { instance: self.instance.clone(), mark: mark.clone(), before: before.cloned() };
        let mut failures = Vec::new();
        for path in &self.paths {
            let written = match (self.look_at(path), high_water.encode()) {
                (Found::Foreign(_), _) => Err(io::Error::other("it is another store's")),
                (_, Ok(text)) => replace(path, text.as_bytes()),
                (_, Err(error)) => Err(error.into()),
            };
            failures.extend(written.err().map(|error| (path.clone(), error)));
        }
        failures
    }
}

/// Puts a file in the place of another: whoever reads, and whatever happens, there is the old one or the new one.
fn replace(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?.to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let written = OpenOptions::new().write(true).create(true).truncate(true).open(&beside).and_then(|mut file| {
        file.write_all(octets)?;
        file.sync_all()
    });
    if let Err(error) = written.and_then(|()| fs::rename(&beside, path)) {
        drop(fs::remove_file(&beside));
        return Err(error);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn mark(position: i64) -> Mark {
        let crl_numbers = BTreeMap::from([("signature-1".to_owned(), 3)]);
        Mark { epoch: 1, position, event: Some("ab".repeat(32)), crl_numbers, log: None, at: "2026-11-21T09:00:00.123Z".parse().unwrap() }
    }

    fn files(directory: &Path, instance: &str) -> HighWaterFiles {
        HighWaterFiles::new(vec![directory.join("one.json"), directory.join("two.json")], instance)
    }

    #[test]
    fn what_was_written_is_found_and_the_highest_counts() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path(), "a");
        assert_eq!(files.examine().unwrap(), None);
        assert!(files.write(&mark(9), Some(&mark(20))).is_empty());
        let alone = HighWaterFiles::new(vec![directory.path().join("two.json")], "a");
        assert!(alone.write(&mark(7), None).is_empty());
        assert_eq!(files.examine().unwrap(), Some(HighWater { instance: "a".to_owned(), mark: mark(9), before: Some(mark(20)) }));
        let names = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 2, "nothing is left beside them");
    }

    #[test]
    fn a_file_that_does_not_know_its_event_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path(), "a");
        let old = Mark { event: None, ..mark(9) };
        assert!(files.write(&old, None).is_empty());
        let text = fs::read_to_string(directory.path().join("one.json")).unwrap();
        assert!(text.contains(r#""position":9,"crl_numbers""#), "{text}");
        let found = files.examine().unwrap().unwrap().mark;
        assert_eq!(found, old);
        assert_eq!(found.highest(mark(9)), mark(9), "and learns it");
    }

    #[test]
    fn another_stores_file_is_refused_and_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let theirs = files(directory.path(), "theirs");
        assert!(theirs.write(&mark(9), None).is_empty());
        let ours = files(directory.path(), "ours");
        let refusal = ours.examine().unwrap_err().to_string();
        assert!(refusal.contains("another store: of theirs, and this is ours"), "{refusal}");
        assert_eq!(ours.write(&mark(1), None).len(), 2);
        assert!(theirs.examine().unwrap().is_some());
    }

    #[test]
    fn one_that_is_damaged_in_any_octet_is_not_believed_unless_another_is_sound() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path(), "a");
        files.write(&mark(9), None);
        let (one, two) = (directory.path().join("one.json"), directory.path().join("two.json"));
        let sound = fs::read(&one).unwrap();
        fs::remove_file(&two).unwrap();
        for place in 0..sound.len() - 1 {
            let mut damaged = sound.clone();
            damaged[place] ^= 1;
            fs::write(&one, &damaged).unwrap();
            assert!(matches!(files.look_at(&one), Found::Unreadable(_) | Found::Foreign(_)), "octet {place}");
        }
        fs::write(&one, &sound[..sound.len() / 2]).unwrap();
        assert!(files.examine().unwrap_err().to_string().contains("restore begin"));
        fs::write(&two, &sound).unwrap();
        assert_eq!(files.examine().unwrap().unwrap().mark, mark(9));
        fs::write(&two, vec![b' '; 1 << 21]).unwrap();
        assert_eq!(files.look_at(&two), Found::Unreadable("it is too long".to_owned()));
    }

    #[test]
    fn what_cannot_be_written_is_told_and_the_others_are_written() {
        let directory = tempfile::tempdir().unwrap();
        let paths = vec![directory.path().join("none/one.json"), directory.path().join("two.json")];
        let files = HighWaterFiles::new(paths.clone(), "a");
        let failures = files.write(&mark(9), None);
        assert_eq!(failures.iter().map(|(path, _)| path).collect::<Vec<_>>(), [&paths[0]]);
        assert_eq!(files.examine().unwrap().unwrap().mark, mark(9));
    }
}
