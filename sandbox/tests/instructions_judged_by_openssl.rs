//! Instructions of holders and operators, reports of compromised keys and confirmations of commands, judged by openssl.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{back_office, card, openssl, try_openssl};
use sandbox::asn1;
use sandbox::back_office::EventScope;
use sandbox::card_ca::{Certificate, certificate};
use sandbox::http::ClientIdentity;
use sandbox::instruction::{Instruction, InstructionDeviation, Signer, build_deviating_instruction};
use sandbox::keys::{Key, KeyAlgorithm};
use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, MassChange, Operator, OperatorAction, OperatorSettings, Target};
use sandbox::phone::{CertificatesToEnd, HolderAction, build_instruction, build_key_compromise_report};
use sandbox::reason::Reason;
use sandbox::{jws, names, oids, pem};
use serde_json::{Value, json};

const ALGORITHMS: [KeyAlgorithm; 3] = [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Rsa2048];

/// A certificate that signs itself.
fn self_signed(key: &Key) -> Vec<u8> {
    let name = names::name(&[(oids::COMMON_NAME, "operator-1"), (oids::ORGANIZATIONAL_UNIT, "administrator")]);
    let content = Certificate {
        serial: &[7],
        issuer: &name,
        not_before: chrono::Utc::now() - chrono::Duration::hours(1),
        not_after: chrono::Utc::now() + chrono::Duration::hours(1),
        subject: &name,
        public_key_info: key.public_key_info(),
        extensions: vec![asn1::extension(&oids::KEY_USAGE, true, &asn1::named_bits(&[0]))],
    };
    certificate(&content, key).unwrap()
}

/// What openssl takes out of a message after having verified it with a trusted certificate.
fn statement(directory: &Path, cms: &[u8], trusted: &str) -> Value {
    std::fs::write(directory.join("instruction.cms"), cms).unwrap();
    let arguments = ["cms", "-verify", "-inform", "DER", "-in", "instruction.cms", "-CAfile", trusted, "-partial_chain"];
    openssl(directory, &[&arguments[..], &["-purpose", "any", "-binary", "-out", "statement.json"]].concat());
    serde_json::from_slice(&std::fs::read(directory.join("statement.json")).unwrap()).unwrap()
}

fn shown(directory: &Path) -> String {
    openssl(directory, &["cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", "instruction.cms"])
}

fn end() -> HolderAction {
    HolderAction::End { certificates: CertificatesToEnd::ThisPhone, reason: Reason::CessationOfOperation }
}

#[test]
fn a_holders_instruction_is_cms_with_every_algorithm() {
    let directory = tempfile::tempdir().unwrap();
    for algorithm in ALGORITHMS {
        let key = Key::generate(algorithm).unwrap();
        let certificate = self_signed(&key);
        pem::write(&directory.path().join("phone.pem"), pem::encode(pem::CERTIFICATE, &certificate)).unwrap();
        let signer = Signer { certificate: &certificate, key: &key };
        let cms = build_instruction("RA", "Y2hhbGxlbmdl", signer, &end()).unwrap();
        let expected = json!({
            "type": "tsunagi.holder-instruction.v1",
            "audience": "RA",
            "challenge": "Y2hhbGxlbmdl",
            "do": { "action": "end", "certificates": "this-phone", "reason": "cessationOfOperation" },
        });
        assert_eq!(statement(directory.path(), &cms, "phone.pem"), expected, "{algorithm:?}");
        let printed = shown(directory.path());
        assert!(printed.contains("2.25.1953723758.2"));
        let digest = if algorithm == KeyAlgorithm::P384 { "sha384" } else { "sha256" };
        assert!(printed.contains(&format!("algorithm: {digest} ")), "{printed}");
    }
}

#[test]
fn the_card_instructs_as_well() {
    let office = back_office(1);
    let directory = tempfile::tempdir().unwrap();
    office.write_files(directory.path()).unwrap();
    let card = card(&office);
    for (action, expected) in [
        (
            HolderAction::End { certificates: CertificatesToEnd::All, reason: Reason::KeyCompromise },
            json!({ "action": "end", "certificates": "all", "reason": "keyCompromise" }),
        ),
        (HolderAction::List, json!({ "action": "list" })),
        (HolderAction::PushToken { push_token: "t".to_owned() }, json!({ "action": "push-token", "push_token": "t" })),
    ] {
        let cms = build_instruction("RA", "Y2hhbGxlbmdl", (&card.signature).into(), &action).unwrap();
        assert_eq!(statement(directory.path(), &cms, "card-ca-signature-1.pem")["do"], expected);
    }
}

