//! Receipts of certificates: made by the RA, verified by the command and by the library, offline.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use audit_log::receipt::VerifiedReceipt;
use audit_log::{LogKey, LogVerifier, Receipt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::digest::Sha256Digest;
use sandbox::kind::Kind;
use sandbox::phone::{Enrolment, Phone, PhoneFault, RaAnswer, receipt_file_name};
use sandbox::witness::{Witness, WitnessSettings};
use schema::testing::tamper_with;
use serde_json::Value;

use crate::support::{Installation, Store, expect_problem, publish_larger_tree, said, tsunagi, until};
use crate::tiles::verify_log;

/// More than the log needs on a busy machine.
const WAIT: u32 = 10;

/// An enrolment with its files.
pub(crate) struct Held {
    enrolment: Enrolment,
    directory: PathBuf,
}

impl Held {
    fn new(installation: &Installation, name: &str) -> Self {
        let mut enrolment = installation.apply(&installation.card());
        enrolment.fetch_receipts(&installation.phone(), WAIT).unwrap();
        let directory = installation.scratch().join(name);
        std::fs::create_dir(&directory).unwrap();
        enrolment.save(&directory).unwrap();
        Self { enrolment, directory }
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).to_str().unwrap().to_owned()
    }

    fn receipt(&self, kind: Kind) -> String {
        self.file(&receipt_file_name(kind))
    }

    fn text(&self, kind: Kind) -> String {
        std::fs::read_to_string(self.receipt(kind)).unwrap()
    }
}

/// The log's public key, as the installation tells it.
pub(crate) fn log_key(installation: &Installation) -> String {
    installation.json(&["log", "show"])["verifier_key"].as_str().unwrap().to_owned()
}

/// `tsunagi receipt verify`, which sees no installation.
fn verify(receipt: &str, log_key: &str, more: &[&str]) -> Output {
    tsunagi(&[&["receipt", "verify", receipt, "--log-key", log_key, "--output", "json"], more].concat())
}

#[track_caller]
fn disproved(output: &Output, code: &str) {
    assert_eq!(output.status.code(), Some(10), "{}", said(output));
    let failure: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(failure["code"], code, "{failure}");
    assert!(failure["error"].as_str().is_some_and(|error| error.len() > 20), "{failure}");
}

pub(crate) fn every_certificate_has_one(installation: &Installation) -> [Held; 2] {
    let key = log_key(installation);
    let held = ["one", "other"].map(|name| Held::new(installation, name));
    for held in &held {
        for enrolled in &held.enrolment.certificates {
            let (pem, cms) = (held.file(&format!("phone-{}.pem", enrolled.kind)), held.file("application.cms"));
            let output = verify(&held.receipt(enrolled.kind), &key, &["--certificate", &pem, "--application", &cms]);
            assert!(output.status.success(), "{}", said(&output));
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(told["certificate"]["serial"], enrolled.serial, "{told}");
            assert_eq!(told["certificate"]["kind"], enrolled.kind.as_str(), "{told}");
            assert_eq!(told["application"]["sha256"], held.enrolment.application_id, "{told}");
            assert!(told["application"]["leaf"].as_u64() < told["certificate"]["leaf"].as_u64(), "{told}");
        }
    }
    // Without anything to compare with, and in words.
    let output = tsunagi(&["receipt", "verify", &held[0].receipt(Kind::Signature), "--log-key", &key]);
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && words.contains("The receipt holds") && words.contains("witnesses"), "{}", said(&output));
    held
}

