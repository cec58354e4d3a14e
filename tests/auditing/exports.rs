//! Exports over the command line and HTTP.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use audit_log::export::Manifest;
use audit_log::hash::sha256;
use sandbox::kind::Kind;
use schema::testing::tamper_with;
use serde_json::{Value, json};

use crate::support::{Installation, expect_problem, program, run, said, tsunagi, until};

/// An export on disk, and what the command told of it.
pub(crate) struct Taken {
    directory: PathBuf,
    told: Value,
}

impl Taken {
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(&self.directory).unwrap().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
    }

    fn manifest(&self) -> Manifest {
        let note = fs::read_to_string(self.directory.join("manifest.note")).unwrap();
        Manifest::parse(&note[..=note.rfind("\n\n").unwrap()]).unwrap()
    }

    fn path(&self) -> &str {
        self.directory.to_str().unwrap()
    }
}

pub(crate) fn take(installation: &Installation, name: &str, more: &[&str]) -> Taken {
    let directory = installation.scratch().join(name);
    let arguments = [&["audit", "export", "--to-dir", directory.to_str().unwrap()], more].concat();
    let told = installation.json(&arguments);
    Taken { directory, told }
}

/// `tsunagi audit verify`, which sees no installation; whether nothing was found.
pub(crate) fn verify(installation: &Installation, taken: &Taken, more: &[&str]) {
    let key = installation.json(&["log", "show"])["verifier_key"].as_str().unwrap().to_owned();
    let output = tsunagi(&[&["audit", "verify", taken.path(), "--log-key", &key], more].concat());
    assert!(output.status.success(), "{}", said(&output));
}

pub(crate) fn are_taken_with_evidence_and_verified(installation: &Installation) -> Taken {
    let enrolled: Vec<_> = (0..3).map(|_| installation.apply(&installation.card())).collect();
    until_under_a_checkpoint(installation);
    let scratch = installation.scratch().to_owned();
    run(&scratch, "age-keygen", &["--output", "auditor.key"]);
    let recipient = run(&scratch, "age-keygen", &["-y", "auditor.key"]);
    let taken = take(installation, "first", &["--with-evidence", "--recipient", recipient.trim()]);

    let names: Vec<String> = taken.files().into_keys().collect();
    assert_eq!(names, ["evidence-00000000.age", "hashes-00000000.bin", "manifest.note", "records-00000000.jsonl"]);
    assert_eq!(taken.told["evidence_of_applications"], 3);
    let manifest = taken.manifest();
    assert_eq!(
        (manifest.from, manifest.taken_by.as_str(), manifest.export.as_str()),
        (0, "auditor", taken.told["export"].as_str().unwrap())
    );
    let card_cas = Kind::ALL.iter().flat_map(|kind| [1, 2].map(|generation| (kind, generation))).map(|(kind, generation)| {
        let file = scratch.join(format!("sandbox/card-ca-{kind}-{generation}.pem"));
        format!("--card-ca={kind}={}", file.display())
    });
    let identity = format!("--identity={}", scratch.join("auditor.key").display());
    let arguments: Vec<String> = card_cas.chain([identity]).collect();
    verify(installation, &taken, &arguments.iter().map(String::as_str).collect::<Vec<_>>());

    // Another's program opens the evidence, and it is what the phones sent.
    let evidence = taken.directory.join("evidence-00000000.age");
    let text = run(&scratch, "age", &["--decrypt", "--identity", "auditor.key", evidence.to_str().unwrap()]);
    let digests: Vec<Value> = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["sha256"].clone()).collect();
    let sent: Vec<Value> = enrolled.iter().map(|enrolment| json!(hex::encode(sha256(&enrolment.cms)))).collect();
    assert_eq!(digests, sent);
    for (name, octets) in taken.files() {
        if name != "evidence-00000000.age" {
            let text = String::from_utf8_lossy(&octets).into_owned();
            assert!(!text.contains("holder-"), "{name} names a holder");
        }
    }
    taken
}

