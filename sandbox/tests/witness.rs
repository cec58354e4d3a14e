//! The witness over HTTP: what it cosigns, what it declines and how, and that it forgets nothing.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sandbox::http::{HttpAnswer, HttpClient, HttpSettings};
use sandbox::witness::{Witness, WitnessFault, WitnessSettings};
use signed_note::{Note, Signature, StandardSigner, key_id};
use tlog_tiles::{Checkpoint, EMPTY_HASH, Hash, HashReader, prove_tree, split_stored_hash_index, stored_hash_index, tree_hash};

const ORIGIN: &str = "ra.example/log";

/// A log of leaves that are told apart by their index, and by `story` from those of other logs.
struct Log {
    signer: StandardSigner,
    vkey: String,
    story: u8,
}

/// A tree, each hash worked out when it is asked for.
struct Tree(u8);

impl HashReader for Tree {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.node(split_stored_hash_index(*index))).collect())
    }
}

impl Tree {
    fn node(&self, (level, number): (u8, u64)) -> Hash {
        assert!(stored_hash_index(level, number) < u64::MAX);
        match level {
            0 => tlog_tiles::record_hash(&[[self.0].as_slice(), &number.to_be_bytes()].concat()),
            _ => tlog_tiles::node_hash(self.node((level - 1, 2 * number)), self.node((level - 1, 2 * number + 1))),
        }
    }
}

impl Log {
    fn new(story: u8) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let public_key = [[1].as_slice(), pair.public_key().as_ref()].concat();
        let id = key_id(ORIGIN, &public_key);
        let secret = STANDARD.encode([[1].as_slice(), &[7; 32]].concat());
        let signer = StandardSigner::new(&format!("PRIVATE+KEY+{ORIGIN}+{id:08x}+{secret}")).unwrap();
        Self { signer, vkey: format!("{ORIGIN}+{id:08x}+{}", STANDARD.encode(public_key)), story }
    }

    fn text(&self, size: u64) -> Vec<u8> {
        let root = tree_hash(size, &Tree(self.story)).unwrap();
        Checkpoint::new(ORIGIN, size, root, "").unwrap().to_bytes()
    }

    fn sign(&self, text: &[u8]) -> String {
        let mut note = Note::new(text, &[]).unwrap();
        note.add_sigs(&[&self.signer]).unwrap();
        String::from_utf8(note.to_bytes()).unwrap()
    }

    fn proof(&self, old: u64, new: u64) -> String {
        let hashes = if old == 0 { Vec::new() } else { prove_tree(new, old, &Tree(self.story)).unwrap() };
        hashes.iter().map(|hash| format!("{hash}\n")).collect()
    }

    fn submission(&self, old: u64, new: u64) -> String {
        format!("old {old}\n{}\n{}", self.proof(old, new), self.sign(&self.text(new)))
    }
}

fn settings(directory: &Path, log: &Log) -> WitnessSettings {
    WitnessSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        directory: directory.to_owned(),
        name: "witness.example/test".to_owned(),
        logs: vec![log.vkey.clone()],
    }
}

fn post(witness: &Witness, body: &str) -> HttpAnswer {
    let client = HttpClient::new(&HttpSettings::default()).unwrap();
    client.post(&format!("{}/add-checkpoint", witness.url()), &[], "text/plain", body.as_bytes()).unwrap()
}

fn monitor(witness: &Witness, path: &str) -> HttpAnswer {
    HttpClient::new(&HttpSettings::default()).unwrap().get(&format!("{}/{path}", witness.url()), &[]).unwrap()
}

/// Where monitors ask: the SHA-256 of the origin, in hexadecimal.
fn origin_path() -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, ORIGIN.as_bytes());
    format!("{}/checkpoint", hex::encode(hash))
}

