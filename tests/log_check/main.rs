//! Whoever has the database's file or the tile directory can change what is in them, and is found: hundreds of random ways, each named, or
//! as many as `TSUNAGI_TEST_TAMPERINGS` says, in all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crimes;
mod running;
#[path = "../support/mod.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sandbox::operator::{OperatorAction, Target};
use sandbox::reason::Reason;
use serde_json::Value;

use crate::crimes::{Crime, Named};
use crate::support::{Installation, Store, program, said, until};

/// Cases of all four tests together.
const CASES: usize = 400;

/// An installation that has worked and was stopped, with its log published whole.
struct Scene {
    installation: Installation,
    verifier_key: String,
    leaves: u64,
}

impl Scene {
    fn new(store: Store) -> Self {
        let mut installation = Installation::prepare(store);
        installation.set("ra.limits.listener.requests_per_second", "0");
        installation.start();
        let administrator = installation.operator_named("administrator");
        for number in 0..48 {
            let enrolled = installation.apply(&installation.card());
            if number % 5 == 0 {
                let first = &enrolled.certificates[0];
                let target = Target::certificate(&first.serial, first.kind);
                let action =
                    OperatorAction::Revoke { target, reason: Reason::KeyCompromise, invalid_since: None, ticket: "test".to_owned() };
                administrator.instruct(&action).unwrap();
            }
        }
        let shown = until("the log has grown over one tile", || {
            let shown = installation.json(&["log", "show"]);
            (shown["size"].as_u64() > Some(280) && shown["note"]["size"] == shown["size"]).then_some(shown)
        });
        let verifier_key = shown["verifier_key"].as_str().unwrap().to_owned();
        let place = installation.place();
        until("it is published", || {
            let checkpoint = std::fs::read_to_string(place.join("log/checkpoint")).ok()?;
            let size: u64 = checkpoint.lines().nth(1)?.parse().ok()?;
            (Some(size) == installation.json(&["log", "show"])["size"].as_u64()).then_some(())
        });
        installation.stop();
        let leaves = installation.json(&["log", "show"])["size"].as_u64().unwrap();
        Self { installation, verifier_key, leaves }
    }

    fn check(&self, place: &Path) -> (Option<i32>, Value) {
        let mut command = Command::new(program());
        command.args(["log", "check", "--output", "json", "--log-key", &self.verifier_key, "--settings"]).arg(place);
        let output = command.stdin(Stdio::null()).env_remove("RUST_LOG").output().unwrap();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", said(&output)));
        (output.status.code(), report)
    }

    /// A copy of everything, to be tampered with.
    fn copy(&self, number: usize) -> PathBuf {
        let (from, to) = (self.installation.place(), self.installation.scratch().join(format!("copy-{number}")));
        std::fs::create_dir(&to).unwrap();
        for name in ["settings.toml", "tsunagi.sqlite"] {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
        support::run(Path::new("/"), "cp", &["-a", from.join("log").to_str().unwrap(), to.join("log").to_str().unwrap()]);
        to
    }

    fn is_found(&self, crime: &Crime, place: &Path) {
        let named = crime.commit(place, self.leaves);
        let (code, report) = self.check(place);
        assert_eq!((code, &report["sound"]), (Some(10), &Value::Bool(false)), "{crime:?} of {named:?} is not found");
        let findings = report["findings"].as_array().unwrap();
        let is_named = match &named {
            Named::Leaf(leaf) => findings.iter().any(|finding| finding["leaf"] == *leaf),
            Named::Place(places) => findings.iter().any(|finding| places.iter().any(|place| finding["place"] == place.as_str())),
        };
        assert!(is_named, "{crime:?} of {named:?} is not named: {report:#}");
    }
}

fn every_one_is_found(crimes: &[Crime]) {
    let scene = Scene::new(Store::Sqlite);
    let (code, report) = scene.check(&scene.installation.place());
    assert_eq!((code, report["findings_total"].as_u64()), (Some(0), Some(0)), "{report:#}");
    assert_eq!((report["signed_size"].as_u64(), report["published_size"].as_u64()), (Some(scene.leaves), Some(scene.leaves)));
    let cases = std::env::var("TSUNAGI_TEST_TAMPERINGS").map_or(CASES, |number| number.parse().expect("a number of tamperings"));
    for number in 0..cases.div_ceil(4) {
        let place = scene.copy(number);
        scene.is_found(&crimes[number % crimes.len()], &place);
        std::fs::remove_dir_all(place).unwrap();
    }
}

#[test]
fn before_anything_was_signed_there_is_nothing_to_find() {
    let installation = Installation::prepare(Store::Sqlite);
    let report = installation.json(&["log", "check"]);
    assert_eq!((&report["sound"], &report["begun"], &report["signed_size"]), (&true.into(), &false.into(), &Value::Null), "{report:#}");
    let told = said(&installation.command(&["log", "check"]));
    assert!(told.contains("Nothing was signed yet"), "{told}");
}

#[test]
fn what_is_stored_of_a_certificate_is_held_against_its_issuance() {
    let scene = Scene::new(Store::Sqlite);
    let (code, report) = scene.check(&scene.installation.place());
    assert_eq!(
        (code, &report["evidence_examined"], report["findings_total"].as_u64()),
        (Some(0), &Value::Bool(true), Some(0)),
        "{report:#}"
    );
    for (number, crime) in Crime::BODIES.iter().flat_map(|crime| [crime; 4]).enumerate() {
        let place = scene.copy(number);
        scene.is_found(crime, &place);
        std::fs::remove_dir_all(place).unwrap();
    }
}

#[test]
fn an_event_that_is_changed_is_found() {
    every_one_is_found(&Crime::EVENTS);
}

#[test]
fn a_leaf_that_is_changed_is_found() {
    every_one_is_found(&Crime::LEAVES);
}

#[test]
fn a_tree_or_a_certificate_that_is_changed_is_found() {
    every_one_is_found(&Crime::TREE);
}

#[test]
fn a_file_of_the_tile_directory_that_is_changed_is_found() {
    every_one_is_found(&Crime::FILES);
}

#[cfg(feature = "postgres")]
#[test]
fn on_postgres_too() {
    let scene = Scene::new(Store::Postgres);
    let (code, report) = scene.check(&scene.installation.place());
    assert_eq!((code, report["findings_total"].as_u64()), (Some(0), Some(0)), "{report:#}");
    let leaf = scene.leaves / 2;
    schema::testing::tamper_with(&scene.installation.store_url(), &format!("UPDATE event SET at = at + 1 WHERE position = {}", leaf + 1))
        .unwrap();
    let (code, report) = scene.check(&scene.installation.place());
    assert_eq!((code, &report["findings"][0]["leaf"]), (Some(10), &Value::from(leaf)), "{report:#}");
}
