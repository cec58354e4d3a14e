//! CA key generations: the next is made, the one before goes on with what it issued, and is retired when nothing of it stands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use ca_core::issuer::{CaKeyId, CaUrls, Issuer, create_ca_certificate, create_responder_certificate};
use ca_core::kind::CertificateKind;
use ca_core::signer::{FileSigner, KeyType, Signer as _};
use policies::Policies;
use sandbox::kind::Kind;
use sandbox::phone::Enrolment;
use schema::authority::{NewCaKey, NewResponder};
use schema::intent::StoredIntents;
use schema::{Database, OpenOptions};
use secrecy::SecretString;
use serde_json::{Value, json};
use support::{Installation, Store, on_each_database, openssl, until};

/// Exit codes: settings; not found; refused; there already.
const SETTINGS: i32 = 3;
const NOT_FOUND: i32 = 5;
const REFUSED: i32 = 6;
const EXISTS: i32 = 9;

/// Holds a command to have failed with this exit code and, in JSON, this code of failure.
#[track_caller]
fn fails(installation: &Installation, arguments: &[&str], exit: i32, code: &str) -> String {
    let output: Output = installation.command(&[arguments, &["--output", "json"]].concat());
    let said: Value = serde_json::from_slice(&output.stderr).unwrap_or_else(|_| panic!("{arguments:?}: {output:?}"));
    assert_eq!((output.status.code(), said["code"].as_str()), (Some(exit), Some(code)), "{said}");
    said["error"].as_str().unwrap().to_owned()
}

/// A running installation that sees soon what became of a CA key, and of which every certificate is a phone's: those for relying
/// parties' tests are counted like others.
fn without_test_certificates(store: Store) -> Installation {
    let mut installation = Installation::prepare(store);
    installation.set("ca.test_certificates.enabled", "false");
    installation.set("status.ocsp.refresh_seconds", "1");
    installation.serve();
    installation
}

/// The generation of a kind, as `tsunagi ca-key list` tells.
fn listed(installation: &Installation, kind: Kind, generation: u64) -> Value {
    let list = installation.json(&["ca-key", "list"]);
    let found = list.as_array().unwrap().iter().find(|row| row["kind"] == kind.as_str() && row["generation"] == generation);
    found.unwrap_or_else(|| panic!("{kind}-{generation} is not in {list}")).clone()
}

/// Holds a phone's signature certificate to be issued by a generation, and to be good by its responder.
fn is_good_by(installation: &Installation, phone: &Enrolment, generation: u32) {
    let directory = installation.scratch();
    let pem = sandbox::pem::encode(sandbox::pem::CERTIFICATE, &phone.of(Kind::Signature).unwrap().certificate);
    std::fs::write(directory.join("phone.pem"), pem).unwrap();
    let ca = installation.place().join(format!("ca/ca-signature-{generation}.pem"));
    let ca = ca.to_str().unwrap();
    openssl(directory, &["verify", "-partial_chain", "-CAfile", ca, "phone.pem"]);
    let url = format!("http://{}/ocsp", installation.status);
    let said = openssl(directory, &["ocsp", "-issuer", ca, "-CAfile", ca, "-cert", "phone.pem", "-url", &url]);
    assert!(said.contains("Response verify OK") && said.contains("phone.pem: good"), "{said}");
}

/// Waits for a generation's list to hold as many entries, and has openssl verify it.
fn lists(installation: &Installation, generation: u32, entries: usize) {
    let directory = installation.scratch();
    let url = format!("http://{}/crl/signature-{generation}.crl", installation.status);
    let http = sandbox::http::HttpClient::new(&sandbox::http::HttpSettings::default()).unwrap();
    let ca = installation.place().join(format!("ca/ca-signature-{generation}.pem"));
    until("the list is there", || {
        std::fs::write(directory.join("list.crl"), http.get(&url, &[]).ok().filter(|answer| answer.status == 200)?.body).unwrap();
        let arguments = ["crl", "-inform", "DER", "-in", "list.crl", "-noout", "-text", "-CAfile", ca.to_str().unwrap()];
        let said = openssl(directory, &arguments);
        assert!(said.contains("verify OK"), "{said}");
        (said.matches("Serial Number:").count() == entries).then_some(())
    });
}

