//! The whole responder over a real store and HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::{Arc, Mutex};

use actix_web::App;
use actix_web::http::{StatusCode, header};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ca_core::clock::Clock;
use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use ca_core::ocsp::{CertIdHash, CertStatus, Nonce, OcspResponse, OcspResponseStatus};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::signer::{FileSigner, KeyType, Signer};
use ca_core::time::from_generalized_time;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use der::Decode;
use der::asn1::Null;
use ocsp::{OcspService, OcspSettings, http};
use schema::authority::NewResponder;
use schema::testing::TestDatabase;
use support::{TestCa, basic, request, serial};

#[derive(Clone)]
struct TestClock(Arc<Mutex<DateTime<Utc>>>);

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

struct House {
    store: TestDatabase,
    clock: TestClock,
    ca: TestCa,
    service: Arc<OcspService>,
}

fn start() -> DateTime<Utc> {
    "2026-03-01T12:00:00.5Z".parse().unwrap()
}

/// A CA key in the store, and a service that holds its responder's key; the responder's certificate is not in the store yet.
fn house() -> House {
    let clock = TestClock(Arc::new(Mutex::new(start())));
    let store = TestDatabase::sqlite();
    let ca = TestCa::new(1, CertificateKind::Signature, 1, start());
    store.add_ca_key(ca.ca_key(), start());
    let keys = vec![Arc::clone(&ca.responder_key)];
    let service = OcspService::new(OcspSettings::default(), store.reader(), keys, Arc::new(clock.clone())).unwrap();
    House { store, clock, ca, service: Arc::new(service) }
}

impl House {
    /// Puts a responder certificate into the store, good from `from` for `life`, for the key that the service holds.
    fn certify(&self, key: &Arc<dyn Signer>, from: DateTime<Utc>, life: TimeDelta) {
        let signed =
            ca_core::issuer::create_responder_certificate(&self.ca.issuer, key.public_key_info(), life, from, &mut support::Unrecorded);
        let new = NewResponder::from(&signed.unwrap());
        assert_eq!(new.public_key_sha256, Sha256Digest::of(key.public_key_info()));
        self.store.writer().write(move |tx| tx.add_responder(&new, from)).unwrap();
    }

    fn ask(&self, number: u64) -> Vec<u8> {
        request(vec![self.ca.id(CertIdHash::Sha256, &serial(number))], None)
    }

    fn later(&self, by: TimeDelta) {
        *self.clock.0.lock().unwrap() += by;
    }
}

fn status_of(der: &[u8]) -> OcspResponseStatus {
    OcspResponse::from_der(der).unwrap().response_status
}

fn told(der: &[u8]) -> CertStatus {
    basic(der).response_data().responses[0].cert_status
}

#[test]
fn a_new_responder_certificate_is_taken_up_without_a_restart_and_an_expired_one_not_used() {
    let house = house();
    let reply = || house.service.reply(&house.ask(1));
    let certificate = |der: &[u8]| basic(der).certificates().next().unwrap().to_vec();
    assert_eq!(status_of(&reply().der), OcspResponseStatus::TryLater);
    assert!(house.service.ready().is_err());

    // Newer, but of a key that this service does not hold.
    let stranger: Arc<dyn Signer> = Arc::new(FileSigner::generate(KeyType::EcdsaP256).unwrap());
    house.certify(&house.ca.responder_key, start(), TimeDelta::hours(1));
    house.certify(&stranger, start() + TimeDelta::minutes(10), TimeDelta::hours(1));
    house.later(TimeDelta::seconds(2));
    let first = reply();
    assert_eq!(told(&first.der), CertStatus::Unknown(Null));
    assert!(house.service.ready().is_ok());

    house.later(TimeDelta::minutes(20));
    house.certify(&house.ca.responder_key, start() + TimeDelta::minutes(20), TimeDelta::hours(1));
    let second = reply();
    assert_ne!(certificate(&second.der), certificate(&first.der), "the newest is used");
    house.later(TimeDelta::hours(2));
    assert_eq!(status_of(&reply().der), OcspResponseStatus::TryLater, "both have expired");
    house.certify(&house.ca.responder_key, start() + TimeDelta::hours(3), TimeDelta::hours(1));
    house.later(TimeDelta::hours(1));
    assert_eq!(told(&reply().der), CertStatus::Unknown(Null));
}

