//! Backups of the whole machine: store, settings, keys, the shelf of lists and the high-water file, all of the same moment.

use crate::backups::{Backup, copy};
use crate::observer::Observer;
use crate::story::Story;
use crate::support::{Installation, Process, Store, on_each_database, said};
use crate::{closed, installation, open_again, serve};

/// A machine whose whole state was saved and brought back: everything but what lies elsewhere.
fn brought_back(installation: &Installation) -> Story {
    let mut process = serve(installation);
    let mut story = Story::begin(installation);
    process.stop();
    let (place, saved) = (installation.place(), installation.scratch().join("saved"));
    copy(&place, &saved);
    // A SQLite file lies in the directory, and is copied while nobody has it open.
    let database = installation.store_url().starts_with("postgres").then(|| Backup::of_running(installation));
    let mut process = serve(installation);
    story.goes_on_after_the_backup(installation);
    process.stop();
    copy(&place.join("log"), &installation.scratch().join("kept-log"));
    std::fs::remove_dir_all(&place).unwrap();
    copy(&saved, &place);
    if let Some(database) = database {
        database.restore(installation);
    }
    story
}

fn refused(installation: &Installation, arguments: &[&str]) -> String {
    let output = installation.command(&[&["restore", "reconcile"], arguments].concat());
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    said(&output)
}

fn serve_closed(installation: &Installation, story: &Story) -> (Process, Observer) {
    let process = serve(installation);
    let observer = Observer::begin_without_lists(story);
    closed(installation, story);
    (process, observer)
}

on_each_database! {
    fn a_machine_brought_back_whole_is_noticed_by_a_high_water_file_elsewhere(store) {
        let mut installation = installation(store);
        let elsewhere = installation.scratch().join("another-disk.json");
        installation.set("store.high_water", &format!("[\"high-water.json\", \"{}\"]", elsewhere.display()));
        let story = brought_back(&installation);
        let (process, observer) = serve_closed(&installation, &story);

        // The shelf is that of the backup: what was published later is known to be missing.
        let missing = refused(&installation, &[]);
        assert!(missing.contains("signature-1: number") && missing.contains("give it with --crl"), "{missing}");
        story.everything_is_try_later();
        assert!(missing.contains("leaves were signed") && missing.contains("--log-tiles"), "{missing}");
        let kept = story.kept.display().to_string();
        assert!(refused(&installation, &["--crl", &kept, "--accept-log"]).contains("leaves were signed"), "nobody can overrule that");
        let tiles = installation.scratch().join("kept-log").display().to_string();
        let report = installation.json(&["restore", "reconcile", "--crl", &kept, "--log-tiles", &tiles]);
        assert_eq!(report["reconciled"], true, "{report}");
        assert!(report["log"]["adopted"].as_u64() > Some(0), "{report}");
        open_again(&installation, &story);
        observer.saw_nothing_wrong();
        drop(process);
    }

    fn a_machine_brought_back_whole_with_nothing_left_elsewhere_is_declared_restored(store) {
        let installation = installation(store);
        let story = brought_back(&installation);
        let begun = installation.json(&["restore", "begin"]);
        assert_eq!(begun["epoch"], 2, "{begun}");
        let (process, observer) = serve_closed(&installation, &story);
        let missing = refused(&installation, &[]);
        assert!(missing.contains("nothing tells whether there was one"), "{missing}");
        // A list that no CA key of ours signed is no evidence of anything.
        let forged = installation.scratch().join("forged.crl");
        let mut octets = std::fs::read(story.kept.join("signature-1.crl")).unwrap();
        *octets.last_mut().unwrap() ^= 1;
        std::fs::write(&forged, octets).unwrap();
        assert!(refused(&installation, &["--crl", forged.to_str().unwrap()]).contains("did not sign it"));
        let lists = ["signature-1.crl", "authentication-1.crl"].map(|name| story.kept.join(name).display().to_string());
        let tiles = installation.scratch().join("kept-log").display().to_string();
        let missing = refused(&installation, &["--crl", &lists[0], "--crl", &lists[1]]);
        assert!(missing.contains("nothing tells whether there was one") && missing.contains("--log-tiles"), "{missing}");
        let report = installation.json(&["restore", "reconcile", "--crl", &lists[0], "--crl", &lists[1], "--log-tiles", &tiles]);
        assert_eq!(report["reconciled"], true, "{report}");
        open_again(&installation, &story);
        observer.saw_nothing_wrong();
        drop(process);
    }
}

#[test]
fn one_who_knows_that_there_are_no_later_lists_may_say_so() {
    let installation = installation(Store::Sqlite);
    let mut process = serve(&installation);
    let story = Story::begin(&installation);
    process.stop();
    installation.json(&["restore", "begin"]);
    assert!(refused(&installation, &[]).contains("--crl") || refused(&installation, &[]).contains("nothing tells"));
    let report = installation.json(&["restore", "reconcile", "--accept-lists", "--accept-log"]);
    assert_eq!(report["reconciled"], true, "{report}");
    assert!(report["warnings"].to_string().contains("accepted by --accept-lists"), "{report}");
    let _process = serve(&installation);
    assert!(story.is_answered());
}
