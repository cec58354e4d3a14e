//! Answers, judged by OpenSSL and against a model.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use ca_core::kind::CertificateKind;
use ca_core::ocsp::{ArchiveCutoff, CertIdHash, CertStatus, ExtendedRevoke, Nonce, OcspResponseStatus, RevokedInfo};
use ca_core::revocation::{InvalidityDate, Revocation, RevocationReason};
use ca_core::signer::{FileSigner, KeyType, Signer};
use ca_core::time::from_generalized_time;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use der::Encode;
use ocsp::answers::{Times, answer};
use ocsp::responder::NotAResponder;
use ocsp::status::{Status, Told};
use ocsp::{Answer, AnswerFault, Authorities, Authority, NeverIssued, OcspSettings, Question, QuestionRefusal, Responder};
use proptest::prelude::*;
use support::{TestCa, basic, openssl, request, serial};

fn read(octets: &[u8]) -> Question {
    Question::from_der(octets, &OcspSettings::default()).unwrap()
}

const LIFE: TimeDelta = TimeDelta::seconds(60);

/// An answer made at `now` of what is known at that moment.
fn answered(question: &Question, authority: &Authority, statuses: &[Status], now: DateTime<Utc>) -> Result<Answer, AnswerFault> {
    answer(question, authority, statuses, &Times { now, as_of: now, life: LIFE }, NeverIssued::Revoked)
}

fn revoked(at: DateTime<Utc>, reason: RevocationReason) -> Status {
    Status { told: Told::Revoked(Revocation::new(at, reason)), not_after: Some(at + TimeDelta::days(365)) }
}

fn good(not_after: DateTime<Utc>) -> Status {
    Status { told: Told::Good, not_after: Some(not_after) }
}

/// What is said of a number that was never issued.
fn never_issued() -> CertStatus {
    let since_1970 = Revocation::new(DateTime::UNIX_EPOCH, RevocationReason::CertificateHold);
    CertStatus::Revoked(RevokedInfo::new(&since_1970).unwrap())
}

#[test]
fn openssl_verifies_the_answer_and_reads_every_status_and_extension() {
    let now = Utc::now();
    let ca = TestCa::new(1, CertificateKind::Signature, 1, now);
    let at = now - TimeDelta::hours(1);
    let compromised = Revocation { at, reason: RevocationReason::KeyCompromise, invalidity: Some(at - TimeDelta::days(1)) };
    let statuses = [
        good(now + TimeDelta::days(1)),
        revoked(at, RevocationReason::AffiliationChanged),
        revoked(at, RevocationReason::Unspecified),
        Status::NEVER_ISSUED,
        good(now - TimeDelta::days(1)),
        Status { told: Told::Revoked(compromised), not_after: Some(now - TimeDelta::days(1)) },
    ];

    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    ca.write_pem(&directory.path().join("ca.pem"));
    let (authority, request, response) = (path("ca.pem"), path("request.der"), path("response.der"));
    for hash in ["-sha1", "-sha256", "-sha384", "-sha512"] {
        let serials: Vec<&str> =
            ["0x8001", "0x8002", "0x8003", "0x8004", "0x8005", "0x8006"].into_iter().flat_map(|number| ["-serial", number]).collect();
        let asked = [&["ocsp", hash, "-issuer", &authority], serials.as_slice()].concat();
        openssl(&[asked.as_slice(), &["-reqout", &request]].concat());
        let octets = std::fs::read(&request).unwrap();
        let question = read(&octets);
        assert!(question.nonce().is_some());
        let answer = answered(&question, &ca.authority(), &statuses, now).unwrap();
        assert_eq!(answer.counts, [2, 3, 1]);
        std::fs::write(&response, &answer.der).unwrap();
        let respin = ["-respin", &response, "-CAfile", &authority];
        // With the request, OpenSSL compares the nonces; with the serial numbers, it finds their answers.
        let judged = openssl(&[&["ocsp", "-reqin", &request, "-issuer", &authority], respin.as_slice()].concat());
        assert!(judged.contains("Response verify OK") && !judged.contains("WARNING"), "{judged}");
        let judged = openssl(&[asked.as_slice(), &["-no_nonce"], respin.as_slice()].concat());
        for line in ["verify OK", "8001: good", "8002: revoked", "8003: revoked", "8004: revoked", "8005: good", "8006: revoked"] {
            assert!(judged.contains(line), "{line}: {judged}");
        }
        assert_eq!(judged.matches("Reason: affiliationChanged").count(), 1, "{judged}");
        assert_eq!(judged.matches("Reason: ").count(), 3, "unspecified is left out: {judged}");
        assert_eq!(judged.matches("Reason: certificateHold\n\tRevocation Time: Jan  1 00:00:00 1970 GMT").count(), 1, "{judged}");
        assert!(!judged.contains("WARNING"), "{judged}");
        let text = openssl(&["ocsp", "-respin", &response, "-resp_text", "-noverify"]);
        assert_eq!(text.matches("OCSP Archive Cutoff").count(), 2, "{text}");
        assert_eq!(text.matches("Invalidity Date").count(), 1, "{text}");
    }
}

