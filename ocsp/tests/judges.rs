//! Every kind of answer, from the service over a store, before judges of others: OpenSSL, GnuTLS and pkilint.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};
use std::process;

use ca_core::lifecycle::{Command, HoldCause};
use ca_core::ocsp::{CertIdHash, Nonce};
use ca_core::revocation::RevocationReason;
use chrono::{TimeDelta, Utc};
use ocsp::OcspSettings;
use schema::testing::TestDatabase;
use support::house::{House, start};
use support::{request, serial};

const GOOD: u64 = 0x8001;
const COMPROMISED: u64 = 0x8002;
const HELD: u64 = 0x8003;
const ENDED: u64 = 0x8004;
const REVOKED_AND_ENDED: u64 = 0x8005;
const NEVER_ISSUED: u64 = 0x8006;

/// One kind of answer, and what each judge has to read in it.
struct Kind {
    name: &'static str,
    hash: CertIdHash,
    about: &'static [u64],
    nonce: bool,
    openssl: &'static [&'static str],
    gnutls: &'static [&'static str],
}

const KINDS: &[Kind] = &[
    kind("good-sha1", CertIdHash::Sha1, &[GOOD], &["8001: good"], &["Hash Algorithm: SHA1", "Certificate Status: good"]),
    kind("good-sha256", CertIdHash::Sha256, &[GOOD], &["8001: good"], &["Hash Algorithm: SHA256", "Certificate Status: good"]),
    kind("good-sha384", CertIdHash::Sha384, &[GOOD], &["8001: good"], &["Hash Algorithm: SHA384", "Certificate Status: good"]),
    kind("good-sha512", CertIdHash::Sha512, &[GOOD], &["8001: good"], &["Hash Algorithm: SHA512", "Certificate Status: good"]),
    kind(
        "revoked",
        CertIdHash::Sha256,
        &[COMPROMISED],
        &["8002: revoked", "Reason: keyCompromise", "Invalidity Date"],
        &["Certificate Status: revoked"],
    ),
    kind("held", CertIdHash::Sha256, &[HELD], &["8003: revoked", "Reason: certificateHold"], &["Certificate Status: revoked"]),
    kind("ended", CertIdHash::Sha256, &[ENDED], &["8004: good", "OCSP Archive Cutoff"], &["Certificate Status: good"]),
    kind(
        "revoked-and-ended",
        CertIdHash::Sha1,
        &[REVOKED_AND_ENDED],
        &["8005: revoked", "Reason: superseded", "OCSP Archive Cutoff"],
        &["Certificate Status: revoked"],
    ),
    kind(
        "never-issued",
        CertIdHash::Sha256,
        &[NEVER_ISSUED],
        &["8006: revoked", "Reason: certificateHold", "Jan  1 00:00:00 1970 GMT", "Response Extensions:"],
        &["Certificate Status: revoked", "Revocation time: Thu Jan 01 00:00:00 UTC 1970", "1.3.6.1.5.5.7.48.1.9"],
    ),
    kind(
        "several",
        CertIdHash::Sha512,
        &[GOOD, COMPROMISED, HELD, ENDED, NEVER_ISSUED],
        &["8001: good", "8002: revoked", "8003: revoked", "8004: good", "8006: revoked"],
        &["Certificate Status: good", "Certificate Status: revoked"],
    ),
    Kind { nonce: true, ..kind("nonce", CertIdHash::Sha256, &[GOOD], &["8001: good", "OCSP Nonce"], &["Nonce: 0909"]) },
    Kind {
        nonce: true,
        ..kind(
            "several-nonce",
            CertIdHash::Sha384,
            &[HELD, NEVER_ISSUED],
            &["8003: revoked", "8006: revoked", "OCSP Nonce"],
            &["Nonce: 0909"],
        )
    },
];

