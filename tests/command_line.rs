//! The command line: help, exit codes, JSON, and what it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use support::{Installation, Store, program, tsunagi};

/// Exit codes: the command line was wrong; settings; the store; not found; somebody refused; there already.
const USAGE: i32 = 2;
const SETTINGS: i32 = 3;
const STORE: i32 = 4;
const NOT_FOUND: i32 = 5;
const REFUSED: i32 = 6;
const EXISTS: i32 = 9;

#[track_caller]
fn fails(output: &Output, code: i32, words: &[&str]) {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

/// The one JSON value that a command with `--output json` leaves on the error channel.
#[track_caller]
fn failure(output: &Output, code: i32) -> Value {
    let failure: Value =
        serde_json::from_slice(&output.stderr).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!((output.status.code(), failure["exit_code"].as_i64()), (Some(code), Some(code.into())), "{failure}");
    assert!(failure["error"].as_str().is_some_and(|sentence| sentence.len() > 10) && failure["code"].is_string(), "{failure}");
    failure
}

#[test]
fn every_failure_is_json_where_json_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(place("settings.toml"), "[store").unwrap();
    for (code, word, command) in [
        (USAGE, "usage", vec!["certify".to_owned()]),
        (USAGE, "usage", vec!["serve".into(), "--role".into(), "emperor".into()]),
        (USAGE, "usage", vec![]),
        (SETTINGS, "settings", vec!["settings".into(), "check".into(), "--settings".into(), place("")]),
        (SETTINGS, "settings", vec!["serve".into(), "--settings".into(), place("nowhere")]),
        (NOT_FOUND, "not_found", vec!["init".into(), place("pki"), "--sandbox".into(), place("nowhere")]),
        (NOT_FOUND, "not_found", vec!["crl".into(), "show".into(), "--file".into(), place("nowhere.crl")]),
        (EXISTS, "exists", vec!["demo".into(), "--dir".into(), place("")]),
    ] {
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let by_option = tsunagi(&[&command[..], &["--output", "json"]].concat());
        assert_eq!(failure(&by_option, code)["code"], word, "{command:?}");
        let by_variable = std::process::Command::new(program()).args(&command).env("TSUNAGI_OUTPUT", "json").output().unwrap();
        assert_eq!(by_variable.stderr, by_option.stderr, "{command:?}");
    }
    assert!(tsunagi(&["--help", "--output=json"]).status.success());
}

#[test]
fn an_installation_is_made_whole_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = directory.path().join("sandbox");
    std::fs::create_dir(&sandbox).unwrap();
    let back_office = sandbox::back_office::BackOffice::start(&sandbox::back_office::BackOfficeSettings::default()).unwrap();
    back_office.write_files(&sandbox).unwrap();
    let reached = serde_json::json!({ "url": back_office.url(), "status_url": back_office.status_url() });
    std::fs::write(sandbox.join("sandbox.json"), reached.to_string()).unwrap();
    let place = directory.path().join("below").join("pki");
    let init = |more: &[&str]| tsunagi(&[&["init", place.to_str().unwrap(), "--sandbox", sandbox.to_str().unwrap()], more].concat());
    let beside = || std::fs::read_dir(place.parent().unwrap()).map(|entries| entries.count()).unwrap_or(0);

    fails(&init(&["--lifecycle", "none"]), USAGE, &["jpki", "derived-piv"]);
    fails(&init(&["--lifecycle", "jpki", "--policies", "x"]), USAGE, &["cannot be used with"]);
    fails(&init(&["--store", "sqlite:///nowhere/at/all.sqlite"]), STORE, &["the store", "is left there"]);
    assert!(!place.exists() && beside() == 0);
    // The trust in a card CA that is none is found late, too.
    std::fs::write(sandbox.join("card-ca-authentication-1.pem"), "no certificate").unwrap();
    fails(&init(&[]), SETTINGS, &["authentication"]);
    assert!(!place.exists() && beside() == 0);

    back_office.write_files(&sandbox).unwrap();
    // A directory that is there and empty will do.
    std::fs::create_dir(&place).unwrap();
    assert!(init(&["--lifecycle", "derived-piv"]).status.success());
    assert_eq!(beside(), 1);
    let check = || tsunagi(&["settings", "check", "--settings", place.to_str().unwrap()]);
    let checked = check();
    assert!(checked.status.success() && String::from_utf8_lossy(&checked.stdout).contains("derived-piv (holds can be lifted)"));
    let settings = std::fs::read_to_string(place.join("settings.toml")).unwrap();
    assert!(settings.contains("\nlifecycle = \"derived-piv\"\n"));
    std::fs::write(place.join("settings.toml"), format!("policy_directory = \"x\"\n{settings}")).unwrap();
    fails(&check(), SETTINGS, &["lifecycle: only without policy_directory"]);
}