/// What a retired key says last has no end (ETSI EN 319 411-1: nextUpdate 99991231235959Z).
fn is_told_for_the_last_time(installation: &Installation, serial: &str) {
    let directory = installation.scratch();
    let ca = installation.place().join("ca/ca-signature-1.pem");
    let (ca, serial) = (ca.to_str().unwrap(), format!("0x{serial}"));
    let url = format!("http://{}/ocsp", installation.status);
    until("the last answer", || {
        let said = openssl(directory, &["ocsp", "-issuer", ca, "-CAfile", ca, "-serial", &serial, "-url", &url]);
        assert!(said.contains("Response verify OK") && said.contains(": revoked"), "{said}");
        said.contains("Next Update: Dec 31 23:59:59 9999 GMT").then_some(())
    });
    until("the last list", || {
        lists(installation, 1, 1);
        let said = openssl(directory, &["crl", "-inform", "DER", "-in", "list.crl", "-noout", "-nextupdate"]);
        said.contains("nextUpdate=Dec 31 23:59:59 9999 GMT").then_some(())
    });
}

on_each_database! {
    fn a_new_key_issues_and_the_old_one_goes_on_until_it_is_retired(store) {
        let mut installation = without_test_certificates(store);
        let old = installation.apply(&installation.card());
        let first = listed(&installation, Kind::Signature, 1);
        assert_eq!((&first["live"], &first["newest"], &first["retired_at"]), (&json!(1), &json!(true), &Value::Null));
        assert_eq!(first["key"]["file"], json!(installation.place().join("ca/ca-signature-1.key.pem")));
        let said = fails(&installation, &["ca-key", "retire", "signature", "1"], REFUSED, "newest_generation");
        assert!(said.contains("ca-key create"), "{said}");

        let made = installation.json(&["ca-key", "create", "--kind", "signature", "--key-type", "ecdsa-p384"]);
        assert_eq!((&made["generation"], &made["key_type"]), (&json!(2), &json!("ecdsa-p384")));
        let second = listed(&installation, Kind::Signature, 2);
        assert_eq!((&second["newest"], &second["live"], &second["key_type"]), (&json!(true), &json!(0), &json!("ecdsa-p384")));
        assert_eq!(second["certificate_sha256"], made["certificate_sha256"]);
        assert_eq!(listed(&installation, Kind::Signature, 1)["newest"], false);
        assert_eq!(listed(&installation, Kind::Authentication, 1)["newest"], true);
        // All generations bear one name.
        let names = [1, 2].map(|generation| {
            let file = format!("ca/ca-signature-{generation}.pem");
            openssl(&installation.place(), &["x509", "-in", &file, "-noout", "-subject", "-issuer", "-nameopt", "RFC2253"])
        });
        assert_eq!(names[0], names[1]);

        installation.restart();
        let new = installation.apply(&installation.card());
        is_good_by(&installation, &new, 2);
        is_good_by(&installation, &old, 1);
        lists(&installation, 1, 0);
        lists(&installation, 2, 0);
        let said = fails(&installation, &["ca-key", "retire", "signature", "1"], REFUSED, "certificates_stand");
        assert!(said.starts_with("1 certificates"), "{said}");

        let serial = &old.of(Kind::Signature).unwrap().serial;
        installation.json(&["certificate", "revoke", serial, "--reason", "superseded", "--ticket", "the end of a key"]);
        // The old key's own list has it.
        lists(&installation, 1, 1);
        let row = listed(&installation, Kind::Signature, 1);
        assert_eq!((&row["live"], &row["held"], &row["revoked"]), (&json!(0), &json!(0), &json!(1)));
        let retired = installation.json(&["ca-key", "retire", "signature", "1"]);
        assert_eq!((&retired["newly_retired"], &retired["key_at_hand"]), (&json!(true), &json!(true)));
        assert_eq!(installation.json(&["ca-key", "retire", "signature", "1"])["newly_retired"], false);
        assert!(listed(&installation, Kind::Signature, 1)["retired_at"].is_string());
        is_told_for_the_last_time(&installation, serial);
        let text = String::from_utf8(installation.command(&["ca-key", "list"]).stdout).unwrap();
        assert!(text.contains("retired 20") && text.contains("ecdsa-p384"), "{text}");
        fails(&installation, &["ca-key", "retire", "signature", "3"], NOT_FOUND, "not_found");

        // Without the old key the new one issues all the same; without the new one nothing starts.
        installation.stop();
        let keys = installation.place().join("ca");
        std::fs::remove_file(keys.join("ca-signature-1.key.pem")).unwrap();
        assert_eq!(listed(&installation, Kind::Signature, 1)["key"], Value::Null);
        assert_eq!(installation.json(&["ca-key", "retire", "signature", "1"])["key_at_hand"], false);
        installation.start();
        is_good_by(&installation, &installation.apply(&installation.card()), 2);
        installation.stop();
        std::fs::rename(keys.join("ca-signature-2.key.pem"), keys.join("elsewhere")).unwrap();
        let said = fails(&installation, &["settings", "check"], SETTINGS, "settings");
        assert!(said.contains("signature-2"), "{said}");
    }
}

