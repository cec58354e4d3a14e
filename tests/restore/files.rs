//! The high-water files themselves.

use std::fs;

use crate::story::Story;
use crate::support::{Installation, Process, Store, said, until};
use crate::{installation, serve};

/// What `tsunagi serve` says when it does not start.
fn refused(installation: &Installation) -> String {
    let output = installation.command(&["serve"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    said(&output)
}

fn content(installation: &Installation) -> serde_json::Value {
    serde_json::from_str(&installation.text("high-water.json")).unwrap()
}

fn restart(installation: &Installation, process: &mut Process) {
    *process = serve(installation);
}

#[test]
fn a_missing_file_is_made_a_damaged_or_foreign_one_is_refused_and_nothing_is_lost_by_it() {
    let installation = installation(Store::Sqlite);
    let path = installation.place().join("high-water.json");
    let mut process = serve(&installation);
    assert!(!process.said().contains("whether it was restored"), "a new store has no file, and that is no wonder");
    drop(Story::begin(&installation));
    let position = || content(&installation)["high_water"]["mark"]["position"].as_i64().unwrap();
    let stored = || installation.reader().position().unwrap().0;
    until("the file follows the store", || (position() == stored()).then_some(()));
    let numbers = content(&installation)["high_water"]["mark"]["crl_numbers"].clone();
    assert!(numbers["signature-1"].as_u64() >= Some(1), "{numbers}");
    fs::remove_file(&path).unwrap();
    until("a file that vanished is made again, though nothing happens", || path.exists().then_some(()));
    process.stop();
    let sound = fs::read(&path).unwrap();

    let mut damaged = sound.clone();
    damaged[40] ^= 0x10;
    fs::write(&path, damaged).unwrap();
    let complaint = refused(&installation);
    assert!(complaint.contains("high-water.json") && complaint.contains("restore begin"), "{complaint}");
    let other = self::installation(Store::Sqlite);
    let mut elsewhere = serve(&other);
    until("the other store has a file", || other.place().join("high-water.json").exists().then_some(()));
    elsewhere.stop();
    fs::copy(other.place().join("high-water.json"), &path).unwrap();
    assert!(refused(&installation).contains("high-water file of another store"));

    fs::remove_file(&path).unwrap();
    restart(&installation, &mut process);
    assert!(process.said().contains("the store is not new"), "{}", process.said());
    until("a missing file is made", || path.exists().then_some(()));
    process.stop();
    fs::write(&path, sound).unwrap();
    restart(&installation, &mut process);
    assert_eq!(installation.json(&["restore", "status"])["reconciling_since"], serde_json::Value::Null);
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_served() {
    let mut installation = installation(Store::Sqlite);
    installation.set("store.high_water", "[\"nowhere/high-water.json\"]");
    let complaint = refused(&installation);
    assert!(complaint.contains("nowhere/high-water.json cannot be written"), "{complaint}");
}
