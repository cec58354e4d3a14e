//! Real backups, restored: what relying parties were told to be revoked is never told to be good.
//!
//! In each test certificates are issued, revoked and held between the backup and the restore. After it OCSP says tryLater, the RA takes
//! no applications, no list with a lower number appears; and after the reconciliation everything is told as it was told before.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod backups;
mod broken_off;
mod files;
mod log;
mod machine;
mod observer;
mod page;
mod story;
#[path = "../support/mod.rs"]
mod support;
mod witnessed;

use sandbox::operator::OperatorAction;
use sandbox::operator::Target;
use sandbox::reason::Reason;
use sandbox::relying_party::Status;

use crate::backups::Backup;
use crate::log::Published;
use crate::observer::Observer;
use crate::story::Story;
use crate::support::{Installation, Process, Store, on_each_database, until};

/// An installation for these tests; nothing serves yet.
fn installation(store: Store) -> Installation {
    let mut installation = Installation::prepare(store);
    for (key, value) in [
        ("ra.limits.listener.requests_per_second", "0"),
        ("operators.limits.listener.requests_per_second", "0"),
        ("ra.limits.decision_wait_ms", "1000"),
        ("operators.limits.decision_wait_ms", "1000"),
        ("ca.feed_seconds", "1"),
    ] {
        installation.set(key, value);
    }
    installation
}

/// All roles in one process; waits until the RA can give challenges.
fn serve(installation: &Installation) -> Process {
    let process = installation.start_role("serve", &[], None);
    installation.await_beacon();
    process
}

/// What the telemetry listener says is missing.
fn missing(installation: &Installation) -> String {
    let http = sandbox::http::HttpClient::new(&sandbox::http::HttpSettings::default()).unwrap();
    let answer = http.get(&format!("http://{}/health/ready", installation.telemetry), &[]).unwrap();
    String::from_utf8(answer.body).unwrap()
}

/// Nothing is told, issued or published before the store is reconciled.
fn closed(installation: &Installation, story: &Story) {
    story.everything_is_try_later();
    let refusal = sandbox::phone::apply(&installation.phone(), &installation.card(), &installation.wish()).unwrap_err();
    assert!(refusal.to_string().contains("store_reconciling"), "{refusal}");
    until("health tells it", || missing(installation).contains("restore reconcile").then_some(()));
    let status = installation.json(&["restore", "status"]);
    assert!(status["reconciling_since"].is_string() && status["epoch"] == 2, "{status}");
}

/// Asks for a revocation while nobody leads; what decides is the reconciliation.
fn ask_for_revocation(installation: &Installation, story: &Story) -> String {
    let administrator = installation.operator_named("administrator");
    let enrolled = &story.asked.certificates[0];
    let action = OperatorAction::Revoke {
        target: Target::certificate(&enrolled.serial, enrolled.kind),
        reason: Reason::PrivilegeWithdrawn,
        invalid_since: None,
        ticket: "while the store was restored".to_owned(),
    };
    let answer = administrator.submit(&administrator.build(&administrator.challenge().unwrap().challenge, &action).unwrap()).unwrap();
    assert_eq!((answer.status, answer.text_of("state")), (202, Some("waiting")), "{}", answer.text);
    answer.text_of("id").unwrap().to_owned()
}

/// The tile directory has everything that was signed: it follows within a second, and a store that is brought back in between leaves leaves behind
/// that nobody has (docs/backup.md).
#[cfg(feature = "postgres")]
fn everything_signed_is_published(installation: &Installation) {
    until("the tile directory has what was signed", || {
        let signed = installation.json(&["log", "show"])["note"]["size"].as_u64()?;
        let checkpoint = std::fs::read_to_string(installation.place().join("log/checkpoint")).ok()?;
        (checkpoint.lines().nth(1)?.parse() == Ok(signed)).then_some(())
    });
}

/// The store is open again, and tells everything as it was told before.
fn open_again(installation: &Installation, story: &Story) {
    story.everything_is_told_as_before();
    let again = until("issuance goes on", || sandbox::phone::apply(&installation.phone(), &installation.card(), &installation.wish()).ok());
    story.lists_go_on_with_higher_numbers();
    assert_eq!(story.status(&again.certificates[0]).unwrap(), Status::Good);
    until("health is well", || missing(installation).contains("\"ready\"").then_some(()));
}

