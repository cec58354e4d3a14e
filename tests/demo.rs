//! The demonstration, judged from outside: what it leaves in `artifacts/` is held against OpenSSL, GnuTLS,
//! pkix-revocation and pkilint.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pkix_path::DefaultVerifier;
use pkix_revocation::{CrlChecker, Error as RevocationError, OcspChecker, RevocationChecker};
use serde_json::Value;
use support::{openssl, run, try_openssl, tsunagi};
use x509_cert_0_2::Certificate;
use x509_cert_0_2::der::DecodePem;
use x509_cert_0_2::ext::pkix::CrlReason;

const KINDS: [&str; 2] = ["signature", "authentication"];

/// What the demonstration promises to leave, besides the card CA's certificates.
const ARTIFACTS: &[&str] = &[
    "ca-signature.pem",
    "ca-authentication.pem",
    "card-signature.pem",
    "card-authentication.pem",
    "card-signature.key.pem",
    "card-authentication.key.pem",
    "phone-signature.pem",
    "phone-authentication.pem",
    "phone-signature.key.pem",
    "phone-authentication.key.pem",
    "ocsp-signature-before.der",
    "ocsp-authentication-before.der",
    "ocsp-signature-after.der",
    "ocsp-authentication-after.der",
    "crl-signature-after.crl",
    "crl-authentication-after.crl",
    "application.cms",
    "application-answer.json",
    "links.json",
    "phone-lost-signature.pem",
    "phone-lost-authentication.pem",
    "ocsp-signature-held.der",
    "ocsp-authentication-held.der",
    "crl-signature-held.crl",
    "crl-authentication-held.crl",
    "lost-phone-hold.cms",
    "lost-phone-lock.jws",
    "operators-ca.pem",
    "device-command-keys.json",
    "card-renewed-notices.json",
    "log-key.vkey",
    "checkpoint",
    "phone-logged-signature.pem",
    "phone-logged-authentication.pem",
    "application-logged.cms",
    "receipt-signature.json",
    "receipt-authentication.json",
];

/// What is said of certificates in the scenes: the answer, the certificate, the status and the reason.
const SAID: &[(&str, &str, &str, Option<&str>)] = &[
    ("ocsp-signature-held.der", "phone-lost-signature.pem", ": revoked", Some("certificateHold")),
    ("ocsp-authentication-held.der", "phone-lost-authentication.pem", ": revoked", Some("certificateHold")),
    ("ocsp-signature-superseded.der", "phone-superseded-signature.pem", ": revoked", Some("superseded")),
    ("ocsp-authentication-superseded.der", "phone-superseded-authentication.pem", ": revoked", Some("superseded")),
    ("ocsp-signature-moved.der", "phone-mover-signature.pem", ": revoked", Some("affiliationChanged")),
    ("ocsp-authentication-moved.der", "phone-mover-authentication.pem", ": good", None),
    ("ocsp-signature-renewed.der", "phone-renewed-before-signature.pem", ": revoked", Some("superseded")),
    ("ocsp-authentication-renewed.der", "phone-renewed-before-authentication.pem", ": revoked", Some("superseded")),
];

