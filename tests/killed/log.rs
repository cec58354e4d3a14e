//! The issuance log's judge: a watcher outside, a witness, and whoever recomputes the tree from events and salts alone.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread::sleep;
use std::time::Duration;

use audit_log::{
    Checkpoint, Commitment, CompactRange, Content, Hash, LogVerifier, Salt, SignedCheckpoint, TileDirectory, TileSource, WitnessVerifier,
    consistency_proof, tree_root, verify_consistency,
};
use sandbox::http::HttpClient;
use sandbox::witness::{Witness, WitnessSettings};
use schema::log::LeafContent;
use schema::{Reader, StoreFault};

use crate::ledger::locked;
use crate::support::{Installation, until};
use crate::town::Town;

/// What the log is seen by from outside, and what was seen.
pub(crate) struct LogWatch {
    verifier: LogVerifier,
    witness: Witness,
    /// The checkpoints that were given out, by their size.
    seen: Mutex<BTreeMap<u64, Hash>>,
    /// What has been recomputed of the tree so far.
    recomputed: Mutex<CompactRange>,
}

impl LogWatch {
    /// A witness that the installation's processes will ask.
    pub(crate) fn over(installation: &mut Installation) -> Self {
        let identity = installation.reader().log_head().unwrap().identity.expect("init lets the log begin");
        let settings = WitnessSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            directory: installation.scratch().join("witness"),
            name: "witness.test/killed".to_owned(),
            logs: vec![identity.verifier_key.clone()],
        };
        let witness = Witness::start(&settings).unwrap();
        installation.set("log.witnesses", &format!("[{{url=\"{}\",key=\"{}\"}}]", witness.url(), witness.vkey()));
        let verifier = LogVerifier::parse(&identity.verifier_key).unwrap();
        Self { verifier, witness, seen: Mutex::default(), recomputed: Mutex::new(CompactRange::empty(0)) }
    }

    /// Fetches the checkpoint as anybody may, all the time: it never shrinks, and there is one tree of each size.
    pub(crate) fn watch(&self, town: &Town) {
        let http = HttpClient::new(&Default::default()).unwrap();
        let url = format!("http://{}/log/checkpoint", town.installation.status);
        let mut last = 0;
        while !town.is_closing() {
            sleep(Duration::from_millis(20));
            let Ok(answer) = http.get(&url, &[]) else { continue };
            if answer.status != 200 {
                continue;
            }
            let note = String::from_utf8(answer.body).unwrap();
            let checkpoint = Checkpoint::verify(&note, &self.verifier).unwrap_or_else(|refusal| panic!("{refusal}: {note}"));
            assert!(checkpoint.size() >= last, "the checkpoint has shrunk from {last} to {}", checkpoint.size());
            last = checkpoint.size();
            let other = locked(&self.seen).insert(last, *checkpoint.root());
            assert!(other.is_none_or(|other| other == *checkpoint.root()), "two trees of {last} leaves");
            town.ledger.count("checkpoints fetched");
        }
    }

    /// What must be true of the log at any moment: leaves and events in one order, each once, and the tree that they make is the committed one.
    #[track_caller]
    pub(crate) fn nothing_is_lost_doubled_or_reordered(&self, reader: &Reader) {
        let head = reader.log_head().unwrap();
        let mut tree = locked(&self.recomputed);
        assert!(head.size >= tree.to(), "the log has shrunk from {} to {} leaves", tree.to(), head.size);
        recompute(reader, &mut tree, head.size);
        assert_eq!(tree.root().unwrap(), head.root, "the events do not make the tree of {} leaves", head.size);
        assert_eq!(head.position.0.unsigned_abs(), head.size, "an event was passed over, or has two leaves");
        if let Some(note) = head.note {
            self.believe(&note.text, reader);
        }
    }

    /// A note of the store's own is of a tree that the store has.
    fn believe(&self, note: &str, reader: &Reader) -> SignedCheckpoint {
        let checkpoint = Checkpoint::verify(note, &self.verifier).unwrap();
        let mut tree = CompactRange::empty(0);
        let commitments = reader.log_commitments(0, u32::try_from(checkpoint.size()).unwrap()).unwrap();
        commitments.into_iter().for_each(|commitment| tree.push(Commitment(commitment).leaf_hash()));
        assert_eq!((tree.to(), tree.root().unwrap()), (checkpoint.size(), *checkpoint.root()), "the note is of another tree");
        checkpoint
    }

    /// What must be true in the end: everything is under one cosigned note, files and store have the same tree, and whatever was ever given
    /// out is a part of it.
    pub(crate) fn pass(&self, town: &Town) {
        let reader = town.installation.reader();
        let head = reader.log_head().unwrap();
        let mut tree = CompactRange::empty(0);
        recompute(&reader, &mut tree, head.size);
        assert_eq!((tree.root().unwrap(), head.position), (head.root, reader.position().unwrap()));

        let note = until("everything is under a cosigned note", || {
            let head = reader.log_head().unwrap();
            let checkpoint = Checkpoint::verify(&head.note?.text, &self.verifier).unwrap();
            let witness = WitnessVerifier::parse(&self.witness.vkey()).unwrap();
            (checkpoint.size() == head.size && checkpoint.cosigned_by(&witness).unwrap().is_some()).then_some(checkpoint)
        });
        let tiles = TileDirectory::new(town.installation.place().join("log"));
        until("it is published", || (tiles.checkpoint().unwrap()? == note.note()).then_some(()));
        assert_eq!(tree_root(&tiles, head.size).unwrap(), head.root);
        let count = usize::try_from(head.size).unwrap();
        let published = tiles.commitments(0, count).unwrap();
        let stored = reader.log_commitments(0, u32::try_from(count).unwrap()).unwrap();
        assert!(published.iter().map(|entry| entry.0).eq(stored), "the entries published are not those stored");

        let seen = locked(&self.seen);
        for (size, root) in seen.iter() {
            let proof = consistency_proof(&tiles, *size, head.size).unwrap();
            let extends = verify_consistency(&proof, *size, root, head.size, &head.root);
            assert!(extends.is_ok(), "a checkpoint of {size} leaves was given out, and is of another tree");
        }
        let cosigned = self.witness.checkpoint(self.verifier.name()).expect("the witness has cosigned");
        assert_eq!(Checkpoint::verify(&cosigned, &self.verifier).unwrap().root(), &head.root);
        eprintln!("{} leaves; {} different checkpoints were seen from outside", head.size, seen.len());
    }
}

/// Goes on from what was recomputed up to that size, from events and salts alone.
#[track_caller]
fn recompute(reader: &Reader, tree: &mut CompactRange, size: u64) {
    let found = reader.log_records(tree.to(), size - tree.to(), |record| -> Result<(), StoreFault> {
        let LeafContent::Present { event, salt } = record.content else { panic!("leaf {} is not there", record.leaf) };
        // Nothing was restored here: the first event has leaf 0, and so on.
        assert_eq!((record.leaf, event.position.0.unsigned_abs()), (tree.to(), tree.to() + 1), "leaves are not in the order of events");
        let content = Content {
            application: event.application.map(|id| id.0),
            at: event.at,
            certificate: event.certificate.map(|id| id.0),
            data: event.data,
            kind: event.kind,
            position: event.position.0,
        };
        let commitment = Commitment::of(&Salt(salt), &content.text());
        assert_eq!(commitment.0, record.commitment, "leaf {} commits to something else than its event", record.leaf);
        tree.push(commitment.leaf_hash());
        Ok(())
    });
    found.unwrap();
    assert_eq!(tree.to(), size, "leaves are missing");
}
