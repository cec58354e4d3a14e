//! A phone that stays: instructs, is told to erase, to lock and to unlock, does so, and says so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use common::believing_ra::BelievingRa;
use common::{back_office, card};
use sandbox::jws::{Jwk, Jwks, verify};
use sandbox::keys::Key;
use sandbox::kind::Kind;
use sandbox::pem;
use sandbox::phone::{ApplyWish, Device, Phone, PhoneFault, RaClient, Reply};
use sandbox::reason::Reason;
use serde_json::{Value, json};

fn phone(ra: &RaClient) -> Phone {
    let device = Device { push_token: Some("token-1".to_owned()), ..Device::default() };
    Phone::apply(ra, &card(&back_office(1)), &ApplyWish { device, ..ApplyWish::new("Believing RA") }).unwrap()
}

fn names(phone: &Phone) -> Value {
    serde_json::to_value(phone.names_of_certificates()).unwrap()
}

#[test]
fn an_erased_key_is_gone_from_memory_and_disk() {
    let directory = tempfile::tempdir().unwrap();
    let believing = BelievingRa::start(false);
    let ra = RaClient::new(&believing.settings).unwrap();
    let mut phone = phone(&ra);
    phone.save(directory.path()).unwrap();
    assert!(directory.path().join("phone-signature.key.pem").exists());
    assert_eq!(phone.check_in(&ra, Reply::Signed).unwrap(), 0);
    let only_signature = json!([names(&phone)[0]]);
    believing.command("c1", "erase", &only_signature, Duration::hours(1));
    let mut phone = Phone::load(directory.path()).unwrap();
    assert_eq!(phone.check_in(&ra, Reply::Signed).unwrap(), 1);
    assert!(phone.of(Kind::Signature).is_none() && phone.of(Kind::Authentication).is_some());
    assert!(matches!(phone.signer(Kind::Signature), Err(PhoneFault::NoKey { kind: Kind::Signature })));
    for file in ["phone-signature.pem", "phone-signature.key.pem"] {
        assert!(!directory.path().join(file).exists(), "{file}");
    }
    assert!(Phone::load(directory.path()).unwrap().of(Kind::Signature).is_none());
    // The same command again is answered, and there is nothing left to do.
    assert_eq!(phone.check_in(&ra, Reply::Signed).unwrap(), 1);

    let results = believing.results();
    let key = Key::from_pkcs8(pem::read(&directory.path().join("phone-command.key.pem"), pem::PRIVATE_KEY).unwrap()).unwrap();
    assert_eq!(phone.device.command_key, Some(base64::engine::general_purpose::STANDARD.encode(key.public_key_info())));
    let text = results[0].1["signed"].as_str().unwrap();
    let (header, payload) = parts(text);
    assert_eq!(header, json!({ "alg": "ES256", "typ": "tsunagi-device-command-result+jwt" }));
    let (stated, at) = (&payload["result"], payload["at"].as_str().unwrap());
    assert_eq!((stated, &payload["command"], &payload["device"]), (&json!("done"), &json!("c1"), &json!("device-1")));
    assert!(at.ends_with('Z'));
    // The header has no kid: to verify with our own reader, the same is signed once more under a name.
    let named = sandbox::jws::sign(&json!({ "alg": "ES256", "kid": "c" }), &payload, &key).unwrap();
    assert_eq!(verify(&named, &Jwks { keys: vec![Jwk::of("c", &key)] }).unwrap().payload, payload);
}

#[test]
fn a_locked_key_signs_nothing() {
    let believing = BelievingRa::start(false);
    let ra = RaClient::new(&believing.settings).unwrap();
    let mut phone = phone(&ra);
    phone.list(&ra, Kind::Authentication).unwrap();
    believing.command("c1", "lock", &names(&phone), Duration::hours(1));
    phone.check_in(&ra, Reply::Unsigned).unwrap();
    assert!(phone.is_locked(Kind::Signature) && phone.of(Kind::Signature).is_some());
    assert!(matches!(phone.list(&ra, Kind::Authentication), Err(PhoneFault::NoKey { .. })));
    assert_eq!(believing.results()[0].1, json!({ "result": "done" }));
}

#[test]
fn an_unlocked_key_signs_again_and_a_lock_that_comes_late_does_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let believing = BelievingRa::start(false);
    let ra = RaClient::new(&believing.settings).unwrap();
    let mut phone = phone(&ra);
    phone.save(directory.path()).unwrap();
    believing.command("c1", "lock", &names(&phone), Duration::hours(1));
    believing.command("c2", "unlock", &names(&phone), Duration::hours(1));
    let mut other = Phone::load(directory.path()).unwrap();
    let [lock, unlock] = <[_; 2]>::try_from(phone.commands(&ra).unwrap()).unwrap();
    phone.obey(&ra, &lock, Reply::Signed).unwrap();
    let mut phone = Phone::load(directory.path()).unwrap();
    assert!(phone.is_locked(Kind::Signature) && phone.is_locked(Kind::Authentication));
    phone.obey(&ra, &unlock, Reply::Signed).unwrap();
    assert!(!phone.is_locked(Kind::Signature) && phone.signer(Kind::Authentication).is_ok());

    other.obey(&ra, &unlock, Reply::Signed).unwrap();
    other.obey(&ra, &lock, Reply::Signed).unwrap();
    assert!(!other.is_locked(Kind::Signature) && other.of(Kind::Signature).is_some(), "the older command undid the newer");
}

