//! Writing the files of a new installation: never over another, on disk on return.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Writes a file that everybody may read.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), Failure> {
    write_with_mode(path, content, 0o644)
}

/// Writes a file that only its owner may read.
pub(crate) fn write_secret(path: &Path, content: &[u8]) -> Result<(), Failure> {
    write_with_mode(path, content, 0o600)
}

/// Makes a directory that only its owner may enter.
pub(crate) fn make_directory(path: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(path, &error))
}

/// A directory that is being filled, hidden beside the place where it shall be. Removed again unless it is finished.
pub(crate) struct Unfinished(PathBuf);

impl Unfinished {
    /// Makes one beside `place`, on the same file system.
    pub(crate) fn beside(place: &Path) -> Result<Self, Failure> {
        let nameless = || Failure::usage(format!("{}: a directory with a name is needed", place.display()));
        let (parent, name) = (place.parent().ok_or_else(nameless)?, place.file_name().ok_or_else(nameless)?);
        fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        let path = parent.join(format!(".{}.unfinished-{}", name.to_string_lossy(), std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&path).map_err(|error| failed(&path, &error))?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Puts it in its place, which is empty or not there.
    pub(crate) fn finish(self, place: &Path) -> Result<(), Failure> {
        fs::rename(&self.0, place).map_err(|error| failed(place, &error))?;
        let parent = place.parent().unwrap_or(Path::new("/"));
        fs::File::open(parent).and_then(|parent| parent.sync_all()).map_err(|error| failed(parent, &error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already where it was finished.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// As many random octets as 64 hexadecimal digits hold.
pub(crate) fn random_hex() -> Result<Zeroizing<String>, Failure> {
    let mut octets = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(octets.as_mut()).map_err(|_| Failure::other("the machine gives no random octets"))?;
    Ok(Zeroizing::new(hex::encode(*octets)))
}

fn write_with_mode(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(|error| failed(path, &error))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(|error| failed(path, &error))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| failed(directory, &error))
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::other(format!("{}: {error}", path.display()))
}
