//! Holders' instructions and reports of compromised keys, signed with what our own CA keys issued.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use ca_core::kind::CertificateKind;
use common::phones::{OwnCas, Phone};
use common::{Authority, Caller, Listener, Store, assert_described, challenge_on, serve_holders, store};
use ra_api::HolderSettings;
use sandbox::keys::{Key, KeyAlgorithm};
use sandbox::phone::{CertificatesToEnd, HolderAction, Pkcs10, build_key_compromise_report, pkcs10};
use sandbox::reason::Reason;
use schema::instruction::InstructionForm;
use serde_json::json;

const CMS: &str = "application/cms";
const INSTRUCTIONS: &str = "/v1/instructions";
const KEY_COMPROMISES: &str = "/v1/key-compromises";

struct House {
    store: Store,
    tls: Authority,
    cas: OwnCas,
    listener: Listener,
}

impl House {
    fn new() -> Self {
        let (store, tls) = (store(), Authority::new());
        store.draw_beacon();
        let cas = OwnCas::new(&store);
        let listener = serve_holders(&store, &tls, HolderSettings { decision_wait_ms: 50, ..HolderSettings::default() });
        Self { store, tls, cas, listener }
    }

    fn caller(&self) -> Caller {
        Caller::new(&self.listener, &self.tls, None)
    }

    fn challenge(&self) -> String {
        challenge_on(&self.store.database.reader().latest_beacon().unwrap().unwrap())
    }

    fn phone(&self, number: u32, holder_id: &str) -> Phone {
        self.cas.issue(&self.store, number, holder_id)
    }

    fn stored(&self) -> Vec<InstructionForm> {
        self.store.database.reader().waiting_instructions(0, 10).unwrap().into_iter().map(|waiting| waiting.form).collect()
    }
}

fn end(certificates: CertificatesToEnd) -> HolderAction {
    HolderAction::End { certificates, reason: Reason::CessationOfOperation }
}

#[test]
fn a_phone_lists_its_holders_certificates_with_either_key_and_once_for_each_challenge() {
    let house = House::new();
    let (old, _other) = (house.phone(1, "holder-1"), house.phone(2, "holder-2"));
    let new = house.phone(3, "holder-1");
    for kind in CertificateKind::ALL {
        let cms = new.sign(kind, &house.challenge(), &HolderAction::List);
        let answer = house.caller().post(INSTRUCTIONS, CMS, &cms);
        assert_eq!((answer.status, answer.body["state"].as_str()), (200, Some("done")), "{answer:?}");
        assert_described("post", INSTRUCTIONS, &answer);
        let listed = answer.body["outcome"]["certificates"].as_array().unwrap();
        let serials: Vec<&str> = listed.iter().map(|one| one["serial"].as_str().unwrap()).collect();
        let expected = [&old, &new].map(|phone| CertificateKind::ALL.map(|kind| phone.serial(kind))).concat();
        assert_eq!(serials, expected);
        assert_eq!((&listed[0]["state"], &listed[0]["reason"]), (&json!("revoked"), &json!("superseded")));
        assert_eq!(
            (&listed[3]["state"], &listed[3]["device"], &listed[3]["model"]),
            (&json!("live"), &json!(new.device), &json!("Example 1"))
        );
        assert_eq!(listed[0]["history"][0]["what"], "certificate.issued");
        assert_eq!(listed[0]["history"].as_array().unwrap().last().unwrap()["by"]["who"], "issuance");
        // Once for each challenge, and an old phone sees nothing any more.
        assert_eq!(house.caller().post(INSTRUCTIONS, CMS, &cms).problem(), "challenge_spent");
        let ended = house.caller().post(INSTRUCTIONS, CMS, &old.sign(kind, &house.challenge(), &HolderAction::List));
        assert_eq!((ended.status, ended.problem()), (409, "certificate_ended"));
        assert_described("post", INSTRUCTIONS, &ended);
    }
    assert_eq!(house.stored(), []);
}

#[test]
fn a_phones_ending_of_itself_is_stored_for_the_ca_and_of_others_refused() {
    let house = House::new();
    let phone = house.phone(1, "holder-1");
    for (number, kind) in CertificateKind::ALL.into_iter().enumerate() {
        let cms = phone.sign(kind, &house.challenge(), &end(CertificatesToEnd::ThisPhone));
        let answer = house.caller().post(INSTRUCTIONS, CMS, &cms);
        assert_eq!((answer.status, answer.body["state"].as_str()), (202, Some("waiting")), "{answer:?}");
        assert_eq!(house.caller().get(answer.header("location")).body, answer.body);
        assert_eq!(house.stored(), vec![InstructionForm::Holder; number + 1]);
    }
    let all = phone.sign(CertificateKind::Signature, &house.challenge(), &end(CertificatesToEnd::All));
    let answer = house.caller().post(INSTRUCTIONS, CMS, &all);
    assert_eq!((answer.status, answer.problem()), (422, "instruction_action"));
    assert_described("post", INSTRUCTIONS, &answer);
    assert_eq!(house.stored().len(), 2);
}

#[test]
fn only_what_we_issued_and_know_may_sign() {
    let house = House::new();
    house.phone(1, "holder-1");
    // A certificate of a CA key that has the same name and is not ours.
    let elsewhere = House::new();
    let stranger = elsewhere.phone(1, "holder-1");
    let cms = stranger.sign(CertificateKind::Signature, &house.challenge(), &end(CertificatesToEnd::ThisPhone));
    let answer = house.caller().post(INSTRUCTIONS, CMS, &cms);
    assert_eq!(answer.status, 422, "{answer:?}");
    assert_described("post", INSTRUCTIONS, &answer);
    assert_eq!(house.stored(), []);
}

#[test]
fn a_key_that_was_certified_here_is_reported_by_whoever_has_it() {
    let house = House::new();
    let phone = house.phone(1, "holder-1");
    let report = |der: &[u8]| house.caller().post(KEY_COMPROMISES, "application/pkcs10", der);

    let unknown = report(&build_key_compromise_report(&Key::generate(KeyAlgorithm::P256).unwrap()).unwrap());
    assert_eq!((unknown.status, unknown.problem()), (422, "key_unknown"));
    assert_described("post", KEY_COMPROMISES, &unknown);
    let request = pkcs10(&Pkcs10::new(phone.key(CertificateKind::Signature), &house.challenge())).unwrap();
    assert_eq!(report(&request).problem(), "key_report_subject");
    assert_eq!(report(b"garbage").problem(), "request_malformed");
    assert_eq!(report(&vec![0; (8 << 10) + 1]).problem(), "body_too_large");
    assert_eq!(house.stored(), []);

    let der = build_key_compromise_report(phone.key(CertificateKind::Signature)).unwrap();
    let answer = report(&der);
    assert_eq!((answer.status, answer.body["state"].as_str()), (202, Some("waiting")), "{answer:?}");
    assert_described("post", KEY_COMPROMISES, &answer);
    assert_eq!(house.caller().get(answer.header("location")).status, 202);
    assert_eq!(report(&der).body, answer.body);
    assert_eq!(house.stored(), [InstructionForm::KeyCompromise]);

    // Once the certificate has ended there is nothing to report: nobody fills the store with reports of one key.
    house.phone(2, "holder-1");
    let again = report(&build_key_compromise_report(phone.key(CertificateKind::Signature)).unwrap());
    assert_eq!((again.status, again.problem()), (409, "certificate_ended"));
    assert_eq!(house.stored().len(), 1);
}
