//! Commands and their results, signed and changed.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::key::fixed_length;
use super::*;
use crate::key::PublicKey;
use crate::refusal::Refusal as _;
use crate::signer::{FileSigner, KeyType, Signer};

const COMMAND: &str = "00112233445566778899aabbccddeeff";
const DEVICE: &str = "ffeeddccbbaa99887766554433221100";

fn key() -> FileSigner {
    FileSigner::generate(KeyType::EcdsaP256).unwrap()
}

/// A JWS over these, whatever they are.
fn jws_of(key: &FileSigner, header: &Value, payload: &Value) -> String {
    let signed = jws::signing_input(&header.to_string(), &payload.to_string());
    let signature = fixed_length(&key.sign(signed.as_bytes()).unwrap()).unwrap();
    jws::with_signature(&signed, &signature)
}

fn result() -> Value {
    let at = "2026-11-21T01:02:03Z";
    json!({ "type": "tsunagi.device-command-result.v1", "command": COMMAND, "device": DEVICE, "result": "done", "at": at })
}

#[test]
fn a_command_is_signed_so_that_a_phone_can_check_it() {
    let signer = Arc::new(key());
    let key = CommandKey::new(signer).unwrap();
    let time = DateTime::from_timestamp(1_795_000_000, 5_000_000).unwrap();
    let command = DeviceCommand {
        command: COMMAND.to_owned(),
        device: DEVICE.to_owned(),
        action: DeviceAction::Erase,
        certificates: vec![NamedCertificate { kind: CertificateKind::Signature, serial: SerialNumber::from_hex("0a0b").unwrap() }],
        issued_at: time,
        expires_at: time + chrono::Duration::days(1),
    };
    let text = key.sign(&command).unwrap();
    let parts = jws::read(&text).unwrap();
    assert_eq!(parts.signature.len(), 64);
    let header: Value = serde_json::from_slice(&parts.header).unwrap();
    assert_eq!(header, json!({ "alg": "ES256", "kid": key.key_id(), "typ": "tsunagi-device-command+jwt" }));
    let payload: Value = serde_json::from_slice(&parts.payload).unwrap();
    let (issued_at, expires_at) = ("2026-11-18T11:06:40Z", "2026-11-19T11:06:40Z");
    let certificates = json!([{ "kind": "signature", "serial": "0A0B" }]);
    assert_eq!(
        payload,
        json!({ "type": "tsunagi.device-command.v1", "command": COMMAND, "device": DEVICE, "action": "erase",
            "certificates": certificates, "issued_at": issued_at, "expires_at": expires_at })
    );
    PublicKey::from_der(key.public_key_info()).unwrap().verify_es256(parts.signed.as_bytes(), &parts.signature).unwrap();

    let jwk = PublicJwk::new(key.key_id(), key.public_key_info()).unwrap();
    let point = [vec![4], URL_SAFE_NO_PAD.decode(&jwk.x).unwrap(), URL_SAFE_NO_PAD.decode(&jwk.y).unwrap()].concat();
    assert_eq!(point, PublicKey::from_der(key.public_key_info()).unwrap().octets());
    assert_eq!(serde_json::to_value(&jwk).unwrap()["use"], "sig");
}

#[test]
fn only_keys_on_p256_sign_commands() {
    let other = FileSigner::generate(KeyType::EcdsaP384).unwrap();
    assert_eq!(PublicJwk::new("x", other.public_key_info()), None);
    assert_eq!(CommandKey::new(Arc::new(other)).err(), Some(CommandKeyFault::NotP256));
}

#[test]
fn short_numbers_are_filled_up_and_long_ones_refused() {
    let one_and_large = [&[0x30, 38, 2, 1, 1, 2, 33, 0][..], &[0xff; 32]].concat();
    let fixed = fixed_length(&one_and_large).unwrap();
    assert_eq!(fixed[..31], [0; 31]);
    assert_eq!((fixed[31], &fixed[32..]), (1, &[0xff; 32][..]));
    let too_large = [&[0x30, 38, 2, 1, 1, 2, 33, 1][..], &[0xff; 32]].concat();
    assert_eq!(fixed_length(&too_large), None);
    assert_eq!(fixed_length(b"no signature"), None);
}

#[test]
fn a_result_counts_as_it_was_signed_and_for_its_own_command_only() {
    let key = key();
    let spki = key.public_key_info().to_vec();
    let verify = |text: &str| CommandResult::verify(text, &spki, COMMAND, DEVICE);
    let code = |text: &str| verify(text).unwrap_err().code();
    let header = json!({ "alg": "ES256" });
    let good = jws_of(&key, &header, &result());
    assert_eq!(verify(&good).unwrap().outcome, CommandOutcome::Done);
    assert_eq!(verify(&good).unwrap().at, DateTime::from_timestamp(1_795_222_923, 0).unwrap());
    assert!(verify(&jws_of(&key, &json!({ "alg": "ES256", "typ": "tsunagi-device-command-result+jwt" }), &result())).is_ok());

    for position in 0..good.len() {
        for bit in 0..8 {
            let mut octets = good.clone().into_bytes();
            octets[position] ^= 1 << bit;
            let Ok(changed) = String::from_utf8(octets) else { continue };
            assert!(verify(&changed).is_err(), "octet {position}, bit {bit}");
        }
    }
    for changed in [format!("{good}="), format!("{good}."), format!(" {good}"), good.replacen('.', "..", 1), String::new()] {
        assert_eq!(code(&changed), "command_result_malformed", "{changed}");
    }
    let (signed, _) = good.rsplit_once('.').unwrap();
    assert_eq!(code(&format!("{signed}.")), "command_result_signature");

    for header in [
        json!({ "alg": "none" }),
        json!({ "alg": "HS256" }),
        json!({ "alg": "ES256", "kid": "x" }),
        json!({ "alg": "ES256", "crit": ["b64"], "b64": false }),
        json!({ "alg": "ES256", "typ": COMMAND_HEADER_TYPE }),
    ] {
        assert_eq!(code(&jws_of(&key, &header, &result())), "command_result_malformed", "{header}");
    }
    for (name, value, expected) in [
        ("type", COMMAND_TYPE, "command_result_malformed"),
        ("result", "perhaps", "command_result_malformed"),
        ("at", "yesterday", "command_result_malformed"),
        ("more", "x", "command_result_malformed"),
        ("command", DEVICE, "command_result_other"),
        ("device", COMMAND, "command_result_other"),
    ] {
        let mut payload = result();
        payload[name] = value.into();
        assert_eq!(code(&jws_of(&key, &header, &payload)), expected, "{name}");
    }
    let other = self::key();
    assert_eq!(code(&jws_of(&other, &header, &result())), "command_result_signature");
}
