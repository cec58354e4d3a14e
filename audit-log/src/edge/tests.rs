use proptest::prelude::*;

use super::*;
use crate::memory::{Memory, commitments, reference_root};
use crate::proof::{range_nodes, tree_root};

proptest! {
    #[test]
    fn an_edge_has_the_root_of_all_that_was_appended(batches in prop::collection::vec(0_u64..700, 0..5)) {
        let (mut memory, mut edge) = (Memory::default(), Edge::empty());
        for batch in batches {
            let from = edge.size();
            let added = commitments(from, batch);
            memory.append(&added, edge.append(&added));
            prop_assert_eq!(edge.size(), from + batch);
            prop_assert_eq!(edge.root(), reference_root(&memory.entries));
            // What was stored gives the same edge again, and the same root.
            prop_assert_eq!(Edge::load(&memory, edge.size()).unwrap().root(), edge.root());
            prop_assert_eq!(tree_root(&memory, edge.size()).unwrap(), edge.root());
        }
        let mut again = Edge::load(&memory, edge.size()).unwrap();
        let more = commitments(edge.size(), 300);
        prop_assert_eq!(again.append(&more), edge.append(&more));
        prop_assert_eq!(again.root(), edge.root());
    }
}

#[test]
fn changed_tiles_are_whole_and_named_once() {
    let mut edge = Edge::empty();
    assert_eq!(edge.append(&commitments(0, 255)), []);
    let tiles = edge.append(&commitments(255, 2 * 65_536));
    let names: Vec<_> = tiles.iter().map(|tile| (tile.level, tile.number, tile.hashes.len() / HASH_OCTETS)).collect();
    assert_eq!(names, [(1, 0, 256), (1, 1, 256), (2, 0, 2)]);
    // A tile that was full before is not named again; one that grows is, with what it had.
    let tiles = edge.append(&commitments(131_327, 257));
    let names: Vec<_> = tiles.iter().map(|tile| (tile.level, tile.number, tile.hashes.len() / HASH_OCTETS)).collect();
    assert_eq!(names, [(1, 2, 2)]);
    let tiles = edge.append(&commitments(131_584, 256));
    assert_eq!((tiles.len(), tiles[0].number, tiles[0].hashes.len()), (1, 2, 3 * HASH_OCTETS));
}

#[test]
fn a_source_that_tells_wrong_shows_in_the_root_or_is_a_fault() {
    let (mut memory, mut edge) = (Memory::default(), Edge::empty());
    let added = commitments(0, 1000);
    memory.append(&added, edge.append(&added));
    assert!(matches!(Edge::load(&memory, 1001), Err(TileFault::Absent(_))));
    assert!(matches!(Edge::load(&memory, u64::MAX), Err(TileFault::TooLarge { .. })));
    memory.entries[999].0[0] ^= 1;
    assert_ne!(Edge::load(&memory, 1000).unwrap().root(), edge.root());
    assert!(range_nodes(&memory, 0, 1024).is_err());
}
