//! Tiles out of a database that this room does not know.

use std::error::Error;

use crate::commitment::Commitment;
use crate::hash::HASH_OCTETS;
use crate::tile::{TILE_WIDTH, TileFault, TileKind, TilePath, TileSource, leaf_tile};

/// Tiles out of a store that keeps the commitment of each leaf, and the tiles of level 1 and above, which may have grown beyond what is
/// asked for. It is asked by two functions, so that whoever has the store need not be known here.
#[derive(Debug, Clone, Copy)]
pub struct StoredTiles<C, T> {
    commitments: C,
    tiles: T,
}

impl<C, T, E> StoredTiles<C, T>
where
    C: Fn(u64, u32) -> Result<Vec<[u8; 32]>, E>,
    T: Fn(u8, u64) -> Result<Option<Vec<u8>>, E>,
    E: Error + Send + Sync + 'static,
{
    /// `commitments` gives those of the leaves from the first on, as many as there are up to the count; `tiles` the hashes of a tile by
    /// level (from 1) and index.
    pub fn new(commitments: C, tiles: T) -> Self {
        Self { commitments, tiles }
    }
}

impl<C, T, E> TileSource for StoredTiles<C, T>
where
    C: Fn(u64, u32) -> Result<Vec<[u8; 32]>, E>,
    T: Fn(u8, u64) -> Result<Option<Vec<u8>>, E>,
    E: Error + Send + Sync + 'static,
{
    fn tile(&self, level: u8, number: u64, width: u16) -> Result<Vec<u8>, TileFault> {
        let absent = || TileFault::Absent(TilePath { kind: TileKind::Hashes { level }, number, width });
        if level == 0 {
            let first = number.checked_mul(TILE_WIDTH).ok_or_else(absent)?;
            return Ok(leaf_tile(&self.commitments(first, width.into())?));
        }
        let hashes = (self.tiles)(level, number).map_err(|fault| TileFault::Source(Box::new(fault)))?;
        hashes.filter(|hashes| hashes.len() >= usize::from(width) * HASH_OCTETS).ok_or_else(absent)
    }

    fn commitments(&self, first: u64, count: usize) -> Result<Vec<Commitment>, TileFault> {
        let found =
            (self.commitments)(first, u32::try_from(count).unwrap_or(u32::MAX)).map_err(|fault| TileFault::Source(Box::new(fault)))?;
        if found.len() != count {
            let width = u16::try_from(count).unwrap_or(u16::MAX);
            return Err(TileFault::Absent(TilePath { kind: TileKind::Entries, number: first / TILE_WIDTH, width }));
        }
        Ok(found.into_iter().map(Commitment).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::Edge;
    use crate::proof::{inclusion_proof, verify_inclusion};

    #[derive(Debug, thiserror::Error)]
    #[error("gone")]
    struct Gone;

    #[test]
    fn proofs_are_made_of_what_a_store_keeps() {
        let commitments: Vec<Commitment> = (0..70_000_u32).map(|leaf| Commitment(crate::hash::sha256(&leaf.to_be_bytes()))).collect();
        let mut edge = Edge::empty();
        let tiles = edge.append(&commitments);
        let source = StoredTiles::new(
            |first, count| Ok::<_, Gone>(commitments.iter().skip(first as usize).take(count as usize).map(|one| one.0).collect()),
            |level, number| Ok(tiles.iter().find(|tile| tile.level == level && tile.number == number).map(|tile| tile.hashes.clone())),
        );
        for leaf in [0, 255, 256, 65_535, 65_536, 69_999] {
            let proof = inclusion_proof(&source, leaf, 70_000).unwrap();
            let hash = commitments[leaf as usize].leaf_hash();
            verify_inclusion(&proof, leaf, &hash, 70_000, &edge.root()).unwrap();
        }
        assert!(matches!(source.tile(2, 1, 1), Err(TileFault::Absent(_))));
        assert!(matches!(source.tile(1, 1, 18), Err(TileFault::Absent(_))), "it has 17");
        assert!(matches!(source.tile(0, 273, 113), Err(TileFault::Absent(_))), "it has 112");
        assert!(matches!(source.tile(0, u64::MAX, 1), Err(TileFault::Absent(_))));
        assert!(matches!(source.commitments(69_999, 2), Err(TileFault::Absent(_))));
    }

    #[test]
    fn a_fault_of_the_store_is_told() {
        let source = StoredTiles::new(|_, _| Err::<Vec<[u8; 32]>, _>(Gone), |_, _| Err(Gone));
        assert!(matches!(source.tile(1, 0, 1), Err(TileFault::Source(_))));
        assert!(matches!(source.tile(0, 0, 1), Err(TileFault::Source(_))));
    }
}
