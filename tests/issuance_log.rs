//! The issuance log of an installation: its key, its beginning, and how it is looked at.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::fs;

use audit_log::{Checkpoint, LogVerifier};
use schema::EventKind;
use schema::testing::execute_on;
use serde_json::Value;
use support::{Installation, Store, on_each_database, until};

/// Exit codes: settings; there already.
const SETTINGS: i32 = 3;
const EXISTS: i32 = 9;

const KEY: &str = "ca/log.key.pem";

/// Holds a command to have failed with this exit code; what it said.
#[track_caller]
fn fails(installation: &Installation, arguments: &[&str], exit: i32) -> String {
    let output = installation.command(&[arguments, &["--output", "json"]].concat());
    // `serve` may have logged something before.
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    let said: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap_or_else(|_| panic!("{arguments:?}: {output:?}"));
    assert_eq!(output.status.code(), Some(exit), "{said}");
    said["error"].as_str().unwrap().to_owned()
}

on_each_database! {
    fn a_new_installation_has_everything_in_its_log_from_the_first_event_on(store) {
        let installation = Installation::serving(store);
        let first = &installation.reader().events_after(schema::EventPosition(0), 1).unwrap()[0];
        assert_eq!(first.kind, EventKind::LogBegan);
        drop(installation.apply(&installation.card()));
        let shown = until("all of it is under a checkpoint", || {
            let position = installation.reader().position().unwrap().0;
            let shown = installation.json(&["log", "show"]);
            (shown["size"] == position && shown["note"]["size"] == shown["size"]).then_some(shown)
        });
        let verifier = LogVerifier::parse(shown["verifier_key"].as_str().unwrap()).unwrap();
        let checkpoint = Checkpoint::verify(shown["note"]["text"].as_str().unwrap(), &verifier).unwrap();
        assert_eq!((checkpoint.checkpoint().origin.as_str(), shown["origin"].as_str()), ("ra.test/log", Some("ra.test/log")));
        assert_eq!(shown["root"], hex::encode(checkpoint.root()));
        until("and published", || {
            let published = fs::read_to_string(installation.place().join("log/checkpoint")).ok()?;
            (Checkpoint::verify(&published, &verifier).unwrap().size() >= checkpoint.size()).then_some(())
        });
    }

    fn an_installation_from_before_there_was_a_log_makes_a_key_first(store) {
        let mut installation = Installation::prepare(store);
        // As `store upgrade` leaves it.
        fs::remove_file(installation.place().join(KEY)).unwrap();
        execute_on(&installation.store_url(), "UPDATE log_head SET origin = NULL, verifier_key = NULL").unwrap();
        for arguments in [&["serve"][..], &["serve", "--role", "ca"]] {
            let said = fails(&installation, arguments, SETTINGS);
            assert!(said.contains("tsunagi log create-key"), "{said}");
        }
        let made = installation.json(&["log", "create-key"]);
        assert_eq!(made["newly_made"], true);
        assert_eq!(installation.json(&["log", "create-key"])["newly_made"], false, "once more changes nothing");
        let said = installation.text(KEY);
        assert!(said.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{said}");
        installation.serve();
        let shown = until("what was there before has leaves", || {
            let shown = installation.json(&["log", "show"]);
            (shown["note"]["size"] == installation.reader().position().unwrap().0).then_some(shown)
        });
        assert_eq!(shown["verifier_key"], made["verifier_key"]);
    }

    fn the_key_of_another_log_is_refused(store) {
        let installation = Installation::prepare(store);
        let key = installation.place().join(KEY);
        fs::rename(&key, installation.scratch().join("kept")).unwrap();
        let said = fails(&installation, &["log", "create-key"], EXISTS);
        assert!(said.contains("another would be the key of another log"), "{said}");
        let other = Installation::prepare(Store::Sqlite);
        fs::copy(other.place().join(KEY), &key).unwrap();
        fs::copy(other.place().join("ca/passphrase"), installation.place().join("ca/passphrase")).unwrap();
        let said = fails(&installation, &["log", "create-key"], SETTINGS);
        assert!(said.contains("bring the log's own key"), "{said}");
    }
}
