//! A client that is killed while it fetches.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ca_core::clock::{Clock as _, SystemClock};
use schema::{Database, EventKind, NewEvent, OpenOptions, StoreFault, Transaction};
use serde_json::json;

use crate::exports::{take, verify};
use crate::support::{Installation, Store, program, until_within};

/// Two whole parts and a piece.
const EVENTS: u32 = 140_000;

pub(crate) fn an_export_that_is_killed_over_and_over_is_whole_in_the_end(store: Store) {
    let mut installation = Installation::prepare(store);
    fill(&installation.store_url());
    installation.start();
    let reader = installation.reader();
    until_within(Duration::from_secs(300), "the log has all events", || {
        let size = reader.log_head().unwrap().note.map_or(0, |note| note.size);
        (size > u64::from(EVENTS)).then_some(())
    });

    let directory = installation.scratch().join("export");
    let (mut killed, mut fetched) = (0, 0);
    for _ in 0..4 {
        let mut child = Command::new(program())
            .args(["audit", "export", "--to-leaf", "140000", "--format", "csv", "--to-dir"])
            .arg(&directory)
            .arg("--settings")
            .arg(installation.place())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Each dies once it has brought something more.
        let has_ended = until_within(Duration::from_secs(120), "the export goes on", || {
            let has_ended = child.try_wait().unwrap().is_some();
            let octets = octets(&directory);
            if octets > fetched {
                fetched = octets;
                return Some(has_ended);
            }
            has_ended.then_some(true)
        });
        if !has_ended {
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            nothing_half_written_bears_its_name(&directory);
        }
        if directory.join("manifest.note").exists() {
            break;
        }
    }
    assert!(killed > 0, "it was never killed");
    if directory.join("manifest.note").exists() {
        std::fs::remove_dir_all(&directory).unwrap();
    }
    let taken = take(&installation, "export", &["--to-leaf", "140000", "--format", "csv"]);
    verify(&installation, &taken, &[]);
    assert!(!directory.join("export.part").exists());
    assert!(taken.files().keys().all(|name| !name.ends_with(".part")));
}

/// The octets of files of records and hashes, whole or not.
fn octets(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let is_fetched = |name: &str| name.starts_with("records-") || name.starts_with("hashes-");
    // A file may get another name between the two looks.
    let sizes = entries.map(|entry| entry.unwrap()).filter(|entry| entry.file_name().to_str().is_some_and(is_fetched));
    sizes.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// What bears its name is whole: its length is that of its part.
fn nothing_half_written_bears_its_name(directory: &Path) {
    for entry in std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with("hashes-") && name.ends_with(".bin") {
            let leaves = if name == "hashes-00000002.bin" { 140_000 - 2 * 65_536 } else { 65_536 };
            assert_eq!(entry.metadata().unwrap().len(), leaves * 32, "{name}");
        }
        if name.ends_with(".csv") {
            assert!(std::fs::read(entry.path()).unwrap().ends_with(b"\"\r\n"), "{name}");
        }
    }
}

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
