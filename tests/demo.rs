//! The demonstration, judged from outside: what it leaves in `artifacts/` is held against OpenSSL, GnuTLS and pkilint.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{openssl, run, try_openssl, tsunagi};

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
];

#[test]
fn every_judge_agrees_with_what_the_demonstration_leaves() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("demo");
    let output = tsunagi(&["demo", "--dir", place.to_str().unwrap(), "--output", "json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let claims = told["claims"].as_array().unwrap();
    assert!(claims.len() >= 15, "only {} claims", claims.len());
    assert!(claims.iter().all(|claim| claim["milliseconds"].as_f64().is_some_and(|took| took >= 0.0)), "{told}");

    let artifacts = place.join("artifacts");
    everything_is_there(&artifacts);
    the_judges_are_awake(&artifacts);
    for kind in KINDS {
        openssl_accepts_the_certificate_until_it_is_revoked(&artifacts, kind);
        openssl_reads_both_ocsp_answers(&artifacts, kind);
        gnutls_accepts_certificate_and_crl(&artifacts, kind);
        the_phone_has_the_key(&artifacts, kind);
    }
    openssl_verifies_the_card_and_its_application(&artifacts);
    the_certificates_are_told_apart_from_the_card(&artifacts);
    pkilint_finds_nothing(&artifacts);
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

fn pkilint_finds_nothing(artifacts: &Path) {
    assert!(std::env::var_os("TSUNAGI_TEST_PKILINT").is_some(), "TSUNAGI_TEST_PKILINT must name the place of pkilint: run scripts/test");
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/pkilint-judge");
    let output = Command::new(script).arg(artifacts).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("findings: 0"), "{said}");
}
