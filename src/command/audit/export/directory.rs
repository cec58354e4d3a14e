//! The directory that an export is written to: nothing bears its name before it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use audit_log::export::{FileHash, MANIFEST_FILE};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::failure::Failure;

/// What was begun here, until it is finished.
const BEGUN_FILE: &str = "export.part";
/// Octets read and written at once.
const PIECE: usize = 1 << 18;

/// Where an export is written.
pub(super) struct ExportDirectory {
    path: PathBuf,
    /// Whether it was made for this export.
    is_new: bool,
}

/// What was begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// The instruction that asks for it, until the CA has decided on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) instruction: Option<String>,
    /// What the export is called, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) export: Option<String>,
    /// What was asked for.
    pub(super) asked: Value,
}

/// A file as the server announces it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Announced {
    pub(super) name: String,
    pub(super) octets: u64,
    pub(super) sha256: String,
}

impl ExportDirectory {
    /// A directory that is new, empty, or was begun.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let directory = Self { path: path.to_path_buf(), is_new: !path.exists() };
        fs::create_dir_all(path).map_err(|error| failed(path, &error))?;
        if directory.place(MANIFEST_FILE).exists() {
            let message = format!("{}: there is a whole export already; name another directory", path.display());
            return Err(Failure::exists(message));
        }
        let mut entries = fs::read_dir(path).map_err(|error| failed(path, &error))?;
        if !directory.place(BEGUN_FILE).exists() && entries.next().is_some() {
            return Err(Failure::exists(format!("{}: the directory is not empty, and no export was begun in it", path.display())));
        }
        Ok(directory)
    }

    /// Takes the directory away again if it was made for what was never begun.
    pub(super) fn leave(&self) {
        if self.is_new {
            // One that has something in it stays.
            let _ = fs::remove_dir(&self.path);
        }
    }

    /// What was begun here, if anything was.
    pub(super) fn begun(&self) -> Result<Option<Begun>, Failure> {
        let path = self.place(BEGUN_FILE);
        match fs::read(&path) {
            Ok(octets) => serde_json::from_slice(&octets).map(Some).map_err(|_| {
                Failure::other(format!("{}: this is not what an export that was broken off leaves; remove the directory", path.display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// Notes what is begun.
    pub(super) fn begin(&self, begun: &Begun) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(begun).map_err(|error| Failure::other(error.to_string()))?;
        self.write_whole(BEGUN_FILE, &text)
    }

    /// Forgets what was begun, and takes away what there is of its files, which `is_file` knows by their names.
    pub(super) fn forget(&self, is_file: impl Fn(&str) -> bool) -> Result<(), Failure> {
        for entry in fs::read_dir(&self.path).map_err(|error| failed(&self.path, &error))? {
            let path = entry.map_err(|error| failed(&self.path, &error))?.path();
            let is_of_it = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name == BEGUN_FILE || is_file(name));
            if is_of_it {
                fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
            }
        }
        Ok(())
    }

    /// Whether a file is there, whole and right.
    pub(super) fn has(&self, file: &Announced) -> Result<bool, Failure> {
        let path = self.place(&file.name);
        match fs::metadata(&path) {
            Ok(found) if found.len() == file.octets => Ok(self.hash(&path)?.0 == file.sha256),
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(&path, &error)),
        }
    }

    /// Opens what there is of a file, to go on with it.
    pub(super) fn partial(&self, file: &Announced) -> Result<Partial, Failure> {
        let path = self.place(&format!("{}.part", file.name));
        let there = if path.exists() { Some(self.hash_begun(&path)?) } else { None };
        let mut options = OpenOptions::new();
        let opened = options.append(true).create(true).mode(0o600).open(&path).map_err(|error| failed(&path, &error))?;
        let mut partial = Partial { path, file: opened, hash: FileHash::new(), octets: 0, wanted: file.clone() };
        if let Some((hash, octets)) = there.filter(|(_, octets)| *octets <= file.octets) {
            (partial.hash, partial.octets) = (hash, octets);
        } else {
            partial.start_again()?;
        }
        Ok(partial)
    }

    /// Gives a whole file its name.
    pub(super) fn keep(&self, partial: Partial) -> Result<(), Failure> {
        let Partial { path, file, wanted, .. } = partial;
        let kept = file.sync_all().and_then(|()| fs::rename(&path, self.place(&wanted.name)));
        kept.map_err(|error| failed(&path, &error))
    }

    /// Writes the manifest, last of all: what has one is whole.
    pub(super) fn finish(&self, manifest: &str) -> Result<(), Failure> {
        self.write_whole(MANIFEST_FILE, manifest.as_bytes())?;
        let begun = self.place(BEGUN_FILE);
        fs::remove_file(&begun).map_err(|error| failed(&begun, &error))
    }

    fn write_whole(&self, name: &str, octets: &[u8]) -> Result<(), Failure> {
        let (path, new) = (self.place(name), self.place(&format!("{name}.new")));
        let mut options = OpenOptions::new();
        let written = options.write(true).create(true).truncate(true).mode(0o600).open(&new).and_then(|mut file| {
            file.write_all(octets)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.path)?.sync_all()
        });
        written.map_err(|error| failed(&path, &error))
    }

    fn hash(&self, path: &Path) -> Result<(String, u64), Failure> {
        let (hash, octets) = self.hash_begun(path)?;
        Ok((hex::encode(hash.finish(String::new()).sha256), octets))
    }

    fn hash_begun(&self, path: &Path) -> Result<(FileHash, u64), Failure> {
        let (mut hash, mut octets, mut piece) = (FileHash::new(), 0, vec![0; PIECE]);
        let mut file = File::open(path).map_err(|error| failed(path, &error))?;
        loop {
            let read = file.read(&mut piece).map_err(|error| failed(path, &error))?;
            if read == 0 {
                return Ok((hash, octets));
            }
            hash.update(&piece[..read]);
            octets += read as u64;
        }
    }

    fn place(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// What there is of a file.
pub(super) struct Partial {
    path: PathBuf,
    file: File,
    hash: FileHash,
    octets: u64,
    wanted: Announced,
}

impl Partial {
    /// How much there is.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// Whether that is as much as there must be.
    pub(super) fn is_whole(&self) -> bool {
        self.octets == self.wanted.octets
    }

    /// Throws away what there is.
    pub(super) fn start_again(&mut self) -> Result<(), Failure> {
        self.file.set_len(0).map_err(|error| failed(&self.path, &error))?;
        (self.hash, self.octets) = (FileHash::new(), 0);
        Ok(())
    }

    /// Whether a whole file is the one that was announced.
    pub(super) fn is_right(&mut self) -> bool {
        let hash = std::mem::replace(&mut self.hash, FileHash::new());
        hex::encode(hash.finish(String::new()).sha256) == self.wanted.sha256
    }

    /// Takes what comes, up to the announced length. What cannot be read is the outer failure's opposite: it comes back as the inner one, to be fetched again.
    pub(super) fn receive(&mut self, octets: &mut dyn Read) -> Result<io::Result<()>, Failure> {
        let mut piece = vec![0; PIECE];
        while !self.is_whole() {
            let room = usize::try_from(self.wanted.octets - self.octets).unwrap_or(PIECE).min(PIECE);
            let read = match octets.read(&mut piece[..room]) {
                Ok(0) => return Ok(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => read,
                Err(error) => return Ok(Err(error)),
            };
            self.file.write_all(&piece[..read]).map_err(|error| failed(&self.path, &error))?;
            self.hash.update(&piece[..read]);
            self.octets += read as u64;
        }
        // A connection whose answer was read to its end serves the next file as well.
        let _ = octets.read(&mut piece[..1]);
        Ok(Ok(()))
    }
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let advice = if error.kind() == io::ErrorKind::StorageFull { "; make room and give the command again: it goes on here" } else { "" };
    Failure::other(format!("{}: {error}{advice}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(content: &[u8]) -> Announced {
        let sha256 = hex::encode(audit_log::hash::sha256(content));
        Announced { name: "records-00000000.jsonl".to_owned(), octets: content.len() as u64, sha256 }
    }

    #[test]
    fn what_was_broken_off_goes_on_and_bears_its_name_when_it_is_whole() {
        let place = tempfile::tempdir().unwrap();
        let (path, content) = (place.path().join("new/export"), b"0123456789".as_slice());
        let directory = ExportDirectory::open(&path).unwrap();
        assert_eq!(directory.begun().unwrap(), None);
        let begun = Begun { instruction: None, export: Some("e".to_owned()), asked: serde_json::json!({"a": 1}) };
        directory.begin(&begun).unwrap();
        let file = announced(content);

        let mut partial = directory.partial(&file).unwrap();
        assert_eq!(partial.receive(&mut &content[..4]).unwrap().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(!directory.has(&file).unwrap() && !partial.is_whole());
        drop(partial);

        let directory = ExportDirectory::open(&path).unwrap();
        assert_eq!(directory.begun().unwrap(), Some(begun));
        let mut partial = directory.partial(&file).unwrap();
        assert_eq!(partial.octets(), 4);
        partial.receive(&mut &content[4..]).unwrap().unwrap();
        assert!(partial.is_whole() && partial.is_right());
        directory.keep(partial).unwrap();
        assert!(directory.has(&file).unwrap());
        directory.finish("note").unwrap();
        let mut names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["manifest.note", "records-00000000.jsonl"]);
        assert!(ExportDirectory::open(&path).is_err(), "it is whole");
    }

    #[test]
    fn what_was_never_begun_leaves_no_directory() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("export");
        ExportDirectory::open(&path).unwrap().leave();
        assert!(!path.exists());
        let directory = ExportDirectory::open(&path).unwrap();
        directory.begin(&Begun { instruction: Some("i".to_owned()), export: None, asked: Value::Null }).unwrap();
        directory.leave();
        assert!(path.join(BEGUN_FILE).exists());
        ExportDirectory::open(place.path()).err().unwrap();
        let own = tempfile::tempdir().unwrap();
        ExportDirectory::open(own.path()).unwrap().leave();
        assert!(own.path().exists(), "it was there before");
    }

    #[test]
    fn what_is_forgotten_leaves_nothing_of_its_own() {
        let place = tempfile::tempdir().unwrap();
        let directory = ExportDirectory::open(place.path()).unwrap();
        directory.begin(&Begun { instruction: Some("i".to_owned()), export: None, asked: Value::Null }).unwrap();
        for name in ["records-00000000.jsonl", "hashes-00000000.bin.part", "notes"] {
            fs::write(place.path().join(name), b"0").unwrap();
        }
        directory.forget(|name| name.starts_with("records-") || name.starts_with("hashes-")).unwrap();
        let left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["notes"]);
        assert_eq!(directory.begun().unwrap(), None);
    }

    #[test]
    fn what_is_wrong_is_found_and_begun_again() {
        let place = tempfile::tempdir().unwrap();
        let directory = ExportDirectory::open(place.path()).unwrap();
        let file = announced(b"0123456789");
        fs::write(place.path().join("records-00000000.jsonl.part"), b"012345678x").unwrap();
        let mut partial = directory.partial(&file).unwrap();
        assert!(partial.is_whole() && !partial.is_right());
        partial.start_again().unwrap();
        partial.receive(&mut b"0123456789 and more".as_slice()).unwrap().unwrap();
        assert!(partial.is_right());
        fs::write(place.path().join("records-00000000.jsonl.part"), b"0123456789 and more").unwrap();
        assert_eq!(directory.partial(&file).unwrap().octets(), 0, "longer than it may be");
        fs::write(place.path().join("records-00000000.jsonl"), b"012345678x").unwrap();
        assert!(!directory.has(&file).unwrap());
        assert!(ExportDirectory::open(place.path()).is_err(), "not empty, and not begun");
    }

    #[test]
    fn a_full_disk_is_told() {
        let Ok(full) = OpenOptions::new().write(true).open("/dev/full") else { panic!("there is no /dev/full") };
        let wanted = announced(b"0123456789");
        let mut partial = Partial { path: "x.part".into(), file: full, hash: FileHash::new(), octets: 0, wanted };
        let failure = partial.receive(&mut b"0123456789".as_slice()).unwrap_err();
        assert!(failure.to_string().contains("make room"), "{failure}");
        assert_eq!(partial.octets(), 0);
    }
}