/// Waits until everything so far is under a checkpoint.
fn until_under_a_checkpoint(installation: &Installation) {
    let reader = installation.reader();
    until("everything is under a checkpoint", || reader.unsequenced_since().unwrap().is_none().then_some(()));
}

pub(crate) fn go_on_where_an_earlier_one_ended(installation: &Installation, first: &Taken) {
    installation.apply(&installation.card());
    until_under_a_checkpoint(installation);
    let second = take(installation, "second", &["--since", first.path(), "--format", "csv"]);
    let (earlier, manifest) = (first.manifest(), second.manifest());
    assert_eq!(manifest.from, earlier.to);
    assert!(manifest.previous.is_some());
    assert!(second.files().contains_key("records-00000000.csv"));
    verify(installation, &second, &["--previous", first.path()]);

    let checkpoint = installation.scratch().join("earlier.checkpoint");
    fs::write(&checkpoint, &earlier.checkpoint).unwrap();
    let third = take(installation, "third", &["--since", checkpoint.to_str().unwrap(), "--from-leaf", "0"]);
    assert_eq!(
        (third.manifest().from, third.manifest().previous.map(|previous| previous.size)),
        (0, manifest.previous.map(|previous| previous.size))
    );
    verify(installation, &third, &["--previous", checkpoint.to_str().unwrap()]);

    let listed = installation.json(&["audit", "list"]);
    let listed: Vec<&Value> = listed.as_array().unwrap().iter().map(|export| &export["export"]).collect();
    assert_eq!(listed, [&third.told["export"], &second.told["export"], &first.told["export"]]);
}

/// What was broken off in the middle of a file goes on there: the same octets come out.
pub(crate) fn are_fetched_from_any_place_on(installation: &Installation, first: &Taken) {
    let files = first.files();
    let recipient = first.manifest().recipient.unwrap();
    for (name, octets) in files.iter().filter(|(name, _)| name.as_str() != "manifest.note") {
        for keep in [1, octets.len() / 2, octets.len() - 1] {
            let directory = installation.scratch().join(format!("again-{name}-{keep}"));
            fs::create_dir(&directory).unwrap();
            let asked = json!({"action": "audit-export", "format": "jsonl", "recipient": recipient});
            fs::write(directory.join("export.part"), json!({"export": first.told["export"], "asked": asked}).to_string()).unwrap();
            fs::write(directory.join(format!("{name}.part")), &octets[..keep]).unwrap();
            let arguments = ["audit", "export", "--to-dir", directory.to_str().unwrap(), "--with-evidence", "--recipient", &recipient];
            let told = installation.json(&arguments);
            let again = Taken { directory, told };
            assert_eq!(again.files(), files);
        }
    }
}

pub(crate) fn are_refused_where_there_is_nothing_to_prove(installation: &Installation, first: &Taken) {
    let scratch = |name: &str| installation.scratch().join(name).to_str().unwrap().to_owned();
    let refused = |arguments: &[&str], code: &str, exit: i32| {
        let output = installation.command(&[&["audit", "export", "--output", "json"], arguments].concat());
        let failure: Value = serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{}", said(&output)));
        assert_eq!((failure["code"].as_str(), output.status.code()), (Some(code), Some(exit)), "{failure}");
    };
    refused(&["--to-dir", &scratch("none"), "--from-leaf", "3", "--to-leaf", "3"], "nothing_to_export", 6);
    refused(&["--to-dir", &scratch("none"), "--to-leaf", "100000"], "beyond_checkpoint", 6);
    refused(&["--to-dir", &scratch("none"), "--to", "2020-01-01"], "nothing_to_export", 6);
    refused(&["--to-dir", first.path()], "exists", 9);
    refused(&["--to-dir", installation.scratch().to_str().unwrap()], "exists", 9);
    refused(&["--to-dir", &scratch("none"), "--since", &scratch("nowhere")], "not_found", 5);
    let nobody = format!("age1{}", "q".repeat(58));
    refused(&["--to-dir", &scratch("none"), "--with-evidence", "--recipient", &nobody], "usage", 2);
    // Evidence is personal data.
    let auditor = first.manifest().recipient.unwrap();
    let administrator = ["--as", "administrator", "--to-dir", &scratch("none"), "--with-evidence", "--recipient", &auditor];
    refused(&administrator, "role_not_allowed", 6);

    // Whoever has seen a larger log than there is has the proof that something was taken away.
    let larger = fs::read_to_string(installation.scratch().join("earlier.checkpoint")).unwrap().replacen("\n", "\n9", 1);
    fs::write(scratch("larger.checkpoint"), larger).unwrap();
    refused(&["--to-dir", &scratch("none"), "--since", &scratch("larger.checkpoint"), "--from-leaf", "0"], "log_shrunk", 6);
    refused(&["--to-dir", &scratch("none"), "--operators-url", "https://127.0.0.1:9"], "unreachable", 7);
    assert!(!Path::new(&scratch("none")).exists(), "a directory is left behind");
}