#[test]
fn a_sandbox_directory_is_kept_by_one_back_office() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = directory.path().join("sandbox");
    let start = || {
        let mut command = std::process::Command::new(program());
        command.args(["sandbox", "back-office", "--dir"]).arg(&sandbox);
        for option in ["--listen", "--status-listen", "--push-listen"] {
            command.args([option, "127.0.0.1:0"]);
        }
        command
    };
    let mut first = support::Process::start(&mut start(), &directory.path().join("first.log"));
    support::until("the back office is there", || sandbox.join("sandbox.json").is_file().then_some(()));
    let reached = std::fs::read(sandbox.join("sandbox.json")).unwrap();
    let second = start().args(["--output", "json"]).output().unwrap();
    assert_eq!(failure(&second, EXISTS)["code"], "exists");
    assert_eq!(std::fs::read(sandbox.join("sandbox.json")).unwrap(), reached);
    // However the first one ends, the next may start.
    first.kill();
    let _next = support::Process::start(&mut start(), &directory.path().join("next.log"));
    support::until("the next one has taken its place", || (std::fs::read(sandbox.join("sandbox.json")).unwrap() != reached).then_some(()));
}

#[test]
fn every_command_explains_itself() {
    let mut seen = Vec::new();
    explain(&[], &mut seen);
    for command in [
        "demo",
        "init",
        "serve",
        "settings check",
        "settings show",
        "certificate list",
        "certificate show",
        "certificate hold",
        "certificate lift",
        "certificate revoke",
        "certificate history",
        "holder show",
        "device list",
        "device show",
        "device erase",
        "device lock",
        "card-event import",
        "mass revoke",
        "mass hold",
        "mass approve",
        "mass show",
        "schedule list",
        "schedule run",
        "instruction show",
        "crl show",
        "crl list",
        "crl get",
        "sandbox back-office",
        "sandbox card new",
        "sandbox card revoke",
        "sandbox card change",
        "sandbox phone apply",
        "sandbox phone end",
        "sandbox phone list",
        "sandbox phone commands",
        "sandbox phone report-key",
        "sandbox load",
    ] {
        assert!(seen.iter().any(|known| known == command), "{command} is not there: {seen:?}");
    }
    fails(&tsunagi(&[]), USAGE, &["Usage"]);
    fails(&tsunagi(&["certify"]), USAGE, &["certify"]);
    fails(&tsunagi(&["serve", "--role", "emperor"]), USAGE, &["ra", "ca", "status"]);
    fails(&tsunagi(&["demo", "--stop-before-revocation"]), USAGE, &["--serve"]);
    let version = tsunagi(&["--version"]);
    assert_eq!(String::from_utf8(version.stdout).unwrap().trim(), format!("tsunagi {}", env!("CARGO_PKG_VERSION")));
}