#[test]
fn responders_of_older_and_of_retired_generations_are_renewed() {
    let mut installation = Installation::prepare(Store::Sqlite);
    installation.json(&["ca-key", "create", "--kind", "signature"]);
    installation.json(&["ca-key", "retire", "signature", "1"]);
    installation.json(&["ca-key", "create", "--kind", "authentication"]);
    let reader = installation.reader();
    let near_their_end: Vec<CaKeyId> = CertificateKind::ALL.map(|kind| nearly_ended_responder(&installation, kind)).to_vec();
    installation.serve();
    for ca_key in near_their_end {
        let renewed = until("a new certificate", || {
            let all = reader.responders().unwrap().into_iter().filter(|responder| responder.ca_key == ca_key);
            Some(all.collect::<Vec<_>>()).filter(|all| all.len() == 3)
        });
        // For the same key; and the one before stays, for the answers that it has signed.
        assert!(renewed.iter().all(|responder| responder.public_key_sha256 == renewed[0].public_key_sha256));
        assert!(renewed[2].not_after - chrono::Utc::now() > chrono::TimeDelta::days(29));
    }
}

/// Certifies the responder of the first generation for an hour only, so that it is to be renewed.
fn nearly_ended_responder(installation: &Installation, kind: CertificateKind) -> CaKeyId {
    let database = Database::open(&installation.store_url(), &OpenOptions::default()).unwrap();
    let ca_key = database.reader().ca_keys().unwrap().into_iter().find(|key| (key.kind(), key.generation()) == (kind, 1)).unwrap();
    let open = |file: String, passphrase: &str| {
        FileSigner::open(&installation.place().join(file), &SecretString::from(installation.text(passphrase).trim())).unwrap()
    };
    let signer = open(format!("ca/ca-{kind}-1.key.pem"), "ca/passphrase");
    let responder = open(format!("status/ocsp-{kind}-1.key.pem"), "status/passphrase");
    let issuer = Issuer::new(ca_key.clone(), Arc::new(signer), Arc::new(Policies::shipped().unwrap())).unwrap();
    let (now, life) = (chrono::Utc::now(), chrono::TimeDelta::hours(1));
    let mut ledger = StoredIntents::new(database.writer(), now);
    let certificate = create_responder_certificate(&issuer, responder.public_key_info(), life, now, &mut ledger).unwrap();
    let certificate = NewResponder::from(&certificate);
    database.writer().write(move |tx| tx.add_responder(&certificate, now)).unwrap();
    ca_key.id()
}

#[test]
fn a_held_certificate_stands_in_the_way_of_retirement() {
    let installation = without_test_certificates(Store::Sqlite);
    let phone = installation.apply(&installation.card());
    let serial = &phone.of(Kind::Signature).unwrap().serial;
    installation.json(&["certificate", "hold", serial, "--ticket", "lost"]);
    installation.json(&["ca-key", "create", "--kind", "signature"]);
    let row = listed(&installation, Kind::Signature, 1);
    assert_eq!((&row["live"], &row["held"], &row["revoked"]), (&json!(0), &json!(1), &json!(0)));
    fails(&installation, &["ca-key", "retire", "signature", "1"], REFUSED, "certificates_stand");
}