/// Another key of the auditor's own is told as what it is, before anything is judged.
pub(crate) fn are_not_judged_with_another_s_key(installation: &Installation, first: &Taken) {
    let scratch = installation.scratch().to_owned();
    run(&scratch, "age-keygen", &["--output", "other.key"]);
    let key = installation.json(&["log", "show"])["verifier_key"].as_str().unwrap().to_owned();
    let (identity, card_ca) = (scratch.join("other.key"), scratch.join("sandbox/card-ca-signature-1.pem"));
    let more = ["--identity", identity.to_str().unwrap(), "--card-ca", card_ca.to_str().unwrap(), "--output", "json"];
    let output = tsunagi(&[&["audit", "verify", first.path(), "--log-key", &key], &more[..]].concat());
    let failure: Value = serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!((failure["code"].as_str(), output.status.code()), (Some("identity_other"), Some(2)), "{failure}");
    assert!(failure["error"].as_str().unwrap().contains(&first.manifest().recipient.unwrap()), "{failure}");
}

/// A machine of the auditor's own has no settings of the installation.
pub(crate) fn need_no_settings(installation: &Installation) {
    let url = format!("https://{}", installation.operators);
    let credentials = installation.place().join("operators");
    let elsewhere = tempfile::tempdir().unwrap();
    let ask = |arguments: &[&str]| {
        let who = ["--operators-url", &url, "--credentials", credentials.to_str().unwrap(), "--as", "auditor", "--output", "json"];
        let mut command = std::process::Command::new(program());
        command.args(arguments).args(who).current_dir(elsewhere.path()).env_remove("TSUNAGI_SETTINGS");
        command.stdin(std::process::Stdio::null()).output().unwrap()
    };
    let own = ["audit", "export", "--to-dir", "own", "--ra-name", "ra.test"];
    for arguments in [&["audit", "list"][..], &["audit", "search", "--limit", "1"], &own] {
        let output = ask(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }
    let nameless = ask(&["audit", "export", "--to-dir", "nameless"]);
    assert_eq!(nameless.status.code(), Some(2), "{}", said(&nameless));
    assert!(String::from_utf8_lossy(&nameless.stderr).contains("--ra-name"), "{}", said(&nameless));
    let another = ask(&["audit", "export", "--to-dir", "another", "--ra-name", "another.example"]);
    assert!(another.status.code() == Some(6) && said(&another).contains("statement_audience"), "{}", said(&another));
}

/// Reports say what they cover, and there is none over visits between which leaves are missing.
pub(crate) fn are_reported_in_order(installation: &Installation, first: &Taken) {
    let second = installation.scratch().join("second");
    let report = |directory: &str, previous: &str, format: &str| {
        tsunagi(&["audit", "report", directory, "certificates", "--previous", previous, "--format", format])
    };
    let whole = report(second.to_str().unwrap(), first.path(), "csv");
    assert!(whole.status.success() && String::from_utf8_lossy(&whole.stderr).starts_with("tsunagi: leaves 0 to "), "{}", said(&whole));
    assert!(String::from_utf8_lossy(&whole.stdout).starts_with("month,"), "{}", said(&whole));
    let turned = report(first.path(), second.to_str().unwrap(), "table");
    assert_eq!(turned.status.code(), Some(2), "{}", said(&turned));
}

pub(crate) fn are_for_auditors_alone(installation: &Installation, first: &Taken) {
    let path = format!("/v1/audit/exports/{}", first.told["export"].as_str().unwrap());
    for name in ["call-centre", "back-office", "verifier"] {
        let denied = |path: &str| installation.operator(Some(installation.identity(name))).get(&url(installation, path), &[]).unwrap();
        expect_problem(name, &denied(&path), "role_not_allowed");
        expect_problem(name, &denied(&format!("{path}/files/records-00000000.jsonl")), "role_not_allowed");
    }
    let auditor = installation.operator(Some(installation.identity("auditor")));
    let get = |path: &str, headers: &[(&str, &str)]| auditor.get(&url(installation, path), headers).unwrap();
    let records = first.files().remove("records-00000000.jsonl").unwrap();
    let part = get(&format!("{path}/files/records-00000000.jsonl"), &[("Range", "bytes=10-19")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &records[10..20]));
    let beyond = format!("bytes={}-", records.len());
    expect_problem("a range beyond", &get(&format!("{path}/files/records-00000000.jsonl"), &[("Range", &beyond)]), "range_not_satisfiable");
    for name in ["records-00000001.jsonl", "records-00000000.csv", "settings.toml", "..%2f..%2fsettings.toml"] {
        assert_eq!(get(&format!("{path}/files/{name}"), &[]).status, 404, "{name}");
    }
    expect_problem("no export", &get("/v1/audit/exports/none", &[]), "not_found");
}

fn url(installation: &Installation, path: &str) -> String {
    format!("https://{}{path}", installation.operators)
}

/// Nothing is signed over a record that was changed in the store.
pub(crate) fn are_given_out_no_more_when_records_were_purged(installation: &Installation, first: &Taken) {
    let statement = "UPDATE log_leaf SET salt = NULL, position = NULL, absent = 1 WHERE leaf = 3";
    tamper_with(&installation.store_url(), statement).unwrap();
    let path = format!("/v1/audit/exports/{}/files/records-00000000.jsonl", first.told["export"].as_str().unwrap());
    let answer = installation.operator(Some(installation.identity("auditor"))).get(&url(installation, &path), &[]).unwrap();
    expect_problem("a part with a record that was purged since", &answer, "export_changed");
}

pub(crate) fn name_the_record_that_was_changed(installation: &Installation) {
    tamper_with(&installation.store_url(), "UPDATE event SET at = at + 1 WHERE position = 5").unwrap();
    let directory = installation.scratch().join("tampered");
    let output = installation.command(&["audit", "export", "--to-dir", directory.to_str().unwrap(), "--output", "json"]);
    let failure: Value = serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!((failure["code"].as_str(), output.status.code()), (Some("export_failed"), Some(6)));
    assert!(failure["error"].as_str().unwrap().contains("leaf 4 does not say what the log committed to"), "{failure}");
    assert!(failure["error"].as_str().unwrap().contains("the same command takes another"), "{failure}");
    assert!(!directory.join("manifest.note").exists());
    // Put right, the same command takes another; so it does where the server knows nothing of what was begun.
    tamper_with(&installation.store_url(), "UPDATE event SET at = at - 1 WHERE position = 5").unwrap();
    let asked = serde_json::json!({"action": "audit-export", "format": "jsonl"});
    let begun = serde_json::json!({"instruction": "0".repeat(64), "export": "0".repeat(32), "asked": asked});
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("export.part"), begun.to_string()).unwrap();
    std::fs::write(directory.join("records-00000000.jsonl.part"), b"of what was begun").unwrap();
    let output = installation.command(&["audit", "export", "--to-dir", directory.to_str().unwrap()]);
    assert!(output.status.success() && said(&output).contains("it is asked for anew"), "{}", said(&output));
    assert!(directory.join("manifest.note").exists() && !directory.join("export.part").exists());
    assert!(!directory.join("records-00000000.jsonl.part").exists());
}
