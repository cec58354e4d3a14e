//! Commands to phones, what phones say became of them, and the keys by which they check them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ca_core::kind::CertificateKind;
use chrono::{TimeDelta, Utc};
use common::phones::{OwnCas, Phone};
use common::{Answer, Authority, Caller, Listener, Store, assert_described, serve_holders, store};
use ra_api::HolderSettings;
use sandbox::keys::Key;
use schema::StoreFault;
use schema::command_key::CommandKey;
use schema::device_command::{DeviceAction, NamedCertificate, NewDeviceCommand, Settlement};
use serde_json::{Value, json};

struct House {
    store: Store,
    tls: Authority,
    cas: OwnCas,
    listener: Listener,
}

impl House {
    fn new() -> Self {
        let (store, tls) = (store(), Authority::new());
        let cas = OwnCas::new(&store);
        let listener = serve_holders(&store, &tls, HolderSettings::default());
        Self { store, tls, cas, listener }
    }

    fn caller(&self) -> Caller {
        Caller::new(&self.listener, &self.tls, None)
    }

    fn command(&self, phone: &Phone, number: u32) -> String {
        let new = NewDeviceCommand {
            public_id: format!("{number:032x}"),
            device: phone.device.clone(),
            action: DeviceAction::Erase,
            message: format!("header.{number}.signature"),
            certificates: vec![NamedCertificate {
                kind: CertificateKind::Signature,
                serial: phone.sample.serial(CertificateKind::Signature),
            }],
            expires_at: Utc::now() + TimeDelta::days(1),
            event: None,
        };
        let id = new.public_id.clone();
        assert!(self.store.database.writer().write(move |tx| tx.create_device_command(&new, Utc::now())).unwrap());
        id
    }

    fn commands(&self, phone: &Phone, token: &str) -> Answer {
        let path = format!("/v1/applications/{}/commands", phone.application);
        self.caller().try_get(&path, &[("Tsunagi-Application-Token", token)]).unwrap()
    }

    fn tell(&self, phone: &Phone, command: &str, body: &Value) -> Answer {
        let path = format!("/v1/applications/{}/commands/{command}/result", phone.application);
        let answer = self.caller().post_with(&path, &[("Tsunagi-Application-Token", &phone.token)], body);
        assert_described("post", "/v1/applications/{id}/commands/{command}/result", &answer);
        answer
    }

    fn untaken(&self) -> Vec<(String, Value, bool)> {
        let results = self.store.database.reader().untaken_results(100).unwrap().into_iter();
        results.map(|stored| (stored.result.command, serde_json::from_str(&stored.result.body).unwrap(), stored.result.signed)).collect()
    }
}

