use proptest::prelude::*;

use super::*;
use crate::memory::{Memory, commitments, signed};
use crate::proof::{consistency_proof, inclusion_proof, verify_inclusion};
use crate::{Edge, LogKey, NoteRefusal};

/// A log in a directory, with its key and what it was made of.
struct Published {
    directory: tempfile::TempDir,
    memory: Memory,
    edge: Edge,
    key: LogKey,
}

impl Published {
    fn of(size: u64) -> Self {
        let (memory, edge) = Memory::of(size);
        let (key, checkpoint) = signed(&edge);
        let published = Self { directory: tempfile::tempdir().unwrap(), memory, edge, key };
        published.tiles().publish(&published.memory, &checkpoint).unwrap();
        published
    }

    fn tiles(&self) -> TileDirectory {
        TileDirectory::new(self.directory.path().join("log"))
    }

    fn grow(&mut self, count: u64) -> Result<(), TileFault> {
        let added = commitments(self.edge.size(), count);
        self.memory.append(&added, self.edge.append(&added));
        let checkpoint = self.key.sign_checkpoint(self.edge.size(), self.edge.root()).unwrap();
        self.tiles().publish(&self.memory, &checkpoint)
    }

    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let mut ahead = vec![self.tiles().path().to_owned()];
        while let Some(path) = ahead.pop() {
            if path.is_dir() {
                ahead.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                files.push(path.strip_prefix(self.tiles().path()).unwrap().to_str().unwrap().to_owned());
            }
        }
        files.sort_unstable();
        files
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn what_was_written_has_the_roots_of_all_checkpoints(growth in prop::collection::vec(0_u64..900, 1..5), leaf: prop::sample::Index) {
        let mut published = Published::of(1);
        let mut roots = Vec::new();
        for count in growth {
            published.grow(count).unwrap();
            roots.push((published.edge.size(), published.edge.root()));
        }
        let (tiles, size) = (published.tiles(), published.edge.size());
        for (size, root) in roots {
            prop_assert_eq!(tree_root(&tiles, size).unwrap(), root);
            prop_assert_eq!(Edge::load(&tiles, size).unwrap().root(), root);
        }
        prop_assert_eq!(tiles.commitments(0, published.memory.entries.len()).unwrap(), published.memory.entries.clone());
        let leaf = leaf.index(published.memory.entries.len());
        prop_assert_eq!(tiles.commitments(leaf as u64, 1).unwrap(), published.memory.entries[leaf..=leaf].to_vec());
        let proof = inclusion_proof(&tiles, leaf as u64, size).unwrap();
        let hash = published.memory.entries[leaf].leaf_hash();
        prop_assert_eq!(verify_inclusion(&proof, leaf as u64, &hash, size, &published.edge.root()), Ok(()));
        prop_assert_eq!(consistency_proof(&tiles, 1, size).unwrap(), consistency_proof(&published.memory, 1, size).unwrap());
    }
}

#[test]
fn files_are_named_as_the_text_has_them() {
    let mut published = Published::of(70_000);
    let files = published.files();
    let named = |name: &str| files.iter().any(|file| file == name);
    assert!(["checkpoint", "tile/0/272", "tile/0/273.p/112", "tile/entries/273.p/112", "tile/1/000"].into_iter().all(named), "{files:?}");
    assert!(["tile/1/001.p/17", "tile/2/000.p/1"].into_iter().all(named), "{files:?}");
    assert_eq!(files.iter().filter(|file| file.starts_with("tile/")).count(), 2 * 274 + 3);
    // What is full has no narrower forms any more; they are cut from the full one.
    published.grow(144).unwrap();
    let files = published.files();
    assert!(!files.iter().any(|file| file.starts_with("tile/0/273.p")), "{files:?}");
    let path = TilePath::parse("tile/0/273.p/112").unwrap();
    assert_eq!(published.tiles().read(path).unwrap().unwrap(), published.memory.tile(0, 273, 112).unwrap());
    assert_eq!(published.tiles().read(TilePath::parse("tile/0/274").unwrap()).unwrap(), None);
    assert_eq!(published.tiles().read(TilePath::parse("tile/2/000.p/2").unwrap()).unwrap(), None);
}

