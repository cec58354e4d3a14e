//! Operators' instructions, over mutual TLS; the CA role is played by the test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::time::{Duration, Instant};

use ca_core::digest::Sha256Digest;
use chrono::{TimeDelta, Utc};
use common::{
    AUDIENCE, Answer, Authority, Caller, Identity, Listener, Store, assert_described, challenge_on, serve_holders, serve_operators, store,
};
use ra_api::HolderSettings;
use schema::Database;
use schema::instruction::Decision;
use serde_json::{Value, json};

const CMS: &str = "application/cms";
const INSTRUCTIONS: &str = "/v1/instructions";

struct House {
    store: Store,
    tls: Authority,
    operators: Authority,
    listener: Listener,
}

impl House {
    fn new() -> Self {
        let (store, tls, operators) = (store(), Authority::new(), Authority::new());
        store.draw_beacon();
        let listener = serve_operators(&store, &tls, &operators);
        Self { store, tls, operators, listener }
    }

    fn operator(&self, name: &str, role: &str) -> (Caller, Identity) {
        let identity = self.operators.operator(name, role);
        (Caller::new(&self.listener, &self.tls, Some(&identity)), identity)
    }

    fn challenge(&self, caller: &Caller) -> String {
        let answer = caller.post("/v1/challenges", "application/json", b"");
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body["challenge"].as_str().unwrap().to_owned()
    }

    fn stored(&self) -> usize {
        self.store.database.reader().waiting_instructions(0, 100).unwrap().len()
    }
}

fn hold() -> Value {
    json!({"action": "hold", "target": {"holder_id": "holder-1"}, "cause": "phone-lost", "ticket": "left on the train"})
}

/// Decides the first instruction that comes, as the CA role would.
fn decide(database: Database, decision: Decision) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let begin = Instant::now();
        loop {
            if let Some(waiting) = database.reader().waiting_instructions(0, 1).unwrap().into_iter().next() {
                database.writer().write(move |tx| tx.decide_instruction(&waiting.digest, &decision, None, Utc::now())).unwrap();
                return;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "no instruction came");
            std::thread::sleep(Duration::from_millis(5));
        }
    })
}

fn asked(caller: &Caller, answer: &Answer) -> Answer {
    let asked = caller.get(answer.header("location"));
    assert_described("get", "/v1/instructions/{id}", &asked);
    asked
}

#[test]
fn what_passes_is_stored_waits_and_answers_the_same_again() {
    let house = House::new();
    let (caller, identity) = house.operator("desk 1", "call-centre");
    let cms = identity.sign(AUDIENCE, &house.challenge(&caller), &hold());
    let first = caller.post(INSTRUCTIONS, CMS, &cms);
    let id = Sha256Digest::of(&cms).to_string();
    assert_eq!((first.status, &first.body), (202, &json!({"id": id, "state": "waiting"})), "{first:?}");
    assert_described("post", INSTRUCTIONS, &first);
    assert_eq!(first.header("location"), format!("/v1/instructions/{id}"));
    assert!(!first.header("retry-after").is_empty());
    assert_eq!(caller.post(INSTRUCTIONS, CMS, &cms).body, first.body);
    assert_eq!(house.stored(), 1);
    // Whoever looks also sees whose it is.
    let by = json!({"name": "desk 1", "role": "call-centre"});
    assert_eq!((asked(&caller, &first).status, asked(&caller, &first).body), (202, json!({"id": id, "state": "waiting", "signed_by": by})));

    decide(house.store.elsewhere(), Decision::Done(json!({"changed": 2}))).join().unwrap();
    let done = json!({"id": id, "state": "done", "outcome": {"changed": 2}});
    let shown = json!({"id": id, "state": "done", "outcome": {"changed": 2}, "signed_by": by});
    assert_eq!((asked(&caller, &first).status, asked(&caller, &first).body), (200, shown.clone()));
    assert_eq!(caller.post(INSTRUCTIONS, CMS, &cms).body, done);
    let auditor = house.operator("an auditor", "auditor").0;
    assert_eq!(asked(&auditor, &first).body, shown);
    assert_eq!(caller.get(&format!("/v1/instructions/{}", "0".repeat(64))).problem(), "instruction_unknown");
    assert_eq!(caller.get("/v1/instructions/no-digest").problem(), "instruction_unknown");

    // Not for those who only see the public listener.
    let public = serve_holders(&house.store, &house.tls, HolderSettings::default());
    let answer = Caller::new(&public, &house.tls, None).get(&format!("/v1/instructions/{id}"));
    assert_eq!((answer.status, answer.problem()), (404, "instruction_unknown"));
}

