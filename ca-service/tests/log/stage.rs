//! A store, a log key and a tile directory, and the judge of all three.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use audit_log::{Checkpoint, Commitment, CompactRange, Content, LogKey, Salt, SignedCheckpoint, TileDirectory, TileSource, tree_root};
use ca_core::clock::{Clock, SystemClock};
use ca_service::{LogKeeper, LogParts, LogSettings, WitnessPace, WitnessSettings};
use chrono::TimeDelta;
use schema::lease::Lease;
use schema::log::{LeafContent, LogHead, LogIdentity};
use schema::testing::TestDatabase;
use schema::{Database, EventKind, NewEvent, Reader, StoreFault};
use secrecy::SecretString;
use serde_json::json;
use tempfile::TempDir;

pub(crate) const ORIGIN: &str = "ra.test/log";

/// What a log is kept with, besides the store.
pub(crate) struct Stage {
    home: TempDir,
    passphrase: SecretString,
    pub(crate) witnesses: Vec<WitnessSettings>,
    pub(crate) pace: WitnessPace,
}

/// Whoever answers is waited for on any machine, and whoever does not is not asked again in the same test.
const PACE: WitnessPace =
    WitnessPace { patience: Duration::from_secs(30), rest_first: Duration::from_secs(3_600), rest_longest: Duration::from_secs(3_600) };

impl Stage {
    /// A key and an empty directory.
    pub(crate) fn new() -> Self {
        let (home, passphrase) = (tempfile::tempdir().unwrap(), SecretString::from("a passphrase"));
        LogKey::generate(ORIGIN).unwrap().save(&home.path().join("log.key.pem"), &passphrase).unwrap();
        Self { home, passphrase, witnesses: Vec::new(), pace: PACE }
    }

    pub(crate) fn key(&self) -> LogKey {
        LogKey::open(&self.home.path().join("log.key.pem"), ORIGIN, &self.passphrase).unwrap()
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.home.path().join("log")
    }

    pub(crate) fn tiles(&self) -> TileDirectory {
        TileDirectory::new(self.directory())
    }

    /// Lets the log of this store begin.
    pub(crate) fn begin(&self, store: &TestDatabase) {
        let key = self.key();
        let identity = LogIdentity { origin: ORIGIN.to_owned(), verifier_key: key.verifier().vkey() };
        store.writer().write(move |tx| tx.begin_log(&identity, SystemClock.now())).map(drop).unwrap();
    }

    /// What a process has that keeps it.
    pub(crate) fn keeper(&self, database: &Database) -> LogKeeper {
        let settings = LogSettings { witnesses: self.witnesses.clone(), ..LogSettings::default() };
        LogKeeper::new(LogParts {
            key: Arc::new(self.key()),
            directory: self.tiles(),
            reader: database.reader(),
            writer: database.writer(),
            wake: database.wake(),
            clock: Arc::new(SystemClock),
            settings,
            pace: self.pace,
        })
        .unwrap()
    }

    /// The checkpoint that is published, verified.
    pub(crate) fn published(&self) -> Option<SignedCheckpoint> {
        self.tiles().checkpoint().unwrap().map(|note| Checkpoint::verify(&note, self.key().verifier()).unwrap())
    }

    /// What must be true whenever everything is done: each event has one leaf, in order; the leaves make the tree; the note is of it; the
    /// directory has what the store has.
    pub(crate) fn judge(&self, reader: &Reader) {
        let head = whole_tree(reader);
        assert_eq!(reader.position().unwrap(), head.position, "an event has no leaf");
        let note = head.note.expect("a note");
        let signed = Checkpoint::verify(&note.text, self.key().verifier()).unwrap();
        assert_eq!((signed.size(), *signed.root()), (head.size, head.root));
        let published = self.published().expect("a published checkpoint");
        assert_eq!(published.note(), note.text);
        let tiles = self.tiles();
        assert_eq!(tree_root(&tiles, head.size).unwrap(), head.root);
        let count = usize::try_from(head.size).unwrap();
        let stored = reader.log_commitments(0, u32::try_from(count).unwrap()).unwrap();
        let entries: Vec<[u8; 32]> = tiles.commitments(0, count).unwrap().into_iter().map(|entry| entry.0).collect();
        assert_eq!(entries, stored);
    }
}

/// The tree recomputed from events and salts alone, which must be the committed one.
pub(crate) fn whole_tree(reader: &Reader) -> LogHead {
    let head = reader.log_head().unwrap();
    let mut tree = CompactRange::empty(0);
    let mut position = 0;
    reader
        .log_records(0, u64::MAX >> 1, |record| -> Result<(), StoreFault> {
            let LeafContent::Present { event, salt } = record.content else { panic!("leaf {} is not there", record.leaf) };
            position += 1;
            assert_eq!((record.leaf, event.position.0), (tree.to(), position), "leaves follow events one by one");
            let content = Content {
                application: event.application.map(|id| id.0),
                at: event.at,
                certificate: event.certificate.map(|id| id.0),
                data: event.data,
                kind: event.kind,
                position: event.position.0,
            };
            let commitment = Commitment::of(&Salt(salt), &content.text());
            assert_eq!(commitment.0, record.commitment, "leaf {} commits to something else", record.leaf);
            tree.push(commitment.leaf_hash());
            Ok(())
        })
        .unwrap();
    assert_eq!((tree.to(), tree.root().unwrap(), position), (head.size, head.root, head.position.0));
    head
}

/// So many events more, in one transaction.
pub(crate) fn events(database: &Database, count: u32) {
    let emit = move |tx: &mut schema::Transaction<'_>| -> Result<(), StoreFault> {
        for number in 0..count {
            tx.emit(NewEvent::new(EventKind::CardEventReceived, SystemClock.now(), json!({"number": number, "channel": "push"})));
        }
        Ok(())
    };
    database.writer().write(emit).unwrap();
}

/// The lead, for that owner: whoever had it for an earlier term loses it.
pub(crate) fn lead(database: &Database, owner: &'static str, term: i64) -> Lease {
    let now = SystemClock.now() + TimeDelta::days(term);
    let taken = database.writer().write(move |tx| tx.acquire_lease("ca", owner, now, TimeDelta::seconds(15)));
    taken.unwrap().expect("the lead")
}

/// Everything that is to be done, once.
pub(crate) fn keep(keeper: &LogKeeper, lease: &Lease) {
    while keeper.sequence(lease).unwrap() > 0 {}
    keeper.sign(lease).unwrap();
    keeper.publish(lease).unwrap();
}
