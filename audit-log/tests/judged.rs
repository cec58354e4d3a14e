//! A log in a directory, judged by those who share no line with what wrote it: a script in Python (scripts/verify-log) and the crate
//! ct-merkle.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use audit_log::hash::sha256;
use audit_log::{
    Commitment, Edge, LogKey, StoredTiles, TileDirectory, TilePath, TileSource, TlogProof, consistency_proof, inclusion_proof, tree_root,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof};
use sha2::Sha256;

/// A log that was published at several sizes, and the commitments that it was made of.
struct Log {
    directory: tempfile::TempDir,
    key: LogKey,
    commitments: Vec<Commitment>,
    /// The note of each size.
    notes: Vec<(u64, String)>,
}

impl Log {
    /// Appends, signs and publishes up to each of these sizes.
    fn published(sizes: &[u64]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (key, mut edge) = (LogKey::generate("ra.example/log").unwrap(), Edge::empty());
        let tiles = TileDirectory::new(directory.path().join("log"));
        let (mut commitments, mut kept, mut notes) = (Vec::new(), std::collections::BTreeMap::new(), Vec::new());
        for size in sizes {
            let added: Vec<_> = (edge.size()..*size).map(|leaf| Commitment(sha256(&leaf.to_be_bytes()))).collect();
            kept.extend(edge.append(&added).into_iter().map(|tile| ((tile.level, tile.number), tile.hashes)));
            commitments.extend(added);
            let source = StoredTiles::new(
                |first, count| {
                    let first = usize::try_from(first).unwrap();
                    let wanted = commitments.iter().skip(first).take(usize::try_from(count).unwrap());
                    Ok::<_, std::io::Error>(wanted.map(|commitment: &Commitment| commitment.0).collect())
                },
                |level, number| Ok(kept.get(&(level, number)).cloned()),
            );
            let checkpoint = key.sign_checkpoint(edge.size(), edge.root()).unwrap();
            tiles.publish(&source, &checkpoint).unwrap();
            notes.push((*size, checkpoint.note().to_owned()));
        }
        Self { directory, key, commitments, notes }
    }

    fn tiles(&self) -> TileDirectory {
        TileDirectory::new(self.directory.path().join("log"))
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn script(&self, command: &str, arguments: &[&Path]) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/verify-log");
        Command::new("python3").arg(script).args([command, &self.key.verifier().vkey()]).args(arguments).output().unwrap()
    }