#[test]
fn good_held_lifted_and_revoked_follow_the_store_at_once() {
    let house = house();
    house.certify(&house.ca.responder_key, start(), TimeDelta::hours(1));
    let (key, number) = (house.ca.ca_key().id(), serial(0x80FF));
    let reply = || told(&house.service.reply(&house.ask(0x80FF)).der);
    assert_eq!(reply(), CertStatus::Unknown(Null));
    house.store.put_certificate(key, &number, start() + TimeDelta::days(100));
    assert_eq!(reply(), CertStatus::Good(Null));
    let revoked_since = |at: DateTime<Utc>, reason| {
        let CertStatus::Revoked(info) = reply() else { panic!("not revoked") };
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
    assert_eq!(reply(), CertStatus::Good(Null));
    // A hold that becomes permanent keeps its date.
    let held_again = hold(2);
    let reason = RevocationReason::AffiliationChanged;
    house.store.revoke(key, &number, Revocation::new(start() + TimeDelta::minutes(3), reason));
    revoked_since(held_again, reason);
    // Several at once, some unknown, one twice.
    let ids = [0x80FF_u64, 1, 0x80FF].map(|number| house.ca.id(CertIdHash::Sha1, &serial(number))).to_vec();
    let several = house.service.reply(&request(ids, None));
    assert_eq!(basic(&several.der).response_data().responses.len(), 3);
}

#[test]
fn a_store_that_fails_means_try_later_and_never_good() {
    let house = house();
    house.certify(&house.ca.responder_key, start(), TimeDelta::hours(1));
    house.store.put_certificate(house.ca.ca_key().id(), &serial(1), start() + TimeDelta::days(100));
    assert_eq!(told(&house.service.reply(&house.ask(1)).der), CertStatus::Good(Null));
    house.store.execute("ALTER TABLE certificate RENAME TO lost").unwrap();
    assert_eq!(status_of(&house.service.reply(&house.ask(1)).der), OcspResponseStatus::TryLater);
}

#[test]
fn more_requests_at_once_than_allowed_are_not_let_in_until_others_are_done() {
    let house = house();
    let settings = OcspSettings { max_in_flight: 2, ..OcspSettings::default() };
    let service = OcspService::new(settings, house.store.reader(), vec![], Arc::new(house.clock.clone())).unwrap();
    let (first, second) = (service.admit(), service.admit());
    assert!(first.is_some() && second.is_some());
    assert!(service.admit().is_none());
    assert_eq!(status_of(&service.busy_reply().der), OcspResponseStatus::TryLater);
    drop(first);
    assert!(service.admit().is_some());
}

#[actix_web::test]
async fn the_forms_of_a_get_and_a_post_are_answered_and_only_a_get_without_nonce_may_be_repeated() {
    let house = house();
    house.certify(&house.ca.responder_key, start(), TimeDelta::hours(1));
    let app = init_service(App::new().configure(http::routes(Arc::clone(&house.service)))).await;
    let octets = house.ask(0xFFFF_FFFF_FFFF_FFFE);
    let standard = STANDARD.encode(&octets);
    let escaped = standard.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let nonce = Nonce::new(&[1; 32]).unwrap();
    let with_nonce = request(vec![house.ca.id(CertIdHash::Sha1, &serial(1))], Some(&nonce));

    for text in [standard.clone(), escaped, URL_SAFE_NO_PAD.encode(&octets), format!("/{standard}")] {
        let response = call_service(&app, TestRequest::get().uri(&format!("/ocsp/{text}")).to_request()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let value = |name: header::HeaderName| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(value(header::CONTENT_TYPE), "application/ocsp-response");
        assert_eq!(value(header::CACHE_CONTROL), "max-age=1, public, no-transform, must-revalidate");
        assert_eq!(value(header::LAST_MODIFIED), "Sun, 01 Mar 2026 12:00:00 GMT");
        assert_eq!(value(header::EXPIRES), "Sun, 01 Mar 2026 12:00:01 GMT");
        let tag = value(header::ETAG);
        let body = read_body(response).await;
        assert_eq!(tag, format!("\"{}\"", Sha256Digest::of(&body)));
        assert_eq!(told(&body), CertStatus::Unknown(Null), "{text}");
    }

    let uri = format!("/ocsp/{}", URL_SAFE_NO_PAD.encode(&with_nonce));
    let response = call_service(&app, TestRequest::get().uri(&uri).to_request()).await;
    assert_eq!(response.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
    assert_eq!(basic(&read_body(response).await).response_data().nonce(), Ok(Some(nonce)));

    for (uri, kind) in [("/ocsp", "application/ocsp-request"), ("/ocsp/", "Application/OCSP-Request; x=y")] {
        let post = TestRequest::post().uri(uri).insert_header((header::CONTENT_TYPE, kind)).set_payload(octets.clone());
        let response = call_service(&app, post.to_request()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers().get(header::CACHE_CONTROL).unwrap(), "no-store");
        assert_eq!(told(&read_body(response).await), CertStatus::Unknown(Null));
    }
}

#[actix_web::test]
async fn garbage_over_http_is_malformed_and_another_content_type_unsupported() {
    let house = house();
    house.certify(&house.ca.responder_key, start(), TimeDelta::hours(1));
    let app = init_service(App::new().configure(http::routes(Arc::clone(&house.service)))).await;
    for body in [vec![], vec![0x30; 10], vec![0; 4097], vec![0; 100_000], house.ask(1)[1..].to_vec()] {
        let post = TestRequest::post().uri("/ocsp").insert_header((header::CONTENT_TYPE, "application/ocsp-request"));
        let response = call_service(&app, post.set_payload(body).to_request()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(status_of(&read_body(response).await), OcspResponseStatus::MalformedRequest);
    }
    for path in ["/ocsp/%25%25", "/ocsp/MDAwMA==", "/ocsp/*", &format!("/ocsp/{}", "A".repeat(20_000))] {
        let response = call_service(&app, TestRequest::get().uri(path).to_request()).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(status_of(&read_body(response).await), OcspResponseStatus::MalformedRequest);
    }
    let other = TestCa::new(9, CertificateKind::Authentication, 1, start());
    let post = TestRequest::post().uri("/ocsp").insert_header((header::CONTENT_TYPE, "application/ocsp-request"));
    let foreign = request(vec![other.id(CertIdHash::Sha1, &serial(1))], None);
    let response = call_service(&app, post.set_payload(foreign).to_request()).await;
    assert_eq!(status_of(&read_body(response).await), OcspResponseStatus::Unauthorized);
    for kind in [Some("text/plain"), Some("application/ocsp-requests"), None] {
        let mut post = TestRequest::post().uri("/ocsp").set_payload(house.ask(1));
        if let Some(kind) = kind {
            post = post.insert_header((header::CONTENT_TYPE, kind));
        }
        let response = call_service(&app, post.to_request()).await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind:?}");
    }
}