/// Of a CA key that is retired.
const FINAL: &[Kind] = &[kind(
    "final",
    CertIdHash::Sha256,
    &[COMPROMISED],
    &["8002: revoked", "Next Update: Dec 31 23:59:59 9999 GMT"],
    &["Next Update: Fri Dec 31 23:59:59 UTC 9999"],
)];

const fn kind(
    name: &'static str,
    hash: CertIdHash,
    about: &'static [u64],
    openssl: &'static [&'static str],
    gnutls: &'static [&'static str],
) -> Kind {
    Kind { name, hash, about, nonce: false, openssl, gnutls }
}

/// A house of today: judges look at their clocks.
fn house() -> House {
    let house = House::without_responder(TestDatabase::sqlite(), OcspSettings::default());
    house.time.pass(Utc::now() - start());
    house.certify(&house.ca.responder_key, house.time.wall(), TimeDelta::days(7));
    house
}

/// Two hours ago.
fn changed(house: &House, number: u64, command: Command) {
    house.store.command(house.ca.ca_key().id(), &serial(number), command, house.time.wall() - TimeDelta::hours(2));
}

#[test]
fn every_kind_of_answer_stands_before_openssl_gnutls_and_pkilint() {
    let directory = tempfile::tempdir().unwrap();
    let living = house();
    let now = living.time.wall();
    for (number, hours) in [(GOOD, 200), (COMPROMISED, 200), (HELD, 200), (ENDED, -1), (REVOKED_AND_ENDED, -1)] {
        let end = now + TimeDelta::hours(hours);
        living.store.issue_certificate(living.ca.ca_key().id(), &serial(number), end, now - TimeDelta::days(3));
    }
    let compromised = Command::Revoke { reason: RevocationReason::KeyCompromise, invalid_since: Some(now - TimeDelta::hours(26)) };
    changed(&living, COMPROMISED, compromised);
    changed(&living, HELD, Command::Hold { cause: HoldCause::Operator });
    changed(&living, REVOKED_AND_ENDED, Command::Revoke { reason: RevocationReason::Superseded, invalid_since: None });
    judged(&living, KINDS, &directory.path().join("living"));

    let retired = house();
    retired.store.issue_certificate(retired.ca.ca_key().id(), &serial(COMPROMISED), now + TimeDelta::hours(200), now - TimeDelta::days(3));
    changed(&retired, COMPROMISED, compromised);
    let id = retired.ca.ca_key().id();
    retired.store.writer().write(move |tx| tx.retire_ca_key(id, now)).unwrap();
    judged(&retired, FINAL, &directory.path().join("retired"));
}

#[test]
fn what_says_why_there_is_no_answer_is_understood_by_all_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let verifiers = support::Verifiers::new();
    let for_verifiers =
        House::with(TestDatabase::sqlite(), OcspSettings::default(), |service| service.for_requestors(verifiers.requestors()));
    let (house, other) = (house(), house());
    for house in [&house, &for_verifiers] {
        house.service.look().unwrap();
    }
    other.service.store_went_back(true);
    let asked = |of: &House| of.service.reply(&of.ask(GOOD)).der;
    for (name, answer, openssl) in [
        ("malformedRequest", house.service.reply(b"0").der, "malformedrequest (1)"),
        ("unauthorized", house.service.reply(&other.ask(GOOD)).der, "unauthorized (6)"),
        ("sigRequired", asked(&for_verifiers), "sigrequired (5)"),
        ("tryLater", asked(&other), "trylater (3)"),
    ] {
        let file = format!("ocsp-signature-{name}.der");
        std::fs::write(directory.path().join(&file), answer).unwrap();
        let (held, said) = try_run(directory.path(), "openssl", &["ocsp", "-respin", &file, "-noverify"]);
        assert!(!held && said.contains(openssl), "{name}: {said}");
        let said = run(directory.path(), "ocsptool", &["--response-info", "--load-response", &file]);
        assert!(said.contains(&format!("Response Status: {name}")), "{name}: {said}");
    }
    pkilint_finds_nothing(directory.path(), &["ocsp"]);
}

