//! Encoded entries on their way: in a file, until it is known how long they are together.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::ListFault;

/// Octets that are gathered before they are written, and read at a time.
const CHUNK: usize = 128 * 1024;

/// Where entries are written to.
#[derive(Debug)]
pub(super) struct Spool {
    file: File,
    name: Name,
    gathered: Vec<u8>,
    octets: u64,
}

/// All entries, to be read as often as it takes.
#[derive(Debug)]
pub(super) struct WrittenEntries {
    file: File,
    name: Name,
    octets: u64,
}

/// The file goes when nobody needs it any more.
#[derive(Debug)]
struct Name(PathBuf);

impl Spool {
    pub(super) fn create(path: &Path) -> Result<Self, ListFault> {
        let name = Name(path.to_owned());
        // What a process that was killed left there is overwritten.
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path).map_err(|source| name.fault(source))?;
        Ok(Self { file, name, gathered: Vec::with_capacity(CHUNK + 256), octets: 0 })
    }

    /// Adds what `write` appends.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), ListFault>) -> Result<(), ListFault> {
        let before = self.gathered.len();
        // Of an entry that could not be written nothing stays.
        write(&mut self.gathered).inspect_err(|_| self.gathered.truncate(before))?;
        if self.gathered.len() >= CHUNK { self.write_out() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<WrittenEntries, ListFault> {
        self.write_out()?;
        Ok(WrittenEntries { file: self.file, name: self.name, octets: self.octets })
    }

    fn write_out(&mut self) -> Result<(), ListFault> {
        self.file.write_all(&self.gathered).map_err(|source| self.name.fault(source))?;
        self.octets += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }
}

impl WrittenEntries {
    /// How many octets there are.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// The file, at its beginning.
    pub(super) fn rewound(&mut self) -> Result<&mut File, ListFault> {
        self.file.rewind().map_err(|source| self.name.fault(source))?;
        Ok(&mut self.file)
    }

    /// Gives all octets, in order, some at a time.
    pub(super) fn each_chunk(&mut self, mut take: impl FnMut(&[u8])) -> Result<(), ListFault> {
        self.rewound()?;
        let mut chunk = vec![0; CHUNK];
        loop {
            match self.file.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => take(&chunk[..length]),
                Err(interrupted) if interrupted.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.name.fault(source)),
            }
        }
    }
}

impl Name {
    fn fault(&self, source: io::Error) -> ListFault {
        ListFault::File { path: self.0.display().to_string(), source }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // If it stays, it is overwritten the next time.
        let _ = fs::remove_file(&self.0);
    }
}