#[test]
fn the_cas_decision_is_waited_for() {
    for (decision, status, code) in [
        (Decision::Done(json!({"changed": 0})), 200, None),
        (Decision::Refused { code: "hold_not_liftable".into(), detail: "Never.".into() }, 409, Some("hold_not_liftable")),
        (Decision::AwaitingApproval(json!({"count": 1_000})), 202, None),
    ] {
        let house = House::new();
        let (caller, identity) = house.operator("desk 1", "administrator");
        let cms = identity.sign(AUDIENCE, &house.challenge(&caller), &hold());
        let ca = decide(house.store.elsewhere(), decision.clone());
        let answer = caller.post(INSTRUCTIONS, CMS, &cms);
        ca.join().unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        assert_described("post", INSTRUCTIONS, &answer);
        match (code, decision) {
            (Some(code), _) => assert_eq!(answer.problem(), code),
            (None, Decision::AwaitingApproval(outcome)) => {
                assert_eq!((answer.body["state"].as_str(), &answer.body["outcome"]), (Some("awaiting-approval"), &outcome));
            }
            (None, _) => assert_eq!(answer.body["state"], "done"),
        }
    }
}

#[test]
fn what_is_refused_is_not_stored() {
    let house = House::new();
    let (caller, identity) = house.operator("desk 1", "call-centre");
    let stranger = Authority::new().operator("desk 1", "administrator");
    let revoke = json!({"action": "revoke", "target": {"serial": "0A"}, "reason": "keyCompromise", "ticket": "x"});
    let old = house.store.draw_beacon_at(6, Utc::now() - TimeDelta::hours(1));
    let unknown_beacon = ca_core::application::challenge::Beacon { value: [9; 32], drawn_at: Utc::now() };
    let fresh = || house.challenge(&caller);
    let mut broken = identity.sign(AUDIENCE, &fresh(), &hold());
    *broken.last_mut().unwrap() ^= 1;
    for (cms, status, code) in [
        (identity.sign(AUDIENCE, &fresh(), &revoke), 403, "role_not_allowed"),
        (stranger.sign(AUDIENCE, &fresh(), &hold()), 422, "signer_unknown"),
        (identity.sign("another.ra", &fresh(), &hold()), 422, "statement_audience"),
        (identity.sign(AUDIENCE, &fresh(), &json!({"action": "dance"})), 400, "instruction_malformed"),
        (identity.sign(AUDIENCE, &challenge_on(&old), &hold()), 422, "challenge_expired"),
        (identity.sign(AUDIENCE, &challenge_on(&unknown_beacon), &hold()), 422, "challenge_expired"),
        (identity.sign(AUDIENCE, &"A".repeat(64), &hold()), 422, "challenge_not_ours"),
        (broken, 422, "cms_signature"),
        (b"garbage".to_vec(), 400, "cms_malformed"),
    ] {
        let answer = caller.post(INSTRUCTIONS, CMS, &cms);
        assert_eq!((answer.status, answer.problem()), (status, code));
        assert_described("post", INSTRUCTIONS, &answer);
    }
    assert_eq!(caller.post(INSTRUCTIONS, "application/json", b"{}").problem(), "content_type_unsupported");
    assert_eq!(caller.post(INSTRUCTIONS, CMS, &vec![0; (32 << 10) + 1]).problem(), "body_too_large");
    assert_eq!(house.stored(), 0);
}

#[test]
fn each_role_is_kept_to_its_own() {
    let house = House::new();
    let posts = ["/v1/challenges", INSTRUCTIONS, "/v1/card-events", "/v1/holders/show", "/v1/mass/dry-run", "/v1/verifier/lookups"];
    let gets = ["/v1/certificates/0A/history", "/v1/devices", "/v1/devices/x", "/v1/schedules", "/v1/batches/1"];
    for (role, allowed) in [
        ("back-office", vec!["/v1/card-events"]),
        ("call-centre", ["/v1/challenges", INSTRUCTIONS, "/v1/holders/show", "/v1/mass/dry-run"].into_iter().chain(gets).collect()),
        ("administrator", posts.into_iter().chain(gets).collect()),
        ("auditor", ["/v1/challenges", INSTRUCTIONS, "/v1/holders/show", "/v1/mass/dry-run"].into_iter().chain(gets).collect()),
        ("verifier", vec!["/v1/verifier/lookups"]),
    ] {
        let (caller, _) = house.operator("somebody", role);
        let posted = posts.map(|path| (path, caller.post(path, "text/plain", b"")));
        let got = gets.map(|path| (path, caller.get(path)));
        for (path, answer) in posted.into_iter().chain(got) {
            let denied = answer.body["code"] == "role_not_allowed";
            assert_eq!(denied, !allowed.contains(&path), "{role} {path} {answer:?}");
        }
    }
}