fn judged(house: &House, kinds: &[Kind], directory: &Path) {
    std::fs::create_dir(directory).unwrap();
    house.ca.write_pem(&directory.join("ca-signature.pem"));
    house.service.look().unwrap();
    let nonce = Nonce::new(&[9; 32]).unwrap();
    for kind in kinds {
        let ids = kind.about.iter().map(|number| house.ca.id(kind.hash, &serial(*number))).collect();
        let request = request(ids, kind.nonce.then_some(&nonce));
        let answer = house.service.reply(&request).der;
        std::fs::write(directory.join(format!("{}.request", kind.name)), request).unwrap();
        std::fs::write(directory.join(format!("ocsp-signature-{}.der", kind.name)), answer).unwrap();
        openssl_agrees(directory, kind);
        gnutls_agrees(directory, kind);
    }
    pkilint_finds_nothing(directory, &["ocsp", "certificate", "chain"]);
}

fn run(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let (held, said) = try_run(directory, program, arguments);
    assert!(held, "{program} {arguments:?}: {said}");
    said
}

/// Whether it succeeded, and what it said.
fn try_run(directory: &Path, program: &str, arguments: &[&str]) -> (bool, String) {
    let output = process::Command::new(program).args(arguments).current_dir(directory).env("TZ", "UTC").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}; scripts/test installs it"));
    (output.status.success(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

fn openssl_agrees(directory: &Path, kind: &Kind) {
    let (request, answer) = (format!("{}.request", kind.name), format!("ocsp-signature-{}.der", kind.name));
    let hash = match kind.hash {
        CertIdHash::Sha1 => "-sha1",
        CertIdHash::Sha256 => "-sha256",
        CertIdHash::Sha384 => "-sha384",
        CertIdHash::Sha512 => "-sha512",
    };
    let serials: Vec<String> = kind.about.iter().map(|number| format!("{number:#x}")).collect();
    let serials: Vec<&str> = serials.iter().flat_map(|number| ["-serial", number]).collect();
    let issuer = ["-issuer", "ca-signature.pem", "-CAfile", "ca-signature.pem", "-respin", &answer];
    // With the serial numbers OpenSSL finds their answers, with the request it compares the nonces.
    let found = run(directory, "openssl", &[&["ocsp", "-no_nonce", hash], &issuer[..2], &serials, &issuer[2..]].concat());
    let compared = run(directory, "openssl", &[&["ocsp", "-reqin", &request, "-resp_text"], &issuer[..]].concat());
    for said in [&found, &compared] {
        assert!(said.contains("Response verify OK") && !said.contains("WARNING"), "{}: {said}", kind.name);
    }
    let said = found + &compared;
    for words in kind.openssl {
        assert!(said.contains(words), "{}: {words}: {said}", kind.name);
    }
}

fn gnutls_agrees(directory: &Path, kind: &Kind) {
    let answer = format!("ocsp-signature-{}.der", kind.name);
    let read = run(directory, "ocsptool", &["--response-info", "--load-response", &answer]);
    for words in kind.gnutls {
        assert!(read.contains(words), "{}: {words}: {read}", kind.name);
    }
    assert_eq!(read.matches("Certificate Status: ").count(), kind.about.len(), "{}: {read}", kind.name);
    // What is trusted is the CA: GnuTLS finds the responder's certificate within the answer.
    let verified = run(directory, "ocsptool", &["--verify-response", "--load-response", &answer, "--load-trust", "ca-signature.pem"]);
    assert!(verified.contains("Verifying OCSP Response: Success"), "{}: {verified}", kind.name);
}

fn pkilint_finds_nothing(directory: &Path, expected: &[&str]) {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/pkilint-judge");
    let said = run(directory, script.to_str().unwrap(), &[&[".", "--expect"], expected].concat());
    assert!(said.contains("findings: 0"), "{said}");
}
