//! A log whose CA did what it must not: everything is signed, and the rules find it.

use audit_log::export::{Absent, ExportFormat};
use audit_log::testing::{SyntheticLog, TestEvent};
use audit_log::verify::{Measures, Outlives, Rule, Verdict, Verification, Why};

use crate::stage::{Stage, clean, found, name};

const AT: i64 = 1_795_219_200_000;

fn event(kind: &'static str, application: Option<i64>, certificate: Option<i64>, data: &str) -> TestEvent {
    TestEvent { kind, at: AT, application, certificate, data: data.to_owned() }
}

fn accepted(application: i64) -> TestEvent {
    event("application.accepted", Some(application), None, &format!(r#"{{"digest":"{:064x}"}}"#, application))
}

fn issued(application: i64, certificate: i64, holder: i64, card: i64) -> TestEvent {
    let data = format!(
        r#"{{"application_sha256":"{application:064x}","ca_key":1,"card":{card},"holder":{holder},"kind":"signature","not_after":"2031-11-21T00:00:00Z","public_key_sha256":"{certificate:064x}","serial":"{certificate:x}"}}"#
    );
    event("certificate.issued", Some(application), Some(certificate), &data)
}

fn decided(application: i64) -> TestEvent {
    event("application.issued", Some(application), None, "{}")
}

fn change(kind: &'static str, certificate: i64, more: &str) -> TestEvent {
    event(kind, None, Some(certificate), &format!(r#"{{"by":{{"schedule":"x"}},"holder":1,"kind":"signature"{more}}}"#))
}

/// The certificate's end has come.
fn expired() -> TestEvent {
    later(6 * 365 * 86_400_000, change("certificate.expired", 1, ""))
}

fn card(kind: &'static str, id: &str, card: i64, more: &str) -> TestEvent {
    event(kind, None, None, &format!(r#"{{"card":{card},"event_id":"{id}","received_at":"2026-11-21T00:00:00.000Z"{more}}}"#))
}

fn later(milliseconds: i64, event: TestEvent) -> TestEvent {
    TestEvent { at: AT + milliseconds, ..event }
}

fn crl(number: u64, shard: u64) -> TestEvent {
    event("crl.published", None, None, &format!(r#"{{"ca_key":1,"number":{number},"shard":{shard},"this_update":"2026-11-21T00:00:00Z"}}"#))
}

/// A stage with a log of these events, of an installation that is older than its log: it begins after them.
fn log_of(mut events: Vec<TestEvent>) -> Stage {
    let mut stage = Stage::new(41, 0);
    let began = format!(r#"{{"key":"{}","origin":"x"}}"#, stage.log.key.verifier().vkey());
    let at = events.iter().map(|event| event.at).max().unwrap_or(AT);
    events.push(TestEvent { at, ..event("log.began", None, None, &began) });
    stage.log.leaves = SyntheticLog::leaves_of(41, events);
    stage
}

fn verdict(stage: &Stage) -> Verdict {
    let leaves = stage.log.leaves.len() as u64;
    let directory = stage.place.path().join("export");
    if !directory.exists() {
        stage.export("export", 0, leaves, ExportFormat::Jsonl);
    }
    stage.verify(&[&directory])
}

fn judged(events: Vec<TestEvent>) -> Verdict {
    verdict(&log_of(events))
}

#[test]
fn an_issuance_without_an_accepted_application() {
    clean(&judged(vec![accepted(1), issued(1, 1, 1, 1), decided(1)]));
    found(&judged(vec![issued(1, 1, 1, 1)]), Rule::Accepted, 0);
    found(&judged(vec![issued(1, 1, 1, 1), accepted(1)]), Rule::Accepted, 0);
    // Once it was decided, either way, nothing more is issued.
    found(&judged(vec![accepted(1), issued(1, 1, 1, 1), decided(1), issued(1, 2, 2, 2)]), Rule::Accepted, 3);
    let refused = event("application.refused", Some(1), None, r#"{"code":"card_revoked"}"#);
    found(&judged(vec![accepted(1), refused, issued(1, 1, 1, 1)]), Rule::Accepted, 2);
    // Another application than the one named.
    let other = TestEvent { application: Some(2), ..issued(1, 1, 1, 1) };
    found(&judged(vec![accepted(2), other]), Rule::Accepted, 1);
    let upon_none = TestEvent { application: None, ..issued(1, 1, 1, 1) };
    found(&judged(vec![upon_none]), Rule::Accepted, 0);
    found(&judged(vec![accepted(1), accepted(1)]), Rule::Accepted, 1);
    found(&judged(vec![decided(1)]), Rule::Accepted, 0);
}

#[test]
fn examples_for_relying_parties_need_no_application_and_are_counted() {
    let example = event(
        "certificate.issued",
        None,
        Some(1),
        r#"{"ca_key":1,"holder":9,"kind":"signature","not_after":"2031-11-21T00:00:00Z","serial":"1","test":"good"}"#,
    );
    let verdict = judged(vec![example]);
    clean(&verdict);
    assert_eq!(verdict.test_certificates, 1);
}

#[test]
fn a_second_live_certificate_of_a_kind() {
    let two = |between: Vec<TestEvent>| {
        let second = [accepted(2), issued(2, 2, 1, 2), decided(2)];
        let first = vec![accepted(1), issued(1, 1, 1, 1), decided(1)];
        judged(first.into_iter().chain(between).chain(second).collect())
    };
    found(&two(vec![]), Rule::OneLive, 4);
    clean(&two(vec![change("certificate.revoked", 1, r#","reason":"superseded""#)]));
    clean(&two(vec![expired()]));
    // On hold counts as live.
    found(&two(vec![change("certificate.held", 1, r#","cause":"operator""#)]), Rule::OneLive, 5);
    // Neither another holder nor another kind.
    clean(&judged(vec![accepted(1), issued(1, 1, 1, 1), accepted(2), issued(2, 2, 2, 2)]));
    // One that was issued before the records, and turns out to have been live all the while.
    let stage =
        log_of(vec![accepted(1), issued(1, 1, 1, 1), decided(1), accepted(2), issued(2, 2, 1, 2), change("certificate.revoked", 1, "")]);
    let directory = stage.export("later", 3, 6, ExportFormat::Jsonl);
    found(&stage.verify(&[&directory]), Rule::OneLive, 5);
}

#[test]
fn something_that_cannot_happen_to_a_certificate() {
    let start = || vec![accepted(1), issued(1, 1, 1, 1), decided(1)];
    let then = |events: Vec<TestEvent>| judged(start().into_iter().chain(events).collect());
    let held = |cause: &str| change("certificate.held", 1, &format!(r#","cause":"{cause}""#));
    let added = |cause: &str| change("certificate.hold_added", 1, &format!(r#","cause":"{cause}""#));
    let lifted = |cause: &str| change("certificate.hold_lifted", 1, &format!(r#","cause":"{cause}""#));
    let released = |cause: &str| change("certificate.released", 1, &format!(r#","cause":"{cause}""#));
    let revoked = || change("certificate.revoked", 1, r#","reason":"keyCompromise""#);
    clean(&then(vec![held("operator"), added("phone-lost"), lifted("operator"), released("phone-lost"), revoked()]));
    for wrong in [
        vec![released("operator")],
        vec![lifted("operator")],
        vec![added("operator")],
        vec![expired(), held("operator")],
        vec![revoked(), revoked()],
        vec![revoked(), expired()],
        vec![held("operator"), expired()],
        vec![held("operator"), held("operator")],
        vec![held("operator"), added("operator")],
        vec![held("operator"), lifted("operator")],
        vec![held("operator"), released("phone-lost")],
        vec![held("operator"), added("phone-lost"), released("operator")],
    ] {
        let leaf = 2 + wrong.len() as u64;
        found(&then(wrong), Rule::State, leaf);
    }
    found(&judged(vec![change("certificate.revoked", 7, "")]), Rule::State, 0);
    found(&then(vec![accepted(2), revoked(), issued(2, 1, 1, 1)]), Rule::State, 5);
    // What a published list tells a restored store of a certificate that it had let expire.
    let put_back = event(
        "certificate.revoked",
        None,
        Some(1),
        r#"{"by":{"reconciliation":true},"holder":1,"kind":"signature","reason":"keyCompromise"}"#,
    );
    clean(&then(vec![expired(), put_back]));
}

#[test]
fn a_cascade_that_came_late_or_not_at_all() {
    let start = || vec![accepted(1), issued(1, 1, 1, 5), decided(1)];
    let ended = || card("card.revoked", "e", 5, r#","reason":"keyCompromise""#);
    let reached = |after: i64| {
        let by = r#"{"by":{"card_event":"e"},"holder":1,"kind":"signature","reason":"keyCompromise"}"#;
        later(after, event("certificate.revoked", None, Some(1), by))
    };
    let then = |events: Vec<TestEvent>| judged(start().into_iter().chain(events).collect());
    clean(&then(vec![ended(), reached(40)]));
    // The export is taken an hour after its last record, which is just not enough.
    let open = then(vec![ended()]);
    clean(&open);
    assert!(open.not_judged.iter().any(|count| count.why == Why::NotOverYet), "{:?}", open.not_judged);
    found(&then(vec![ended(), later(3_700_000, crl(1, 0))]), Rule::Cascade, 3);
    found(&then(vec![ended(), reached(3_700_000)]), Rule::Cascade, 3);
    // A hold that was not passed on; one that was released in time.
    let card_held = || card("card.held", "h", 5, "");
    found(&then(vec![card_held(), later(3_700_000, crl(1, 0))]), Rule::Cascade, 3);
    clean(&then(vec![card_held(), later(9, card("card.released", "r", 5, "")), later(3_700_000, crl(1, 0))]));
    // Issued upon a card that is known to have ended.
    found(&judged(vec![ended(), accepted(1), issued(1, 1, 1, 5)]), Rule::Cascade, 2);
    found(&judged(vec![card_held(), accepted(1), issued(1, 1, 1, 5)]), Rule::Cascade, 2);
}

#[test]
fn what_a_life_cycle_lets_stay_is_no_late_cascade() {
    let events = vec![
        accepted(1),
        issued(1, 1, 1, 5),
        decided(1),
        card("card.revoked", "e", 5, r#","reason":"superseded""#),
        later(3_700_000, crl(1, 0)),
    ];
    let stage = log_of(events);
    let directory = stage.export("export", 0, 5, ExportFormat::Jsonl);
    let outlives = Outlives { signature: vec!["superseded".to_owned()], ..Outlives::default() };
    let measures = Measures { outlives, ..Measures::default() };
    let mut verification = Verification::new(stage.log.key.verifier(), &[], measures, None);
    verification.export(&directory, &name(&directory), &mut |_| ()).unwrap();
    clean(&verification.finish());
    found(&stage.verify(&[&directory]), Rule::Cascade, 3);
}

#[test]
fn crl_numbers_that_do_not_rise() {
    clean(&judged(vec![crl(1, 0), crl(2, 0), crl(1, 1), crl(7, 0)]));
    found(&judged(vec![crl(1, 0), crl(1, 0)]), Rule::CrlNumber, 1);
    found(&judged(vec![crl(5, 3), crl(6, 4), crl(4, 3)]), Rule::CrlNumber, 2);
}

#[test]
fn an_event_left_out_of_the_log() {
    let mut stage = log_of(vec![crl(1, 0), crl(2, 0), crl(3, 0), crl(4, 0)]);
    stage.log.leaves.remove(2);
    found(&verdict(&stage), Rule::Position, 2);
    // At the very beginning as well.
    let mut stage = log_of(vec![crl(1, 0), crl(2, 0)]);
    stage.log.leaves.remove(0);
    found(&verdict(&stage), Rule::Position, 0);
}

#[test]
fn a_log_that_begins_twice_or_under_another_key() {
    let stage = Stage::new(42, 0);
    let key = stage.log.key.verifier().vkey();
    let began = |key: &str| event("log.began", None, None, &format!(r#"{{"key":"{key}","origin":"x"}}"#));
    let mut same = Stage { log: SyntheticLog { leaves: Vec::new(), ..stage.log }, place: stage.place };
    same.log.leaves = SyntheticLog::leaves_of(1, vec![began(&key), began(&key)]);
    found(&verdict(&same), Rule::Began, 1);
    let judged = |same: &mut Stage, events: Vec<TestEvent>| {
        std::fs::remove_dir_all(same.place.path().join("export")).unwrap();
        same.log.leaves = SyntheticLog::leaves_of(1, events);
        verdict(same)
    };
    found(&judged(&mut same, vec![began("another")]), Rule::Began, 0);
    // One that could not go on, and is followed by this one, which says so.
    let follows = |former: &str| {
        event("log.began", None, None, &format!(r#"{{"former":{{"key":"{former}","origin":"x"}},"key":"{key}","origin":"y"}}"#))
    };
    let renewed = judged(&mut same, vec![began("another"), follows("another")]);
    clean(&renewed);
    assert!(renewed.not_proved.iter().any(|not| not.what.contains("former log")), "{:?}", renewed.not_proved);
    found(&judged(&mut same, vec![began("another"), follows("a third")]), Rule::Began, 1);
}

#[test]
fn a_young_record_purged() {
    let mut stage = Stage::new(43, 500);
    stage.log.destroy([321], Absent::Purged);
    found(&verdict(&stage), Rule::Purged, 321);
}

#[test]
fn a_record_that_does_not_say_what_it_has_to() {
    for (kind, data) in [
        ("certificate.held", r#"{"kind":"signature"}"#),
        ("crl.published", r#"{"number":"one"}"#),
        ("application.rejected", "{}"),
        ("device.added", r#"{"device":}"#),
    ] {
        let about = kind.starts_with("certificate").then_some(1);
        found(&judged(vec![event(kind, None, about, data)]), Rule::Content, 0);
    }
}

#[test]
fn records_of_an_older_program_are_counted_and_not_passed_over() {
    let poor = event("certificate.issued", Some(1), Some(1), r#"{"ca_key":1,"kind":"signature","serial":"0a"}"#);
    let card = event("card.revoked", None, None, r#"{"event_id":"e","reason":"superseded"}"#);
    let verdict = judged(vec![accepted(1), poor, decided(1), card]);
    clean(&verdict);
    let poorer: Vec<_> = verdict.not_judged.iter().filter(|count| count.why == Why::PoorerRecord).map(|count| count.rule).collect();
    assert_eq!(poorer, [Rule::Accepted, Rule::OneLive, Rule::Cascade], "{:?}", verdict.not_judged);
}

#[test]
fn rows_scattered_on_purpose_do_not_take_all_memory() {
    let scattered = (1..3_000_i64).map(|row| change("certificate.revoked", row * 1_400_000, r#","reason":"superseded""#)).collect();
    let stage = log_of(scattered);
    let directory = stage.export("export", 0, 2_999, ExportFormat::Jsonl);
    let measures = Measures { room: 100_000, ..Measures::default() };
    let mut verification = Verification::new(stage.log.key.verifier(), &[], measures, None);
    verification.export(&directory, &name(&directory), &mut |_| ()).unwrap();
    let verdict = verification.finish();
    assert!(verdict.not_judged.iter().any(|count| count.why == Why::NoRoom && count.count > 2_000), "{:?}", verdict.not_judged);
}
