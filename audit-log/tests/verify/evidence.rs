//! No issuance without a card's signature, as far as evidence shows it: here with a judge who takes messages at their word.

use age::secrecy::ExposeSecret as _;
use audit_log::export::{Evidence, ExportFormat, Identities};
use audit_log::testing::Leaf;
use audit_log::verify::{AskedKey, EvidenceJudge, EvidenceMeans, Measures, Rule, Verdict, Verification};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::stage::{Stage, clean, name};

/// Believes a message that names its keys.
struct Believer;

impl EvidenceJudge for Believer {
    fn judge(&self, evidence: &Evidence, accepted_at: DateTime<Utc>) -> Result<Vec<AskedKey>, String> {
        assert!(accepted_at.timestamp() > 1_700_000_000);
        let message: Value = serde_json::from_slice(&evidence.cms).map_err(|_| "no message".to_owned())?;
        if message["signed"] != true {
            return Err("the signature does not hold".to_owned());
        }
        let keys = message["keys"].as_array().unwrap().iter().map(|key| AskedKey {
            is_authentication: key[0] == "authentication",
            public_key_sha256: hex::decode(key[1].as_str().unwrap()).unwrap().try_into().unwrap(),
        });
        Ok(keys.collect())
    }
}

/// A message that asks for what was issued, unless it is changed.
fn message(application: i64, leaves: &[Leaf], change: impl Fn(&mut Value)) -> Vec<u8> {
    let issued = leaves.iter().filter_map(|leaf| match leaf {
        Leaf::Present { content, .. } => audit_log::Content::parse(content).ok(),
        Leaf::Absent { .. } => None,
    });
    let issued = issued.filter(|content| content.kind == "certificate.issued" && content.application == Some(application));
    let keys: Vec<Value> = issued
        .map(|content| {
            let data: Value = serde_json::from_str(content.data).unwrap();
            json!([data["kind"], data["public_key_sha256"]])
        })
        .collect();
    let mut message = json!({"application": application, "signed": true, "keys": keys});
    change(&mut message);
    message.to_string().into_bytes()
}

fn staged(change: impl Fn(&mut Value)) -> (Stage, age::x25519::Identity) {
    let mut stage = Stage::new(21, 400);
    stage.log.witness(|application, leaves| message(application, leaves, &change));
    (stage, age::x25519::Identity::generate())
}

fn judged(stage: &Stage, identity: &age::x25519::Identity, to: &age::x25519::Identity) -> Verdict {
    let mut order = stage.log.order(0, 400, ExportFormat::Jsonl);
    order.recipient = Some(to.to_public().to_string().parse().unwrap());
    let directory = stage.place.path().join("export");
    if !directory.exists() {
        stage.log.export(&directory, 400, order).unwrap();
    }
    let identities = Identities::parse(identity.to_string().expose_secret()).unwrap();
    let means = EvidenceMeans { identities: &identities, judge: &Believer };
    let mut verification = Verification::new(stage.log.key.verifier(), &[], Measures::default(), Some(&means));
    verification.export(&directory, &name(&directory), &mut |_| ()).unwrap();
    verification.finish()
}

#[test]
fn every_certificate_has_a_card_signed_message() {
    let (stage, identity) = staged(|_| ());
    let verdict = judged(&stage, &identity, &identity);
    clean(&verdict);
    let counts = verdict.evidence.unwrap();
    assert!(counts.proved > 100 && counts.messages > 50, "{counts:?}");
    assert!(verdict.proved.iter().any(|proved| proved.what.contains(&format!("{} certificates", counts.proved))));
    assert!(verdict.not_judged.is_empty(), "{:?}", verdict.not_judged);
}

#[test]
fn a_message_that_asks_for_other_keys_or_does_not_hold_is_found_where_it_was_issued_upon() {
    for change in [
        |message: &mut Value| message["signed"] = json!(message["application"] != 9),
        |message: &mut Value| {
            if message["application"] == 9 {
                message["keys"] = json!([["signature", "00".repeat(32)]]);
            }
        },
    ] {
        let (stage, identity) = staged(change);
        let verdict = judged(&stage, &identity, &identity);
        let application = |leaf: &Leaf| matches!(leaf, Leaf::Present { content, .. } if content.contains("\"application\":9,") && content.contains("certificate.issued"));
        let leaf = stage.log.leaves.iter().position(application);
        let leaf = leaf.unwrap();
        let first = verdict.first.unwrap();
        assert_eq!((first.rule, first.leaf), (Rule::Evidence, Some(leaf as u64)), "{:#?}", verdict.findings);
    }
}

#[test]
fn a_missing_or_exchanged_message_is_found() {
    let (mut stage, identity) = staged(|_| ());
    let gone = stage.log.evidence.remove(4);
    let verdict = judged(&stage, &identity, &identity);
    let issued = |leaf: &Leaf| {
        let application = format!("\"application\":{},", gone.application);
        matches!(leaf, Leaf::Present { content, .. } if content.contains(&application) && content.contains("certificate.issued"))
    };
    let expected = stage.log.leaves.iter().filter(|leaf| issued(leaf)).count() as u64;
    assert_eq!(verdict.by_rule.get(&Rule::Evidence).copied().unwrap_or(0), expected, "{:#?}", verdict.findings);

    let (mut stage, identity) = staged(|_| ());
    let cms = stage.log.evidence[5].cms.clone();
    stage.log.evidence[6].cms = cms;
    let verdict = judged(&stage, &identity, &identity);
    let first = verdict.findings.iter().find(|finding| finding.rule == Rule::Evidence).unwrap();
    assert_eq!(first.leaf, Some(stage.log.evidence[6].leaf));
    assert_eq!(first.file.as_deref(), Some("evidence-00000000.age"));
}

#[test]
fn a_changed_file_and_another_s_key_are_found() {
    let (stage, identity) = staged(|_| ());
    clean(&judged(&stage, &identity, &identity));
    let identities = Identities::parse(&format!("# mine\n\n{}\n", identity.to_string().expose_secret())).unwrap();
    assert!(identities.open(&identity.to_public().to_string()));
    assert!(!identities.open(&age::x25519::Identity::generate().to_public().to_string()));
    let verdict = judged(&stage, &age::x25519::Identity::generate(), &identity);
    assert_eq!(verdict.findings[0].file.as_deref(), Some("evidence-00000000.age"), "{:#?}", verdict.findings);

    let path = stage.place.path().join("export/evidence-00000000.age");
    let mut octets = std::fs::read(&path).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(&path, octets).unwrap();
    let verdict = judged(&stage, &identity, &identity);
    let rules: Vec<_> = verdict.by_rule.keys().copied().collect();
    assert_eq!(rules, [Rule::File, Rule::Evidence], "{:#?}", verdict.findings);
    // Whoever has no key finds it as well.
    assert_eq!(stage.verify(&[&stage.place.path().join("export")]).by_rule.keys().collect::<Vec<_>>(), [&Rule::File]);
}
