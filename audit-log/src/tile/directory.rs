//! A log as files: `checkpoint`, `tile/…`, as C2SP tlog-tiles lays them out below a log's prefix.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::{TILE_WIDTH, TileFault, TileKind, TilePath, TileSource, entry_bundle, leaf_tile, parse_entry_bundle, tile_hashes, width_at};
use crate::commitment::Commitment;
use crate::note::{Checkpoint, SignedCheckpoint};
use crate::proof::tree_root;

/// Name of the checkpoint's file.
const CHECKPOINT: &str = "checkpoint";
/// Held while something is written.
const LOCK: &str = ".lock";
/// What is being written, until it is whole.
const INCOMING: &str = ".incoming";
/// Longer checkpoints are refused unread: octets.
const MAX_CHECKPOINT: u64 = 1 << 20;

/// A directory with a log's tiles and its checkpoint. Any static file server can give it out. Any number may read it, and whoever
/// writes excludes others for as long as that takes.
#[derive(Debug, Clone)]
pub struct TileDirectory {
    root: PathBuf,
}

impl TileDirectory {
    /// Names the directory, which is made with the first checkpoint.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The signed checkpoint that stands there, as text, not verified; `None` before the first.
    pub fn checkpoint(&self) -> Result<Option<String>, TileFault> {
        let path = self.root.join(CHECKPOINT);
        let Some(octets) = read(&path, MAX_CHECKPOINT)? else { return Ok(None) };
        String::from_utf8(octets).map(Some).map_err(|_| TileFault::Checkpoint(crate::NoteRefusal::Malformed))
    }

    /// The octets of a tile or entry bundle; `None` if it is not there. A narrower one is cut from a wider one, since it is the same
    /// as far as it goes.
    pub fn read(&self, path: TilePath) -> Result<Option<Vec<u8>>, TileFault> {
        if path.width == 0 || u64::from(path.width) > TILE_WIDTH {
            return Ok(None);
        }
        let wider = [path, path.with_width(256)];
        for candidate in if path.is_full() { &wider[..1] } else { &wider[..] } {
            if let Some(octets) = self.read_exact(*candidate)? {
                return Ok(Some(cut(octets, path)));
            }
        }
        let Some(width) = self.wider_partial(path)? else { return Ok(None) };
        Ok(self.read_exact(path.with_width(width))?.map(|octets| cut(octets, path)))
    }

    /// Writes what the tree of this checkpoint has beyond that of the checkpoint that stands there, then the checkpoint itself; all of
    /// it durable on return. A checkpoint of the same tree replaces the other: it may have more cosignatures. Stopped anywhere, the
    /// next call does the rest.
    ///
    /// # Errors
    /// [`TileFault::Ahead`], [`TileFault::Forked`] or [`TileFault::Differs`] if what stands there is of a larger or another tree;
    /// nothing is changed then.
    pub fn publish(&self, source: &impl TileSource, checkpoint: &SignedCheckpoint) -> Result<(), TileFault> {
        make_directory(&self.root)?;
        let lock = self.root.join(LOCK);
        let lock = File::create(&lock).and_then(|file| file.lock().map(|()| file)).map_err(|error| file_fault(&lock, error))?;
        let (size, published) = (checkpoint.size(), self.published()?);
        if let Some(published) = &published {
            if published.size > size {
                return Err(TileFault::Ahead { there: published.size, offered: size });
            }
            let same = if published.size == size { *checkpoint.root() } else { tree_root(source, published.size)? };
            if published.origin != checkpoint.checkpoint().origin || same != published.root {
                return Err(TileFault::Forked { size: published.size });
            }
        }
        let mut touched = Vec::new();
        let from = published.map_or(0, |published| published.size);
        for level in 0_u8.. {
            let (old, new) = (width_at(level, from), width_at(level, size));
            if new == 0 {
                break;
            }
            if new > old {
                self.write_level(source, level, old, new, &mut touched)?;
            }
        }
        touched.sort_unstable();
        touched.dedup();
        touched.iter().try_for_each(|directory| sync_directory(directory))?;
        self.replace(&self.root.join(CHECKPOINT), checkpoint.note().as_bytes())?;
        sync_directory(&self.root)?;
        drop(lock);
        Ok(())
    }

    /// What the checkpoint that stands there says. It was written here: that it is signed is judged by whoever reads it.
    fn published(&self) -> Result<Option<Checkpoint>, TileFault> {
        let Some(note) = self.checkpoint()? else { return Ok(None) };
        let (text, _) = note.rsplit_once("\n\n").ok_or(crate::NoteRefusal::Malformed)?;
        Ok(Some(Checkpoint::parse(&format!("{text}\n"))?))
    }

