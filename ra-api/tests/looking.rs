//! What administrators and auditors look at, and what verifiers ask.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use ca_core::kind::CertificateKind;
use ca_core::lifecycle::{Command, HoldCause};
use ca_core::pseudonym::PseudonymKey;
use chrono::Utc;
use common::phones::OwnCas;
use common::{AUDIENCE, Answer, Authority, Caller, Listener, Store, assert_described, challenge_on, serve_operators, store};
use schema::batch::{BatchChange, NewBatch, Scope};
use schema::change::{Order, Origin, Target};
use schema::instruction::{Decision, InstructionForm, NewInstruction};
use schema::testing::jpki;
use schema::{StoreFault, WriteError};
use serde_json::{Value, json};

const LOOKUPS: &str = "/v1/verifier/lookups";
const PSEUDONYMS: &str = "/v1/verifier/pseudonyms";

struct House {
    store: Store,
    tls: Authority,
    operators: Authority,
    cas: OwnCas,
    listener: Listener,
}

impl House {
    fn new() -> Self {
        let (store, tls, operators) = (store(), Authority::new(), Authority::new());
        let cas = OwnCas::new(&store);
        let listener = serve_operators(&store, &tls, &operators);
        Self { store, tls, operators, cas, listener }
    }

    fn caller(&self, name: &str, role: &str) -> Caller {
        Caller::new(&self.listener, &self.tls, Some(&self.operators.operator(name, role)))
    }

    /// What a verifier asked for, and how much was found, as it is on record.
    fn lookups(&self) -> Vec<(String, String)> {
        let query = "SELECT CAST(verifier || ' ' || purpose || ' ' || found AS BLOB) FROM lookup ORDER BY id";
        let questions = "SELECT CAST(question AS BLOB) FROM lookup ORDER BY id";
        let read = |query| self.store.database.reader().octets_for_test(query).unwrap().into_iter();
        let text = |octets| String::from_utf8(octets).unwrap();
        read(query).map(text).zip(read(questions).map(text)).collect()
    }
}

fn look(caller: &Caller, path: &str, described: &str) -> Answer {
    let answer = caller.get(path);
    assert_described("get", described, &answer);
    answer
}

fn ask(caller: &Caller, path: &str, question: &Value) -> Answer {
    let answer = caller.post_json(path, question);
    assert_described("post", path, &answer);
    answer
}

#[test]
fn a_history_tells_what_when_by_whom_why_and_on_what_evidence() {
    let house = House::new();
    let phone = house.cas.issue(&house.store, 1, "holder-1");
    let auditor = house.caller("an auditor", "auditor");
    let serial = phone.serial(CertificateKind::Signature);
    let path = format!("/v1/certificates/{serial}/history");

    // A hold by the call centre, carried out as the CA role would.
    let beacon = house.store.draw_beacon();
    let action = json!({"action": "hold", "target": {"holder_id": "holder-1"}, "cause": "phone-lost", "ticket": "left on the train"});
    let cms = house.operators.operator("desk 7", "call-centre").sign(AUDIENCE, &challenge_on(&beacon), &action);
    let new = NewInstruction::new(InstructionForm::Operator, cms);
    let digest = new.digest;
    let writer = house.store.database.writer();
    writer.write(move |tx| tx.receive_instruction(&new, Utc::now())).unwrap();
    let by = Origin::Operator { name: "desk 7".into(), role: "call-centre".into() };
    writer
        .write(move |tx| -> Result<(), WriteError<schema::change::ChangeRefusal>> {
            let order = Order { origin: by.clone(), instruction: Some(digest) };
            let command = Command::Hold { cause: HoldCause::PhoneLost };
            tx.change_certificates(&[Target::Holder("holder-1".into())], &command, &jpki(), &order, Utc::now())?;
            let decided = tx.decide_instruction(&digest, &Decision::Done(json!({})), Some(&by), Utc::now());
            decided.map_err(|_| WriteError::Fault(StoreFault::Misuse("not decided")))
        })
        .unwrap();

    let answer = look(&auditor, &path, "/v1/certificates/{serial}/history");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!((&answer.body["certificate"]["serial"], &answer.body["certificate"]["state"]), (&json!(serial), &json!("held")));
    assert_eq!(answer.body["application"], phone.application.to_string());
    assert_eq!(answer.body["device"]["device"], phone.device);
    let hold = &answer.body["holds"][0];
    assert_eq!((&hold["cause"], &hold["instruction"]), (&json!("phone-lost"), &json!(digest.to_string())));
    let story = answer.body["story"].as_array().unwrap();
    let held = story.iter().find(|entry| entry["what"] == "certificate.held").unwrap();
    assert_eq!(held["by"], json!({"who": "operator", "name": "desk 7", "role": "call-centre"}));
    assert_eq!((&held["why"], &held["ticket"]), (&json!("phone-lost"), &json!("left on the train")));
    assert_eq!(held["evidence"], json!({"instruction": digest.to_string()}));
    assert_eq!(story[0]["what"], "certificate.issued");

    let other_kind = look(&auditor, &format!("{path}?kind=authentication"), "/v1/certificates/{serial}/history");
    assert_eq!((other_kind.status, other_kind.problem()), (404, "not_found"));
    for path in ["/v1/certificates/0A/history", "/v1/certificates/xyz/history"] {
        assert_eq!(auditor.get(path).problem(), "not_found");
    }
}

