//! The tile directory, file by file, against the store.

use std::path::{Path, PathBuf};

use audit_log::{Commitment, TileDirectory, TileFault, TileKind, TilePath, TileSource};
use schema::{Reader, StoreFault};

use super::Findings;

pub(super) struct Examination<'a, S> {
    pub(super) directory: &'a TileDirectory,
    pub(super) source: &'a S,
    pub(super) reader: &'a Reader,
    /// Whether the store's leaves have the root that was signed with this directory: then what differs here is wrong here.
    pub(super) store_is_right: bool,
}

impl<S: TileSource> Examination<'_, S> {
    /// Every file of the tree of this size, and then whatever else lies there.
    pub(super) fn run(&self, size: u64, findings: &mut Findings, mut progress: impl FnMut(u64)) -> Result<(), StoreFault> {
        for level in 0..=7_u8 {
            let hashes = size >> (8 * u32::from(level));
            for number in 0..hashes.div_ceil(256) {
                let width = u16::try_from((hashes - number * 256).min(256)).unwrap_or(256);
                self.compare(TilePath { kind: TileKind::Hashes { level }, number, width }, findings)?;
                if level == 0 {
                    self.compare(TilePath { kind: TileKind::Entries, number, width }, findings)?;
                    progress(number * 256);
                }
            }
        }
        // First the files, then the store: what is published meanwhile is stored by then.
        let root = self.directory.path();
        let files = files_below(&root.join("tile"));
        let known = self.reader.log_head()?.size;
        for file in files {
            let name = file.strip_prefix(root).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            match TilePath::parse(&name) {
                None => findings.add(name, None, "file_stray", "no tile is called that"),
                Some(path) if end_of(path) > known => {
                    findings.add(name, Some(first_of(path, 0)), "file_beyond", format!("the store's tree has {known} leaves"));
                }
                // Those of the tree as it was signed are looked at already.
                Some(path) if is_of_tree(path, size) => {}
                Some(path) => self.compare(path, findings)?,
            }
        }
        Ok(())
    }

    fn compare(&self, path: TilePath, findings: &mut Findings) -> Result<(), StoreFault> {
        let found = match self.directory.read(path) {
            Ok(Some(found)) => found,
            Ok(None) => {
                findings.add(path.to_string(), Some(first_of(path, 0)), "file_missing", "it is not there");
                return Ok(());
            }
            Err(fault) => {
                findings.add(path.to_string(), Some(first_of(path, 0)), "file_unreadable", fault.to_string());
                return Ok(());
            }
        };
        let Some(expected) = self.expected(path)? else { return Ok(()) };
        if found == expected {
            return Ok(());
        }
        let octets = expected.len() / usize::from(path.width);
        let same = found.chunks(octets).zip(expected.chunks(octets)).take_while(|(one, other)| one == other).count() as u64;
        let leaf = first_of(path, same);
        let what = match path.kind {
            TileKind::Entries => format!("its entry {same}, of leaf {leaf}, is not the store's"),
            TileKind::Hashes { .. } => format!("its hash {same}, from leaf {leaf} on, is not that of the store's leaves"),
        };
        if self.store_is_right {
            findings.add(path.to_string(), Some(leaf), "file_other", format!("{what}, and the store's leaves are those that were signed"));
        } else {
            findings.add(
                path.to_string(),
                Some(leaf),
                "leaf_or_file_other",
                format!("{what}, and the store's leaves are not those that were signed"),
            );
        }
        Ok(())
    }

    /// What the file must be by the store; `None` where the store has gaps, which are found elsewhere.
    fn expected(&self, path: TilePath) -> Result<Option<Vec<u8>>, StoreFault> {
        let found = match path.kind {
            TileKind::Hashes { level } => self.source.tile(level, path.number, path.width).map(|mut hashes| {
                hashes.truncate(usize::from(path.width) * 32);
                hashes
            }),
            TileKind::Entries => self
                .source
                .commitments(path.number * 256, path.width.into())
                .map(|entries: Vec<Commitment>| audit_log::tile::entry_bundle(&entries)),
        };
        match found {
            Ok(octets) => Ok(Some(octets)),
            Err(TileFault::Source(fault)) => match fault.downcast::<StoreFault>() {
                Ok(fault) if matches!(*fault, StoreFault::Corrupt(_)) => Ok(None),
                Ok(fault) => Err(*fault),
                Err(_) => Err(StoreFault::Misuse("tiles of the store come from the store")),
            },
            Err(_) => Ok(None),
        }
    }
}

/// Whether the tree of this size has just this tile.
fn is_of_tree(path: TilePath, size: u64) -> bool {
    let level = match path.kind {
        TileKind::Hashes { level } => u32::from(level),
        TileKind::Entries => 0,
    };
    let hashes = size >> (8 * level);
    hashes.saturating_sub(path.number * 256).min(256) == u64::from(path.width)
}

/// The first leaf under hash or entry number `index` of a tile.
fn first_of(path: TilePath, index: u64) -> u64 {
    let level = match path.kind {
        TileKind::Hashes { level } => u32::from(level),
        TileKind::Entries => 0,
    };
    path.number.saturating_mul(256).saturating_add(index).saturating_mul(1 << (8 * level))
}

/// The size of the smallest tree that has the tile.
fn end_of(path: TilePath) -> u64 {
    first_of(path, path.width.into())
}

/// Every file below a directory, in order; what cannot be listed has none.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let (mut files, mut ahead) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(next) = ahead.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { ahead.push(path) } else { files.push(path) }
        }
    }
    files.sort_unstable();
    files
}