#[test]
fn every_part_of_the_answer_is_as_asked_and_in_order() {
    let now: DateTime<Utc> = "2026-03-01T12:00:00.987Z".parse().unwrap();
    let ca = TestCa::new(1, CertificateKind::Authentication, 1, now);
    let mut without_parameters = ca.id(CertIdHash::Sha1, &serial(2));
    without_parameters.hash_algorithm.parameters = None;
    let ids = vec![ca.id(CertIdHash::Sha256, &serial(1)), without_parameters, ca.id(CertIdHash::Sha1, &serial(2))];
    let nonce = Nonce::new(&[9; 128]).unwrap();
    let held = revoked(now.trunc_subsecs(0), RevocationReason::CertificateHold);
    let question = read(&request(ids.clone(), Some(&nonce)));
    // Known a little longer ago than the answer is made.
    let times = Times { now, as_of: now - TimeDelta::milliseconds(700), life: LIFE };
    let answer = |never_issued| answer(&question, &ca.authority(), &[Status::NEVER_ISSUED, held, held], &times, never_issued).unwrap();
    let (unknown, answer) = (answer(NeverIssued::Unknown), answer(NeverIssued::Revoked));

    let octets = basic(&answer.der);
    let data = octets.response_data();
    assert_eq!(data.to_der().unwrap(), octets.response_data_der(), "what was put together is what encoding it again gives");
    let extensions = data.response_extensions.as_deref().unwrap();
    assert!(ExtendedRevoke::is_among(extensions));
    let echoed: Vec<_> = data.responses.iter().map(|response| response.cert_id.to_der().unwrap()).collect();
    assert_eq!(echoed, ids.iter().map(|id| id.to_der().unwrap()).collect::<Vec<_>>());
    assert_eq!(data.nonce().unwrap(), Some(nonce));
    assert_eq!(from_generalized_time(data.produced_at), Some(now.trunc_subsecs(0)));
    assert_eq!(octets.certificates().collect::<Vec<_>>(), [ca.responder_der.as_slice()]);
    let held = RevokedInfo::new(&Revocation::new(now.trunc_subsecs(0), RevocationReason::CertificateHold)).unwrap();
    let statuses: Vec<_> = data.responses.iter().map(|response| response.cert_status).collect();
    assert_eq!(statuses, [never_issued(), CertStatus::Revoked(held), CertStatus::Revoked(held)]);
    let unknown = basic(&unknown.der);
    assert!(matches!(unknown.response_data().responses[0].cert_status, CertStatus::Unknown(_)));
    assert!(!ExtendedRevoke::is_among(unknown.response_data().response_extensions.as_deref().unwrap()));
    for response in &data.responses {
        assert_eq!(from_generalized_time(response.this_update), Some(answer.this_update));
        assert_eq!(from_generalized_time(response.next_update.unwrap()), Some(answer.next_update));
        assert_eq!(answer.next_update - answer.this_update, LIFE);
        assert_eq!(answer.this_update, now.trunc_subsecs(0));
    }
}