#[test]
fn test_certificates_end_with_their_key_and_do_not_stand_in_the_way() {
    let installation = Installation::serving(Store::Sqlite);
    until("the test certificates are there", || {
        let row = listed(&installation, Kind::Signature, 1);
        (row["live"] == 1 && row["held"] == 1).then_some(())
    });
    installation.json(&["ca-key", "create", "--kind", "signature"]);
    assert_eq!(installation.json(&["ca-key", "retire", "signature", "1"])["newly_retired"], true);
    let row = listed(&installation, Kind::Signature, 1);
    assert_eq!((&row["live"], &row["held"], &row["revoked"]), (&json!(0), &json!(0), &json!(3)));
}

#[test]
fn a_key_that_the_store_does_not_know_is_never_overwritten() {
    let installation = Installation::prepare(Store::Sqlite);
    let left = installation.place().join("ca/ca-signature-2.key.pem");
    std::fs::write(&left, "left behind").unwrap();
    fails(&installation, &["ca-key", "create", "--kind", "signature"], EXISTS, "exists");
    assert_eq!(std::fs::read_to_string(&left).unwrap(), "left behind");
}

#[test]
fn what_fails_before_the_store_knows_of_it_leaves_nothing() {
    let installation = Installation::prepare(Store::Sqlite);
    std::fs::remove_file(installation.place().join("status/passphrase")).unwrap();
    let said = fails(&installation, &["ca-key", "create", "--kind", "signature"], SETTINGS, "settings");
    assert!(said.contains("passphrase"), "{said}");
    let names = |directory: &str| -> Vec<String> {
        let entries = std::fs::read_dir(installation.place().join(directory)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let left: Vec<String> = names("ca").into_iter().chain(names("status")).filter(|name| name.contains("signature-2")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_generation_that_was_stopped_on_the_way_is_completed() {
    let mut installation = Installation::prepare(Store::Sqlite);
    second_generation_without_a_responder(&installation);
    let made = installation.json(&["ca-key", "create", "--kind", "signature"]);
    assert_eq!(made["generation"], 2);
    installation.serve();
    is_good_by(&installation, &installation.apply(&installation.card()), 2);
    assert_eq!(installation.json(&["ca-key", "create", "--kind", "signature"])["generation"], 3);
}

/// What there is of a generation if the machine stops just after the store has the CA key.
fn second_generation_without_a_responder(installation: &Installation) {
    let (place, now) = (installation.place(), chrono::Utc::now());
    let passphrase = |file: &str| SecretString::from(installation.text(file).trim());
    let key = |path: &Path, passphrase: &SecretString| {
        let key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
        key.save(path, passphrase).unwrap();
        key
    };
    let ca = key(&place.join("ca/ca-signature-2.key.pem"), &passphrase("ca/passphrase"));
    key(&place.join("status/ocsp-signature-2.key.pem"), &passphrase("status/passphrase"));
    let policies = Arc::new(Policies::shipped().unwrap());
    let certificate = create_ca_certificate(&policies, CertificateKind::Signature, &ca, now).unwrap();
    let der = sandbox::pem::encode(sandbox::pem::CERTIFICATE, &certificate);
    std::fs::write(place.join("ca/ca-signature-2.pem"), der).unwrap();
    let base = format!("http://{}", installation.status);
    let urls = CaUrls {
        crl: format!("{base}/crl/signature-2.crl"),
        ocsp: format!("{base}/ocsp"),
        certificate: format!("{base}/ca/signature-2.cer"),
    };
    let new = NewCaKey { kind: CertificateKind::Signature, generation: 2, certificate, urls };
    let database = Database::open(&installation.store_url(), &OpenOptions::default()).unwrap();
    database.writer().write(move |tx| tx.add_ca_key(&new, now)).unwrap();
}

#[cfg(not(feature = "pkcs11"))]
#[test]
fn a_program_without_pkcs11_says_so() {
    let mut installation = Installation::prepare(Store::Sqlite);
    for (key, value) in [("module", "/usr/lib/softhsm/libsofthsm2.so"), ("token", "desk"), ("pin_file", "pin")] {
        installation.set(&format!("ca.pkcs11.{key}"), value);
    }
    let said = fails(&installation, &["settings", "check"], SETTINGS, "settings");
    assert!(said.contains("built without PKCS #11") && said.contains("--features pkcs11"), "{said}");
}
