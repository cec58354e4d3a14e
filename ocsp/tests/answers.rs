//! Answers, judged by OpenSSL and against a model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use ca_core::kind::CertificateKind;
use ca_core::ocsp::{CertIdHash, CertStatus, Nonce, OcspResponseStatus, RevokedInfo};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::signer::{FileSigner, KeyType, Signer};
use ca_core::time::from_generalized_time;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use der::Encode;
use der::asn1::Null;
use ocsp::responder::NotAResponder;
use ocsp::{AnswerFault, Authorities, IssuedStatus, OcspSettings, Question, QuestionRefusal, Responder, answer};
use proptest::prelude::*;
use support::{Register, TestCa, basic, openssl, request, serial};

fn read(octets: &[u8]) -> Question {
    Question::from_der(octets, &OcspSettings::default()).unwrap()
}

fn revoked(at: DateTime<Utc>, reason: RevocationReason) -> IssuedStatus {
    IssuedStatus::Revoked(Revocation::new(at, reason))
}

const LIFE: TimeDelta = TimeDelta::seconds(60);

#[test]
fn openssl_verifies_the_answer_and_reads_good_revoked_and_unknown() {
    let now = Utc::now();
    let ca = TestCa::new(1, CertificateKind::Signature, 1, now);
    let mut register = Register::default();
    let at = now - TimeDelta::hours(1);
    register.issued.insert((ca.ca_key().id(), serial(0x8001)), IssuedStatus::NotRevoked);
    register.issued.insert((ca.ca_key().id(), serial(0x8002)), revoked(at, RevocationReason::AffiliationChanged));
    register.issued.insert((ca.ca_key().id(), serial(0x8003)), revoked(at, RevocationReason::Unspecified));

    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    ca.write_pem(&directory.path().join("ca.pem"));
    let (authority, request, response) = (path("ca.pem"), path("request.der"), path("response.der"));
    for hash in ["-sha1", "-sha256"] {
        let serials = ["-serial", "0x8001", "-serial", "0x8002", "-serial", "0x8003", "-serial", "0x8004"];
        let asked = [&["ocsp", hash, "-issuer", &authority], serials.as_slice()].concat();
        openssl(&[asked.as_slice(), &["-reqout", &request]].concat());
        let octets = std::fs::read(&request).unwrap();
        let question = read(&octets);
        assert!(question.nonce().is_some());
        let answer = answer(&question, &ca.authority(), &register, now, LIFE).unwrap();
        assert!(answer.has_nonce);
        assert_eq!(answer.counts, [1, 2, 1]);
        std::fs::write(&response, &answer.der).unwrap();
        let respin = ["-respin", &response, "-CAfile", &authority];
        // With the request, OpenSSL compares the nonces; with the serial numbers, it finds their answers.
        let judged = openssl(&[&["ocsp", "-reqin", &request, "-issuer", &authority], respin.as_slice()].concat());
        assert!(judged.contains("Response verify OK") && !judged.contains("WARNING"), "{judged}");
        let judged = openssl(&[asked.as_slice(), &["-no_nonce"], respin.as_slice()].concat());
        for line in ["Response verify OK", "0x8001: good", "0x8002: revoked", "0x8003: revoked", "0x8004: unknown"] {
            assert!(judged.contains(line), "{line}: {judged}");
        }
        assert_eq!(judged.matches("Reason: affiliationChanged").count(), 1, "{judged}");
        assert_eq!(judged.matches("Reason: ").count(), 1, "unspecified is left out: {judged}");
        assert!(!judged.contains("WARNING"), "{judged}");
    }
}

