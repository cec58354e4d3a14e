//! For tests: a log in memory, and another's tree to hold it against.

use std::collections::BTreeMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;

use crate::hash::sha256;
use crate::tile::leaf_tile;
use crate::{ChangedTile, Commitment, Edge, Hash, LogKey, SignedCheckpoint, TileFault, TileKind, TilePath, TileSource};

/// A log whose entries and tiles are kept as a store keeps them: level 0 follows from the entries.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) entries: Vec<Commitment>,
    pub(crate) tiles: BTreeMap<(u8, u64), Vec<u8>>,
}

impl Memory {
    /// A log of so many leaves, and its edge.
    pub(crate) fn of(size: u64) -> (Self, Edge) {
        let (mut memory, mut edge, added) = (Self::default(), Edge::empty(), commitments(0, size));
        memory.append(&added, edge.append(&added));
        (memory, edge)
    }

    pub(crate) fn append(&mut self, added: &[Commitment], tiles: Vec<ChangedTile>) {
        self.entries.extend_from_slice(added);
        self.tiles.extend(tiles.into_iter().map(|tile| ((tile.level, tile.number), tile.hashes)));
    }
}

impl TileSource for Memory {
    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, TileFault> {
        if level == 0 {
            return self.commitments(number * 256, width.into()).map(|entries| leaf_tile(&entries));
        }
        let absent = TileFault::Absent(TilePath { kind: TileKind::Hashes { level }, number, width });
        self.tiles.get(&(level, number)).cloned().ok_or(absent)
    }

    fn commitments(&self, first: u64, count: usize) -> Result<Vec<Commitment>, TileFault> {
        let entries = usize::try_from(first).ok().and_then(|first| self.entries.get(first..)?.get(..count));
        let absent = TileFault::Absent(TilePath { kind: TileKind::Entries, number: first / 256, width: 1 });
        entries.map(<[Commitment]>::to_vec).ok_or(absent)
    }
}

/// The entries of leaves from `first` on, each other than all others.
pub(crate) fn commitments(first: u64, count: u64) -> Vec<Commitment> {
    (first..first + count).map(|leaf| Commitment(sha256(&leaf.to_be_bytes()))).collect()
}

/// Another's tree over these entries.
pub(crate) fn reference(entries: &[Commitment]) -> MemoryBackedTree<Sha256, [u8; 32]> {
    let mut tree = MemoryBackedTree::new();
    entries.iter().for_each(|entry| tree.push(entry.0));
    tree
}

/// The root by another's tree.
pub(crate) fn reference_root(entries: &[Commitment]) -> Hash {
    if entries.is_empty() { crate::hash::EMPTY_ROOT } else { (*reference(entries).root().as_bytes()).into() }
}

/// A key and the checkpoint of a log of that size.
pub(crate) fn signed(edge: &Edge) -> (LogKey, SignedCheckpoint) {
    let key = LogKey::generate("ra.example/log").unwrap();
    let checkpoint = key.sign_checkpoint(edge.size(), edge.root()).unwrap();
    (key, checkpoint)
}
