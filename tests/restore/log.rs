//! The issuance log over a restore: the tree that goes on is the one that was signed.

use std::fs;
use std::path::PathBuf;

use audit_log::{Checkpoint, LogVerifier, SignedCheckpoint, TileDirectory, tree_root};

use crate::backups::{Backup, copy};
use crate::story::Story;
use crate::support::{Installation, Store, said, until};
use crate::{closed, installation, open_again, serve};

/// What was published of the log at some time.
pub(crate) struct Published {
    verifier: LogVerifier,
    checkpoint: SignedCheckpoint,
}

impl Published {
    pub(crate) fn read(installation: &Installation) -> Self {
        let shown = installation.json(&["log", "show"]);
        let verifier = LogVerifier::parse(shown["verifier_key"].as_str().unwrap()).unwrap();
        let checkpoint = Checkpoint::verify(&installation.text("log/checkpoint"), &verifier).unwrap();
        Self { verifier, checkpoint }
    }

    /// Later checkpoints are of trees that this one's has grown into; so many leaves in them are lost, and everything else is sound.
    pub(crate) fn goes_on(&self, installation: &Installation, lost: u64) {
        assert!(lost > 0);
        let directory = TileDirectory::new(installation.place().join("log"));
        until("a larger tree is published", || {
            let later = Checkpoint::verify(&directory.checkpoint().unwrap()?, &self.verifier).unwrap();
            (later.size() > self.checkpoint.size() + 2).then_some(())
        });
        assert_eq!(tree_root(&directory, self.checkpoint.size()).unwrap(), *self.checkpoint.root());
        let report = installation.json(&["log", "check"]);
        assert_eq!((report["sound"].as_bool(), report["lost"].as_u64()), (Some(true), Some(lost)), "{report}");
    }
}

fn tiles(installation: &Installation) -> PathBuf {
    installation.place().join("log")
}

#[test]
fn a_tree_that_the_store_does_not_lead_to_and_another_logs_are_refused() {
    let installation = installation(Store::Sqlite);
    let mut process = serve(&installation);
    let mut story = Story::begin(&installation);
    let backup = Backup::of_running(&installation);
    story.goes_on_after_the_backup(&installation);
    process.stop();
    let kept = installation.scratch().join("kept-tiles");
    copy(&tiles(&installation), &kept);
    backup.restore(&installation);
    let process = serve(&installation);
    closed(&installation, &story);

    let refused = |arguments: &[&str]| {
        let output = installation.command(&[&["restore", "reconcile"], arguments].concat());
        assert_eq!(output.status.code(), Some(6), "{}", said(&output));
        said(&output)
    };
    // A byte of an entry that the store has forgotten.
    let entries = fs::read_dir(tiles(&installation).join("tile/entries")).unwrap().map(|entry| entry.unwrap().path());
    let mut damaged = 0;
    for file in entries
        .flat_map(|path| if path.is_dir() { fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect() } else { vec![path] })
    {
        let mut octets = fs::read(&file).unwrap();
        *octets.last_mut().unwrap() ^= 1;
        fs::write(&file, octets).unwrap();
        damaged += 1;
    }
    assert!(damaged > 0 && refused(&[]).contains("no common past"));
    fs::remove_dir_all(tiles(&installation)).unwrap();
    let forged = installation.scratch().join("forged");
    copy(&kept, &forged);
    let checkpoint = fs::read_to_string(forged.join("checkpoint")).unwrap();
    fs::write(forged.join("checkpoint"), checkpoint.replacen("\n", "x\n", 1)).unwrap();
    assert!(refused(&["--log-tiles", forged.to_str().unwrap()]).contains("not of this log"));
    assert!(refused(&["--accept-log"]).contains("leaves were signed"));
    let report = installation.json(&["restore", "reconcile", "--log-tiles", kept.to_str().unwrap()]);
    assert_eq!(report["reconciled"], true, "{report}");
    open_again(&installation, &story);
    drop(process);
}

#[test]
fn where_nobody_has_the_leaves_another_log_goes_on() {
    let mut installation = installation(Store::Sqlite);
    let mut process = serve(&installation);
    let mut story = Story::begin(&installation);
    let backup = Backup::of_running(&installation);
    story.goes_on_after_the_backup(&installation);
    process.stop();
    let former = Published::read(&installation);
    backup.restore(&installation);
    fs::remove_dir_all(tiles(&installation)).unwrap();
    let mut process = serve(&installation);
    closed(&installation, &story);
    let refused = |installation: &Installation| {
        let output = installation.command(&["restore", "reconcile", "--new-log"]);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        said(&output)
    };
    assert!(refused(&installation).contains("give the new one another"));
    process.stop();
    installation.set("log.origin", "ra.test/second-log");
    installation.set("log.directory", "second-log");
    let report = installation.json(&["restore", "reconcile", "--new-log"]);
    assert_eq!(report["reconciled"], true, "{report}");
    let process = serve(&installation);
    open_again(&installation, &story);
    let shown = installation.json(&["log", "show"]);
    assert_eq!(shown["origin"], "ra.test/second-log");
    let verifier = LogVerifier::parse(shown["verifier_key"].as_str().unwrap()).unwrap();
    assert_ne!(verifier.vkey(), former.verifier.vkey());
    until("it is published", || installation.place().join("second-log/checkpoint").exists().then_some(()));
    Checkpoint::verify(&installation.text("second-log/checkpoint"), &verifier).unwrap();
    let report = installation.json(&["log", "check"]);
    assert_eq!(report["sound"], true, "{report}");
    assert_eq!(report["lost"], 0, "{report}");
    drop(process);
}