#[test]
fn what_is_there_is_never_written_over_by_another_tree() {
    let mut published = Published::of(600);
    let note = published.tiles().checkpoint().unwrap().unwrap();
    // A smaller tree.
    let (memory, edge) = Memory::of(599);
    let checkpoint = published.key.sign_checkpoint(599, edge.root()).unwrap();
    assert!(matches!(published.tiles().publish(&memory, &checkpoint), Err(TileFault::Ahead { there: 600, offered: 599 })));
    // Another tree, of the same size and larger.
    for size in [600, 800] {
        let (mut other, mut edge, entries) = (Memory::default(), Edge::empty(), commitments(1, size));
        other.append(&entries, edge.append(&entries));
        let checkpoint = published.key.sign_checkpoint(size, edge.root()).unwrap();
        assert!(matches!(published.tiles().publish(&other, &checkpoint), Err(TileFault::Forked { size: 600 })));
    }
    assert_eq!(published.tiles().checkpoint().unwrap().unwrap(), note);
    // What lies where a tile is to go must be that tile.
    fs::write(published.tiles().path().join("tile/0/002.p/89"), [0; 89 * 32]).unwrap();
    assert!(matches!(published.grow(1), Err(TileFault::Differs(path)) if path.to_string() == "tile/0/002.p/89"));
    assert_eq!(published.tiles().checkpoint().unwrap().unwrap(), note);
}

#[test]
fn a_checkpoint_of_the_same_tree_replaces_the_other() {
    let published = Published::of(5);
    let cosigned = published.tiles().checkpoint().unwrap().unwrap() + "— witness.example/w1 AAAAAAAA\n";
    let checkpoint = Checkpoint::verify(&cosigned, published.key.verifier()).unwrap();
    published.tiles().publish(&published.memory, &checkpoint).unwrap();
    assert_eq!(published.tiles().checkpoint().unwrap().unwrap(), cosigned);
}

#[test]
fn what_was_stopped_half_way_is_completed() {
    let mut published = Published::of(300);
    let note = published.tiles().checkpoint().unwrap().unwrap();
    published.grow(500).unwrap();
    // As if it had been stopped before the checkpoint, with one tile not yet written and one only begun.
    fs::write(published.tiles().path().join(CHECKPOINT), note).unwrap();
    fs::remove_file(published.tiles().path().join("tile/entries/002")).unwrap();
    fs::write(published.tiles().path().join(INCOMING), [1; 100]).unwrap();
    let narrower = published.tiles().path().join("tile/0/001.p");
    fs::create_dir(&narrower).unwrap();
    fs::write(narrower.join("44"), [1; 44 * 32]).unwrap();
    published.grow(10).unwrap();
    assert!(!narrower.exists());
    assert_eq!(tree_root(&published.tiles(), 810).unwrap(), published.edge.root());
    assert_eq!(published.tiles().commitments(0, 810).unwrap(), published.memory.entries);
}

#[test]
fn damaged_files_are_faults_or_show_in_the_root() {
    let published = Published::of(600);
    let tiles = published.tiles();
    let (path, file) = (TilePath::parse("tile/0/001").unwrap(), tiles.path().join("tile/0/001"));
    let good = fs::read(&file).unwrap();
    for octets in [&good[..good.len() - 1], &good[..32], &[][..], &[good.as_slice(), &[0]].concat()] {
        fs::write(&file, octets).unwrap();
        assert!(matches!(tiles.read(path), Err(TileFault::Damaged(damaged)) if damaged == path));
        assert!(tree_root(&tiles, 300).is_err());
    }
    let mut swapped = good.clone();
    swapped[..64].rotate_left(32);
    fs::write(&file, swapped).unwrap();
    assert_ne!(tree_root(&tiles, 300).unwrap(), tree_root(&published.memory, 300).unwrap());
    fs::write(&file, good).unwrap();

    let bundle = tiles.path().join("tile/entries/001");
    let mut octets = fs::read(&bundle).unwrap();
    octets[1] = 31;
    fs::write(&bundle, octets).unwrap();
    assert!(matches!(tiles.commitments(0, 600), Err(TileFault::Damaged(_))));
    assert!(matches!(tiles.commitments(0, 601), Err(TileFault::Damaged(_) | TileFault::Absent(_))));
    assert!(matches!(tiles.commitments(512, 89), Err(TileFault::Absent(_))));

    let checkpoint = published.key.sign_checkpoint(600, published.edge.root()).unwrap();
    fs::write(tiles.path().join(CHECKPOINT), "nothing\n").unwrap();
    assert!(matches!(tiles.publish(&published.memory, &checkpoint), Err(TileFault::Checkpoint(NoteRefusal::Malformed))));
    fs::write(tiles.path().join(CHECKPOINT), [0xff; 10]).unwrap();
    assert!(matches!(tiles.checkpoint(), Err(TileFault::Checkpoint(NoteRefusal::Malformed))));
}

#[test]
fn a_log_without_leaves_has_a_checkpoint_alone() {
    let published = Published::of(0);
    assert_eq!(published.files(), [LOCK, CHECKPOINT]);
    assert_eq!(TileDirectory::new(published.directory.path().join("other")).checkpoint().unwrap(), None);
}
