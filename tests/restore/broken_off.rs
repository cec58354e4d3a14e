//! Reconciliations that do not go through: killed, without the back office, and what they cannot know.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use sandbox::keys::random_below;
use sandbox::operator::{HoldCause, OperatorAction, Target};
use sandbox::relying_party::Status;
use schema::{Database, OpenOptions};

use crate::backups::Backup;
use crate::observer::Observer;
use crate::story::Story;
use crate::support::{Installation, Process, Store, on_each_database, program, said, until};
use crate::{closed, installation, open_again, serve};

/// A restored store that is not reconciled, served.
fn restored(installation: &Installation) -> (Story, Process) {
    let mut process = serve(installation);
    let mut story = Story::begin(installation);
    let backup = Backup::of_running(installation);
    story.goes_on_after_the_backup(installation);
    process.stop();
    backup.restore(installation);
    let process = serve(installation);
    closed(installation, &story);
    (story, process)
}

/// As if the time of a dead process's lead had run out.
fn end_the_lead(installation: &Installation) {
    let database = Database::open(&installation.store_url(), &OpenOptions::default()).unwrap();
    if let Some(lease) = database.reader().lease("ca").unwrap() {
        let past = Utc::now() - TimeDelta::seconds(1);
        database.writer().write(move |tx| tx.release_lease(&lease, past)).unwrap();
    }
}

on_each_database! {
    fn one_that_is_killed_again_and_again_comes_to_the_same_end(store) {
        let installation = installation(store);
        let (story, process) = restored(&installation);
        let observer = Observer::begin(&story);
        for _ in 0..8 {
            let mut command = Command::new(program());
            command.args(["restore", "reconcile", "--output", "json", "--settings"]).arg(installation.place());
            let mut reconciling = Process::start(&mut command, &installation.scratch().join("reconcile.log"));
            sleep(Duration::from_millis(100 + random_below(900).unwrap() as u64));
            reconciling.kill();
            end_the_lead(&installation);
        }
        if installation.json(&["restore", "status"])["reconciling_since"].is_string() {
            let report = installation.json(&["restore", "reconcile"]);
            assert_eq!(report["reconciled"], true, "{report}");
        }
        open_again(&installation, &story);
        observer.saw_nothing_wrong();
        drop(process);
    }
}

#[test]
fn without_the_back_office_it_is_not_ended_unless_somebody_insists() {
    let mut installation = installation(Store::Sqlite);
    let (story, process) = restored(&installation);
    let observer = Observer::begin(&story);
    installation.set("back_office.url", "https://127.0.0.1:1");
    let output = installation.command(&["restore", "reconcile"]);
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
    assert!(said(&output).contains("--without-card-feed"), "{}", said(&output));
    story.everything_is_try_later();
    let report = installation.json(&["restore", "reconcile", "--without-card-feed"]);
    assert_eq!((&report["reconciled"], &report["cards"]), (&true.into(), &serde_json::Value::Null), "{report}");
    assert!(report["warnings"].to_string().contains("card"), "{report}");
    story.everything_is_told_as_before();
    observer.saw_nothing_wrong();
    drop(process);
}

#[test]
fn a_hold_that_was_lifted_after_the_backup_stays_and_is_named() {
    let mut installation = installation(Store::Sqlite);
    installation.set("lifecycle", "derived-piv");
    let mut process = serve(&installation);
    let mut story = Story::begin(&installation);
    let call_centre = installation.operator_named("call-centre");
    let held = installation.apply(&installation.card());
    let target = Target::device(held.device().unwrap());
    let ticket = "found again".to_owned();
    call_centre.instruct(&OperatorAction::Hold { target: target.clone(), cause: HoldCause::PhoneLost, ticket: ticket.clone() }).unwrap();
    let is_held = |enrolled: &_| story.status(enrolled).ok().filter(Status::is_on_hold);
    for enrolled in &held.certificates {
        until("the hold is told", || is_held(enrolled));
    }
    let backup = Backup::of_running(&installation);
    let lift = OperatorAction::Lift { target, cause: HoldCause::PhoneLost, ticket };
    call_centre.instruct(&lift).unwrap();
    story.goes_on_after_the_backup(&installation);
    for enrolled in &held.certificates {
        assert_eq!(story.status(enrolled).unwrap(), Status::Good);
    }
    process.stop();
    backup.restore(&installation);
    let process = serve(&installation);
    closed(&installation, &story);

    let report = installation.json(&["restore", "reconcile"]);
    assert_eq!(report["reconciled"], true, "{report}");
    let named = report["held_but_not_listed_certificates"].to_string();
    for enrolled in &held.certificates {
        assert!(named.contains(&enrolled.serial.to_uppercase()), "{report}");
        until("the hold is told again", || story.status(enrolled).ok().filter(Status::is_on_hold));
    }
    story.everything_is_told_as_before();
    // Whoever lifted it lifts it again.
    until("a lift is taken again", || call_centre.instruct(&lift).ok());
    for enrolled in &held.certificates {
        until("it is good again", || story.status(enrolled).ok().filter(|status| *status == Status::Good));
    }
    drop(process);
}