/// Reads the help of a command and of all commands below it.
fn explain(command: &[&str], seen: &mut Vec<String>) {
    let output = tsunagi(&[command, &["--help"]].concat());
    let help = String::from_utf8(output.stdout).unwrap();
    let name = command.join(" ");
    assert!(output.status.success() && help.contains("Usage: tsunagi"), "{name}: {help}");
    assert!(help.lines().next().is_some_and(|line| line.len() > 10), "{name} says nothing about itself: {help}");
    assert!(help.contains("--output"), "{name} has no --output");
    let commands = help.lines().skip_while(|line| line.trim() != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    // What goes on in the next line is indented further.
    let names: Vec<String> =
        commands.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect();
    if names.is_empty() {
        // Whatever can be chosen is told what for.
        for line in help.lines().filter(|line| line.trim_start().starts_with("--")) {
            assert!(!line.trim().is_empty(), "{name}: {line}");
        }
        seen.push(name);
        return;
    }
    for below in names.iter().filter(|below| *below != "help") {
        explain(&[command, &[below]].concat(), seen);
    }
}

#[test]
fn an_installation_is_made_in_a_directory_of_its_own_and_checked_before_it_serves() {
    let mut installation = Installation::prepare(Store::Sqlite);
    let place = installation.place();
    let sandbox = installation.scratch().join("sandbox");
    init_refuses_an_occupied_directory(&place, &sandbox);
    secrets_are_for_their_owner_only(&place);
    output_is_json_everywhere(&mut installation, &sandbox);
    settings_are_checked(&installation);
    what_does_not_exist_is_not_found(&installation);
}

fn init_refuses_an_occupied_directory(place: &Path, sandbox: &Path) {
    let before = std::fs::read_to_string(place.join("settings.toml")).unwrap();
    let again = tsunagi(&["init", place.to_str().unwrap(), "--sandbox", sandbox.to_str().unwrap()]);
    fails(&again, EXISTS, &["is not empty"]);
    assert_eq!(std::fs::read_to_string(place.join("settings.toml")).unwrap(), before);
    let nowhere = place.join("nowhere");
    fails(&tsunagi(&["init", "/dev/null/x", "--sandbox", nowhere.to_str().unwrap()]), NOT_FOUND, &["no sandbox at"]);
    fails(&tsunagi(&["init", nowhere.to_str().unwrap()]), USAGE, &["--back-office-url", "--card-signature-ca"]);
    assert!(!nowhere.exists());
}

fn secrets_are_for_their_owner_only(place: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mut directories = vec![place.to_owned()];
    let mut secrets = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                directories.push(path);
            } else if [".key.pem", "passphrase", "token", "challenge.key"].iter().any(|end| name.ends_with(end)) {
                secrets += 1;
                assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
            }
        }
    }
    assert!(secrets >= 12, "{secrets} secrets");
    for kind in ["signature", "authentication"] {
        let key = std::fs::read_to_string(place.join(format!("ca/ca-{kind}-1.key.pem"))).unwrap();
        assert!(key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    }
}

