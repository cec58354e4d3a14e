//! Files that are there whole or not at all, and stay there when the machine stops.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::ShelfFault;

/// How the names of files end that are being filled or renamed.
pub(super) const PART: &str = ".part";

/// A file being written in the work directory. Dropped unfinished, it is removed.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    finished: bool,
}

impl Part {
    pub(super) fn create(work: &Path, what: &str) -> Result<Self, ShelfFault> {
        let path = unused_name(work, what);
        let file = File::create_new(&path).map_err(ShelfFault::at(&path))?;
        Ok(Self { path, file, finished: false })
    }

    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.file.write_all(octets)
    }

    /// Brings it to disk. It still has its working name.
    pub(super) fn finish(mut self) -> Result<PathBuf, ShelfFault> {
        self.file.sync_all().map_err(ShelfFault::at(&self.path))?;
        self.finished = true;
        Ok(self.path.clone())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed now is removed as abandoned later.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Gives a file a second name, in place of whatever had that name, in one step.
pub(super) fn second_name(file: &Path, name: &Path, work: &Path) -> Result<(), ShelfFault> {
    let link = unused_name(work, "name");
    // A file system without second names takes a copy.
    if fs::hard_link(file, &link).is_err() {
        fs::copy(file, &link).map_err(ShelfFault::at(&link))?;
        File::open(&link).and_then(|copy| copy.sync_all()).map_err(ShelfFault::at(&link))?;
    }
    fs::rename(&link, name).map_err(ShelfFault::at(name))?;
    // Renaming onto another name of the same file does nothing at all (POSIX rename).
    remove_if_there(&link)
}

/// Whether both names are of one file.
pub(super) fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    identity(one).is_some_and(|one| identity(other) == Some(one))
}

/// Brings a directory's names to disk.
pub(super) fn sync_directory(directory: &Path) -> Result<(), ShelfFault> {
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(ShelfFault::at(directory))
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), ShelfFault> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ShelfFault::at(path)(error)),
        _ => Ok(()),
    }
}

/// A name that no other thread and no other process uses.
fn unused_name(work: &Path, what: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let nanoseconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
    work.join(format!("{what}-{}-{nanoseconds}-{}{PART}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)))
}