on_each_database! {
    fn a_store_restored_while_nothing_runs_is_noticed_on_start_and_reconciled_from_the_shelf(store) {
        let installation = installation(store);
        let mut process = serve(&installation);
        let mut story = Story::begin(&installation);
        let backup = Backup::of_running(&installation);
        story.goes_on_after_the_backup(&installation);
        process.stop();
        let published = Published::read(&installation);
        backup.restore(&installation);

        let process = serve(&installation);
        let observer = Observer::begin(&story);
        closed(&installation, &story);
        let instruction = ask_for_revocation(&installation, &story);

        let counted = installation.json(&["restore", "reconcile", "--dry-run"]);
        assert_eq!((&counted["reconciled"], &counted["dry_run"]), (&false.into(), &true.into()), "{counted}");
        story.everything_is_try_later();
        let report = installation.json(&["restore", "reconcile"]);
        assert_eq!(report["reconciled"], true, "{report}");
        for (list, dry) in report["lists"].as_array().unwrap().iter().zip(counted["lists"].as_array().unwrap()) {
            // Revoked, held, and by the card; and one that was issued after the backup.
            assert!(list["put_back"].as_u64() >= Some(3) && list["remembered"].as_u64() >= Some(1), "{report}");
            assert_eq!((&list["number"], &list["put_back"], &list["remembered"]), (&dry["number"], &dry["put_back"], &dry["remembered"]));
            assert_eq!(list["expired"], 0);
        }
        assert!(report["cards"]["events"].as_u64() >= Some(2), "{report}");
        assert_eq!(report["instructions"], 1, "{report}");

        open_again(&installation, &story);
        let decided = installation.operator_named("administrator").instruction(&instruction).unwrap();
        assert_eq!(decided.text_of("state"), Some("done"), "{}", decided.text);
        assert!(matches!(story.status(&story.asked.certificates[0]).unwrap(), Status::Revoked { reason: Reason::PrivilegeWithdrawn, .. }));
        let again = installation.command(&["restore", "reconcile"]);
        assert!(!again.status.success() && support::said(&again).contains("not waiting to be reconciled"), "{}", support::said(&again));
        observer.saw_nothing_wrong();
        published.goes_on(&installation, report["log"]["adopted"].as_u64().unwrap());
        drop(process);
    }
}

#[cfg(feature = "postgres")]
#[test]
fn a_postgresql_restored_under_running_processes_is_noticed_by_each_of_them() {
    let installation = installation(Store::Postgres);
    let [ra_telemetry, status_telemetry] = support::free_addresses();
    let mut ca = installation.start_role("ca", &["ca"], None);
    let _ra = installation.start_role("ra", &["ra"], Some(ra_telemetry));
    let mut status = installation.start_role("status", &["status"], Some(status_telemetry));
    installation.await_beacon();
    let mut story = Story::begin(&installation);
    let backup = Backup::of_running(&installation);
    story.goes_on_after_the_backup(&installation);

    // First with the CA away: the status service has its own file, and notices alone.
    everything_signed_is_published(&installation);
    ca.kill();
    let observer = Observer::begin(&story);
    backup.restore(&installation);
    story.everything_is_try_later();
    status.kill();
    let _status = installation.start_role("status", &["status"], Some(status_telemetry));
    until("the status service is there again", || story.is_answered().then_some(()));
    story.everything_is_try_later();
    let mut ca = installation.start_role("ca", &["ca"], None);
    until("the CA begins a new epoch", || (installation.json(&["restore", "status"])["epoch"] == 2).then_some(()));
    assert_eq!(installation.json(&["restore", "reconcile"])["reconciled"], true);
    story.everything_is_told_as_before();
    story.lists_go_on_with_higher_numbers();

    // And once more, under all of them: the CA that leads notices by itself.
    until("the CA leads again", || sandbox::phone::apply(&installation.phone(), &installation.card(), &installation.wish()).ok());
    everything_signed_is_published(&installation);
    backup.restore(&installation);
    until("the CA begins another epoch", || {
        let status = installation.json(&["restore", "status"]);
        (status["epoch"] == 3 && status["reconciling_since"].is_string()).then_some(())
    });
    story.everything_is_try_later();
    assert!(ca.is_running(), "{}", ca.said());
    assert_eq!(installation.json(&["restore", "reconcile"])["reconciled"], true);
    story.everything_is_told_as_before();
    story.lists_go_on_with_higher_numbers();
    observer.saw_nothing_wrong();
}