#[test]
fn every_judge_agrees_with_what_the_demonstration_leaves() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("demo");
    let output = tsunagi(&["demo", "--dir", place.to_str().unwrap(), "--output", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let claims = told["claims"].as_array().unwrap();
    assert!(claims.len() > 50, "only {} claims", claims.len());
    for scene in ["lost-phone", "new-phone", "moved-house", "card-renewed", "erase-never-arrives", "evidence"] {
        assert!(claims.iter().filter(|claim| claim["scene"] == scene).count() >= 4, "{scene}: {told}");
    }
    assert!(claims.iter().all(|claim| claim["milliseconds"].as_f64().is_some_and(|took| took >= 0.0)), "{told}");

    let artifacts = place.join("artifacts");
    everything_is_there(&artifacts);
    the_judges_are_awake(&artifacts);
    for kind in KINDS {
        openssl_accepts_the_certificate_until_it_is_revoked(&artifacts, kind);
        openssl_reads_both_ocsp_answers(&artifacts, kind);
        gnutls_accepts_certificate_and_crl(&artifacts, kind);
        the_phone_has_the_key(&artifacts, kind);
        the_hold_is_in_the_crl(&artifacts, kind);
    }
    openssl_reads_what_ocsp_said_in_the_scenes(&artifacts);
    openssl_verifies_the_call_centres_instruction(&artifacts);
    openssl_verifies_the_command_to_the_phone(&artifacts);
    openssl_verifies_the_card_and_its_application(&artifacts);
    the_certificates_are_told_apart_from_the_card(&artifacts);
    pkix_revocation_comes_to_the_same_verdicts(&artifacts);
    pkilint_finds_nothing(&artifacts);
}

#[test]
fn one_scene_can_be_played_alone() {
    let output = tsunagi(&["demo", "--scene", "moved-house", "--output", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let scenes: Vec<&str> = told["claims"].as_array().unwrap().iter().filter_map(|claim| claim["scene"].as_str()).collect();
    assert!(scenes.len() >= 4 && scenes.iter().all(|scene| *scene == "moved-house"), "{told}");
}

fn everything_is_there(artifacts: &Path) {
    for name in ARTIFACTS {
        assert!(artifacts.join(name).is_file(), "{name} is missing");
    }
    for kind in KINDS {
        assert!(artifacts.join(format!("card-ca-{kind}-1.pem")).is_file(), "the card CA's certificate for {kind} is missing");
    }
    let keys = std::fs::read_dir(artifacts).unwrap().map(|entry| entry.unwrap().path());
    for key in keys.filter(|path| path.to_string_lossy().ends_with(".key.pem")) {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is open to others", key.display());
    }
}

/// A judge that says yes to everything is none.
fn the_judges_are_awake(artifacts: &Path) {
    let (held, _) = try_openssl(artifacts, &["verify", "-x509_strict", "-CAfile", "ca-authentication.pem", "phone-signature.pem"]);
    assert!(!held, "openssl verifies against the wrong CA");
    let said =
        try_openssl(artifacts, &["crl", "-inform", "DER", "-in", "crl-signature-after.crl", "-CAfile", "ca-authentication.pem", "-noout"])
            .1;
    assert!(!said.contains("verify OK"), "{said}");
    let arguments = ocsp_arguments("authentication", "ocsp-signature-before.der");
    let (_, said) = try_openssl(artifacts, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(!said.contains(": good"), "{said}");
}

fn openssl_accepts_the_certificate_until_it_is_revoked(artifacts: &Path, kind: &str) {
    let (ca, phone) = (format!("ca-{kind}.pem"), format!("phone-{kind}.pem"));
    openssl(artifacts, &["verify", "-x509_strict", "-CAfile", &ca, &ca]);
    openssl(artifacts, &["verify", "-x509_strict", "-CAfile", &ca, &phone]);
    for moment in ["before", "after"] {
        let (der, pem) = (format!("crl-{kind}-{moment}.crl"), format!("crl-{kind}-{moment}.pem"));
        let said = openssl(artifacts, &["crl", "-inform", "DER", "-in", &der, "-CAfile", &ca, "-out", &pem]);
        assert!(said.contains("verify OK"), "{der}: {said}");
        let arguments = ["verify", "-x509_strict", "-crl_check", "-CRLfile", &pem, "-CAfile", &ca, &phone];
        let (held, said) = try_openssl(artifacts, &arguments);
        match moment {
            "before" => assert!(held, "{said}"),
            _ => assert!(!held && said.contains("certificate revoked"), "{said}"),
        }
    }
    let number = |moment: &str| {
        let der = format!("crl-{kind}-{moment}.crl");
        let said = openssl(artifacts, &["crl", "-inform", "DER", "-in", &der, "-noout", "-crlnumber"]);
        u64::from_str_radix(said.trim().trim_start_matches("crlNumber=0x").trim_start_matches("crlNumber="), 16).unwrap()
    };
    assert!(number("after") > number("before"), "the CRL's number does not rise");
}

fn ocsp_arguments(kind: &str, response: &str) -> Vec<String> {
    let (ca, phone) = (format!("ca-{kind}.pem"), format!("phone-{kind}.pem"));
    // The responder's certificate is inside; the CA is the one that is trusted, for that purpose too.
    let arguments = ["ocsp", "-respin", response, "-issuer", &ca, "-cert", &phone, "-CAfile", &ca, "-no_nonce"];
    arguments.map(str::to_owned).to_vec()
}

fn openssl_reads_both_ocsp_answers(artifacts: &Path, kind: &str) {
    for (moment, expected) in [("before", ": good"), ("after", ": revoked")] {
        let arguments = ocsp_arguments(kind, &format!("ocsp-{kind}-{moment}.der"));
        let said = openssl(artifacts, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(said.contains("Response verify OK"), "{said}");
        assert!(said.contains(expected), "{said}");
        if moment == "after" {
            assert!(said.contains("Reason: affiliationChanged") && said.contains("Revocation Time:"), "{said}");
        }
    }
}

fn gnutls_accepts_certificate_and_crl(artifacts: &Path, kind: &str) {
    let (ca, phone) = (format!("ca-{kind}.pem"), format!("phone-{kind}.pem"));
    let said = run(artifacts, "certtool", &["--verify", "--load-ca-certificate", &ca, "--infile", &phone]);
    assert!(said.contains("The certificate is trusted"), "{said}");
    let crl = format!("crl-{kind}-after.pem");
    let said = run(artifacts, "certtool", &["--verify-crl", "--load-ca-certificate", &ca, "--infile", &crl]);
    assert!(said.contains("Verification output: Verified"), "{said}");
}

fn the_phone_has_the_key(artifacts: &Path, kind: &str) {
    let certified = openssl(artifacts, &["x509", "-in", &format!("phone-{kind}.pem"), "-noout", "-pubkey"]);
    let own = openssl(artifacts, &["pkey", "-in", &format!("phone-{kind}.key.pem"), "-pubout"]);
    assert_eq!(certified, own);
}

fn openssl_verifies_the_card_and_its_application(artifacts: &Path) {
    for kind in KINDS {
        let generations = (1..=8).map(|generation| format!("card-ca-{kind}-{generation}.pem"));
        let generations: Vec<String> = generations.filter(|name| artifacts.join(name).exists()).collect();
        let verified = generations.iter().filter(|ca| try_openssl(artifacts, &["verify", "-CAfile", ca, &format!("card-{kind}.pem")]).0);
        assert_eq!(verified.count(), 1, "exactly one key generation of the card CA issued the card's {kind} certificate");
    }
    let all: String = (1..=8)
        .filter_map(|generation| std::fs::read_to_string(artifacts.join(format!("card-ca-signature-{generation}.pem"))).ok())
        .collect();
    std::fs::write(artifacts.join("card-ca-signature-all.pem"), all).unwrap();
    let arguments =
        ["cms", "-verify", "-inform", "DER", "-in", "application.cms", "-CAfile", "card-ca-signature-all.pem", "-purpose", "any"];
    let out = ["-signer", "signer.pem", "-out", "statement.json"];
    openssl(artifacts, &[&arguments[..], &out[..]].concat());
    let statement: Value = serde_json::from_slice(&std::fs::read(artifacts.join("statement.json")).unwrap()).unwrap();
    assert_eq!(statement["type"], "tsunagi.application.v1");
    let identity = |file: &str| openssl(artifacts, &["x509", "-in", file, "-noout", "-fingerprint", "-sha256"]);
    assert_eq!(identity("signer.pem"), identity("card-signature.pem"));
    let shown = openssl(artifacts, &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "application.cms"]);
    assert!(shown.contains("2.25.1953723758.1"), "the content type is not the application's own");
}

fn openssl_reads_what_ocsp_said_in_the_scenes(artifacts: &Path) {
    for (answer, certificate, status, reason) in SAID {
        let ca = if answer.contains("signature") { "ca-signature.pem" } else { "ca-authentication.pem" };
        openssl(artifacts, &["verify", "-x509_strict", "-CAfile", ca, certificate]);
        let said = openssl(artifacts, &["ocsp", "-respin", answer, "-issuer", ca, "-cert", certificate, "-CAfile", ca, "-no_nonce"]);
        assert!(said.contains("Response verify OK") && said.contains(status), "{answer}: {said}");
        assert_eq!(said.lines().find_map(|line| line.trim().strip_prefix("Reason: ")), *reason, "{answer}: {said}");
    }
}

fn the_hold_is_in_the_crl(artifacts: &Path, kind: &str) {
    let (ca, phone) = (format!("ca-{kind}.pem"), format!("phone-lost-{kind}.pem"));
    let (der, pem) = (format!("crl-{kind}-held.crl"), format!("crl-{kind}-held.pem"));
    let said = openssl(artifacts, &["crl", "-inform", "DER", "-in", &der, "-CAfile", &ca, "-out", &pem]);
    assert!(said.contains("verify OK"), "{der}: {said}");
    let text = openssl(artifacts, &["crl", "-in", &pem, "-noout", "-text"]);
    assert!(text.contains("Certificate Hold") && !text.contains("Remove From CRL"), "{text}");
    let (held, said) = try_openssl(artifacts, &["verify", "-crl_check", "-CRLfile", &pem, "-CAfile", &ca, &phone]);
    assert!(!held && said.contains("certificate revoked"), "{said}");
    let said = run(artifacts, "certtool", &["--verify-crl", "--load-ca-certificate", &ca, "--infile", &pem]);
    assert!(said.contains("Verification output: Verified"), "{said}");
    let shown = run(artifacts, "certtool", &["--crl-info", "--infile", &pem]).to_lowercase();
    let serial = openssl(artifacts, &["x509", "-in", &phone, "-noout", "-serial"]);
    assert!(shown.contains(&serial.trim().trim_start_matches("serial=").to_lowercase()), "GnuTLS does not find the held one: {shown}");
}

fn openssl_verifies_the_call_centres_instruction(artifacts: &Path) {
    let arguments = ["cms", "-verify", "-inform", "DER", "-in", "lost-phone-hold.cms", "-CAfile"];
    let out = ["-signer", "call-centre.pem", "-out", "instruction.json"];
    openssl(artifacts, &[&arguments[..], &["operators-ca.pem", "-purpose", "any"], &out].concat());
    let (held, _) = try_openssl(artifacts, &[&arguments[..], &["ca-signature.pem", "-purpose", "any"]].concat());
    assert!(!held, "openssl verifies against the wrong CA");
    let statement: Value = serde_json::from_slice(&std::fs::read(artifacts.join("instruction.json")).unwrap()).unwrap();
    assert_eq!((&statement["type"], &statement["do"]["action"]), (&"tsunagi.operator-instruction.v1".into(), &"hold".into()));
    let subject = openssl(artifacts, &["x509", "-in", "call-centre.pem", "-noout", "-subject", "-nameopt", "RFC2253"]);
    assert!(subject.contains("OU=call-centre"), "{subject}");
    let shown = openssl(artifacts, &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "lost-phone-hold.cms"]);
    assert!(shown.contains("2.25.1953723758.3"), "the content type is not an operator's instruction's own");
}

fn openssl_verifies_the_command_to_the_phone(artifacts: &Path) {
    let command = std::fs::read_to_string(artifacts.join("lost-phone-lock.jws")).unwrap();
    let (signed, signature) = command.rsplit_once('.').unwrap();
    let part = |place: usize| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split('.').nth(place).unwrap()).unwrap()).unwrap()
    };
    assert_eq!((&part(0)["alg"], &part(0)["typ"]), (&"ES256".into(), &"tsunagi-device-command+jwt".into()));
    assert_eq!((&part(1)["action"], &part(1)["type"]), (&"lock".into(), &"tsunagi.device-command.v1".into()));
    let keys: Value = serde_json::from_slice(&std::fs::read(artifacts.join("device-command-keys.json")).unwrap()).unwrap();
    let key = keys["keys"].as_array().unwrap().iter().find(|key| key["kid"] == part(0)["kid"]).unwrap();
    std::fs::write(artifacts.join("device-command-key.pem"), public_key_pem(key)).unwrap();
    std::fs::write(artifacts.join("lost-phone-lock.signature"), der_signature(&URL_SAFE_NO_PAD.decode(signature).unwrap())).unwrap();
    for (content, right) in [(signed.to_owned(), true), (format!("{signed}A"), false)] {
        std::fs::write(artifacts.join("lost-phone-lock.signed"), content).unwrap();
        let arguments =
            ["dgst", "-sha256", "-verify", "device-command-key.pem", "-signature", "lost-phone-lock.signature", "lost-phone-lock.signed"];
        let (held, said) = try_openssl(artifacts, &arguments);
        assert_eq!(held, right, "{said}");
    }
}

