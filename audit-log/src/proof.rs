//! Proofs that a leaf is in a tree and that a tree extends an earlier one (RFC 6962 sections 2.1.1 and 2.1.2).

use std::cell::RefCell;
use std::collections::HashMap;

use tlog_tiles::HashReader;

use crate::compact_range::{Subtree, aligned_subtrees};
use crate::hash::{EMPTY_ROOT, Hash, MAX_SIZE, node_hash, root_over};
use crate::tile::{TILE_HEIGHT, TILE_WIDTH, TileFault, TileSource, tile_hashes, width_at};

/// More hashes than any proof has.
pub const MAX_PROOF: usize = 63;

/// A proof does not hold, or cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofRefusal {
    /// The leaf is not below the size, or the older tree is not the smaller one, or no tree is so large.
    #[error("no such proof exists for these sizes")]
    Bounds,
    /// The hashes do not lead to the root.
    #[error("the hashes of the proof do not lead to the root")]
    Wrong,
}

/// The hashes that lead from leaf number `leaf` to the root of the tree of that size, from the leaf's sibling upwards.
pub fn inclusion_proof(source: &impl TileSource, leaf: u64, size: u64) -> Result<Vec<Hash>, TileFault> {
    if leaf >= size || size > MAX_SIZE {
        return Err(TileFault::TooLarge { size: leaf.saturating_add(1).max(size) });
    }
    let nodes = Nodes::new(source, size);
    nodes.told(tlog_tiles::prove_record(size, leaf, &nodes))
}

/// The hashes that lead from the root of the tree of size `old` to that of size `new`; none if `old` is 0 or `new`.
pub fn consistency_proof(source: &impl TileSource, old: u64, new: u64) -> Result<Vec<Hash>, TileFault> {
    if old > new || new > MAX_SIZE {
        return Err(TileFault::TooLarge { size: old.max(new) });
    }
    if old == 0 {
        return Ok(Vec::new());
    }
    let nodes = Nodes::new(source, new);
    nodes.told(tlog_tiles::prove_tree(new, old, &nodes))
}

/// The hashes of the largest aligned subtrees that cover the leaves from `from` to before `to`, left to right: what
/// [`crate::CompactRange`] has of them.
pub fn range_nodes(source: &impl TileSource, from: u64, to: u64) -> Result<Vec<Hash>, TileFault> {
    if to > MAX_SIZE {
        return Err(TileFault::TooLarge { size: to });
    }
    let nodes = Nodes::new(source, to);
    aligned_subtrees(from, to).map(|subtree| nodes.node(subtree)).collect()
}

/// The root of the tree of that size.
pub fn tree_root(source: &impl TileSource, size: u64) -> Result<Hash, TileFault> {
    let nodes = range_nodes(source, 0, size)?;
    let Some((last, left)) = nodes.split_last() else { return Ok(EMPTY_ROOT) };
    Ok(left.iter().rev().fold(*last, |right, left| node_hash(left, &right)))
}

/// Whether `proof` leads from leaf number `leaf` with that hash to the root of the tree of that size.
pub fn verify_inclusion(proof: &[Hash], leaf: u64, leaf_hash: &Hash, size: u64, root: &Hash) -> Result<(), ProofRefusal> {
    if leaf >= size || size > MAX_SIZE || proof.len() > MAX_PROOF {
        return Err(ProofRefusal::Bounds);
    }
    let proof = foreign(proof);
    let hash = tlog_tiles::Hash;
    tlog_tiles::check_record(&proof, size, hash(*root), leaf, hash(*leaf_hash)).map_err(|_| ProofRefusal::Wrong)
}

/// Whether `proof` shows that the tree of size `new` begins with the leaves of the tree of size `old`.
pub fn verify_consistency(proof: &[Hash], old: u64, old_root: &Hash, new: u64, new_root: &Hash) -> Result<(), ProofRefusal> {
    if old > new || new > MAX_SIZE || proof.len() > MAX_PROOF {
        return Err(ProofRefusal::Bounds);
    }
    let holds = if old == 0 {
        proof.is_empty() && *old_root == EMPTY_ROOT
    } else if old == new {
        proof.is_empty() && old_root == new_root
    } else {
        let hash = tlog_tiles::Hash;
        tlog_tiles::check_tree(&foreign(proof), new, hash(*new_root), old, hash(*old_root)).is_ok()
    };
    if holds { Ok(()) } else { Err(ProofRefusal::Wrong) }
}

fn foreign(hashes: &[Hash]) -> Vec<tlog_tiles::Hash> {
    hashes.iter().map(|hash| tlog_tiles::Hash(*hash)).collect()
}

/// The nodes of the tree of one size, worked out from its tiles; each tile is read once.
struct Nodes<'a, S> {
    source: &'a S,
    size: u64,
    tiles: RefCell<HashMap<(u8, u64), Vec<Hash>>>,
    /// Why reading failed: the library's errors have no place for it.
    fault: RefCell<Option<TileFault>>,
}

impl<'a, S: TileSource> Nodes<'a, S> {
    fn new(source: &'a S, size: u64) -> Self {
        Self { source, size, tiles: RefCell::default(), fault: RefCell::default() }
    }

    fn node(&self, subtree: Subtree) -> Result<Hash, TileFault> {
        let (level, above) = (subtree.level / TILE_HEIGHT, subtree.level % TILE_HEIGHT);
        let first = subtree.number << above;
        let (number, offset) = (first / TILE_WIDTH, first % TILE_WIDTH);
        let mut tiles = self.tiles.borrow_mut();
        let tile = match tiles.entry((level, number)) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let width = width_at(level, self.size).saturating_sub(number * TILE_WIDTH).min(TILE_WIDTH);
                let width = u16::try_from(width).unwrap_or_default();
                entry.insert(tile_hashes(self.source, level, number, width)?)
            }
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let hashes = tile.get(from..from.saturating_add(1 << above)).ok_or(TileFault::TooLarge { size: self.size })?;
        Ok(root_over(hashes))
    }

    fn told(&self, proof: Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error>) -> Result<Vec<Hash>, TileFault> {
        match proof {
            Ok(hashes) => Ok(hashes.into_iter().map(|hash| hash.0).collect()),
            Err(error) => Err(self.fault.take().unwrap_or_else(|| TileFault::Source(Box::new(error)))),
        }
    }
}

impl<S: TileSource> HashReader for Nodes<'_, S> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let nodes = indexes.iter().map(|index| {
            let (level, number) = tlog_tiles::split_stored_hash_index(*index);
            self.node(Subtree { level, number }).map(tlog_tiles::Hash)
        });
        nodes.collect::<Result<_, _>>().map_err(|fault| {
            self.fault.replace(Some(fault));
            tlog_tiles::Error::InvalidTile
        })
    }
}