#[test]
fn holders_phones_schedules_and_batches_are_shown() {
    let house = House::new();
    let old = house.cas.issue(&house.store, 1, "holder-1");
    let new = house.cas.issue(&house.store, 2, "holder-1");
    let auditor = house.caller("an auditor", "auditor");

    let shown = ask(&auditor, "/v1/holders/show", &json!({"holder_id": "holder-1"}));
    assert_eq!((shown.status, shown.body["certificates"].as_array().unwrap().len()), (200, 4), "{shown:?}");
    assert_eq!(shown.body["devices"][1]["device"], new.device);
    let nobody = ask(&auditor, "/v1/holders/show", &json!({"holder_id": "nobody"}));
    assert_eq!(nobody.body, json!({"certificates": [], "devices": []}));
    assert_eq!(ask(&auditor, "/v1/holders/show", &json!({"holder": "x"})).problem(), "question_malformed");

    let unerased = look(&auditor, "/v1/devices?unerased=true", "/v1/devices");
    let listed = unerased.body["devices"].as_array().unwrap();
    assert_eq!(listed.len(), 1, "{unerased:?}");
    assert_eq!((&listed[0]["device"], &listed[0]["erasure"]), (&json!(old.device), &json!("owed")));
    let all = look(&auditor, "/v1/devices", "/v1/devices");
    assert_eq!((all.body["devices"].as_array().unwrap().len(), &all.body["next"]), (2, &Value::Null));
    assert_eq!(look(&auditor, "/v1/devices?after=1", "/v1/devices").body["devices"].as_array().unwrap().len(), 1);
    assert_eq!(look(&auditor, "/v1/devices?after=x", "/v1/devices").problem(), "http_malformed");
    let one = look(&auditor, &format!("/v1/devices/{}", old.device), "/v1/devices/{id}");
    assert_eq!((one.status, one.body["certificates"].as_array().unwrap().len()), (200, 2));
    assert!(!one.body.to_string().contains("push-token"));
    assert_eq!(look(&auditor, "/v1/devices/none", "/v1/devices/{id}").problem(), "not_found");

    let writer = house.store.database.writer();
    writer.write(|tx| -> Result<(), StoreFault> { tx.define_schedule("expire", "0 0 * * * *") }).unwrap();
    let schedules = look(&auditor, "/v1/schedules", "/v1/schedules");
    assert_eq!(schedules.body, json!({"schedules": [{"name": "expire", "expression": "0 0 * * * *"}]}));

    let issuer_key_id = new.sample.card(CertificateKind::Signature).issuer_key_id;
    let scope = json!({"issuer_key_id": hex(issuer_key_id.as_bytes())});
    let dry = ask(&auditor, "/v1/mass/dry-run", &json!({"scope": scope}));
    assert_eq!((dry.status, &dry.body), (200, &json!({"count": 1})), "{dry:?}");
    let wrong = ask(&auditor, "/v1/mass/dry-run", &json!({"scope": {"issuer_key_id": "0"}}));
    assert_eq!((wrong.status, wrong.problem()), (422, "question_invalid"));
    let batch = NewBatch {
        name: "event-1".into(),
        scope: Scope { issuer_key_id, distribution_point_sha256: None },
        change: BatchChange::Hold,
        order: Origin::CardEvent { id: "event-1".into() }.into(),
    };
    let id = writer.write(move |tx| tx.start_batch(&batch, Utc::now())).unwrap().0;
    let shown = look(&auditor, &format!("/v1/batches/{id}"), "/v1/batches/{id}");
    assert_eq!(
        (&shown.body["state"], &shown.body["change"], &shown.body["scope"]),
        (&json!("running"), &json!("hold"), &scope),
        "{shown:?}"
    );
    assert_eq!(shown.body["by"], json!({"who": "card"}));
    for id in ["999", "x"] {
        assert_eq!(look(&auditor, &format!("/v1/batches/{id}"), "/v1/batches/{id}").problem(), "not_found");
    }
}

