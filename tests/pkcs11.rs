//! An installation whose CA keys lie on a token (SoftHSM 2): it issues, answers, publishes, and says what is wrong with a token.

#![cfg(feature = "pkcs11")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;

use sandbox::kind::Kind;
use serde_json::json;
use support::{Installation, Store, openssl, program, run, until};
use tempfile::TempDir;

/// Such as no log has by chance: four digits stand in every other time of day.
const PIN: &str = "a-pin-of-no-other-use";

/// Exit codes: settings.
const SETTINGS: i32 = 3;

/// A token of SoftHSM's, and how to reach it.
struct SoftHsm {
    directory: TempDir,
    module: &'static str,
}

impl SoftHsm {
    fn new() -> Self {
        let modules = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/pkcs11/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm2.so"];
        let module = modules.into_iter().find(|path| Path::new(path).exists()).expect("SoftHSM 2 is needed: scripts/test installs it");
        let directory = tempfile::tempdir().unwrap();
        let tokens = directory.path().join("tokens");
        std::fs::create_dir(&tokens).unwrap();
        std::fs::write(directory.path().join("pin"), format!("{PIN}\n")).unwrap();
        std::fs::write(directory.path().join("softhsm2.conf"), format!("directories.tokendir = {}\n", tokens.display())).unwrap();
        let token = Self { directory, module };
        let variables = [token.variable()].map(|(name, value)| format!("{name}={value}"));
        let util = ["softhsm2-util", "--init-token", "--free", "--label", "vault", "--so-pin", "13579", "--pin", PIN];
        run(token.directory.path(), "env", &[&[variables[0].as_str()], &util[..]].concat());
        token
    }

    /// What SoftHSM finds its tokens by.
    fn variable(&self) -> (String, String) {
        ("SOFTHSM2_CONF".to_owned(), self.path("softhsm2.conf"))
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn options(&self) -> [String; 6] {
        ["--pkcs11-module", self.module, "--pkcs11-token", "vault", "--pkcs11-pin-file", &self.path("pin")].map(str::to_owned)
    }

    fn installation(&self, more: &[&str]) -> Installation {
        let options = self.options();
        let options: Vec<&str> = options.iter().map(String::as_str).chain(more.iter().copied()).collect();
        Installation::prepare_with(Store::Sqlite, &options, &[self.variable()])
    }
}

/// Holds a command to fail for its settings, with these words.
#[track_caller]
fn fails(installation: &Installation, arguments: &[&str], words: &str) {
    let output = installation.command(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(SETTINGS), "{said}");
    assert!(said.contains(words), "no {words:?} in: {said}");
    assert!(!said.contains(PIN), "{said}");
}

/// Holds what a generation issued, its OCSP answer and its list to verify, by openssl.
fn verifies(installation: &Installation, kind: Kind, generation: u32, certificate: &[u8]) {
    let directory = installation.scratch();
    std::fs::write(directory.join("phone.pem"), sandbox::pem::encode(sandbox::pem::CERTIFICATE, certificate)).unwrap();
    let ca = installation.place().join(format!("ca/ca-{kind}-{generation}.pem"));
    let ca = ca.to_str().unwrap();
    openssl(directory, &["verify", "-partial_chain", "-CAfile", ca, "phone.pem"]);
    let url = format!("http://{}/ocsp", installation.status);
    let said = openssl(directory, &["ocsp", "-issuer", ca, "-CAfile", ca, "-cert", "phone.pem", "-url", &url]);
    assert!(said.contains("Response verify OK") && said.contains("phone.pem: good"), "{said}");
    let http = sandbox::http::HttpClient::new(&sandbox::http::HttpSettings::default()).unwrap();
    let url = format!("http://{}/crl/{kind}-{generation}.crl", installation.status);
    let list = until("the list is there", || http.get(&url, &[]).ok().filter(|answer| answer.status == 200));
    std::fs::write(directory.join("list.crl"), list.body).unwrap();
    let said = openssl(directory, &["crl", "-inform", "DER", "-in", "list.crl", "-noout", "-CAfile", ca]);
    assert!(said.contains("verify OK"), "{said}");
}

#[test]
fn an_installation_on_a_token_issues_answers_publishes_and_gets_another_key() {
    let token = SoftHsm::new();
    let mut installation = token.installation(&[]);
    for row in installation.json(&["ca-key", "list"]).as_array().unwrap() {
        assert_eq!(row["key"], json!({ "token": "vault" }), "{row}");
    }
    let files = std::fs::read_dir(installation.place().join("ca")).unwrap();
    let keys: Vec<String> = files.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!keys.iter().any(|name| name.starts_with("ca-") && name.ends_with(".key.pem")), "{keys:?}");
    let checked = installation.command(&["settings", "check"]);
    assert!(checked.status.success(), "{checked:?}");

    installation.serve();
    let phone = installation.apply(&installation.card());
    for kind in Kind::ALL {
        verifies(&installation, kind, 1, &phone.of(kind).unwrap().certificate);
    }
    let made = installation.json(&["ca-key", "create", "--kind", "authentication", "--key-type", "rsa-2048"]);
    assert_eq!((&made["generation"], &made["key_type"]), (&json!(2), &json!("rsa-2048")));
    installation.restart();
    let phone = installation.apply(&installation.card());
    verifies(&installation, Kind::Signature, 1, &phone.of(Kind::Signature).unwrap().certificate);
    verifies(&installation, Kind::Authentication, 2, &phone.of(Kind::Authentication).unwrap().certificate);
    assert!(!installation.logs().contains(PIN));
}

#[test]
fn a_wrong_pin_a_missing_token_and_one_that_is_taken_are_told() {
    let token = SoftHsm::new();
    let mut installation = token.installation(&["--key-type", "ecdsa-p384"]);
    // A token serves one installation.
    let [module, label, pin] = [1, 3, 5].map(|place| token.options()[place].clone());
    let again = std::process::Command::new(program())
        .args(["init", &token.path("again"), "--sandbox"])
        .arg(installation.scratch().join("sandbox"))
        .args(token.options())
        .envs([token.variable()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && said.contains("has a CA key signature-1 that the store does not know"), "{said}");
    assert!(!Path::new(&token.path("again")).exists());
    // The keys of the first one are untouched.
    assert!(installation.command(&["settings", "check"]).status.success());

    std::fs::write(token.path("wrong"), "1111").unwrap();
    installation.set("ca.pkcs11.pin_file", &token.path("wrong"));
    fails(&installation, &["settings", "check"], "does not take the PIN");
    installation.set("ca.pkcs11.pin_file", &pin);
    installation.set("ca.pkcs11.token", "elsewhere");
    fails(&installation, &["serve"], "no token labelled \"elsewhere\"");
    installation.set("ca.pkcs11.token", &label);
    installation.set("ca.pkcs11.sessions", "0");
    fails(&installation, &["settings", "check"], "ca.pkcs11.sessions");
    installation.set("ca.pkcs11.sessions", "2");
    installation.set("ca.pkcs11.module", "/nowhere.so");
    fails(&installation, &["settings", "check"], "the PKCS #11 library /nowhere.so does not load");
    installation.set("ca.pkcs11.module", &module);
    assert!(installation.command(&["settings", "check"]).status.success());
    std::fs::rename(token.path("tokens"), token.path("away")).unwrap();
    fails(&installation, &["settings", "check"], "ca.pkcs11");
}