#[test]
fn every_part_of_the_answer_is_as_asked_and_in_order() {
    let now: DateTime<Utc> = "2026-03-01T12:00:00.987Z".parse().unwrap();
    let ca = TestCa::new(1, CertificateKind::Authentication, 1, now);
    let register = Register {
        issued: BTreeMap::from([((ca.ca_key().id(), serial(2)), revoked(now, RevocationReason::CertificateHold))]),
        broken: false,
    };
    let mut without_parameters = ca.id(CertIdHash::Sha1, &serial(2));
    without_parameters.hash_algorithm.parameters = None;
    let ids = vec![ca.id(CertIdHash::Sha256, &serial(1)), without_parameters, ca.id(CertIdHash::Sha1, &serial(2))];
    let nonce = Nonce::new(&[9; 128]).unwrap();
    let answer = answer(&read(&request(ids.clone(), Some(&nonce))), &ca.authority(), &register, now, LIFE).unwrap();

    let answered = basic(&answer.der);
    let data = answered.response_data();
    let echoed: Vec<_> = data.responses.iter().map(|response| response.cert_id.to_der().unwrap()).collect();
    assert_eq!(echoed, ids.iter().map(|id| id.to_der().unwrap()).collect::<Vec<_>>());
    assert_eq!(data.nonce().unwrap(), Some(nonce));
    assert_eq!(from_generalized_time(data.produced_at), Some(now.trunc_subsecs(0)));
    assert_eq!(answered.certificates().collect::<Vec<_>>(), [ca.responder_der.as_slice()]);
    let held = RevokedInfo::new(&Revocation::new(now.trunc_subsecs(0), RevocationReason::CertificateHold)).unwrap();
    let statuses: Vec<_> = data.responses.iter().map(|response| response.cert_status).collect();
    assert_eq!(statuses, [CertStatus::Unknown(Null), CertStatus::Revoked(held), CertStatus::Revoked(held)]);
    for response in &data.responses {
        assert_eq!(from_generalized_time(response.this_update), Some(answer.this_update));
        assert_eq!(from_generalized_time(response.next_update.unwrap()), Some(answer.next_update));
        assert_eq!(answer.next_update - answer.this_update, LIFE);
    }
}

#[test]
fn questions_about_several_keys_or_another_issuer_are_unauthorized() {
    let now = Utc::now();
    // Two generations of one issuer: the same name, another key.
    let (old, new) = (TestCa::new(1, CertificateKind::Signature, 1, now), TestCa::new(2, CertificateKind::Signature, 2, now));
    assert_eq!(old.ca_key().subject_name_der(), new.ca_key().subject_name_der());
    let other = TestCa::new(3, CertificateKind::Authentication, 1, now);
    let ours = Authorities(vec![old.authority(), new.authority()]);
    let asked = |ids| ours.of_question(&read(&request(ids, None))).map(|authority| authority.ca_key());
    for hash in [CertIdHash::Sha1, CertIdHash::Sha256] {
        let (a, b, c) = (old.id(hash, &serial(1)), new.id(hash, &serial(1)), other.id(hash, &serial(1)));
        assert_eq!(asked(vec![a.clone(), a.clone()]), Ok(old.ca_key().id()));
        assert_eq!(asked(vec![b.clone()]), Ok(new.ca_key().id()));
        assert_eq!(asked(vec![a.clone(), b.clone()]), Err(QuestionRefusal::SeveralIssuers));
        assert_eq!(asked(vec![c.clone()]), Err(QuestionRefusal::OtherIssuer));
        assert_eq!(asked(vec![a.clone(), c]), Err(QuestionRefusal::OtherIssuer));
        // Our name with another's key, and another hash than the digests were made with.
        let mut wrong_key = a.clone();
        wrong_key.issuer_key_hash = other.id(hash, &serial(1)).issuer_key_hash;
        assert_eq!(asked(vec![wrong_key]), Err(QuestionRefusal::OtherIssuer));
        let mut wrong_hash = a;
        wrong_hash.hash_algorithm.oid = "2.16.840.1.101.3.4.2.3".parse().unwrap();
        assert_eq!(asked(vec![wrong_hash]), Err(QuestionRefusal::OtherIssuer));
    }
    assert_eq!(QuestionRefusal::SeveralIssuers.status(), OcspResponseStatus::Unauthorized);
    assert_eq!(QuestionRefusal::OtherIssuer.status(), OcspResponseStatus::Unauthorized);
}

#[test]
fn without_a_valid_responder_or_a_working_store_nothing_is_good() {
    let now = Utc::now();
    let ca = TestCa::new(1, CertificateKind::Signature, 1, now);
    let mut register = Register::default();
    register.issued.insert((ca.ca_key().id(), serial(1)), IssuedStatus::NotRevoked);
    let question = read(&request(vec![ca.id(CertIdHash::Sha256, &serial(1))], None));
    let not_after = ca.authority().responder().unwrap().not_after();

    let late = answer(&question, &ca.authority(), &register, not_after - TimeDelta::seconds(5), LIFE).unwrap();
    assert_eq!(late.next_update, not_after, "no answer outlives the responder's certificate");
    for moment in [not_after + TimeDelta::seconds(1), ca.authority().responder().unwrap().not_before() - TimeDelta::seconds(1)] {
        let fault = answer(&question, &ca.authority(), &register, moment, LIFE).unwrap_err();
        assert_eq!(fault.status(), OcspResponseStatus::TryLater);
    }
    let nobody = ocsp::Authority::new(ca.ca_key(), None);
    assert!(matches!(answer(&question, &nobody, &register, now, LIFE), Err(AnswerFault::NoResponder)));
    register.broken = true;
    let fault = answer(&question, &ca.authority(), &register, now, LIFE).unwrap_err();
    assert_eq!((fault.status(), fault.code()), (OcspResponseStatus::TryLater, "source"));
}