#[test]
fn what_is_known_of_a_certificate_stands_in_extensions_of_its_answer() {
    let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let ca = TestCa::new(1, CertificateKind::Signature, 1, now - TimeDelta::days(1));
    let question = read(&request((1..=3).map(|number| ca.id(CertIdHash::Sha384, &serial(number))).collect(), None));
    let since = now - TimeDelta::days(3);
    let revocation = Revocation { at: now - TimeDelta::days(2), reason: RevocationReason::KeyCompromise, invalidity: Some(since) };
    let (yesterday, tomorrow) = (now - TimeDelta::days(1), now + TimeDelta::days(1));
    let told = |not_after| Status { told: Told::Revoked(revocation), not_after: Some(not_after) };
    let answer = answered(&question, &ca.authority(), &[told(tomorrow), told(yesterday), good(yesterday)], now).unwrap();
    let octets = basic(&answer.der);
    let data = octets.response_data();
    assert_eq!(data.response_extensions, None, "nothing was asked about that was never issued");
    let of = |place: usize| data.responses[place].single_extensions.clone().unwrap_or_default();
    let cutoff = Some(ArchiveCutoff(ca.ca_key().not_before()));
    let seen = [0, 1, 2].map(|place| (InvalidityDate::among(&of(place)).unwrap(), ArchiveCutoff::among(&of(place))));
    assert_eq!(seen, [(Some(InvalidityDate(since)), None), (Some(InvalidityDate(since)), cutoff), (None, cutoff)]);
}

#[test]
fn the_answers_for_a_retired_key_hold_for_ever() {
    let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
    let ca = TestCa::new(1, CertificateKind::Signature, 1, now);
    let question = read(&request(vec![ca.id(CertIdHash::Sha256, &serial(1))], None));
    let answer = answered(&question, &ca.authority_with(true), &[good(now - TimeDelta::days(1))], now).unwrap();
    let octets = basic(&answer.der);
    assert_eq!(octets.response_data().responses[0].next_update.unwrap().to_der().unwrap(), b"\x18\x0f99991231235959Z");
}

#[test]
fn questions_about_several_keys_or_another_issuer_are_unauthorized() {
    let now = Utc::now();
    // Two generations of one issuer: the same name, another key.
    let (old, new) = (TestCa::new(1, CertificateKind::Signature, 1, now), TestCa::new(2, CertificateKind::Signature, 2, now));
    assert_eq!(old.ca_key().subject_name_der(), new.ca_key().subject_name_der());
    let other = TestCa::new(3, CertificateKind::Authentication, 1, now);
    let ours = Authorities(vec![Arc::new(old.authority()), Arc::new(new.authority())]);
    let asked = |ids| ours.of_question(&read(&request(ids, None))).map(|authority| authority.id());
    for hash in CertIdHash::ALL {
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
        wrong_hash.hash_algorithm.oid = "2.16.840.1.101.3.4.2.6".parse().unwrap();
        assert_eq!(asked(vec![wrong_hash]), Err(QuestionRefusal::OtherIssuer));
    }
    assert_eq!(QuestionRefusal::SeveralIssuers.status(), OcspResponseStatus::Unauthorized);
    assert_eq!(QuestionRefusal::OtherIssuer.status(), OcspResponseStatus::Unauthorized);
}

#[test]
fn without_a_valid_responder_or_with_old_knowledge_nothing_is_good() {
    let now = Utc::now();
    let ca = TestCa::new(1, CertificateKind::Signature, 1, now);
    let question = read(&request(vec![ca.id(CertIdHash::Sha256, &serial(1))], None));
    let statuses = [good(now + TimeDelta::days(1))];
    let authority = ca.authority();
    let responder = authority.responder(now).unwrap();
    let (not_before, not_after) = (responder.not_before(), responder.not_after());

    let late = answered(&question, &authority, &statuses, not_after - TimeDelta::seconds(5)).unwrap();
    assert_eq!(late.next_update, not_after, "no answer outlives the responder's certificate");
    for moment in [not_after + TimeDelta::seconds(1), not_before - TimeDelta::seconds(1)] {
        let fault = answered(&question, &authority, &statuses, moment).unwrap_err();
        assert_eq!((fault.status(), fault.code()), (OcspResponseStatus::TryLater, "no_responder"));
    }
    let nobody = Authority::new(ca.ca_key().clone(), vec![], false).unwrap();
    assert!(matches!(answered(&question, &nobody, &statuses, now), Err(AnswerFault::NoResponder)));
    let times = Times { now, as_of: now - LIFE, life: LIFE };
    let fault = answer(&question, &authority, &statuses, &times, NeverIssued::Revoked).unwrap_err();
    assert_eq!((fault.status(), fault.code()), (OcspResponseStatus::TryLater, "too_old"));
    let fault = answered(&question, &authority, &[], now).unwrap_err();
    assert_eq!(fault.status(), OcspResponseStatus::InternalError);
}

