//! Tiles: the tree cut into pieces that never change once they are full (C2SP tlog-tiles).

mod directory;
mod path;

pub use directory::TileDirectory;
pub use path::{TileKind, TilePath};

use crate::commitment::Commitment;
use crate::hash::{HASH_OCTETS, Hash, split_hashes};

/// Hashes of a full tile.
pub const TILE_WIDTH: u64 = 256;

/// The highest level that a tree of [`crate::hash::MAX_SIZE`] leaves has tiles of.
pub const MAX_LEVEL: u8 = 7;

/// The highest level of tiles times this is the height of the tree: levels of the tree in one of tiles.
pub(crate) const TILE_HEIGHT: u8 = 8;

/// A tile or the entries are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum TileFault {
    /// There is none, or it has fewer hashes than the tree demands.
    #[error("{0} is not there")]
    Absent(TilePath),
    /// What is there is none.
    #[error("{0} is damaged")]
    Damaged(TilePath),
    /// What is there differs from what the tree has: it belongs to another tree.
    #[error("{0} differs from that of the tree")]
    Differs(TilePath),
    /// A size that no tree has.
    #[error("no tree has {size} leaves")]
    TooLarge {
        /// The size.
        size: u64,
    },
    /// The checkpoint that is there is of a larger tree.
    #[error("the checkpoint that is there is of {there} leaves, which is more than {offered}")]
    Ahead {
        /// Leaves of the one that is there.
        there: u64,
        /// Leaves of the one to be written.
        offered: u64,
    },
    /// The checkpoint that is there is of a tree that this one does not extend.
    #[error("the checkpoint that is there, of {size} leaves, is of another tree")]
    Forked {
        /// Its leaves.
        size: u64,
    },
    /// The checkpoint that is there is none.
    #[error("the checkpoint that is there is none: {0}")]
    Checkpoint(#[from] crate::note::NoteRefusal),
    /// The file system failed.
    #[error("{path}")]
    File {
        /// Where.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Whatever the tiles come from failed.
    #[error("the tiles cannot be read")]
    Source(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Where tiles and entries are read from. What it tells need not be true: it is judged by the root that it leads to.
pub trait TileSource {
    /// The first `width` hashes (1 to 256) of a tile, one after the other; more than was asked for may come back, never less. Level 0
    /// holds hashes of leaves.
    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, TileFault>;

    /// The entries from leaf `first` on, exactly `count`.
    fn commitments(&self, first: u64, count: usize) -> Result<Vec<Commitment>, TileFault>;
}

impl<S: TileSource + ?Sized> TileSource for &S {
    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, TileFault> {
        (**self).tile(level, number, width)
    }

    fn commitments(&self, first: u64, count: usize) -> Result<Vec<Commitment>, TileFault> {
        (**self).commitments(first, count)
    }
}

/// A tile of level 0 of these entries: for sources that keep entries alone.
pub fn leaf_tile(commitments: &[Commitment]) -> Vec<u8> {
    commitments.iter().flat_map(Commitment::leaf_hash).collect()
}

/// The content of an entry bundle: each entry after its length in two octets.
pub fn entry_bundle(commitments: &[Commitment]) -> Vec<u8> {
    commitments.iter().flat_map(|commitment| [[0, 32].as_slice(), &commitment.0].concat()).collect()
}

/// The entries of a bundle; `None` if it is none of ours.
pub fn parse_entry_bundle(octets: &[u8]) -> Option<Vec<Commitment>> {
    let (entries, rest) = octets.as_chunks::<{ 2 + HASH_OCTETS }>();
    if !rest.is_empty() || entries.len() as u64 > TILE_WIDTH {
        return None;
    }
    entries.iter().map(|entry| entry.strip_prefix(&[0, 32]).and_then(Commitment::from_slice)).collect()
}

/// The first `width` hashes of a tile, checked for their number.
pub(crate) fn tile_hashes(source: &impl TileSource, level: u8, number: u64, width: u16) -> Result<Vec<Hash>, TileFault> {
    let path = TilePath { kind: TileKind::Hashes { level }, number, width };
    let mut hashes = split_hashes(&source.tile(level, number, width)?).ok_or(TileFault::Damaged(path))?;
    if hashes.len() < usize::from(width) {
        return Err(TileFault::Absent(path));
    }
    hashes.truncate(width.into());
    Ok(hashes)
}

/// Hashes of a level in a tree of that size: complete subtrees of 256^level leaves.
pub(crate) fn width_at(level: u8, size: u64) -> u64 {
    size.checked_shr(u32::from(level) * u32::from(TILE_HEIGHT)).unwrap_or_default()
}