    /// Writes the tiles of a level that grew from `old` to `new` hashes; of level 0 the entries too.
    fn write_level(&self, source: &impl TileSource, level: u8, old: u64, new: u64, touched: &mut Vec<PathBuf>) -> Result<(), TileFault> {
        for number in old / TILE_WIDTH..new.div_ceil(TILE_WIDTH) {
            let width = u16::try_from((new - number * TILE_WIDTH).min(TILE_WIDTH)).unwrap_or_default();
            let path = TilePath { kind: TileKind::Hashes { level }, number, width };
            if level == 0 {
                let commitments = source.commitments(number * TILE_WIDTH, width.into())?;
                if commitments.len() != usize::from(width) {
                    return Err(TileFault::Absent(path));
                }
                self.write(TilePath { kind: TileKind::Entries, ..path }, &entry_bundle(&commitments), touched)?;
                self.write(path, &leaf_tile(&commitments), touched)?;
            } else {
                self.write(path, tile_hashes(source, level, number, width)?.as_flattened(), touched)?;
            }
        }
        Ok(())
    }

    /// Writes a tile. What is there must be the same, as far as it goes. Once a tile is full its narrower forms are of no use.
    fn write(&self, path: TilePath, octets: &[u8], touched: &mut Vec<PathBuf>) -> Result<(), TileFault> {
        let file = self.root.join(path.to_string());
        let Some(directory) = file.parent() else { return Err(TileFault::Damaged(path)) };
        match self.read_exact(path)? {
            Some(there) if there != octets => return Err(TileFault::Differs(path)),
            Some(_) => {}
            None => {
                make_directory(directory)?;
                self.replace(&file, octets)?;
            }
        }
        touched.push(directory.to_owned());
        if path.is_full() {
            let partial = self.partial_directory(path);
            match fs::remove_dir_all(&partial) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(file_fault(&partial, error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Puts a whole file in place of whatever is there; its content is durable, its name with its directory's.
    fn replace(&self, path: &Path, octets: &[u8]) -> Result<(), TileFault> {
        let incoming = self.root.join(INCOMING);
        File::create(&incoming)
            .and_then(|mut file| file.write_all(octets).and_then(|()| file.sync_data()))
            .and_then(|()| fs::rename(&incoming, path))
            .map_err(|error| file_fault(path, error))
    }

    /// The file of just that width.
    fn read_exact(&self, path: TilePath) -> Result<Option<Vec<u8>>, TileFault> {
        let octets = read(&self.root.join(path.to_string()), path.octets() as u64)?;
        match octets {
            Some(octets) if octets.len() != path.octets() => Err(TileFault::Damaged(path)),
            octets => Ok(octets),
        }
    }

    /// The narrowest partial form that is wide enough.
    fn wider_partial(&self, path: TilePath) -> Result<Option<u16>, TileFault> {
        let directory = self.partial_directory(path);
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(|error| file_fault(&directory, error))?,
        };
        let mut narrowest = None;
        for entry in entries {
            let name = entry.map_err(|error| file_fault(&directory, error))?.file_name();
            let width = name.to_str().and_then(|name| name.parse::<u16>().ok()).filter(|width| *width > path.width);
            narrowest = narrowest.into_iter().chain(width).min();
        }
        Ok(narrowest.filter(|width| u64::from(*width) < TILE_WIDTH))
    }

    fn partial_directory(&self, path: TilePath) -> PathBuf {
        self.root.join(format!("{}.p", path.full_name()))
    }
}

impl TileSource for TileDirectory {
    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, TileFault> {
        let path = TilePath { kind: TileKind::Hashes { level }, number, width };
        self.read(path)?.ok_or(TileFault::Absent(path))
    }

    fn commitments(&self, first: u64, count: usize) -> Result<Vec<Commitment>, TileFault> {
        let mut commitments = Vec::new();
        let end = first.saturating_add(count as u64);
        let mut next = first;
        while next < end {
            let number = next / TILE_WIDTH;
            let width = u16::try_from((end - number * TILE_WIDTH).min(TILE_WIDTH)).unwrap_or_default();
            let path = TilePath { kind: TileKind::Entries, number, width };
            let octets = self.read(path)?.ok_or(TileFault::Absent(path))?;
            let bundle = parse_entry_bundle(&octets).ok_or(TileFault::Damaged(path))?;
            commitments.extend(bundle.into_iter().skip(usize::try_from(next % TILE_WIDTH).unwrap_or_default()));
            next = (number + 1) * TILE_WIDTH;
        }
        Ok(commitments)
    }
}

/// The narrower form of what was read.
fn cut(mut octets: Vec<u8>, path: TilePath) -> Vec<u8> {
    octets.truncate(path.octets());
    octets
}

/// A file's content, one octet more than `most` at most; `None` if there is no such file.
fn read(path: &Path, most: u64) -> Result<Option<Vec<u8>>, TileFault> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| file_fault(path, error))?,
    };
    let mut octets = Vec::new();
    file.take(most + 1).read_to_end(&mut octets).map_err(|error| file_fault(path, error))?;
    Ok(Some(octets))
}

/// Makes a directory and those above it, each durable in the one above.
fn make_directory(directory: &Path) -> Result<(), TileFault> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = directory.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_directory(above)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(file_fault(directory, error)),
        _ => {}
    }
    sync_directory(above)
}

fn sync_directory(directory: &Path) -> Result<(), TileFault> {
    File::open(directory).and_then(|opened| opened.sync_all()).map_err(|error| file_fault(directory, error))
}

fn file_fault(path: &Path, source: io::Error) -> TileFault {
    TileFault::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests;
