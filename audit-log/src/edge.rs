//! The right edge of the tree: all that is needed to append.

use crate::commitment::Commitment;
use crate::hash::{HASH_OCTETS, Hash, root_over};
use crate::tile::{TILE_WIDTH, TileFault, TileSource, tile_hashes, width_at};
use crate::{compact_range::CompactRange, hash::MAX_SIZE};

/// The tiles at the right end that are not full, one for each level. Appending hashes each leaf once and each node once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The hashes of the growing tile of each level, fewer than [`TILE_WIDTH`] each.
    growing: Vec<Vec<Hash>>,
}

/// A tile of level 1 or above as it is after an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedTile {
    /// Level, from 1.
    pub level: u8,
    /// Index within the level.
    pub number: u64,
    /// Its hashes one after the other: all of them, not only the new ones; 32 to 8,192 octets.
    pub hashes: Vec<u8>,
}

/// What an append changed above the leaves, of which each tile is named once.
#[derive(Debug, Clone, Default)]
struct Changes {
    /// First changed tile of each level (index 0 is level 1), with the octets of all tiles from there on.
    levels: Vec<(u64, Vec<u8>)>,
}

impl Edge {
    /// The edge of the empty tree.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Reads the edge of the tree of that size back from its tiles. Compare [`Edge::root`] with the root that the tree must have:
    /// whatever the source told wrong shows there.
    pub fn load(source: &impl TileSource, size: u64) -> Result<Self, TileFault> {
        if size > MAX_SIZE {
            return Err(TileFault::TooLarge { size });
        }
        let mut growing = Vec::new();
        for level in 0_u8.. {
            let whole = width_at(level, size);
            if whole == 0 {
                break;
            }
            let width = u16::try_from(whole % TILE_WIDTH).unwrap_or_default();
            growing.push(if width == 0 { Vec::new() } else { tile_hashes(source, level, whole / TILE_WIDTH, width)? });
        }
        Ok(Self { size, growing })
    }

    /// Leaves of the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut right: Option<Hash> = None;
        for hashes in &self.growing {
            // What is right of these hashes and smaller than any of them stands at the end, as the last leaf of RFC 6962 does.
            let range = self.range_over(hashes, right);
            right = range.or(right);
        }
        right.unwrap_or_else(|| root_over(&[]))
    }

    fn range_over(&self, hashes: &[Hash], right: Option<Hash>) -> Option<Hash> {
        let mut range = CompactRange::empty(0);
        hashes.iter().for_each(|hash| range.push(*hash));
        match (right, range.nodes()) {
            (None, []) => None,
            (None, _) => range.root(),
            (Some(right), nodes) => Some(nodes.iter().rev().fold(right, |right, left| crate::hash::node_hash(left, &right))),
        }
    }

    /// Appends leaves, and gives the tiles of level 1 and above that are other than before, each once, as they are now.
    pub fn append<'a>(&mut self, commitments: impl IntoIterator<Item = &'a Commitment>) -> Vec<ChangedTile> {
        let mut changes = Changes::default();
        for commitment in commitments {
            self.add(0, commitment.leaf_hash(), &mut changes);
            self.size += 1;
        }
        changes.into_tiles()
    }

    /// Puts a hash at the end of a level. A tile that is full becomes one hash of the level above.
    fn add(&mut self, level: usize, hash: Hash, changes: &mut Changes) {
        if self.growing.len() == level {
            self.growing.push(Vec::with_capacity(TILE_WIDTH as usize));
        }
        if level > 0 {
            let level_number = u8::try_from(level).unwrap_or(u8::MAX);
            changes.add(level, width_at(level_number, self.size + 1) - 1, &self.growing[level], &hash);
        }
        let tile = &mut self.growing[level];
        tile.push(hash);
        if tile.len() as u64 == TILE_WIDTH {
            let root = root_over(tile);
            tile.clear();
            self.add(level + 1, root, changes);
        }
    }
}

impl Changes {
    /// Notes that `hash` became number `index` of its level, after those of the growing tile.
    fn add(&mut self, level: usize, index: u64, growing: &[Hash], hash: &Hash) {
        while self.levels.len() < level {
            self.levels.push((0, Vec::new()));
        }
        let (first, octets) = &mut self.levels[level - 1];
        if octets.is_empty() {
            *first = index / TILE_WIDTH;
            octets.extend_from_slice(growing.as_flattened());
        }
        octets.extend_from_slice(hash);
    }

    fn into_tiles(self) -> Vec<ChangedTile> {
        let levels = self.levels.into_iter().zip(1_u8..);
        let tiles = levels.flat_map(|((first, octets), level)| {
            let tiles = octets.chunks(TILE_WIDTH as usize * HASH_OCTETS).map(<[u8]>::to_vec).collect::<Vec<_>>();
            (first..).zip(tiles).map(move |(number, hashes)| ChangedTile { level, number, hashes })
        });
        tiles.collect()
    }
}

#[cfg(test)]
mod tests;
