//! For tests: a log in memory, and another's tree to hold it against.

use std::collections::BTreeMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;

use crate::tile::leaf_tile;
use crate::{ChangedTile, Commitment, Hash, TileFault, TileKind, TilePath, TileSource};

#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) entries: Vec<Commitment>,
    pub(crate) tiles: BTreeMap<(u8, u64), Vec<u8>>,
}
