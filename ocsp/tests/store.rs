//! The responder over a real store: who answers, and what it says of certificates and of askers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use ca_core::ocsp::{CertIdHash, CertStatus, OcspResponseStatus};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::signer::{FileSigner, KeyType, Signer};
use ca_core::time::from_generalized_time;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use der::Encode;
use ocsp::OcspSettings;
use schema::testing::TestDatabase;
use support::house::{COMPROMISED, House, LATER, Told, start, told};
use support::{basic, request, serial};

#[test]
fn a_new_responder_certificate_is_taken_up_without_a_restart_and_an_expired_one_not_used() {
    let house = House::without_responder(TestDatabase::sqlite(), OcspSettings::default());
    let reply = || house.reply(1);
    let certificate = |der: &[u8]| basic(der).certificates().next().unwrap().to_vec();
    assert_eq!(told(&reply().der), LATER);
    assert!(house.service.ready().is_err());

    // Newer, but of a key that this service does not hold.
    let stranger: Arc<dyn Signer> = Arc::new(FileSigner::generate(KeyType::EcdsaP256).unwrap());
    house.certify(&house.ca.responder_key, start(), TimeDelta::hours(1));
    house.certify(&stranger, start() + TimeDelta::minutes(10), TimeDelta::hours(1));
    house.time.pass(TimeDelta::seconds(2));
    house.service.look().unwrap();
    let first = reply();
    assert_eq!(told(&first.der), Told::NeverIssued);
    assert!(house.service.ready().is_ok());

    // The successor is there before its time, and answers from then on.
    let begin = house.time.wall() + TimeDelta::minutes(20);
    house.certify(&house.ca.responder_key, begin, TimeDelta::hours(1));
    house.time.pass(TimeDelta::minutes(10));
    house.service.look().unwrap();
    assert_eq!(certificate(&reply().der), certificate(&first.der));
    house.time.pass(TimeDelta::minutes(10));
    house.service.look().unwrap();
    let second = reply();
    assert_ne!(certificate(&second.der), certificate(&first.der), "the newest is used");
    house.time.pass(TimeDelta::hours(2));
    house.service.look().unwrap();
    assert_eq!(told(&reply().der), LATER, "both have expired");
    assert_eq!(house.service.ready().unwrap_err().code(), "no_responder");
    house.certify(&house.ca.responder_key, house.time.wall(), TimeDelta::hours(1));
    house.time.pass(TimeDelta::seconds(1));
    house.service.look().unwrap();
    assert_eq!(told(&reply().der), Told::NeverIssued);
}

#[test]
fn an_answer_is_not_given_again_after_its_responders_certificate() {
    let house = House::without_responder(TestDatabase::sqlite(), OcspSettings::default());
    house.certify(&house.ca.responder_key, start(), TimeDelta::seconds(20));
    house.service.look().unwrap();
    let first = house.reply(1);
    let next_update = basic(&first.der).response_data().responses[0].next_update.unwrap();
    assert_eq!(from_generalized_time(next_update), Some(start().trunc_subsecs(0) + TimeDelta::seconds(20)));
    house.time.pass(TimeDelta::seconds(17));
    house.service.look().unwrap();
    assert_eq!(house.reply(1).der, first.der);
    house.time.pass(TimeDelta::seconds(3));
    house.service.look().unwrap();
    assert_eq!(house.told(1), LATER);
}

#[test]
fn the_answers_of_a_retired_key_are_the_last() {
    let house = House::new(OcspSettings::default());
    let id = house.ca.ca_key().id();
    house.store.writer().write(move |tx| tx.retire_ca_key(id, start())).unwrap();
    house.time.pass(TimeDelta::seconds(31));
    house.service.look().unwrap();
    let answer = basic(&house.reply(1).der);
    let next_update = answer.response_data().responses[0].next_update.unwrap();
    assert_eq!(next_update.to_der().unwrap(), b"\x18\x0f99991231235959Z");
}

