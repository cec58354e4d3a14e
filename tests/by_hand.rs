//! What our pages and our demonstration tell people to paste, pasted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{Process, program, sequence_of_steps, shell, tsunagi, until_within};

/// A demonstration that goes on serving, with what it printed.
struct Demonstration {
    process: Process,
    directory: tempfile::TempDir,
}

impl Demonstration {
    fn serve(more: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        command.args(["demo", "--serve", "--dir"]).arg(directory.path().join("demo")).args(more);
        let mut process = Process::start(&mut command, &directory.path().join("said.txt"));
        until_within(std::time::Duration::from_secs(120), "the demonstration serves", || {
            assert!(process.is_running(), "{}", process.said());
            process.said().contains("export OPERATORS_URL=").then_some(())
        });
        // The last lines come in one piece; the file may still lack their end.
        std::thread::sleep(std::time::Duration::from_millis(200));
        Self { process, directory }
    }

    /// The variables of the `export` lines.
    fn exports(&self) -> Vec<(String, String)> {
        let said = self.process.said();
        let lines = said.lines().filter_map(|line| line.trim().strip_prefix("export "));
        let pairs = lines.flat_map(|line| line.split(' ')).map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The commands it prints to be pasted, as one script.
    fn commands(&self) -> String {
        let said = self.process.said();
        let commands = said.lines().map(str::trim);
        let commands = commands.filter(|line| ["cd ", "openssl ", "curl ", "tsunagi "].iter().any(|name| line.starts_with(name)));
        commands.collect::<Vec<_>>().join("\n")
    }

    fn empty_directory(&self, name: &str) -> std::path::PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    }
}

/// The commands of a page.
fn steps_of(page: &str) -> String {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let steps = sequence_of_steps(&page);
    assert!(steps.matches("=== block").count() >= 10, "the page has hardly any commands");
    steps
}

#[test]
fn the_page_on_enrolling_by_hand_works_as_it_stands() {
    let demonstration = Demonstration::serve(&["--stop-before-revocation"]);
    let exports = demonstration.exports();
    for name in ["RA_URL", "RA_CA", "RA_NAME", "CARD_DIR", "CA_DIR", "STATUS_URL", "LOG_KEY"] {
        assert!(exports.iter().any(|(exported, value)| exported == name && !value.is_empty()), "{name} is not printed");
    }
    let steps = steps_of("docs/enrol-by-hand.md");
    let directory = demonstration.empty_directory("by-hand");
    let said = shell(&directory, &exports, &steps);
    assert_eq!(said.matches(": good").count(), 4, "{said}");
    assert!(directory.join("phone-signature.pem").exists());
    assert_eq!(said.matches("The receipt holds").count(), 2, "{said}");
    assert!(said.contains("the receipt does not hold") && said.contains(r#""kind":"certificate.issued""#), "{said}");

    // What it prints to paste; the last of these commands revokes the card.
    let commands = demonstration.commands();
    assert!(commands.matches("openssl ").count() >= 5 && commands.contains("tsunagi sandbox card revoke"), "{commands}");
    let said = shell(&demonstration.empty_directory("pasted"), &[], &commands);
    assert!(said.contains("CMS Verification successful") && said.contains("2 card certificates revoked"), "{said}");
    // "and look again": what was issued by hand has ended, too.
    let look = "for kind in signature authentication; do for _ in 1 2 3 4 5 6 7 8 9 10; do
        openssl ocsp -issuer \"$CA_DIR/ca-$kind.pem\" -cert \"phone-$kind.pem\" -CAfile \"$CA_DIR/ca-$kind.pem\" -url \"$STATUS_URL/ocsp\" 2>&1 > status.txt
        if grep -q ': revoked' status.txt; then break; fi; sleep 1; done; cat status.txt; done";
    let said = shell(&directory, &exports, look);
    assert_eq!(said.matches(": revoked").count(), 2, "{said}");
}

#[test]
fn the_page_on_instructing_by_hand_works_as_it_stands_after_the_one_on_enrolling() {
    let demonstration = Demonstration::serve(&["--stop-before-revocation"]);
    let exports = demonstration.exports();
    for name in ["OPERATORS_URL", "OPERATOR_DIR"] {
        assert!(exports.iter().any(|(exported, value)| exported == name && !value.is_empty()), "{name} is not printed");
    }
    let directory = demonstration.empty_directory("by-hand");
    shell(&directory, &exports, &steps_of("docs/enrol-by-hand.md"));
    let said = shell(&directory, &exports, &steps_of("docs/instruct-by-hand.md"));
    for sign in ["Reason: certificateHold", "hold_not_liftable", "Reason: keyCompromise", "Reason: cessationOfOperation"] {
        assert!(said.contains(sign), "{sign}: {said}");
    }
    assert_eq!(said.matches("Verified OK").count(), 3, "{said}");
    // What was confirmed by hand proves the erasure, and is not only claimed.
    let installation = demonstration.directory.path().join("demo/installation");
    let listed = tsunagi(&["device", "list", "--settings", installation.to_str().unwrap(), "--output", "json"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("made by hand") && listed.contains(r#""erasure": "confirmed""#), "{listed}");
}

#[test]
fn the_page_for_auditors_works_as_it_stands() {
    let demonstration = Demonstration::serve(&["--stop-before-revocation"]);
    let mut exports = demonstration.exports();
    let value = |name: &str| exports.iter().find(|(exported, _)| exported == name).unwrap().1.clone();
    let (card, operators) = (value("CARD_DIR"), value("OPERATOR_DIR"));
    exports.push(("CARD_CA_DIR".to_owned(), card));
    exports.push(("TSUNAGI_SETTINGS".to_owned(), Path::new(&operators).parent().unwrap().to_str().unwrap().to_owned()));
    let said = shell(&demonstration.empty_directory("visits"), &exports, &steps_of("docs/auditors.md"));
    assert_eq!(said.matches("Nothing is wrong.").count(), 3, "{said}");
    for sign in [
        "a card signed for the key of each of 2 certificates issued",
        "extends      the tree of",
        "records-00000000.jsonl, leaf 2: it is not what the log committed to",
        "CMS Verification successful",
        "tsunagi.application.v1",
    ] {
        assert!(said.contains(sign), "{sign}: {said}");
    }
}

#[test]
fn what_a_demonstration_prints_at_its_end_can_be_pasted() {
    let mut demonstration = Demonstration::serve(&[]);
    let commands = demonstration.commands();
    assert!(!commands.contains("card revoke"), "the card is revoked already");
    let said = shell(&demonstration.empty_directory("pasted"), &[], &commands);
    assert_eq!(said.matches(": revoked").count(), 2, "{said}");
    assert!(demonstration.process.stop().success());
}