#[test]
fn operators_instruct_with_their_client_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let actions = [
        (
            OperatorAction::Hold {
                target: Target::certificate("0A", Kind::Signature),
                cause: HoldCause::PhoneLost,
                ticket: "T".to_owned(),
            },
            json!({ "action": "hold", "target": { "serial": "0A", "kind": "signature" }, "cause": "phone-lost", "ticket": "T" }),
        ),
        (
            OperatorAction::Lift { target: Target::device("d"), cause: HoldCause::Operator, ticket: "T".to_owned() },
            json!({ "action": "lift", "target": { "device": "d" }, "cause": "operator", "ticket": "T" }),
        ),
        (
            OperatorAction::Revoke {
                target: Target::holder("h"),
                reason: Reason::KeyCompromise,
                invalid_since: None,
                ticket: "T".to_owned(),
            },
            json!({ "action": "revoke", "target": { "holder_id": "h" }, "reason": "keyCompromise", "ticket": "T" }),
        ),
        (
            OperatorAction::Erase { device: "d".to_owned(), ticket: "T".to_owned() },
            json!({ "action": "erase", "device": "d", "ticket": "T" }),
        ),
        (OperatorAction::RunSchedule { schedule: "expire".to_owned() }, json!({ "action": "run-schedule", "schedule": "expire" })),
        (
            OperatorAction::Mass {
                change: MassChange::Revoke,
                reason: Some(Reason::CaCompromise),
                scope: EventScope { issuer_key_id: "aa".to_owned(), distribution_point_sha256: None },
                expected: 3,
                ticket: "T".to_owned(),
            },
            json!({ "action": "mass", "change": "revoke", "reason": "cACompromise", "scope": { "issuer_key_id": "aa" },
                "expected": 3, "ticket": "T" }),
        ),
        (OperatorAction::Approve { instruction: "ab".to_owned() }, json!({ "action": "approve", "instruction": "ab" })),
    ];
    for algorithm in ALGORITHMS {
        let key = Key::generate(algorithm).unwrap();
        let certificate = pem::encode(pem::CERTIFICATE, &self_signed(&key));
        pem::write(&directory.path().join("operator.pem"), &certificate).unwrap();
        let identity = ClientIdentity { certificate_pem: certificate.clone(), key_pem: key.to_pem() };
        let operator = Operator::new(&OperatorSettings::new("https://127.0.0.1:1", &certificate, identity, "RA")).unwrap();
        for (action, expected) in &actions {
            let stated = statement(directory.path(), &operator.build("Y2hhbGxlbmdl", action).unwrap(), "operator.pem");
            assert_eq!((&stated["type"], &stated["do"]), (&json!("tsunagi.operator-instruction.v1"), expected), "{algorithm:?}");
        }
        assert!(shown(directory.path()).contains("2.25.1953723758.3"));
    }
}

#[test]
fn openssl_reads_keys_that_openssl_made() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem"];
    openssl(directory.path(), &[&arguments[..], &["-out", "operator.pem", "-subj", "/OU=auditor/CN=a", "-days", "1"]].concat());
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    let identity = ClientIdentity { certificate_pem: read("operator.pem"), key_pem: read("key.pem") };
    let operator = Operator::new(&OperatorSettings::new("https://127.0.0.1:1", &read("operator.pem"), identity, "RA")).unwrap();
    let cms = operator.build("Y2hhbGxlbmdl", &OperatorAction::RunSchedule { schedule: "compare".to_owned() }).unwrap();
    assert_eq!(statement(directory.path(), &cms, "operator.pem")["do"]["schedule"], "compare");
}

#[test]
fn openssl_rejects_what_is_signed_wrongly() {
    let directory = tempfile::tempdir().unwrap();
    let key = Key::generate(KeyAlgorithm::P256).unwrap();
    let certificate = self_signed(&key);
    pem::write(&directory.path().join("phone.pem"), pem::encode(pem::CERTIFICATE, &certificate)).unwrap();
    let signer = Signer { certificate: &certificate, key: &key };
    let instruction = Instruction::of_holder("RA", "Y2hhbGxlbmdl", &end());
    // What else deviates is signed properly: it is for the reader of the statement, or of the attributes, to notice.
    let wrongly = [
        InstructionDeviation::Noise,
        InstructionDeviation::Truncated,
        InstructionDeviation::WrongMessageDigest,
        InstructionDeviation::TwoSigners,
        InstructionDeviation::Detached,
        InstructionDeviation::NoCertificate,
        InstructionDeviation::BrokenSignature,
        InstructionDeviation::TamperedStatement,
        InstructionDeviation::OtherKey,
        InstructionDeviation::ForgedCertificate,
    ];
    let good = instruction.sign(signer).unwrap();
    for deviation in InstructionDeviation::ALL {
        let cms = build_deviating_instruction(&instruction, signer, deviation).unwrap();
        assert_ne!(cms, good, "{deviation:?}");
        std::fs::write(directory.path().join("instruction.cms"), &cms).unwrap();
        let arguments = ["cms", "-verify", "-inform", "DER", "-in", "instruction.cms", "-CAfile", "phone.pem", "-purpose", "any"];
        let accepted = try_openssl(directory.path(), &arguments).0;
        if wrongly.contains(&deviation) {
            assert!(!accepted, "{deviation:?}");
        }
    }
}

#[test]
fn a_report_of_a_compromised_key_proves_possession() {
    let directory = tempfile::tempdir().unwrap();
    for algorithm in ALGORITHMS {
        let report = build_key_compromise_report(&Key::generate(algorithm).unwrap()).unwrap();
        std::fs::write(directory.path().join("report.der"), report).unwrap();
        let arguments = ["req", "-inform", "DER", "-in", "report.der", "-verify", "-noout", "-subject", "-nameopt", "RFC2253"];
        let text = openssl(directory.path(), &arguments);
        assert!(text.contains("CN=This key is compromised"), "{text}");
    }
}

#[test]
fn openssl_verifies_es256() {
    let directory = tempfile::tempdir().unwrap();
    let key = Key::generate(KeyAlgorithm::P256).unwrap();
    let text = jws::sign(&json!({ "alg": "ES256" }), &json!({ "result": "done" }), &key).unwrap();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let der = asn1::sequence(&[asn1::unsigned(&signature[..32]), asn1::unsigned(&signature[32..])]);
    std::fs::write(directory.path().join("signed"), signed).unwrap();
    std::fs::write(directory.path().join("signature"), der).unwrap();
    std::fs::write(directory.path().join("key.der"), key.public_key_info()).unwrap();
    openssl(directory.path(), &["pkey", "-pubin", "-inform", "DER", "-in", "key.der", "-out", "key.pem"]);
    openssl(directory.path(), &["dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "signed"]);
}