#[test]
fn without_a_follower_every_answer_is_read_from_the_store() {
    let house = House::without_responder(TestDatabase::sqlite(), OcspSettings::default());
    house.certify(&house.ca.responder_key, start(), TimeDelta::hours(1));
    let (key, number) = (house.ca.ca_key().id(), serial(0x80FF));
    assert_eq!(house.told(0x80FF), Told::NeverIssued);
    house.store.put_certificate(key, &number, start() + TimeDelta::days(100));
    assert_eq!(house.told(0x80FF), Told::Good);
    let revoked_since = |at: DateTime<Utc>, reason| {
        let answer = basic(&house.reply(0x80FF).der);
        let CertStatus::Revoked(info) = answer.response_data().responses[0].cert_status else { panic!("not revoked") };
        assert_eq!(from_generalized_time(info.revocation_time), Some(at.trunc_subsecs(0)));
        assert_eq!(info.revocation_reason.unwrap().to_reason(), Some(reason));
    };
    let hold = |minute| {
        let at = start() + TimeDelta::minutes(minute);
        house.store.revoke(key, &number, Revocation::new(at, RevocationReason::CertificateHold));
        revoked_since(at, RevocationReason::CertificateHold);
        at
    };
    hold(0);
    house.store.lift(key, &number, start() + TimeDelta::minutes(1));
    assert_eq!(house.told(0x80FF), Told::Good);
    // A hold that becomes permanent keeps its date.
    let held_again = hold(2);
    let reason = RevocationReason::AffiliationChanged;
    house.store.revoke(key, &number, Revocation::new(start() + TimeDelta::minutes(3), reason));
    revoked_since(held_again, reason);
}

#[test]
fn several_certificates_are_answered_together_remembered_or_not() {
    let house = House::new(OcspSettings::default());
    for number in [1, 2] {
        house.issue(number);
    }
    house.revoke(2);
    house.service.look().unwrap();
    assert_eq!(house.told(1), Told::Good);
    // Remembered, not remembered, never issued, one that no certificate can bear, and the first again.
    let mut ids = [1_u64, 2, 3, 4, 1].map(|number| house.ca.id(CertIdHash::Sha1, &serial(number))).to_vec();
    ids[3].serial_number = der::asn1::Int::new(&[0x80]).unwrap();
    let answer = basic(&house.service.reply(&request(ids.clone(), None)).der);
    let told: Vec<u8> = answer.response_data().responses.iter().map(|one| one.cert_status.to_der().unwrap()[0] & 0x1f).collect();
    assert_eq!(told, [0, 1, 1, 1, 0]);
    let echoed: Vec<_> = answer.response_data().responses.iter().map(|one| one.cert_id.clone()).collect();
    assert_eq!(echoed, ids);
    // A change of any of them is told at once.
    house.hold(1);
    house.service.look().unwrap();
    let answer = basic(&house.service.reply(&request(ids, None)).der);
    assert!(matches!(answer.response_data().responses[0].cert_status, CertStatus::Revoked(_)));
    assert_eq!(house.told(2), COMPROMISED);
}

#[test]
fn where_only_verifiers_may_ask_others_are_turned_away() {
    let verifiers = support::Verifiers::new();
    let house = House::with(TestDatabase::sqlite(), OcspSettings::default(), |service| service.for_requestors(verifiers.requestors()));
    // The certificates of the verifiers are made now.
    house.time.pass(Utc::now() - start());
    house.certify(&house.ca.responder_key, house.time.wall(), TimeDelta::days(7));
    house.service.look().unwrap();
    house.ca.write_pem(&verifiers.path("issuer.pem"));
    let asked = |arguments: &str| told(&house.service.reply(&verifiers.request(arguments)).der);
    let unauthorized = Told::Nothing(OcspResponseStatus::Unauthorized);
    assert_eq!(asked(""), Told::Nothing(OcspResponseStatus::SigRequired));
    for _ in 0..2 {
        assert_eq!(asked("-signer verifier.pem -signkey verifier.key.pem"), Told::NeverIssued);
    }
    assert_eq!(asked("-signer auditor.pem -signkey auditor.key.pem"), unauthorized, "an operator of another role");
    assert_eq!(asked("-signer stranger.pem -signkey stranger.key.pem"), unauthorized, "nobody's certificate");
    let mut forged = verifiers.request("-signer verifier.pem -signkey verifier.key.pem");
    let place = forged.windows(8).position(|window| window == [0, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde].as_slice());
    let place = place.or_else(|| forged.windows(7).position(|window| window == [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde])).unwrap();
    forged[place + 6] ^= 1;
    assert_eq!(told(&house.service.reply(&forged).der), unauthorized, "about another certificate than was signed");
    assert_eq!(house.service.cache().entries().1, 0, "what one asker was told is not for others");
}
