//! The commands of operators and of the sandbox's phone, against a server that runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::PathBuf;
use std::process::Output;

use sandbox::card::Card;
use serde_json::{Value, json};
use support::{Installation, Store, tsunagi, until};

const USAGE: i32 = 2;
const SETTINGS: i32 = 3;
const NOT_FOUND: i32 = 5;
const REFUSED: i32 = 6;
/// Taken, but not decided yet.
const WAITING: i32 = 8;
const UNREACHABLE: i32 = 7;

/// A command that fails with `--output json`: its code.
#[track_caller]
fn refusal(installation: &Installation, arguments: &[&str], exit_code: i32) -> String {
    let output = installation.command(&[arguments, &["--output", "json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(exit_code), "{arguments:?}: {said}");
    let failure: Value = serde_json::from_slice(&output.stderr).unwrap_or_else(|error| panic!("{error}: {said}"));
    failure["code"].as_str().unwrap().to_owned()
}

/// A command that succeeds: what it says to people.
#[track_caller]
fn text(installation: &Installation, arguments: &[&str]) -> String {
    said(&installation.command(arguments))
}

#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A card and the phone that applied with it, in directories.
struct Pair {
    card: Card,
    card_directory: PathBuf,
    phone: PathBuf,
    certificates: Value,
}

impl Pair {
    fn enrol(installation: &Installation, name: &str) -> Self {
        let card = installation.card();
        let (card_directory, phone) = (installation.scratch().join(format!("{name}-card")), installation.scratch().join(name));
        std::fs::create_dir(&card_directory).unwrap();
        card.save(&card_directory).unwrap();
        let place = installation.place();
        let arguments =
            ["sandbox", "phone", "apply", "--output", "json", "--installation", place.to_str().unwrap(), "--push-token", "t0ken", "--card"];
        let output = tsunagi(&[&arguments[..], &[card_directory.to_str().unwrap(), phone.to_str().unwrap()]].concat());
        let applied: Value = serde_json::from_str(&said(&output)).unwrap();
        Self { card, card_directory, phone, certificates: applied["certificates"].clone() }
    }

    fn serial(&self, kind: &str) -> &str {
        let certificates = self.certificates.as_array().unwrap();
        certificates.iter().find(|one| one["kind"] == kind).unwrap()["serial"].as_str().unwrap()
    }

    fn holder(&self) -> &str {
        self.card.holder_id.as_deref().unwrap()
    }

    fn on_phone(&self, installation: &Installation, command: &[&str]) -> Value {
        let place = installation.place();
        let more = ["--installation", place.to_str().unwrap(), "--output", "json", self.phone.to_str().unwrap()];
        serde_json::from_str(&said(&tsunagi(&[&["sandbox", "phone"], command, &more].concat()))).unwrap()
    }
}

fn state(installation: &Installation, serial: &str) -> String {
    installation.json(&["certificate", "show", serial])["state"].as_str().unwrap().to_owned()
}

#[test]
fn operators_hold_and_revoke_and_read_the_story_of_it() {
    let mut installation = Installation::serving(Store::Sqlite);
    let pair = Pair::enrol(&installation, "phone");
    let signature = pair.serial("signature").to_owned();
    a_lost_phone(&installation, &pair, &signature);
    who_may_what(&installation, &signature);
    the_phone_obeys(&installation, &pair);
    the_end(&installation, &pair, &signature);
    installation.stop();
    assert_eq!(refusal(&installation, &["schedule", "list"], UNREACHABLE), "unreachable");
}

fn a_lost_phone(installation: &Installation, pair: &Pair, signature: &str) {
    let held = text(installation, &["certificate", "hold", "--holder", pair.holder(), "--ticket", "Left in a train, ticket 4711"]);
    assert!(held.contains(signature) && held.contains("held"), "{held}");
    assert_eq!(state(installation, signature), "held");
    let more = installation.json(&["certificate", "hold", signature, "--cause", "operator", "--ticket", "Asked to"]);
    assert_eq!(more["outcome"]["certificates"][0]["change"], "hold-added", "{more}");
    let story = text(installation, &["certificate", "history", signature]);
    for words in [
        "Issued",
        "Put on hold, by call-centre (call-centre): phone-lost",
        "“Left in a train, ticket 4711”",
        "instruction ",
        "Held for one more cause",
        "hold that stands",
        "Sandbox phone",
    ] {
        assert!(story.contains(words), "no {words:?} in:\n{story}");
    }
    let told = installation.json(&["certificate", "history", signature, "--as", "auditor"]);
    assert_eq!(told["certificate"]["state"], "held");
    assert_eq!(told["holds"].as_array().unwrap().len(), 2);
    // Under JPKI's policy no hold is ever lifted.
    assert_eq!(refusal(installation, &["certificate", "lift", signature, "--ticket", "Found"], REFUSED), "hold_not_liftable");
}

fn who_may_what(installation: &Installation, signature: &str) {
    let revoke = ["certificate", "revoke", signature, "--reason", "keyCompromise", "--ticket", "t"];
    for operator in ["auditor", "call-centre", "verifier", "back-office"] {
        assert_eq!(refusal(installation, &[&revoke[..], &["--as", operator]].concat(), REFUSED), "role_not_allowed", "{operator}");
    }
    assert_eq!(refusal(installation, &["schedule", "list", "--as", "nobody"], SETTINGS), "settings");
    assert_eq!(refusal(installation, &["schedule", "list", "--as", "../ra/tls"], USAGE), "usage");
    for wrong in [
        &["certificate", "revoke", signature, "--reason", "certificateHold", "--ticket", "t"][..],
        &["certificate", "hold", "--ticket", "t"],
        &["certificate", "hold", signature],
        &["certificate", "hold", signature, "--holder", "h", "--ticket", "t"],
        &["certificate", "hold", signature, "--ticket", ""],
        &["certificate", "hold", "no-number", "--ticket", "t"],
        &["device", "show", "../schedules"],
        &["schedule", "run", "breakfast"],
    ] {
        assert_eq!(refusal(installation, wrong, USAGE), "usage", "{wrong:?}");
    }
    let nobody = "F".repeat(38);
    assert_eq!(refusal(installation, &["certificate", "history", &nobody], NOT_FOUND), "not_found");
    assert_eq!(refusal(installation, &["certificate", "hold", &nobody, "--ticket", "t"], REFUSED), "target_unknown");
    assert_eq!(refusal(installation, &["device", "show", &"0".repeat(32)], NOT_FOUND), "not_found");
    assert_eq!(refusal(installation, &["instruction", "show", &"0".repeat(64)], NOT_FOUND), "instruction_unknown");
    // Each is entered by its own thread, soon after the lead is taken.
    until("every schedule is listed", || {
        let schedules = installation.json(&["schedule", "list"]);
        (schedules.as_array().unwrap().len() == 9).then_some(())
    });
    assert!(text(installation, &["schedule", "run", "compare"]).contains("compare"));
    until("the comparison has run", || {
        let schedules = installation.json(&["schedule", "list"]);
        let compare = schedules.as_array().unwrap().iter().find(|one| one["name"] == "compare").unwrap().clone();
        compare["last_finished_at"].is_string().then_some(())
    });
}

fn the_phone_obeys(installation: &Installation, pair: &Pair) {
    let shown = installation.json(&["holder", "show", pair.holder()]);
    assert_eq!(shown["certificates"].as_array().unwrap().len(), 2);
    let device = shown["devices"][0]["device"].as_str().unwrap();
    // The hold for the lost phone told it to lock.
    until("the lock command is made", || {
        let found = installation.json(&["device", "show", device]);
        (found["commands"][0]["action"] == "lock").then_some(())
    });
    let looked = pair.on_phone(installation, &["commands", "--look"]);
    assert_eq!((&looked[0]["action"], &looked[0]["carried_out"]), (&json!("lock"), &json!(false)));
    assert_eq!(pair.on_phone(installation, &["commands"])[0]["carried_out"], true);
    until("the lock command is confirmed", || {
        let found = installation.json(&["device", "show", device]);
        (found["commands"][0]["state"] == "confirmed").then_some(())
    });
    assert!(text(installation, &["device", "show", device]).contains("confirmed"));
    let commanded = text(installation, &["device", "lock", device, "--ticket", "To be sure"]);
    assert!(commanded.contains("on its way"), "{commanded}");
    assert_eq!(refusal(installation, &["device", "erase", device, "--ticket", "t"], REFUSED), "nothing_to_erase");
}

fn the_end(installation: &Installation, pair: &Pair, signature: &str) {
    let revoked = installation.json(&["certificate", "revoke", signature, "--reason", "keyCompromise", "--ticket", "Seen on the net"]);
    assert_eq!(revoked["outcome"]["certificates"][0]["change"], "revoked", "{revoked}");
    let shown = installation.json(&["instruction", "show", revoked["id"].as_str().unwrap()]);
    assert_eq!((&shown["state"], &shown["outcome"]), (&revoked["state"], &revoked["outcome"]));
    assert_eq!(shown["signed_by"]["name"], "administrator", "{shown}");
    assert_eq!(state(installation, signature), "revoked");
    let again = ["certificate", "revoke", signature, "--reason", "keyCompromise", "--ticket", "t"];
    assert_eq!(refusal(installation, &again, REFUSED), "certificate_ended");
    let unerased = installation.json(&["device", "list", "--unerased"]);
    assert_eq!(unerased[0]["erasure"], "owed", "{unerased}");
    let erase = installation.json(&["device", "erase", unerased[0]["device"].as_str().unwrap(), "--ticket", "Once more"]);
    assert!(erase["outcome"]["command"].is_string(), "{erase}");
    // With the card, all that the holder has.
    let place = installation.place();
    let end = ["sandbox", "phone", "end", "--output", "json", "--installation", place.to_str().unwrap(), "--card"];
    let ended: Value = serde_json::from_str(&said(&tsunagi(&[&end[..], &[pair.card_directory.to_str().unwrap()]].concat()))).unwrap();
    assert_eq!(ended["outcome"]["certificates"][0]["kind"], "authentication", "{ended}");
    assert_eq!(state(installation, pair.serial("authentication")), "revoked");
}

#[test]
fn a_holder_acts_from_the_phone_alone() {
    let installation = Installation::serving(Store::Sqlite);
    let pair = Pair::enrol(&installation, "phone");
    let own = pair.on_phone(&installation, &["list"]);
    assert_eq!(own["certificates"].as_array().unwrap().len(), 2, "{own}");
    let place = installation.place();
    let list = ["sandbox", "phone", "list", "--installation", place.to_str().unwrap(), "--card", pair.card_directory.to_str().unwrap()];
    assert!(said(&tsunagi(&list)).contains("certificate.issued"));
    // The authentication key is enough to end both.
    let ended = pair.on_phone(&installation, &["end", "--with", "authentication"]);
    assert_eq!(ended["outcome"]["certificates"].as_array().unwrap().len(), 2, "{ended}");
    let compromised = Pair::enrol(&installation, "phone-2");
    let reported = compromised.on_phone(&installation, &["report-key", "--kind", "signature"]);
    assert_eq!(reported["outcome"]["certificates"][0]["change"], "revoked", "{reported}");
    assert_eq!(state(&installation, compromised.serial("authentication")), "live");
    let shown = installation.json(&["certificate", "show", compromised.serial("signature")]);
    assert_eq!(shown["revocation"]["reason"], "keyCompromise");
}

#[test]
fn card_events_are_brought_in_from_a_file() {
    let installation = Installation::serving(Store::Sqlite);
    let pair = Pair::enrol(&installation, "phone");
    let shown = installation.json(&["certificate", "show", pair.serial("signature")]);
    let event = |number: usize, serial: &str| {
        json!({"event_id": format!("import-{number}"), "issuer_key_id": shown["link"]["card_issuer_key_id"], "serial": serial, "sequence": 9_000,
            "type": "revoked", "reason": "affiliationChanged", "occurred_at": "2026-11-01T00:00:00Z"})
        .to_string()
    };
    let others = (1..=1_200).map(|number| event(number, &format!("{:08x}", 0x7000_0000 + number)));
    let lines: Vec<String> = others.chain([String::new(), event(0, shown["link"]["card_serial"].as_str().unwrap())]).collect();
    let file = installation.scratch().join("events.jsonl");
    let path = file.to_str().unwrap();
    let import = ["card-event", "import", path];

    std::fs::write(&file, format!("{}\n{{\"event_id\":7}}\n", lines[0])).unwrap();
    assert_eq!(refusal(&installation, &import, 1), "line_malformed");
    std::fs::write(&file, lines[0].replace("revoked", "eaten")).unwrap();
    assert_eq!(refusal(&installation, &import, 1), "line_malformed");
    assert_eq!(refusal(&installation, &["card-event", "import", "/nowhere.jsonl"], NOT_FOUND), "not_found");

    std::fs::write(&file, lines.join("\n")).unwrap();
    let dry = installation.json(&[&import[..], &["--dry-run"]].concat());
    assert_eq!((&dry["events"], &dry["types"]["revoked"], &dry["sent"]), (&json!(1_201), &json!(1_201), &json!(false)));
    assert_eq!(state(&installation, pair.serial("signature")), "live");
    let last = installation.json(&[&import[..], &["--resume-from", "1201"]].concat());
    assert_eq!((&last["events"], &last["new"]), (&json!(1), &json!(1)));
    until("the certificate is revoked", || (state(&installation, pair.serial("signature")) == "revoked").then_some(()));
    let all = installation.json(&import);
    assert_eq!((&all["events"], &all["known"], &all["new"]), (&json!(1_201), &json!(1), &json!(1_200)));
    assert_eq!(refusal(&installation, &[&import[..], &["--as", "auditor"]].concat(), REFUSED), "role_not_allowed");
}

#[test]
fn many_are_changed_by_two_people() {
    let mut installation = Installation::prepare(Store::Sqlite);
    installation.set("ca.mass.second_person_above", "2");
    installation.start();
    let (one, two) = (Pair::enrol(&installation, "one"), Pair::enrol(&installation, "two"));
    let issuer = installation.json(&["certificate", "show", one.serial("signature")])["link"]["card_issuer_key_id"].clone();
    let of_two = installation.json(&["certificate", "show", two.serial("signature")])["link"]["card_issuer_key_id"].clone();
    let issuer = issuer.as_str().unwrap();
    let signatures = if of_two == issuer { 2 } else { 1 };
    let scope = ["--card-issuer", issuer, "--ticket", "The card CA's key is out"];
    let hold = [&["mass", "hold"], &scope[..]].concat();
    let counted = installation.json(&[&hold[..], &["--dry-run"]].concat());
    assert_eq!(counted["count"], signatures, "{counted}");
    // Nobody sits there to be asked.
    let unasked = installation.command(&hold);
    assert_eq!(unasked.status.code(), Some(USAGE));
    assert!(String::from_utf8_lossy(&unasked.stderr).contains(&format!("--expected {signatures}")));
    assert_eq!(refusal(&installation, &[&hold[..], &["--expected", "77"]].concat(), REFUSED), "count_changed");
    let begun = installation.json(&[&hold[..], &["--expected", &signatures.to_string()]].concat());
    let batch = begun["outcome"]["batch"].as_str().unwrap().to_owned();
    until("the batch is done", || (installation.json(&["mass", "show", &batch])["state"] == "finished").then_some(()));
    assert_eq!(state(&installation, one.serial("signature")), "held");
    assert!(text(&installation, &["mass", "show", &batch]).contains("finished"));

    installation.stop();
    installation.set("ca.mass.second_person_above", "0");
    installation.start();
    let expected = signatures.to_string();
    let revoke = [&["mass", "revoke", "--reason", "cACompromise"], &scope[..], &["--expected", &expected]].concat();
    let unapproved = installation.command(&[&revoke[..], &["--output", "json"]].concat());
    assert_eq!(unapproved.status.code(), Some(WAITING));
    let waiting: Value = serde_json::from_slice(&unapproved.stdout).unwrap();
    assert_eq!(waiting["state"], "awaiting-approval", "{waiting}");
    let id = waiting["id"].as_str().unwrap();
    let shown = text(&installation, &["instruction", "show", id]);
    for told in ["tsunagi mass approve", "(administrator)", "cACompromise", issuer, "The card CA's key is out"] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert_eq!(state(&installation, one.serial("signature")), "held");
    let by_same = refusal(&installation, &["mass", "approve", id, "--as", "administrator"], REFUSED);
    assert_eq!(by_same, "second_person_needed");
    let approved = text(&installation, &["mass", "approve", id]);
    assert!(approved.contains("Batch"), "{approved}");
    let by = installation.json(&["instruction", "show", id]);
    assert_eq!(by["approved_by"]["role"], "administrator", "{by}");
    assert_ne!(by["approved_by"]["name"], by["signed_by"]["name"]);
    until("the batch is done", || (state(&installation, one.serial("signature")) == "revoked").then_some(()));
    assert_eq!(state(&installation, one.serial("authentication")), "live");
}