pub(crate) fn come_with_the_answer_to_whoever_prefers_to_wait(installation: &Installation) {
    let (phone, card) = (installation.phone(), installation.card());
    let challenge = phone.challenge().unwrap().challenge;
    let application = sandbox::phone::build_application(&card, &installation.wish(), &challenge).unwrap();
    let url = format!("https://{}/v1/applications", installation.ra);
    let post = |headers: &[(&str, &str)]| {
        let answer = installation.stranger().post(&url, headers, "application/cms", &application.cms).unwrap();
        assert_eq!(answer.status, 201, "{}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice::<Value>(&answer.body).unwrap()
    };
    let first = post(&[("Prefer", "respond-async, wait=10")]);
    assert_eq!(first["receipts"].as_array().map(Vec::len), Some(2), "{first}");
    let key = LogVerifier::parse(&log_key(installation)).unwrap();
    for (receipt, certificate) in first["receipts"].as_array().unwrap().iter().zip(first["certificates"].as_array().unwrap()) {
        let receipt = Receipt::parse(&receipt.to_string()).unwrap();
        assert_eq!(receipt.certificate.serial, certificate["serial"].as_str().unwrap());
        receipt.verify(&key, &[], None, Some(&application.cms)).unwrap();
    }
    // Later they come unasked, also to whoever asks for the application.
    assert_eq!(post(&[])["receipts"].as_array().map(Vec::len), Some(2));
    let place = format!("/v1/applications/{}", first["application_id"].as_str().unwrap());
    let asked = phone.ask_again(&place, first["token"].as_str().unwrap()).unwrap();
    assert_eq!(asked.json["receipts"].as_array().map(Vec::len), Some(2), "{}", asked.text);
    // Nobody else gets them.
    let answer = installation.get(&format!("{place}/receipts")).unwrap();
    expect_problem("receipts without a token", &answer, "application_unknown");
}

pub(crate) fn are_of_one_certificate_one_application_and_one_log(installation: &Installation, held: &[Held; 2]) {
    let key = log_key(installation);
    let [one, other] = held;
    let receipt = one.receipt(Kind::Signature);
    for pem in [one.file("phone-authentication.pem"), other.file("phone-signature.pem")] {
        disproved(&verify(&receipt, &key, &["--certificate", &pem]), "receipt_certificate");
    }
    disproved(&verify(&receipt, &key, &["--application", &other.file("application.cms")]), "receipt_application");

    let stranger = LogKey::generate("elsewhere.example/log").unwrap().verifier().vkey();
    disproved(&verify(&receipt, &stranger, &[]), "receipt_log_key");
    let origin = LogVerifier::parse(&key).unwrap().name().to_owned();
    let namesake = LogKey::generate(&origin).unwrap().verifier().vkey();
    disproved(&verify(&receipt, &namesake, &[]), "receipt_log_key");
    // The key may be in a file.
    let file = installation.scratch().join("namesake.vkey");
    std::fs::write(&file, format!("{namesake}\n")).unwrap();
    disproved(&verify(&receipt, file.to_str().unwrap(), &[]), "receipt_log_key");

    let witness = "witness.example+d3c2e8b0+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let output = verify(&receipt, &key, &["--witness", witness]);
    assert_eq!(output.status.code(), Some(2), "a key whose ID is not its own: {}", said(&output));
    assert_eq!(verify("no-such-file", &key, &[]).status.code(), Some(5));

    // Parts of two good receipts make no third.
    let parts = |held: &Held, kind| serde_json::from_str::<Value>(&held.text(kind)).unwrap();
    let (signature, authentication, foreign) =
        (parts(one, Kind::Signature), parts(one, Kind::Authentication), parts(other, Kind::Signature));
    let mixed = installation.scratch().join("mixed.json");
    let refused = |receipt: &Value, code: &str| {
        std::fs::write(&mixed, receipt.to_string()).unwrap();
        disproved(&verify(mixed.to_str().unwrap(), &key, &[]), code);
    };
    let with = |pointer: &str, value: &Value| {
        let mut receipt = signature.clone();
        *receipt.pointer_mut(pointer).unwrap() = value.clone();
        receipt
    };
    refused(&with("/certificate", &authentication["certificate"]), "receipt_mismatch");
    refused(&with("/certificate/serial", &foreign["certificate"]["serial"]), "receipt_mismatch");
    refused(&with("/certificate/kind", &authentication["certificate"]["kind"]), "receipt_mismatch");
    refused(&with("/application", &foreign["application"]), "receipt_mismatch");
    refused(&with("/entries/0", &foreign["entries"][0]), "receipt_mismatch");
    refused(&with("/entries/1", &foreign["entries"][1]), "receipt_mismatch");
    refused(&with("/entries/0", &signature["entries"][1]), "receipt_malformed");
    refused(&with("/entries/1/salt", &foreign["entries"][1]["salt"]), "receipt_proof");
    refused(&with("/entries/1/content", &authentication["entries"][1]["content"]), "receipt_proof");
    refused(&with("/entries/1/proof", &authentication["entries"][1]["proof"]), "receipt_proof");
    refused(&with("/type", &Value::from("tsunagi.receipt.v2")), "receipt_malformed");
    refused(&Value::Null, "receipt_malformed");
}

pub(crate) fn are_the_same_leaves_after_a_restart(installation: &mut Installation, held: &[Held; 2]) {
    installation.restart();
    let key = LogVerifier::parse(&log_key(installation)).unwrap();
    // The log goes on: the same leaves, under a larger tree.
    installation.apply(&installation.card());
    for held in held {
        let answer = receipts_of(installation, held, WAIT);
        assert_eq!(answer.status, 200, "{}", answer.text);
        for (receipt, kind) in answer.json["receipts"].as_array().unwrap().iter().zip(Kind::ALL) {
            let again = proved(&receipt.to_string(), &key).unwrap();
            let before = proved(&held.text(kind), &key).unwrap();
            assert_eq!((again.leaves, &again.serial), (before.leaves, &before.serial));
            assert!(again.checkpoint.size() > before.checkpoint.size(), "{}", again.checkpoint.note());
        }
    }
}

/// An issuance of which the log does not say the certificate's digest, as those do that were made before there was a log, has no receipt; and
/// what was purged is not known any more.
pub(crate) fn are_there_only_for_what_the_log_tells(installation: &mut Installation, held: [Held; 2]) {
    let key = LogVerifier::parse(&log_key(installation)).unwrap();
    installation.stop();
    let [early, other] = &held;
    let digest = if installation.store_url().starts_with("sqlite") { "lower(hex(digest))" } else { "encode(digest, 'hex')" };
    let without_digest = format!(
        "UPDATE event SET data = '{{\"ca_key\":1,\"kind\":\"signature\",\"serial\":\"0A\"}}' WHERE kind = 'certificate.issued' \
         AND application_id IN (SELECT id FROM application WHERE {digest} = '{}')",
        early.enrolment.application_id
    );
    tamper_with(&installation.store_url(), &without_digest).unwrap();
    installation.start();
    let answer = receipts_of(installation, early, 0);
    assert_eq!((answer.status, answer.code()), (404, "receipt_none"), "{}", answer.text);
    // The application itself is told as ever.
    let again = installation.phone().submit(&early.enrolment.cms).unwrap();
    assert!(again.status == 201 && again.json.get("receipts").is_none(), "{}", again.text);

    // A log that is damaged costs the receipts, and never the certificates.
    tamper_with(&installation.store_url(), "DELETE FROM log_leaf WHERE leaf = 0").unwrap();
    let answer = receipts_of(installation, other, 0);
    assert_eq!((answer.status, answer.code()), (500, "internal_fault"), "{}", answer.text);
    let again = installation.phone().submit(&other.enrolment.cms).unwrap();
    assert!(again.status == 201 && again.json.get("receipts").is_none(), "{}", again.text);
    // Whoever has a receipt keeps what it proves.
    for held in &held {
        Kind::ALL.iter().for_each(|kind| drop(proved(&held.text(*kind), &key).unwrap()));
    }
}

/// Once records are too old they are destroyed, and no receipt can be made any more; those that holders have prove what they proved.
pub(crate) fn hold_when_everything_else_was_purged(store: Store) {
    let mut installation = Installation::serving(store);
    let held = Held::new(&installation, "phone");
    let key = log_key(&installation);
    // What the high-water file remembers is not to be an event of that issuance, or the store would be known as another.
    let events = || installation.json(&["log", "show"])["position"].as_i64();
    let of_the_issuance = events();
    until("a high-water mark after it", || {
        std::thread::sleep(Duration::from_millis(200));
        installation.apply(&installation.card());
        let mark: Value = serde_json::from_str(&installation.text("high-water.json")).ok()?;
        (mark["high_water"]["mark"]["position"].as_i64() > of_the_issuance).then_some(())
    });
    installation.stop();
    // As if it had been twenty years ago.
    let ago = 20_i64 * 366 * 86_400_000;
    let statements = format!(
        "UPDATE certificate SET state = 4, not_before = not_before - {ago}, not_after = not_after - {ago} WHERE state = 1;
         UPDATE application SET accepted_at = accepted_at - {ago}, decided_at = decided_at - {ago};
         UPDATE event SET at = at - {ago} WHERE position <= {};",
        of_the_issuance.unwrap()
    );
    tamper_with(&installation.store_url(), &statements).unwrap();
    installation.start();
    let purged = || {
        let run = installation.command(&["schedule", "run", "purge"]);
        assert!(run.status.success(), "{}", said(&run));
        let answer = receipts_of(&installation, &held, 0);
        (answer.status == 410).then_some(answer)
    };
    let answer = until("the issuance is purged", purged);
    assert_eq!(answer.code(), "receipt_purged", "{}", answer.text);
    for kind in Kind::ALL {
        let (pem, cms) = (held.file(&format!("phone-{kind}.pem")), held.file("application.cms"));
        let output = verify(&held.receipt(kind), &key, &["--certificate", &pem, "--application", &cms]);
        assert!(output.status.success(), "{}", said(&output));
    }
    // What is public is as it was.
    let log = verify_log(&["log", &key, &format!("http://{}/log", installation.status)]);
    assert!(log.starts_with("holds"), "{log}");
}

fn receipts_of(installation: &Installation, held: &Held, wait: u32) -> RaAnswer {
    let token = held.enrolment.token().unwrap();
    installation.phone().receipts(&held.enrolment.application_id, token, wait).unwrap()
}

fn proved(text: &str, key: &LogVerifier) -> Result<VerifiedReceipt, String> {
    let receipt = Receipt::parse(text).map_err(|refusal| refusal.to_string())?;
    receipt.verify(key, &[], None, None).map_err(|refusal| refusal.to_string())
}

/// All that a receipt claims, as whoever verifies it is told.
fn claims(proved: &VerifiedReceipt) -> String {
    let checkpoint = proved.checkpoint.checkpoint();
    format!(
        "{} {} {} {} {} {} {:?} {checkpoint:?}",
        proved.kind,
        proved.serial,
        proved.certificate_sha256,
        proved.application_sha256,
        proved.accepted_at,
        proved.issued_at,
        proved.leaves
    )
}

pub(crate) fn withstand_every_change_of_an_octet(installation: &Installation) {
    let held = Held::new(installation, "phone");
    let key = LogVerifier::parse(&log_key(installation)).unwrap();
    let text = held.text(Kind::Signature);
    let original = claims(&proved(&text, &key).unwrap());
    let (mut refused, mut harmless) = (0, Vec::new());
    for at in 0..text.len() {
        // Each bit, and what means something where it stands.
        let octet = text.as_bytes()[at];
        let others = (0..8).map(|bit| octet ^ (1 << bit)).chain(*b" \"{}0");
        for other in others.filter(|other| *other != octet) {
            let mut changed = text.clone().into_bytes();
            changed[at] = other;
            let Ok(changed) = String::from_utf8(changed) else { continue };
            match proved(&changed, &key) {
                Err(_) => refused += 1,
                Ok(proved) => {
                    assert_eq!(claims(&proved), original, "octet {at}: {}", other.escape_ascii());
                    harmless.push(at);
                }
            }
        }
    }
    assert!(refused > 9 * text.len(), "{refused} of {} octets", text.len());
    // White space after it.
    assert!(harmless.iter().all(|at| *at == text.len() - 1), "{harmless:?}");
    for missing in 0..text.trim_end().len() {
        assert!(text.get(..missing).is_none_or(|part| proved(part, &key).is_err()), "the first {missing} octets");
    }
    // Written otherwise, it is the same receipt.
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(claims(&proved(&serde_json::to_string_pretty(&value).unwrap(), &key).unwrap()), original);
    // What is said twice is refused, wherever that stands: readers differ in which they believe.
    for (member, twice) in [
        ("\"serial\":", "\"serial\":\"00\",\"serial\":"),
        ("\"kind\":\"certificate.issued\"", "\"kind\":\"certificate.revoked\",\"kind\":\"certificate.issued\""),
        ("\"data\":{", "\"data\":{\"holder\":0,"),
    ] {
        let doubled = text.replacen(member, twice, 1);
        assert!(doubled != text && proved(&doubled, &key).is_err(), "{member}");
    }
}

/// With a witness, and by the program of the specifications alone too.
pub(crate) fn show_their_witnesses() {
    let mut installation = Installation::prepare(Store::Sqlite);
    let key = log_key(&installation);
    let witness = |name: &str| {
        let settings = WitnessSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            directory: installation.scratch().join(name),
            name: name.to_owned(),
            logs: vec![key.clone()],
        };
        Witness::start(&settings).unwrap()
    };
    let (asked, other) = (witness("witness.example"), witness("other.example"));
    installation.set("log.witnesses", &format!("[{{url=\"{}\",key=\"{}\"}}]", asked.url(), asked.vkey()));
    installation.serve();
    let held = Held::new(&installation, "phone");
    let receipt = held.receipt(Kind::Signature);
    let output = verify(&receipt, &key, &["--witness", &asked.vkey()]);
    assert!(output.status.success(), "{}", said(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["witnesses"][0]["name"], "witness.example", "{told}");
    disproved(&verify(&receipt, &key, &["--witness", &asked.vkey(), "--witness", &other.vkey()]), "receipt_witness_missing");
    // Its line changed: with the witness it proves nothing, without it what it proved before.
    let text = held.text(Kind::Signature);
    let at = text.rfind("witness.example ").unwrap() + "witness.example ".len() + 20;
    let replaced = if &text[at..=at] == "A" { "B" } else { "A" };
    let changed = format!("{}{replaced}{}", &text[..at], &text[at + 1..]);
    let file = installation.scratch().join("changed.json");
    std::fs::write(&file, changed).unwrap();
    disproved(&verify(file.to_str().unwrap(), &key, &["--witness", &asked.vkey()]), "receipt_witness_signature");
    assert!(verify(file.to_str().unwrap(), &key, &[]).status.success());

    // A program that knows nothing but the specifications comes to the same.
    let value: Value = serde_json::from_str(&text).unwrap();
    for entry in value["entries"].as_array().unwrap() {
        let salt = STANDARD.decode(entry["salt"].as_str().unwrap()).unwrap();
        // Keys are sorted, and there is no white space.
        let commitment = Sha256Digest::of(&[salt, entry["content"].to_string().into_bytes()].concat()).to_string();
        std::fs::write(&file, entry["proof"].as_str().unwrap()).unwrap();
        let said = verify_log(&["proof", &key, file.to_str().unwrap(), &commitment, &asked.vkey()]);
        assert!(said.starts_with("holds: the entry is leaf "), "{said}");
    }
}

pub(crate) fn come_later_when_the_log_lags() {
    let mut installation = Installation::prepare(Store::Sqlite);
    installation.set("log.max_lag_seconds", "3600");
    installation.start();
    Held::new(&installation, "first");
    installation.stop();
    // Nothing is appended, and nobody stops for it yet.
    let kept = publish_larger_tree(&installation);
    installation.start();
    let (phone, card) = (installation.phone(), installation.card());
    let mut enrolment = installation.apply(&card);
    assert!(enrolment.answers.last().unwrap().json.get("receipts").is_none());
    let begun = Instant::now();
    assert!(matches!(enrolment.fetch_receipts(&phone, 1), Err(PhoneFault::Undecided { seconds: 1 })));
    assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    let answer = phone.receipts(&enrolment.application_id, enrolment.token().unwrap(), 0).unwrap();
    assert_eq!((answer.status, answer.json["receipts"].as_array().map(Vec::len)), (202, Some(0)), "{}", answer.text);

    // The sandbox's phone keeps them beside its certificates, and asks again later.
    let directory = installation.scratch().join("handset");
    std::fs::create_dir(&directory).unwrap();
    let mut phone_of_another = Phone::apply(&phone, &installation.card(), &installation.wish()).unwrap();
    phone_of_another.save(&directory).unwrap();
    assert!(!directory.join(receipt_file_name(Kind::Signature)).exists());

    std::fs::write(installation.place().join("log/checkpoint"), kept).unwrap();
    until("the receipts are there", || enrolment.fetch_receipts(&phone, WAIT).ok());
    assert!(enrolment.certificates.iter().all(|enrolled| enrolled.receipt.is_some()));
    let arguments = ["sandbox", "phone", "receipts", "--installation", installation.place().to_str().unwrap(), directory.to_str().unwrap()]
        .map(str::to_owned);
    let output = tsunagi(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(output.status.success(), "{}", said(&output));
    let key = LogVerifier::parse(&log_key(&installation)).unwrap();
    let kept = |kind| std::fs::read_to_string(Path::new(&directory).join(receipt_file_name(kind))).unwrap();
    Kind::ALL.iter().for_each(|kind| drop(proved(&kept(*kind), &key).unwrap()));
    assert!(Phone::load(&directory).unwrap().certificates.iter().all(|enrolled| enrolled.receipt.is_some()));
}