/// A JWK on P-256 as a SubjectPublicKeyInfo.
fn public_key_pem(key: &Value) -> String {
    let mut der = hex::decode("3059301306072a8648ce3d020106082a8648ce3d03010703420004").unwrap();
    for coordinate in ["x", "y"] {
        der.extend(URL_SAFE_NO_PAD.decode(key[coordinate].as_str().unwrap()).unwrap());
    }
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

/// A JWS's signature, r and s in 32 octets each, as the Ecdsa-Sig-Value (RFC 3279 section 2.2.3) that OpenSSL wants.
fn der_signature(raw: &[u8]) -> Vec<u8> {
    assert_eq!(raw.len(), 64);
    let integer = |octets: &[u8]| {
        let begin = octets.iter().position(|octet| *octet != 0).unwrap();
        let pad = octets[begin] & 0x80 != 0;
        let content = [if pad { &[0][..] } else { &[] }, &octets[begin..]].concat();
        [&[2, u8::try_from(content.len()).unwrap()][..], &content].concat()
    };
    let content = [integer(&raw[..32]), integer(&raw[32..])].concat();
    [&[0x30, u8::try_from(content.len()).unwrap()][..], &content].concat()
}

fn the_certificates_are_told_apart_from_the_card(artifacts: &Path) {
    let text = |file: &str| openssl(artifacts, &["x509", "-in", file, "-noout", "-text"]);
    for kind in KINDS {
        let (phone, card) = (text(&format!("phone-{kind}.pem")), text(&format!("card-{kind}.pem")));
        let policy = |text: &str| text.lines().find_map(|line| line.trim().strip_prefix("Policy: ").map(str::to_owned)).unwrap();
        assert_ne!(policy(&phone), policy(&card), "the policy does not tell a smartphone certificate from a card's");
        let end = |file: &str| openssl(artifacts, &["x509", "-in", file, "-noout", "-enddate"]);
        assert_eq!(end(&format!("phone-{kind}.pem")), end(&format!("card-{kind}.pem")));
        let serial = openssl(artifacts, &["x509", "-in", &format!("phone-{kind}.pem"), "-noout", "-serial"]);
        assert!((32..=40).contains(&serial.trim().trim_start_matches("serial=").len()), "{serial}");
    }
    assert!(text("phone-signature.pem").contains("Subject Alternative Name"));
    assert!(!text("phone-authentication.pem").contains("Subject Alternative Name"));
}

/// A relying party of another's making, which verifies lists and answers, their signers and their scopes.
fn pkix_revocation_comes_to_the_same_verdicts(artifacts: &Path) {
    let of_main_job = KINDS.iter().flat_map(|kind| {
        let phone = format!("phone-{kind}.pem");
        [("before", None), ("after", Some("affiliationChanged"))].into_iter().flat_map(move |(when, reason)| {
            [format!("ocsp-{kind}-{when}.der"), format!("crl-{kind}-{when}.crl")].map(|file| (file, phone.clone(), reason))
        })
    });
    let of_scenes = SAID.iter().map(|(file, certificate, _, reason)| ((*file).to_owned(), (*certificate).to_owned(), *reason));
    let holds = KINDS.iter().map(|kind| (format!("crl-{kind}-held.crl"), format!("phone-lost-{kind}.pem"), Some("certificateHold")));
    for (file, certificate, reason) in of_main_job.chain(of_scenes).chain(holds) {
        let read = |name: &str| Certificate::from_pem(std::fs::read(artifacts.join(name)).unwrap()).unwrap();
        let kind = KINDS.iter().find(|kind| file.contains(*kind)).unwrap();
        let (authority, subject) = (read(&format!("ca-{kind}.pem")), read(&certificate));
        let der = std::fs::read(artifacts.join(&file)).unwrap();
        // When it came: answers are good for a minute.
        let came = std::fs::metadata(artifacts.join(&file)).unwrap().modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let checked = |verdict: Result<(), RevocationError>| match verdict {
            Ok(()) => None,
            Err(RevocationError::Revoked { reason_code, .. }) => Some(reason_code),
            Err(fault) => panic!("{file}: {fault}"),
        };
        let told = if file.starts_with("ocsp") {
            checked(OcspChecker::new(&der, came, DefaultVerifier).unwrap().check_revocation(&subject, &authority))
        } else {
            checked(CrlChecker::new(&der, came, DefaultVerifier).unwrap().check_revocation(&subject, &authority))
        };
        let expected = reason.map(|reason| match reason {
            "affiliationChanged" => Some(CrlReason::AffiliationChanged),
            "certificateHold" => Some(CrlReason::CertificateHold),
            "superseded" => Some(CrlReason::Superseded),
            other => panic!("{other}"),
        });
        assert_eq!(told, expected, "{file} of {certificate}");
    }
}

fn pkilint_finds_nothing(artifacts: &Path) {
    assert!(std::env::var_os("TSUNAGI_TEST_PKILINT").is_some(), "TSUNAGI_TEST_PKILINT must name the place of pkilint: run scripts/test");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/pkilint-judge");
    let output = Command::new(script).arg(artifacts).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("findings: 0"), "{said}");
}