/// Verifies a cosignature line by the witness's verifier key, as the text says.
fn holds(line: &str, vkey: &str, text: &[u8]) -> bool {
    let [name, id, key] = vkey.splitn(3, '+').collect::<Vec<_>>().try_into().unwrap();
    let key = STANDARD.decode(key).unwrap();
    assert_eq!((key[0], id), (4, format!("{:08x}", key_id(name, &key)).as_str()));
    let signature = Signature::from_bytes(line.trim_end_matches('\n').as_bytes()).unwrap();
    assert_eq!((signature.name(), signature.id()), (name, key_id(name, &key)));
    let (seconds, signature) = signature.signature().split_first_chunk().unwrap();
    let seconds = u64::from_be_bytes(*seconds);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(now.abs_diff(seconds) < 60);
    let message = [format!("cosignature/v1\ntime {seconds}\n").as_bytes(), text].concat();
    UnparsedPublicKey::new(&ED25519, &key[1..]).verify(&message, signature).is_ok()
}

#[test]
fn a_checkpoint_that_follows_is_cosigned_and_kept() {
    let (directory, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    let witness = Witness::start(&settings(directory.path(), &log)).unwrap();
    assert_eq!(monitor(&witness, &origin_path()).status, 404);
    let mut old = 0;
    for new in [0, 1, 5, 8, 8, 300, 1000] {
        let answer = post(&witness, &log.submission(old, new));
        assert_eq!(answer.status, 200, "{old} to {new}: {}", String::from_utf8_lossy(&answer.body));
        let line = String::from_utf8(answer.body).unwrap();
        assert!(holds(&line, &witness.vkey(), &log.text(new)) && line.ends_with('\n'));
        assert!(!holds(&line, &witness.vkey(), &log.text(new + 1)));

        let kept = monitor(&witness, &origin_path());
        assert_eq!((kept.status, kept.body), (200, format!("{}{line}", log.sign(&log.text(new))).into_bytes()));
        old = new;
    }
    assert_eq!(monitor(&witness, &format!("{}/checkpoint", "0".repeat(64))).status, 404);
    assert_eq!(witness.checkpoint("other.example/log"), None);
}

#[test]
fn what_does_not_follow_is_declined_as_the_text_says() {
    let (directory, log, other_story) = (tempfile::tempdir().unwrap(), Log::new(0), Log::new(1));
    let witness = Witness::start(&settings(directory.path(), &log)).unwrap();
    assert_eq!(post(&witness, &log.submission(0, 10)).status, 200);
    let kept = witness.checkpoint(ORIGIN);

    let conflict = post(&witness, &log.submission(0, 20));
    assert_eq!((conflict.status, conflict.content_type.as_str(), conflict.body.as_slice()), (409, "text/x.tlog.size", b"10\n".as_slice()));
    assert_eq!(post(&witness, &log.submission(5, 20)).status, 409);

    let (good, signed) = (log.submission(10, 20), log.sign(&log.text(20)));
    let empty = Checkpoint::new(ORIGIN, 0, Hash([1; 32]), "").unwrap().to_bytes();
    let elsewhere = Checkpoint::new("other.example/log", 20, EMPTY_HASH, "").unwrap().to_bytes();
    let unsigned = String::from_utf8(log.text(20)).unwrap();
    let foreign = Note::new(&log.text(20), &[Signature::new("someone.example".to_owned(), 5, vec![1; 64]).unwrap()]).unwrap();
    for (status, body) in [
        (422, other_story.submission(10, 20)),
        (422, other_story.submission(10, 10)),
        (422, format!("old 10\n\n{signed}")),
        (422, format!("old 10\n{}{}\n\n{signed}", log.proof(10, 20), STANDARD.encode([0; 32]))),
        (422, format!("old 10\n{}\n{}", log.proof(10, 20), log.sign(&log.text(21)))),
        (400, log.submission(10, 10).replacen("old 10", "old 11", 1)),
        (404, format!("old 10\n\n{}", log.sign(&elsewhere))),
        (403, good.replacen("— ra.example/log ", "— rb.example/log ", 1)),
        (403, format!("old 10\n{}\n{}", log.proof(10, 20), String::from_utf8(foreign.to_bytes()).unwrap())),
        (403, format!("old 10\n{}\n{}", log.proof(10, 20), signed.replacen("\n20\n", "\n21\n", 1))),
        (400, format!("old 10\n\n{unsigned}")),
        (400, String::new()),
        (400, "old 10\n\n".to_owned()),
        (400, good.replacen("old 10", "old 010", 1)),
        (400, good.replacen("old 10", "old +10", 1)),
        (400, good.replacen("old 10", "old -1", 1)),
        (400, good.replacen("old 10", "old 18446744073709551616", 1)),
        (400, good.replacen("old 10\n", "old 10\nAAAA\n", 1)),
        (400, good.replacen("old 10\n", &format!("old 10\n{}", format!("{}\n", STANDARD.encode([0; 32])).repeat(63)), 1)),
        (400, format!("old 10\n\n{}", log.sign(b"ra.example/log\nmany\n\n"))),
    ] {
        let answer = post(&witness, &body);
        assert_eq!(answer.status, status, "{body}\n{}", String::from_utf8_lossy(&answer.body));
    }
    let client = HttpClient::new(&HttpSettings::default()).unwrap();
    let url = format!("{}/add-checkpoint", witness.url());
    assert_eq!(client.post(&url, &[], "text/plain", &[0xff; 100]).unwrap().status, 400);
    assert_eq!(client.post(&url, &[], "text/plain", &vec![b'a'; 1 << 20]).unwrap().status, 413);
    assert_eq!(witness.checkpoint(ORIGIN), kept);

    // A log that began without leaves must say so by the hash of nothing.
    let directory = tempfile::tempdir().unwrap();
    let fresh = Witness::start(&settings(directory.path(), &log)).unwrap();
    assert_eq!(post(&fresh, &format!("old 0\n\n{}", log.sign(&empty))).status, 422);
    assert_eq!(post(&fresh, &format!("old 0\n{}\n\n{signed}", STANDARD.encode([0; 32]))).status, 422);
    assert_eq!(post(&fresh, &log.submission(5, 20)).body, b"0\n");
    assert_eq!(post(&fresh, &good.replacen("old 10", "old 18446744073709551615", 1)).status, 400);
}

#[test]
fn a_witness_that_starts_again_remembers_and_one_whose_record_is_damaged_does_not_start() {
    let (directory, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    let settings = settings(directory.path(), &log);
    let witness = Witness::start(&settings).unwrap();
    assert_eq!(post(&witness, &log.submission(0, 10)).status, 200);
    let (vkey, kept) = (witness.vkey(), witness.checkpoint(ORIGIN));
    assert!(matches!(Witness::start(&settings), Err(WitnessFault::Running(_))));
    drop(witness);

    let witness = Witness::start(&settings).unwrap();
    assert_eq!((witness.vkey(), witness.checkpoint(ORIGIN)), (vkey, kept));
    assert_eq!(post(&witness, &log.submission(0, 5)).body, b"10\n");
    assert_eq!(post(&witness, &log.submission(10, 11)).status, 200);
    drop(witness);

    let record = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    let record = record.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "checkpoint")).unwrap();
    let text = std::fs::read_to_string(&record).unwrap();
    let without_own = text.split_inclusive('\n').filter(|line| !line.contains("witness.example")).collect::<String>();
    for damaged in ["", &text[..text.len() / 2], &text.replacen("\n11\n", "\n10\n", 1), &without_own] {
        std::fs::write(&record, damaged).unwrap();
        assert!(matches!(Witness::start(&settings), Err(WitnessFault::Record(_))), "{damaged}");
    }
    std::fs::write(&record, &text).unwrap();
    assert!(Witness::start(&settings).is_ok());
    let nameless = WitnessSettings { name: "a name".to_owned(), ..settings.clone() };
    assert!(matches!(Witness::start(&nameless), Err(WitnessFault::Name(_))));
    let keyless = WitnessSettings { logs: vec!["ra.example/log".to_owned()], ..settings };
    assert!(matches!(Witness::start(&keyless), Err(WitnessFault::LogKey(_))));
}

#[test]
fn of_those_that_come_at_once_from_one_size_one_is_cosigned() {
    let (directory, log) = (tempfile::tempdir().unwrap(), Log::new(0));
    let witness = Witness::start(&settings(directory.path(), &log)).unwrap();
    assert_eq!(post(&witness, &log.submission(0, 10)).status, 200);
    let bodies: Vec<String> = (11..19).map(|new| log.submission(10, new)).collect();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let threads: Vec<_> = bodies.iter().map(|body| scope.spawn(|| post(&witness, body).status)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
}
