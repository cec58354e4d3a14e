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

#[cfg(test)]
mod tests {
    use ct_merkle::{ConsistencyProof, InclusionProof};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;
    use crate::memory::{Memory, reference};

    fn output(hash: &Hash) -> sha2::digest::Output<Sha256> {
        (*hash).into()
    }

    proptest! {
        #[test]
        fn inclusion_is_proved_as_another_does_and_judged_alike(size in 1_u64..1500, leaf: prop::sample::Index, flip: (prop::sample::Index, u8)) {
            let (memory, edge) = Memory::of(size);
            let (index, root) = (leaf.index(usize::try_from(size).unwrap()), edge.root());
            let (leaf, entry) = (index as u64, memory.entries[index]);
            let tree = reference(&memory.entries);
            let proof = inclusion_proof(&memory, leaf, size).unwrap();
            let theirs = tree.prove_inclusion(index);
            prop_assert_eq!(proof.as_flattened(), theirs.as_bytes());
            prop_assert_eq!(verify_inclusion(&proof, leaf, &entry.leaf_hash(), size, &root), Ok(()));
            let theirs = InclusionProof::<Sha256>::from_digests(proof.iter().map(output).collect::<Vec<_>>().iter());
            prop_assert!(tree.root().verify_inclusion(&entry.0, leaf, &theirs).is_ok());

            // For another leaf, another tree, with a hash more or less, or another: it does not hold.
            let wrong = Err(ProofRefusal::Wrong);
            prop_assert_eq!(verify_inclusion(&proof, leaf, &node_hash(&root, &root), size, &root), wrong);
            prop_assert_eq!(verify_inclusion(&proof, leaf, &entry.leaf_hash(), size, &entry.0), wrong);
            prop_assert_eq!(verify_inclusion(&[proof.clone(), vec![root]].concat(), leaf, &entry.leaf_hash(), size, &root), wrong);
            prop_assert_eq!(verify_inclusion(&proof, size, &entry.leaf_hash(), size, &root), Err(ProofRefusal::Bounds));
            if !proof.is_empty() {
                prop_assert_eq!(verify_inclusion(&proof[1..], leaf, &entry.leaf_hash(), size, &root), wrong);
                let mut other = proof;
                let place = flip.0.index(other.len());
                other[place][usize::from(flip.1 % 32)] ^= 1 << (flip.1 / 32);
                prop_assert_eq!(verify_inclusion(&other, leaf, &entry.leaf_hash(), size, &root), wrong);
            }
        }

        #[test]
        fn consistency_is_proved_as_another_does_and_judged_alike(old in 0_u64..1200, more in 0_u64..600, flip: (prop::sample::Index, u8)) {
            let (memory, edge) = Memory::of(old + more);
            let (new, new_root) = (edge.size(), edge.root());
            let old_root = tree_root(&memory, old).unwrap();
            let proof = consistency_proof(&memory, old, new).unwrap();
            prop_assert_eq!(verify_consistency(&proof, old, &old_root, new, &new_root), Ok(()));
            if old > 0 {
                let tree = reference(&memory.entries);
                let theirs = tree.prove_consistency(usize::try_from(more).unwrap());
                prop_assert_eq!(proof.as_flattened(), theirs.as_bytes());
                let earlier = reference(&memory.entries[..usize::try_from(old).unwrap()]).root();
                let ours = ConsistencyProof::<Sha256>::from_digests(proof.iter().map(output).collect::<Vec<_>>().iter());
                prop_assert!(tree.root().verify_consistency(&earlier, &ours).is_ok());
            }
            let wrong = Err(ProofRefusal::Wrong);
            prop_assert_eq!(verify_consistency(&[proof.clone(), vec![new_root]].concat(), old, &old_root, new, &new_root), wrong);
            prop_assert_eq!(verify_consistency(&proof, old, &node_hash(&old_root, &old_root), new, &new_root), wrong);
            if old < new {
                prop_assert_eq!(verify_consistency(&proof, new, &new_root, old, &old_root), Err(ProofRefusal::Bounds));
            }
            if !proof.is_empty() {
                let mut other = proof;
                let place = flip.0.index(other.len());
                other[place][usize::from(flip.1 % 32)] ^= 1 << (flip.1 / 32);
                prop_assert_eq!(verify_consistency(&other, old, &old_root, new, &new_root), wrong);
            }
        }

        #[test]
        fn no_proof_makes_the_judges_panic(
            proof in prop::collection::vec(any::<Hash>(), 0..70), sizes: [u64; 2], shift in 0_u32..64, hashes: [Hash; 2],
        ) {
            let [a, b] = sizes.map(|size| size >> shift);
            let _ = verify_inclusion(&proof, a, &hashes[0], b, &hashes[1]);
            let _ = verify_consistency(&proof, a, &hashes[0], b, &hashes[1]);
        }

        #[test]
        fn nodes_of_a_range_are_those_that_its_leaves_give(size in 0_u64..1500, bounds: [prop::sample::Index; 2]) {
            let (memory, _) = Memory::of(size);
            let mut bounds = bounds.map(|bound| bound.index(usize::try_from(size).unwrap() + 1));
            bounds.sort_unstable();
            let [from, to] = bounds;
            let mut range = crate::CompactRange::empty(from as u64);
            memory.entries[from..to].iter().for_each(|entry| range.push(entry.leaf_hash()));
            prop_assert_eq!(range_nodes(&memory, from as u64, to as u64).unwrap(), range.nodes());
        }
    }

    #[test]
    fn what_the_source_has_not_cannot_be_proved() {
        let (memory, _) = Memory::of(300);
        assert!(matches!(inclusion_proof(&memory, 5, 301), Err(TileFault::Absent(_))));
        assert!(matches!(inclusion_proof(&memory, 300, 300), Err(TileFault::TooLarge { size: 301 })));
        assert!(matches!(consistency_proof(&memory, 301, 300), Err(TileFault::TooLarge { size: 301 })));
        assert!(matches!(consistency_proof(&memory, 1, u64::MAX), Err(TileFault::TooLarge { .. })));
        assert!(matches!(range_nodes(&memory, 0, 100_000), Err(TileFault::Absent(_))));
    }

    #[test]
    fn the_empty_tree_is_the_beginning_of_every_tree() {
        let (memory, edge) = Memory::of(7);
        assert_eq!(consistency_proof(&memory, 0, 7).unwrap(), [[0; 32]; 0]);
        assert_eq!(verify_consistency(&[], 0, &EMPTY_ROOT, 7, &edge.root()), Ok(()));
        assert_eq!(verify_consistency(&[], 0, &[0; 32], 7, &edge.root()), Err(ProofRefusal::Wrong));
        assert_eq!(tree_root(&memory, 0).unwrap(), EMPTY_ROOT);
    }
}
