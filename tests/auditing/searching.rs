//! Searching the log, by whoever may.

use ca_core::serial::SerialNumber;
use sandbox::kind::Kind;
use schema::testing::tamper_with;
use serde_json::{Value, json};

use crate::support::{Installation, expect_problem, said};

fn kinds(found: &Value) -> Vec<&str> {
    found["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

pub(crate) fn finds_what_belongs_together(installation: &Installation) {
    let (one, other) = (installation.apply(&installation.card()), installation.apply(&installation.card()));
    let serial = &one.of(Kind::Signature).unwrap().serial;
    let ticket = ["--ticket", "The phone is lost.", "--cause", "phone-lost"];
    installation.json(&[&["certificate", "hold", serial.as_str()], &ticket[..]].concat());
    let search = |more: &[&str]| installation.json(&[&["audit", "search"], more].concat());

    let found = search(&["--certificate", serial]);
    let of_it = kinds(&found);
    for kind in ["application.accepted", "certificate.issued", "certificate.held", "instruction.done"] {
        assert!(of_it.contains(&kind), "{kind} is missing: {of_it:?}");
    }
    let text = found.to_string();
    assert!(!text.contains(&other.of(Kind::Signature).unwrap().serial), "another's certificate");

    let held = search(&["--operator", "call-centre", "--kind", "certificate.held"]);
    assert_eq!(kinds(&held), ["certificate.held"]);
    assert_eq!(kinds(&search(&["--from", "2099-01-01"])), Vec::<&str>::new());
    let holder = held_by(installation, serial);
    assert!(kinds(&search(&["--holder", &holder])).contains(&"certificate.held"));

    // Page by page nothing is left out and nothing comes twice.
    let all = search(&["--to", "2099-01-01", "--limit", "1000"]);
    let (mut pages, mut after) = (Vec::new(), String::new());
    loop {
        let more: Vec<&str> = if after.is_empty() { vec!["--limit", "3"] } else { vec!["--limit", "3", "--after", &after] };
        let page = search(&[&["--to", "2099-01-01"], &more[..]].concat());
        pages.extend(page["events"].as_array().unwrap().clone());
        match page["next"].as_i64() {
            Some(next) => after = next.to_string(),
            None => break,
        }
    }
    let positions = |events: &[Value]| -> Vec<i64> { events.iter().map(|event| event["position"].as_i64().unwrap()).collect() };
    let whole = positions(all["events"].as_array().unwrap());
    assert_eq!(positions(&pages)[..whole.len()], whole);

    let table = installation.command(&["audit", "search", "--certificate", serial]);
    let (table, at) = (String::from_utf8(table.stdout).unwrap(), found["events"][0]["at"].as_str().unwrap());
    assert!(table.contains("certificate.held") && table.contains("call-centre"), "{table}");
    let csv = installation.command(&["audit", "search", "--certificate", serial, "--format", "csv"]);
    let csv = String::from_utf8(csv.stdout).unwrap();
    assert!(csv.starts_with("leaf,position,at,kind,certificate,application,data\r\n") && csv.contains(at), "{csv}");

    let as_csv = |more: &[&str]| installation.command(&[&["audit", "search", "--format", "csv"], more].concat());
    let cut_off = as_csv(&["--limit", "3"]);
    assert!(String::from_utf8_lossy(&cut_off.stderr).contains("there is more: --after "), "{}", said(&cut_off));
    assert!(as_csv(&["--certificate", serial]).stderr.is_empty());

    wrong_questions_are_told(installation);
    // Each question is on record, and what it was about is in no log.
    counted(installation, &format!("question LIKE '%{holder}%'"), 1);
    counted(installation, "verifier <> 'auditor' OR purpose <> 'audit'", 0);
    assert!(!installation.logs().contains(&holder), "a holder is named in the logs");
}

/// So many questions on record are so; the database itself refuses any other number.
fn counted(installation: &Installation, questions: &str, times: u32) {
    let statements = format!(
        "CREATE TABLE counted (times INTEGER CHECK (times = {times})); \
         INSERT INTO counted SELECT COUNT(*) FROM lookup WHERE {questions}; DROP TABLE counted"
    );
    tamper_with(&installation.store_url(), &statements).unwrap_or_else(|fault| panic!("{questions}: {fault}"));
}

fn wrong_questions_are_told(installation: &Installation) {
    let auditor = installation.operator(Some(installation.identity("auditor")));
    let url = format!("https://{}/v1/audit/search", installation.operators);
    let ask = |question: Value| auditor.post(&url, &[], "application/json", question.to_string().as_bytes()).unwrap();
    for question in [
        json!({"kinds": ["no.such"]}),
        json!({"limit": 0}),
        json!({"limit": 1001}),
        json!({"holder_id": ""}),
        json!({"certificate": {"serial": "xyz"}}),
        json!({"after": 99_999_999, "to": "2099-01-01T00:00:00Z"}),
    ] {
        expect_problem(&question.to_string(), &ask(question.clone()), "question_invalid");
    }
    expect_problem("an unknown member", &ask(json!({"more": 1})), "question_malformed");
    let wrong = installation.command(&["audit", "search", "--from", "tomorrow"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
    let other = installation.operator(Some(installation.identity("call-centre")));
    expect_problem("call centre", &other.post(&url, &[], "application/json", b"{}").unwrap(), "role_not_allowed");
}

/// What the back office calls the holder of a certificate.
fn held_by(installation: &Installation, serial: &str) -> String {
    let serial = SerialNumber::from_hex(serial).unwrap();
    installation.reader().certificate_detail(None, &serial).unwrap().unwrap().summary.holder_id
}