    /// The script says that nothing can be judged, and why.
    fn is_asked_wrongly(&self, key: &str, log: &Path, why: &str) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/verify-log");
        let output = Command::new("python3").arg(script).args(["log", key]).arg(log).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && complaint.starts_with("verify-log: ") && complaint.contains(why), "{complaint}");
    }

    /// Whether the script says that it holds; what it says otherwise must be a sentence of its own, not a Python traceback.
    fn holds(&self, command: &str, arguments: &[&Path]) -> bool {
        let output = self.script(command, arguments);
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() != complaint.starts_with("DOES NOT HOLD: "), "{complaint}");
        output.status.success()
    }

    fn proof_holds(&self, proof: &str, entry: &Commitment) -> bool {
        self.holds("proof", &[&self.file("one.tlog-proof", proof), Path::new(&hex::encode(entry.0))])
    }

    /// Holds everything against ct-merkle, and against the script: the log, proofs of these leaves, that each size extends the one
    /// before.
    fn judge(&self, leaves: &[u64]) {
        let (tiles, (size, note)) = (self.tiles(), self.notes.last().unwrap());
        let output = self.script("log", &[tiles.path()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut tree = MemoryBackedTree::<Sha256, [u8; 32]>::new();
        self.commitments.iter().for_each(|commitment| tree.push(commitment.0));
        let (root, theirs) = (tree_root(&tiles, *size).unwrap(), tree.root());
        assert_eq!(theirs.as_bytes().as_slice(), root);
        let said = format!("holds: checkpoint, entries and tiles of {size} leaves, root {}\n", STANDARD.encode(root));
        assert_eq!(String::from_utf8(output.stdout).unwrap(), said);

        for leaf in leaves {
            let hashes = inclusion_proof(&tiles, *leaf, *size).unwrap();
            let entry = tiles.commitments(*leaf, 1).unwrap()[0];
            let judged = InclusionProof::try_from_bytes(hashes.as_flattened().to_vec()).unwrap();
            assert!(theirs.verify_inclusion(&entry.0, *leaf, &judged).is_ok());
            let proof = TlogProof { leaf: *leaf, hashes, note: note.clone() };
            assert!(self.proof_holds(&proof.text(), &entry));
        }
        for pair in self.notes.windows(2) {
            let [(old, old_note), (new, new_note)] = pair else { unreachable!() };
            let hashes = consistency_proof(&tiles, *old, *new).unwrap();
            let lines: String = hashes.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
            let (first, second, proof) = (self.file("old", old_note), self.file("new", new_note), self.file("proof", &lines));
            assert!(self.holds("consistency", &[&first, &second, &proof]), "{old} to {new}");
            assert!(!self.holds("consistency", &[&second, &first, &proof]));
            if new == size {
                let judged = ConsistencyProof::try_from_bytes(hashes.as_flattened().to_vec()).unwrap();
                let earlier = ct_merkle::RootHash::<Sha256>::new(tree_root(&tiles, *old).unwrap().into(), *old);
                assert!(theirs.verify_consistency(&earlier, &judged).is_ok());
                let cut = lines.split_once('\n').unwrap().1;
                assert!(!self.holds("consistency", &[&first, &second, &self.file("proof", cut)]));
            }
        }
    }
}

#[test]
fn small_logs_are_judged_alike() {
    for sizes in [&[1][..], &[2, 3], &[5, 255, 256], &[1, 257, 300], &[65_536, 65_537]] {
        let log = Log::published(sizes);
        let size = *sizes.last().unwrap();
        log.judge(&[0, size / 2, size - 1]);
    }
    let empty = Log::published(&[0]);
    assert!(empty.holds("log", &[empty.tiles().path()]));
}

#[test]
fn a_log_of_a_million_leaves_is_judged_alike() {
    let log = Log::published(&[1, 4_096, 333_333, 999_999, 1_000_000]);
    log.judge(&[0, 1, 255, 256, 65_535, 333_333, 524_288, 999_999]);
}

#[test]
fn whatever_is_changed_the_script_finds() {
    let log = Log::published(&[700]);
    let (tiles, vkey) = (log.tiles(), log.key.verifier().vkey());
    for name in ["checkpoint", "tile/0/000", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/188"] {
        let path = tiles.path().join(name);
        let good = std::fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        for octets in [flipped.as_slice(), &good[..good.len() - 1], &good[..34], &[], &[good.as_slice(), &good].concat()] {
            std::fs::write(&path, octets).unwrap();
            assert!(!log.holds("log", &[tiles.path()]), "{name}: {} octets", octets.len());
        }
        std::fs::remove_file(&path).unwrap();
        if name == "checkpoint" {
            log.is_asked_wrongly(&log.key.verifier().vkey(), tiles.path(), "there is no checkpoint");
        } else {
            assert!(!log.holds("log", &[tiles.path()]), "{name} removed");
        }
        std::fs::write(&path, good).unwrap();
    }
    assert!(log.holds("log", &[tiles.path()]));

    let proof = TlogProof { leaf: 5, hashes: inclusion_proof(&tiles, 5, 700).unwrap(), note: log.notes[0].1.clone() };
    let entry = log.commitments[5];
    assert!(log.proof_holds(&proof.text(), &entry));
    assert!(!log.proof_holds(&proof.text(), &log.commitments[6]));
    assert!(!log.proof_holds(&TlogProof { leaf: 6, ..proof.clone() }.text(), &entry));
    assert!(!log.proof_holds(&TlogProof { hashes: proof.hashes[1..].to_vec(), ..proof.clone() }.text(), &entry));
    assert!(!log.proof_holds(&proof.text().replacen("@v1", "@v2", 1), &entry));
    assert!(!log.proof_holds(&proof.text().replacen("\n700\n", "\n701\n", 1), &entry));
    let other = LogKey::generate("ra.example/log").unwrap().verifier().vkey();
    assert_ne!(other, vkey);
    let stranger = Log { key: LogKey::generate("ra.example/log").unwrap(), ..log };
    assert!(!stranger.holds("log", &[tiles.path()]));
}

#[test]
fn the_script_tells_what_is_asked_wrongly_from_what_does_not_hold() {
    let log = Log::published(&[3]);
    let (tiles, vkey) = (log.tiles(), log.key.verifier().vkey());
    let key_file = log.file("log.vkey", &format!("{vkey}\n"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/verify-log");
    let by_file = Command::new("python3").arg(&script).arg("log").args([&key_file, tiles.path()]).output().unwrap();
    assert!(by_file.status.success(), "{}", String::from_utf8_lossy(&by_file.stderr));

    log.is_asked_wrongly("no-such.vkey", tiles.path(), "No such file");
    log.is_asked_wrongly("ra.example/log+00000000+", tiles.path(), "no verifier key");
    log.is_asked_wrongly(&vkey.replacen('+', "x+", 1), tiles.path(), "mistyped");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    log.is_asked_wrongly(&vkey, Path::new(&format!("http://{free}/log")), "no answer");
    let (name, octets) = ("witness.example/w", [[4].as_slice(), &[7; 32]].concat());
    let id = hex::encode(&sha256(&[name.as_bytes(), b"\n", &octets].concat())[..4]);
    let witness = format!("{name}+{id}+{}", STANDARD.encode(&octets));
    log.is_asked_wrongly(&witness, tiles.path(), "a key of a witness");

    let other = LogKey::generate("other.example/log").unwrap().verifier().vkey();
    let output = Command::new("python3").arg(script).args(["log", &other]).arg(tiles.path()).output().unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("one of other.example/log: it says 'ra.example/log'"), "{complaint}");
}

#[test]
fn a_full_tile_serves_where_its_narrower_forms_are_gone() {
    let log = Log::published(&[200, 300]);
    let tiles = log.tiles();
    assert_eq!(tiles.read(TilePath::parse("tile/0/000.p/200").unwrap()).unwrap().unwrap().len(), 200 * 32);
    assert!(!tiles.path().join("tile/0/000.p").exists());
    // Whoever still holds the earlier checkpoint verifies by it.
    std::fs::write(tiles.path().join("checkpoint"), &log.notes[0].1).unwrap();
    assert!(log.holds("log", &[tiles.path()]));
}