fn output_is_json_everywhere(installation: &mut Installation, sandbox: &Path) {
    installation.start();
    let (sandbox, place) = (sandbox.to_str().unwrap().to_owned(), installation.place());
    let card = installation.scratch().join("card").to_str().unwrap().to_owned();
    let phone = installation.scratch().join("phone").to_str().unwrap().to_owned();
    let json = |arguments: &[&str]| -> Value {
        let output = tsunagi(&[arguments, &["--output", "json"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    };
    let made = json(&["sandbox", "card", "new", "--sandbox", &sandbox, &card]);
    assert!(made["card_id"].is_string() && made["holder_id"].is_string(), "{made}");
    let apply = ["sandbox", "phone", "apply", "--installation", place.to_str().unwrap(), "--card", &card, "--first-phone"];
    let applied = json(&[&apply[..], &[&phone]].concat());
    let serial = applied["certificates"][0]["serial"].as_str().unwrap();
    assert!(Path::new(&phone).join("phone-signature.pem").is_file());
    let keys = std::fs::read(Path::new(&phone).join("phone-signature.key.pem")).unwrap();
    fails(&tsunagi(&[&apply[..], &[&phone]].concat()), EXISTS, &["phone-signature.key.pem", "--force"]);
    for second in [&[phone.as_str(), "--force"][..], &[&format!("{phone}-2")]] {
        let second = tsunagi(&[&apply[..], second, &["--output", "json"]].concat());
        assert_eq!(failure(&second, REFUSED)["code"], "holder_has_live_certificate");
    }
    assert_eq!(std::fs::read(Path::new(&phone).join("phone-signature.key.pem")).unwrap(), keys, "the keys of a refused application");

    // Besides those of the service itself, with which relying parties try their checks.
    let held_by_somebody = |arguments: &[&str]| {
        let mut listed = installation.json(&[&["certificate", "list"][..], arguments].concat());
        listed.as_array_mut().unwrap().retain(|certificate| certificate["test"] == false);
        listed
    };
    let listed = held_by_somebody(&[]);
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(held_by_somebody(&["--after", id]).as_array().unwrap().len(), 1);
    assert_eq!(held_by_somebody(&["--kind", "signature", "--state", "live"]).as_array().unwrap().len(), 1);
    assert_eq!(held_by_somebody(&["--state", "revoked"]), Value::Array(vec![]));
    let shown = installation.json(&["certificate", "show", serial]);
    assert!(shown["certificate"].as_str().unwrap().contains("BEGIN CERTIFICATE") && shown["link"]["card_serial"].is_string(), "{shown}");
    let colons: Vec<String> = serial.as_bytes().chunks(2).map(|octet| String::from_utf8_lossy(octet).to_lowercase()).collect();
    assert_eq!(installation.json(&["certificate", "show", &colons.join(":")]), shown);
    let (issuer, card_serial) = (shown["link"]["card_issuer_key_id"].as_str().unwrap(), shown["link"]["card_serial"].as_str().unwrap());
    let linked = installation.json(&["certificate", "list", "--card-issuer", issuer, "--card", card_serial]);
    assert_eq!(linked[0]["serial"], serial);
    let pem = installation.command(&["certificate", "show", serial, "--pem"]);
    assert_eq!(String::from_utf8(pem.stdout).unwrap().trim(), shown["certificate"].as_str().unwrap().trim());

    let revoked = json(&["sandbox", "card", "revoke", "--sandbox", &sandbox, "--kind", "signature", &card]);
    assert_eq!(revoked.as_array().unwrap().len(), 1, "{revoked}");
    support::until("the CRL lists it", || {
        let crls = installation.json(&["crl", "show", "--kind", "signature", "--entries"]);
        crls[0]["entries"].as_array()?.iter().any(|entry| entry["serial"] == serial).then_some(())
    });
    assert_eq!(installation.json(&["crl", "show"]).as_array().unwrap().len(), 2);
    lists_are_shown_listed_and_written_to_files(installation, serial);
    assert_eq!(installation.json(&["settings", "check"])["settings"], "sound");
    assert_eq!(installation.json(&["settings", "show"])["ra"]["name"], "ra.test");
    let upgrade = installation.command(&["store", "upgrade"]);
    assert_eq!(upgrade.status.code(), Some(4), "served: {}", String::from_utf8_lossy(&upgrade.stderr));
    #[cfg(feature = "postgres")]
    assert!(json(&["store", "grants"])["sql"].as_str().unwrap().contains("GRANT"));
    // People get text.
    let text = installation.command(&["certificate", "list"]);
    assert!(String::from_utf8(text.stdout).unwrap().starts_with("id "));
    installation.stop();
}

fn lists_are_shown_listed_and_written_to_files(installation: &Installation, revoked: &str) {
    let shown = installation.json(&["crl", "show", "signature-1"]);
    let [shown] = shown.as_array().unwrap().as_slice() else { panic!("{shown}") };
    assert!(shown["url"].as_str().unwrap().ends_with("/crl/signature-1.crl") && shown.get("failure").is_none(), "{shown}");
    let listed = installation.json(&["crl", "list", "--kind", "signature"]);
    let [newest, .., first] = listed.as_array().unwrap().as_slice() else { panic!("{listed}") };
    assert_eq!((&newest["cause"], &first["cause"]), (&json!("revocation"), &json!("first")));
    let number = |list: &Value| list["number"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(number(newest) > number(first), "{listed}");

    let file = installation.scratch().join("list.crl");
    let get = ["crl", "get", "signature-1", "--out", file.to_str().unwrap()];
    assert!(number(&installation.json(&get)) >= number(newest));
    for list in [newest, first] {
        assert_eq!(&installation.json(&[&get[..], &["--number", list["number"].as_str().unwrap()]].concat()), list);
        let read = installation.json(&["crl", "show", "--entries", "--file", file.to_str().unwrap()]);
        assert_eq!((&read[0]["number"], &read[0]["octets"]), (&list["number"], &list["octets"]));
        let is_listed = read[0]["entries"].as_array().unwrap().iter().any(|entry| entry["serial"] == revoked);
        assert_eq!(is_listed, list == newest);
    }
    let piped = installation.command(&["crl", "get", "signature-1", "--number", first["number"].as_str().unwrap(), "--out", "-"]);
    assert_eq!(piped.stdout, std::fs::read(&file).unwrap());
    fails(&installation.command(&["crl", "get", "signature-2", "--out", "-"]), NOT_FOUND, &["signature-2"]);
    fails(&installation.command(&["crl", "get", "signature-1", "--number", "9999", "--out", "-"]), NOT_FOUND, &["no longer kept"]);
    fails(&installation.command(&["crl", "show", "signature-1-7"]), NOT_FOUND, &["signature-1-7"]);
}

fn settings_are_checked(installation: &Installation) {
    let file = installation.place().join("settings.toml");
    let sound = std::fs::read_to_string(&file).unwrap();
    assert!(installation.command(&["settings", "check"]).status.success());
    let ra = installation.ra.to_string();
    let (operators, status) = (installation.operators.to_string(), installation.status.to_string());
    for (about, from, to, words) in [
        ("an unknown key", "[ra]\n", "[ra]\ncolour = \"red\"\n", vec!["settings.toml: `ra.colour` is no setting", "listen, name"]),
        ("an unknown table", "[ra]\n", "[wallpaper]\nx = 1\n\n[ra]\n", vec!["`wallpaper` is no setting"]),
        ("a missing key", "name = \"ra.test\"\n", "", vec!["`ra.name` is missing"]),
        ("a wrong type", "name = \"ra.test\"\n", "name = 7\n", vec!["`ra.name` is the number 7", "quotation marks"]),
        ("a number that is none", "schedule = ", "page_entries = -1\nschedule = ", vec!["`crl.page_entries`", "whole number"]),
        ("an address without a port", &format!("listen = \"{ra}\""), "listen = \"here\"", vec!["`ra.listen` is no address and port"]),
        ("no TOML", "[ra]\n", "[ra\n", vec!["settings.toml: line ", "is no TOML"]),
        ("one address twice", &operators, &ra, vec![&ra, "two listeners"]),
        ("a status URL over TLS", &format!("url = \"http://{status}\""), "url = \"https://status.example\"", vec!["status.url"]),
        ("an empty name", "name = \"ra.test\"", "name = \"\"", vec!["ra.name"]),
        ("a schedule of five fields", "schedule = \"0 0 * * * *\"", "schedule = \"0 * * * *\"", vec!["schedule"]),
        (
            "waiting longer than a request may last",
            "[operators]\n",
            "[ra.limits]\ndecision_wait_ms = 100000\n\n[operators]\n",
            vec!["ra.limits", "decision_wait_ms", "request_timeout_ms"],
        ),
        ("a key that is not there", "passphrase_file = \"ca/passphrase\"", "passphrase_file = \"ca/nothing\"", vec!["ca/nothing"]),
        ("a wrong passphrase", "passphrase_file = \"ca/passphrase\"", "passphrase_file = \"status/passphrase\"", vec!["ca-"]),
        ("a card CA that is none", "certificates = [\"card-ca/signature-1.pem\"", "certificates = [\"ra/tls.pem\"", vec!["ra/tls.pem"]),
    ] {
        assert!(sound.contains(from), "{about}: no {from:?} in the settings:\n{sound}");
        std::fs::write(&file, sound.replacen(from, to, 1)).unwrap();
        for command in [&["settings", "check"][..], &["serve"]] {
            let output = installation.command(command);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(SETTINGS), "{about}, {command:?}: {said}");
            for word in &words {
                assert!(said.contains(word), "{about}, {command:?}: no {word} in: {said}");
            }
        }
    }
    std::fs::write(&file, sound).unwrap();
    let by_variable = std::process::Command::new(program())
        .args(["settings", "check", "--settings"])
        .arg(installation.place())
        .env("TSUNAGI__RA__NAME", "7")
        .output()
        .unwrap();
    fails(&by_variable, SETTINGS, &["`ra.name` is the number 7", "TSUNAGI__RA__NAME"]);
    let nowhere = tsunagi(&["settings", "check", "--settings", "/nowhere/at/all"]);
    fails(&nowhere, SETTINGS, &["/nowhere/at/all", "tsunagi init"]);
    let output = tsunagi(&["settings", "check", "--settings", "/nowhere/at/all", "--output", "json"]);
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(error["error"].as_str().unwrap().contains("/nowhere/at/all"));
    assert!(installation.command(&["settings", "check"]).status.success());
}

fn what_does_not_exist_is_not_found(installation: &Installation) {
    for serial in ["7F00000000000000000000000000000000000000", "not-a-number", "", &"F".repeat(60)] {
        fails(&installation.command(&["certificate", "show", serial]), NOT_FOUND, &[]);
    }
    fails(&installation.command(&["certificate", "list", "--card", "01"]), USAGE, &["--card-issuer"]);
    fails(&installation.command(&["certificate", "list", "--limit", "0"]), USAGE, &["--limit"]);
    let file = installation.place().join("settings.toml");
    fails(&installation.command(&["crl", "show", "--file", file.to_str().unwrap()]), REFUSED, &["not a CRL"]);
    fails(&installation.command(&["crl", "show", "--file", "/nowhere.crl"]), NOT_FOUND, &["/nowhere.crl"]);
}

support::on_each_database! {
    fn a_database_of_another_version_is_refused_by_every_command(store) {
        use schema::testing::TestDatabase;
        let mut installation = Installation::prepare(Store::Sqlite);
        let database = match store {
            Store::Sqlite => TestDatabase::sqlite(),
            #[cfg(feature = "postgres")]
            Store::Postgres => TestDatabase::postgres(),
        };
        installation.set("store.url", database.url());
        assert!(installation.command(&["certificate", "list"]).status.success());
        for (statement, word) in [
            ("INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000001')", "newer"),
            ("DELETE FROM __diesel_schema_migrations", "older"),
        ] {
            database.execute(statement).unwrap();
            for command in [&["settings", "check"][..], &["serve"], &["certificate", "list"], &["crl", "show"]] {
                fails(&installation.command(command), STORE, &["the store", word]);
            }
        }
        installation.set("store.url", "sqlite:///nowhere/at/all.sqlite");
        fails(&installation.command(&["certificate", "list"]), STORE, &["the store"]);
    }
}

#[test]
fn help_fits_a_terminal() {
    let output = std::process::Command::new(program()).args(["init", "--help"]).env("COLUMNS", "80").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let longest = help.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(longest <= 120, "a line of {longest} characters");
}