#[test]
fn verifiers_learn_what_belongs_together_and_each_question_is_on_record() {
    let house = House::new();
    let (old, new) = (house.cas.issue(&house.store, 1, "holder-1"), house.cas.issue(&house.store, 2, "holder-1"));
    let caller = house.caller("a bank", "verifier");
    let (signature, authentication) = (CertificateKind::Signature, CertificateKind::Authentication);
    let found = |about: &str, serials: &[String], issuer: Option<&str>| {
        let mut question = json!({"purpose": "a contract", "about": about, "serials": serials});
        if let Some(issuer) = issuer {
            question["issuer_key_id"] = json!(issuer);
        }
        let answer = ask(&caller, LOOKUPS, &question);
        assert_eq!(answer.status, 200, "{answer:?}");
        let answers = answer.body["answers"].as_array().unwrap();
        assert_eq!(answers.len(), serials.len());
        answers.iter().map(|one| one["found"]["serial"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let unknown = "0A0B0C".to_owned();
    assert_eq!(found("other-kind", &[new.serial(signature), unknown.clone()], None), [Some(new.serial(authentication)), None]);
    assert_eq!(found("other-kind", &[old.serial(authentication)], None), [Some(old.serial(signature))]);
    assert_eq!(found("successor", &[old.serial(signature), new.serial(signature)], None), [Some(new.serial(signature)), None]);
    assert_eq!(found("predecessor", &[old.serial(signature), new.serial(signature)], None), [None, Some(old.serial(signature))]);
    let card = new.sample.card(signature);
    let (card_serial, issuer) = (card.serial.to_string(), hex(card.issuer_key_id.as_bytes()));
    assert_eq!(found("card", &[new.serial(signature), unknown.clone()], None), [Some(card_serial.clone()), None]);
    assert_eq!(found("smartphone", &[card_serial, unknown], Some(&issuer)), [Some(new.serial(signature)), None]);

    let lookups = house.lookups();
    assert_eq!(lookups.len(), 6);
    assert_eq!(lookups[0].0, "a bank a contract 1");
    let question: Value = serde_json::from_str(&lookups[0].1).unwrap();
    assert_eq!((&question["about"], &question["serials"][0]), (&json!("other-kind"), &json!(new.serial(signature))));
}

#[test]
fn a_pseudonym_is_the_same_for_all_certificates_of_a_person_and_another_for_every_verifier() {
    let house = House::new();
    let (old, new) = (house.cas.issue(&house.store, 1, "holder-1"), house.cas.issue(&house.store, 2, "holder-1"));
    let other = house.cas.issue(&house.store, 3, "holder-2");
    let kind = CertificateKind::Authentication;
    let serials = [old.serial(CertificateKind::Signature), new.serial(kind), other.serial(kind), "0A0B".to_owned()];
    let pseudonyms = |verifier: &str| {
        let question = json!({"purpose": "to know a customer again", "serials": serials});
        let answer = ask(&house.caller(verifier, "verifier"), PSEUDONYMS, &question);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["pseudonyms"].as_array().unwrap().iter().map(|one| one["pseudonym"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    let (bank, shop) = (pseudonyms("a bank"), pseudonyms("a shop"));
    let key = PseudonymKey::new(&[9; 32]);
    assert_eq!(bank[0].as_deref(), Some(key.pseudonym("a bank", "holder-1").as_str()));
    assert_eq!((&bank[0], &bank[3]), (&bank[1], &None));
    assert!(bank[0] != bank[2] && bank[0] != shop[0] && bank[2] != shop[2]);
    assert_eq!(
        house.lookups().iter().map(|(record, _)| record.as_str()).collect::<Vec<_>>(),
        ["a bank to know a customer again 3", "a shop to know a customer again 3"]
    );
}

#[test]
fn questions_without_a_purpose_or_out_of_bounds_are_refused_and_not_recorded() {
    let house = House::new();
    let caller = house.caller("a bank", "verifier");
    let serials = |count: usize| vec!["0A".to_owned(); count];
    for (path, question, code) in [
        (PSEUDONYMS, json!({"serials": ["0A"]}), "question_malformed"),
        (PSEUDONYMS, json!({"purpose": "", "serials": ["0A"]}), "question_invalid"),
        (PSEUDONYMS, json!({"purpose": "x".repeat(257), "serials": ["0A"]}), "question_invalid"),
        (PSEUDONYMS, json!({"purpose": "a\nb", "serials": ["0A"]}), "question_invalid"),
        (PSEUDONYMS, json!({"purpose": "x", "serials": serials(0)}), "question_invalid"),
        (PSEUDONYMS, json!({"purpose": "x", "serials": serials(101)}), "question_invalid"),
        (PSEUDONYMS, json!({"purpose": "x", "serials": ["zz"]}), "question_invalid"),
        (LOOKUPS, json!({"purpose": "x", "about": "everything", "serials": ["0A"]}), "question_malformed"),
        (LOOKUPS, json!({"purpose": "x", "about": "smartphone", "serials": ["0A"]}), "question_invalid"),
        (LOOKUPS, json!({"purpose": "x", "about": "card", "serials": ["0A"], "issuer_key_id": "0A"}), "question_invalid"),
        (LOOKUPS, json!({"purpose": "", "about": "card", "serials": ["0A"]}), "question_invalid"),
        (LOOKUPS, json!({"purpose": "x", "about": "card", "serials": serials(101)}), "question_invalid"),
    ] {
        assert_eq!(ask(&caller, path, &question).problem(), code, "{question}");
    }
    let most = ask(&caller, PSEUDONYMS, &json!({"purpose": "x".repeat(256), "serials": serials(100)}));
    assert_eq!((most.status, house.lookups().len()), (200, 1));
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