#[test]
fn replies_can_be_missing_or_wrong() {
    let believing = BelievingRa::start(false);
    let ra = RaClient::new(&believing.settings).unwrap();
    let mut phone = phone(&ra);
    believing.command("c1", "erase", &json!([]), Duration::hours(1));
    let command = phone.commands(&ra).unwrap().remove(0);
    assert!(phone.obey(&ra, &command, Reply::Never).unwrap().is_none());
    assert!(believing.results().is_empty());
    for (reply, member, expected) in [
        (Reply::OtherCommand, "command", "0".repeat(32)),
        (Reply::OtherDevice, "device", "0".repeat(32)),
        (Reply::OtherOutcome, "result", "failed".to_owned()),
        (Reply::Failed, "result", "failed".to_owned()),
    ] {
        phone.obey(&ra, &command, reply).unwrap().unwrap();
        let (_, body) = believing.results().pop().unwrap();
        assert_eq!(parts(body["signed"].as_str().unwrap()).1[member], expected, "{reply:?}");
        assert_eq!(body["result"], if reply == Reply::Failed { "failed" } else { "done" });
    }
}

#[test]
fn a_phone_does_not_obey_what_is_expired_or_of_another_key() {
    let believing = BelievingRa::start(false);
    let ra = RaClient::new(&believing.settings).unwrap();
    let phone = phone(&ra);
    believing.command("c1", "erase", &names(&phone), -Duration::seconds(1));
    assert!(matches!(phone.commands(&ra), Err(PhoneFault::Expired)));
    let other = BelievingRa::start(false);
    other.command("c1", "erase", &names(&phone), Duration::hours(1));
    let text = RaClient::new(&other.settings).unwrap().commands("any", "secret").unwrap().remove(0);
    assert!(matches!(phone.receive(&ra, &text), Err(PhoneFault::Jws(_))));
}

#[test]
fn a_phone_waits_for_the_decision_on_what_it_wants() {
    let believing = BelievingRa::start(true);
    let ra = RaClient::new(&believing.settings).unwrap();
    let mut phone = phone(&ra);
    let decision = phone.end(&ra, Kind::Authentication, Reason::CessationOfOperation).unwrap();
    assert_eq!((decision.state.as_str(), &decision.outcome["certificates"]), ("done", &json!(2)));
    phone.change_push_token(&ra, Kind::Signature, "token-2").unwrap();
    assert_eq!(phone.device.push_token.as_deref(), Some("token-2"));
    let wanted: Vec<Value> = believing.instructions().into_iter().map(|statement| statement["do"]["action"].clone()).collect();
    assert_eq!(wanted, ["end", "push-token"]);
    assert_eq!(phone.report_key_compromise(&ra, Kind::Signature).unwrap().state, "done");
}

#[test]
fn a_used_phone_states_what_was_left_behind_and_erases_it() {
    let believing = BelievingRa::start(false);
    let ra = RaClient::new(&believing.settings).unwrap();
    let (used, card) = (phone(&ra), card(&back_office(1)));
    let names = names(&used);
    let mut phone = Phone::apply_with_used(&ra, &card, &ApplyWish::new("Believing RA"), used).unwrap();
    assert_eq!(serde_json::to_value(&phone.device.left_behind).unwrap(), names);
    believing.command("c1", "erase", &names, Duration::hours(1));
    phone.check_in(&ra, Reply::Signed).unwrap();
    assert!(phone.left_behind().is_empty() && phone.device.left_behind.is_empty());
    assert_eq!(phone.certificates.len(), 2);
}

#[test]
fn a_phone_that_applies_again_keeps_its_new_keys_when_the_old_are_erased() {
    let directory = tempfile::tempdir().unwrap();
    let believing = BelievingRa::start(false);
    let ra = RaClient::new(&believing.settings).unwrap();
    let mut phone = phone(&ra);
    let key = phone.device.command_key.clone();
    phone.save(directory.path()).unwrap();
    let old = names(&phone);
    phone.renew(&ra, &card(&back_office(1)), &ApplyWish::new("Believing RA")).unwrap();
    assert_eq!((phone.certificates.len(), &phone.device.command_key), (4, &key));
    believing.command("c1", "erase", &old, Duration::hours(1));
    assert_eq!(phone.check_in(&ra, Reply::Signed).unwrap(), 1, "heard twice, obeyed once");
    assert_eq!(phone.certificates.len(), 2);
    let loaded = Phone::load(directory.path()).unwrap();
    assert_eq!(loaded.of(Kind::Signature).unwrap().serial, phone.of(Kind::Signature).unwrap().serial);
}

fn parts(text: &str) -> (Value, Value) {
    let mut parts =
        text.split('.').map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap_or_default()).unwrap_or_default());
    (parts.next().unwrap(), parts.next().unwrap())
}