#[test]
fn only_a_certificate_that_the_ca_key_issued_for_this_key_makes_a_responder() {
    let now = Utc::now();
    let (ca, other) = (TestCa::new(1, CertificateKind::Signature, 1, now), TestCa::new(2, CertificateKind::Signature, 2, now));
    let stranger: Arc<dyn Signer> = Arc::new(FileSigner::generate(KeyType::EcdsaP256).unwrap());
    let refusal = |ca: &TestCa, der: &[u8], key: &Arc<dyn Signer>| Responder::new(ca.ca_key(), der.to_vec(), Arc::clone(key)).err();
    assert_eq!(refusal(&ca, &ca.responder_der, &ca.responder_key), None);
    assert_eq!(refusal(&ca, &ca.responder_der, &stranger), Some(NotAResponder::OtherKey));
    assert_eq!(refusal(&other, &ca.responder_der, &ca.responder_key), Some(NotAResponder::OtherIssuer));
    assert_eq!(refusal(&ca, ca.ca_key().certificate_der(), ca.issuer.signer()), Some(NotAResponder::NotDelegated));
    assert_eq!(refusal(&ca, b"no certificate", &stranger), Some(NotAResponder::Malformed));
}

#[derive(Debug, Clone)]
enum Step {
    Issue(u64),
    Revoke(u64, usize),
    Ask(Vec<u64>, bool),
}

fn step() -> impl Strategy<Value = Step> {
    // Few numbers, so that they meet; the top bit set in some.
    let number = prop_oneof![0_u64..6, (u64::MAX - 3)..=u64::MAX];
    prop_oneof![
        number.clone().prop_map(Step::Issue),
        (number.clone(), 0..RevocationReason::ALL.len()).prop_map(|(number, reason)| Step::Revoke(number, reason)),
        (prop::collection::vec(number, 1..8), any::<bool>()).prop_map(|(numbers, sha256)| Step::Ask(numbers, sha256)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happened_before_each_answer_tells_what_was_issued_and_revoked(steps in prop::collection::vec(step(), 1..30)) {
        let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
        let ca = TestCa::new(1, CertificateKind::Signature, 1, now);
        let (id, authority) = (ca.ca_key().id(), ca.authority());
        let mut register = Register::default();
        // The model, which knows nothing of CA keys and DER: `None` is issued, `Some` revoked.
        let mut model: BTreeMap<u64, Option<(DateTime<Utc>, RevocationReason)>> = BTreeMap::new();
        for (second, step) in steps.into_iter().enumerate() {
            let now = now + TimeDelta::seconds(second as i64);
            match step {
                Step::Issue(number) => {
                    model.entry(number).or_insert(None);
                    register.issued.entry((id, serial(number))).or_insert(IssuedStatus::NotRevoked);
                }
                Step::Revoke(number, reason) => {
                    let reason = RevocationReason::ALL[reason];
                    if let Some(known) = model.get_mut(&number) {
                        *known = Some((now, reason));
                        register.issued.insert((id, serial(number)), revoked(now, reason));
                    }
                }
                Step::Ask(numbers, sha256) => {
                    let hash = if sha256 { CertIdHash::Sha256 } else { CertIdHash::Sha1 };
                    let ids = numbers.iter().map(|number| ca.id(hash, &serial(*number))).collect();
                    let given = answer(&read(&request(ids, None)), &authority, &register, now, LIFE).unwrap();
                    let told: Vec<_> = basic(&given.der).response_data().responses.iter().map(|one| one.cert_status).collect();
                    let expected: Vec<_> = numbers.iter().map(|number| match model.get(number) {
                        None => CertStatus::Unknown(Null),
                        Some(None) => CertStatus::Good(Null),
                        Some(Some((at, reason))) => {
                            CertStatus::Revoked(RevokedInfo::new(&Revocation::new(*at, *reason)).unwrap())
                        }
                    }).collect();
                    prop_assert_eq!(told, expected);
                }
            }
        }
    }

    #[test]
    fn no_octets_make_the_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Question::from_der(&octets, &OcspSettings::default());
    }
}