#[test]
fn of_several_responders_the_newest_answers_once_its_time_has_come() {
    let now = Utc::now();
    let ca = TestCa::new(1, CertificateKind::Signature, 1, now);
    let successor = |from: TimeDelta| {
        let key: Arc<dyn Signer> = Arc::new(FileSigner::generate(KeyType::EcdsaP256).unwrap());
        let der = ca.responder_certificate(&key, now + from, TimeDelta::days(7));
        Arc::new(Responder::new(ca.ca_key(), der, key).unwrap())
    };
    let first = Arc::new(Responder::new(ca.ca_key(), ca.responder_der.clone(), Arc::clone(&ca.responder_key)).unwrap());
    let second = successor(TimeDelta::days(5));
    let authority = Authority::new(ca.ca_key().clone(), vec![Arc::clone(&second), Arc::clone(&first)], false).unwrap();
    let answering = |days: i64| authority.responder(now + TimeDelta::days(days)).map(|responder| responder.certificate_der());
    assert_eq!(answering(1), Some(first.certificate_der()));
    assert_eq!(answering(6), Some(second.certificate_der()));
    assert_eq!(answering(8), Some(second.certificate_der()));
    assert_eq!(answering(20), None);
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_answer_tells_what_is_known_whatever_that_is(
        known in prop::collection::vec((any::<u64>(), 0..3_usize, 0..RevocationReason::ALL.len(), -200..200_i64), 1..16),
        hash in 0..4_usize,
        nonce in prop::option::of(prop::collection::vec(any::<u8>(), 1..=128)),
    ) {
        let now: DateTime<Utc> = "2026-03-01T12:00:00Z".parse().unwrap();
        let ca = TestCa::new(1, CertificateKind::Signature, 1, now);
        let ids: Vec<_> = known.iter().map(|(number, ..)| ca.id(CertIdHash::ALL[hash], &serial(*number))).collect();
        let nonce = nonce.map(|octets| Nonce::new(&octets).unwrap());
        let statuses: Vec<Status> = known.iter().map(|(_, what, reason, days)| {
            let end = now + TimeDelta::days(*days);
            match what {
                0 => good(end),
                1 => Status { told: Told::Revoked(Revocation::new(now, RevocationReason::ALL[*reason])), not_after: Some(end) },
                _ => Status::NEVER_ISSUED,
            }
        }).collect();
        let answer = answered(&read(&request(ids.clone(), nonce.as_ref())), &ca.authority(), &statuses, now).unwrap();
        let octets = basic(&answer.der);
        let data = octets.response_data();
        prop_assert_eq!(data.to_der().unwrap(), octets.response_data_der());
        prop_assert_eq!(data.nonce().unwrap(), nonce);
        for ((id, status), response) in ids.iter().zip(&statuses).zip(&data.responses) {
            prop_assert_eq!(&response.cert_id, id);
            let expected = match status.told {
                Told::Good => CertStatus::Good(der::asn1::Null),
                Told::Revoked(revocation) => CertStatus::Revoked(RevokedInfo::new(&revocation).unwrap()),
                Told::NeverIssued => never_issued(),
            };
            prop_assert_eq!(response.cert_status, expected);
            let extensions = response.single_extensions.clone().unwrap_or_default();
            prop_assert_eq!(ArchiveCutoff::among(&extensions).is_some(), status.not_after.is_some_and(|end| end < now));
        }
        let has_never_issued = statuses.contains(&Status::NEVER_ISSUED);
        prop_assert_eq!(ExtendedRevoke::is_among(data.response_extensions.as_deref().unwrap_or_default()), has_never_issued);
    }

    #[test]
    fn no_octets_make_the_reader_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Question::from_der(&octets, &OcspSettings::default());
    }
}