/// What a phone signs of a command that it carried out.
fn signed(key: &Key, command: &str, device: &str, result: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256"}"#);
    let payload = json!({
        "type": "tsunagi.device-command-result.v1", "command": command, "device": device, "result": result, "at": "2026-01-01T00:00:00Z"
    });
    let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload.to_string()));
    let signature = key.sign_es256(input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_phone_gets_its_own_open_commands_with_its_token() {
    let house = House::new();
    let (phone, other) = (house.cas.issue(&house.store, 1, "holder-1"), house.cas.issue(&house.store, 2, "holder-2"));
    let none = house.commands(&phone, &phone.token);
    assert_eq!((none.status, &none.body), (200, &json!({"commands": []})), "{none:?}");
    let (first, second) = (house.command(&phone, 1), house.command(&phone, 2));
    house.command(&other, 3);
    let answer = house.commands(&phone, &phone.token);
    assert_described("get", "/v1/applications/{id}/commands", &answer);
    let commands = answer.body["commands"].as_array().unwrap();
    assert_eq!(commands.iter().map(|one| one["id"].as_str().unwrap()).collect::<Vec<_>>(), [&first, &second]);
    assert_eq!(commands[0]["command"], "header.1.signature");
    let wrong = house.commands(&phone, &other.token);
    assert_eq!((wrong.status, wrong.problem()), (404, "application_unknown"));
    assert_described("get", "/v1/applications/{id}/commands", &wrong);
}

#[test]
fn results_are_kept_for_the_ca_while_they_may_change_something() {
    let house = House::new();
    let (phone, keyless) = (house.cas.issue(&house.store, 1, "holder-1"), house.cas.issue_to(&house.store, 2, "holder-2", false));
    let (claimed, confirmed) = (house.command(&keyless, 1), house.command(&phone, 2));
    let answer = house.tell(&keyless, &claimed, &json!({"result": "done"}));
    assert_eq!((answer.status, &answer.body), (202, &json!({"command": claimed, "state": "received"})), "{answer:?}");
    let jws = signed(&phone.command_key, &confirmed, &phone.device, "done");
    let body = json!({"result": "done", "signed": jws});
    assert_eq!(house.tell(&phone, &confirmed, &body).status, 202);
    assert_eq!(house.untaken(), [(claimed.clone(), json!({"result": "done"}), false), (confirmed.clone(), body.clone(), true)]);

    // Once it is settled so far, saying the same again is told the same and kept no more.
    for stored in house.store.database.reader().untaken_results(10).unwrap() {
        let settlement = if stored.result.signed { Settlement::Confirmed } else { Settlement::Claimed };
        assert!(house.store.database.writer().write(move |tx| tx.settle_command(stored.id, Some(settlement), Utc::now())).unwrap());
    }
    assert_eq!(house.tell(&keyless, &claimed, &json!({"result": "done"})).status, 202);
    assert_eq!(house.tell(&phone, &confirmed, &body).status, 202);
    assert!(house.untaken().is_empty());
}

#[test]
fn a_result_that_is_not_this_phones_is_refused() {
    let house = House::new();
    let (phone, other) = (house.cas.issue(&house.store, 1, "holder-1"), house.cas.issue(&house.store, 2, "holder-2"));
    let (own, foreign) = (house.command(&phone, 1), house.command(&other, 2));
    let with = |jws: String| json!({"result": "done", "signed": jws});
    for (command, body, status, code) in [
        (&foreign, json!({"result": "done"}), 404, "command_unknown"),
        (&"0".repeat(32), json!({"result": "done"}), 404, "command_unknown"),
        (&own, with(signed(&other.command_key, &own, &phone.device, "done")), 422, "command_result_signature"),
        (&own, with(signed(&phone.command_key, &foreign, &phone.device, "done")), 422, "command_result_other"),
        (&own, with(signed(&phone.command_key, &own, &phone.device, "failed")), 422, "command_result_other"),
        (&own, json!({"result": "done"}), 422, "command_result_signature"),
        (&own, with("no.jws".to_owned()), 400, "command_result_malformed"),
        (&own, json!({"result": "maybe"}), 400, "question_malformed"),
        (&own, json!({"result": "done", "more": 1}), 400, "question_malformed"),
        (&own, with("x".repeat(5_000)), 413, "body_too_large"),
    ] {
        let answer = house.tell(&phone, command, &body);
        assert_eq!((answer.status, answer.problem()), (status, code));
    }
    let path = format!("/v1/applications/{}/commands/{own}/result", phone.application);
    assert_eq!(house.caller().post_json(&path, &json!({"result": "done"})).problem(), "application_unknown");
    assert!(house.untaken().is_empty());
}

#[test]
fn the_keys_that_sign_commands_are_a_jwk_set() {
    let house = House::new();
    let key = Key::generate(sandbox::keys::KeyAlgorithm::P256).unwrap();
    let new = CommandKey { key_id: "0a0b".to_owned(), public_key: key.public_key_info().to_vec() };
    house.store.database.writer().write(move |tx| -> Result<(), StoreFault> { tx.add_command_key(&new, Utc::now()) }).unwrap();
    let answer = house.caller().get("/v1/device-command-keys");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_described("get", "/v1/device-command-keys", &answer);
    let coordinates = &key.public_key()[1..];
    let expected = json!({"keys": [{
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "0a0b",
        "x": URL_SAFE_NO_PAD.encode(&coordinates[..32]), "y": URL_SAFE_NO_PAD.encode(&coordinates[32..])
    }]});
    assert_eq!(answer.body, expected);
}
