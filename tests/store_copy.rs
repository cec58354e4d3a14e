//! An installation moves to another database: the copy is killed on the way, and the same store goes on at the other place, its log with it.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use audit_log::{Checkpoint, LogVerifier, TileDirectory, tree_root};
use ca_core::clock::{Clock as _, SystemClock};
use schema::testing::TestDatabase;
use schema::{Database, EventKind, NewEvent, OpenOptions, StoreFault, Transaction};
use serde_json::{Value, json};

use crate::support::{Installation, Process, Store, program, said, until, until_within};

fn copy_command(from: &str, to: &str) -> Command {
    let mut command = Command::new(program());
    command.args(["store", "copy", "--from", from, "--to", to, "--output", "json"]).stdin(Stdio::null()).env_remove("RUST_LOG");
    command
}

fn copy(from: &str, to: &str) -> Output {
    copy_command(from, to).output().unwrap()
}

/// More than is copied between two looks.
const EVENTS: u32 = 20_000;

fn fill(url: &str) {
    let database = Database::open(url, &OpenOptions::default()).unwrap();
    for _ in 0..EVENTS / 1_000 {
        let emit = |tx: &mut Transaction<'_>| -> Result<(), StoreFault> {
            for number in 0..1_000 {
                let data = json!({"number": number, "channel": "push", "more": "x".repeat(200)});
                tx.emit(NewEvent::new(EventKind::CardEventReceived, SystemClock.now(), data));
            }
            Ok(())
        };
        database.writer().write(emit).unwrap();
    }
}

/// How far a copy has come, as it stands in its target, once a table is there whole. Read by others, who are no process of ours.
fn progress(to: &str) -> Option<String> {
    const QUESTION: &str = "SELECT name, progress FROM store_copy ORDER BY name";
    let output = match to.strip_prefix("sqlite://") {
        Some(path) if !Path::new(path).exists() => return None,
        Some(path) => Command::new("sqlite3").args(["-readonly", path, QUESTION]).output(),
        None => Command::new("psql").args(["--no-psqlrc", "-At", "-c", QUESTION, to]).output(),
    };
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.contains("\"done\":true").then_some(text)
}

/// Moves an installation that has worked, and lets it work on.
fn moved(mut installation: Installation, to: &str) {
    installation.set("ra.limits.listener.requests_per_second", "0");
    fill(&installation.store_url());
    installation.start();
    let from = installation.store_url();
    let cards: Vec<_> = (0..6).map(|_| installation.card()).collect();
    let enrolments: Vec<_> = cards.iter().map(|card| installation.apply(card)).collect();
    let refused = copy(&from, to);
    assert_eq!(refused.status.code(), Some(6), "{}", said(&refused));
    assert!(said(&refused).contains("store_in_use"), "{}", said(&refused));
    until_within(Duration::from_secs(300), "the log is signed whole", || {
        let shown = installation.json(&["log", "show"]);
        (shown["size"].as_u64() > Some(EVENTS.into()) && shown["note"]["size"] == shown["size"]).then_some(())
    });
    installation.stop();
    let before = installation.json(&["log", "show"]);
    let certificates = installation.certificates();

    let mut reached = None;
    for _ in 0..3 {
        let mut copying = Process::start(&mut copy_command(&from, to), &installation.scratch().join("copy.log"));
        reached = until_within(Duration::from_secs(120), "the copy goes on", || {
            assert!(copying.is_running(), "it ended before it was killed: {}", copying.said());
            progress(to).filter(|there| reached.as_ref() != Some(there)).map(Some)
        });
        copying.kill();
    }
    let output = copy(&from, to);
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["resumed"], true, "{report}");
    assert_eq!((&report["log"]["size"], &report["log"]["root"]), (&before["size"], &before["root"]), "{report}");
    let rows = |table: &str| report["tables"].as_array().unwrap().iter().find(|row| row["table"] == table).unwrap()["rows"].as_u64();
    assert_eq!((rows("certificate"), rows("log_leaf")), (Some(certificates.len() as u64), before["size"].as_u64()));

    installation.set("store.url", to);
    assert_eq!(installation.certificates(), certificates);
    let report = installation.json(&["log", "check"]);
    assert_eq!((&report["sound"], &report["root"]), (&Value::Bool(true), &before["root"]), "{report}");
    installation.start();
    // An old phone's certificate ends with the new phone's, and somebody new comes.
    let again = installation.apply(&cards[0]);
    assert_ne!(again.certificates[0].serial, enrolments[0].certificates[0].serial);
    installation.apply(&installation.card());
    let verifier = LogVerifier::parse(before["verifier_key"].as_str().unwrap()).unwrap();
    let directory = TileDirectory::new(installation.place().join("log"));
    until("the log goes on", || {
        let checkpoint = Checkpoint::verify(&directory.checkpoint().unwrap()?, &verifier).unwrap();
        (Some(checkpoint.size()) > before["size"].as_u64().map(|size| size + 10)).then_some(())
    });
    let root = tree_root(&directory, before["size"].as_u64().unwrap()).unwrap();
    assert_eq!(hex::encode(root), before["root"].as_str().unwrap());
    let status = installation.json(&["restore", "status"]);
    assert_eq!((&status["went_back"], &status["epoch"]), (&Value::Bool(false), &Value::from(1)), "{status}");
    installation.stop();
    let report = installation.json(&["log", "check"]);
    assert_eq!(report["sound"], true, "{report}");
}

#[test]
fn from_sqlite_to_postgresql() {
    let target = TestDatabase::postgres();
    target.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").unwrap();
    moved(Installation::prepare(Store::Sqlite), target.url());
}

#[test]
fn from_postgresql_to_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    moved(Installation::prepare(Store::Postgres), &format!("sqlite://{}", directory.path().join("moved.sqlite").display()));
}
