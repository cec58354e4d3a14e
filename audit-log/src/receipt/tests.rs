use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::memory::Memory;
use crate::proof::inclusion_proof;
use crate::{Edge, LogKey};

const CERTIFICATE: &[u8] = b"a certificate in DER";
const APPLICATION: &[u8] = b"a card-signed message";

/// A log with events of all sorts, among them an acceptance (leaf 3) and an issuance (leaf 5), and what opens them.
struct Story {
    key: LogKey,
    contents: Vec<(String, Salt)>,
    receipt: Receipt,
}

impl Story {
    /// The events, of which `change` may make others.
    fn told(change: impl Fn(usize, &mut Value)) -> Self {
        let digest = |octets| hex::encode(sha256(octets));
        let contents: Vec<(String, Salt)> = (0..9)
            .map(|leaf| {
                let (kind, mut data) = match leaf {
                    3 => (ACCEPTED, json!({"digest": digest(APPLICATION)})),
                    5 => {
                        let upon = digest(APPLICATION);
                        let data =
                            json!({"kind": "signature", "serial": "5f3a", "sha256": digest(CERTIFICATE), "application_sha256": upon});
                        (ISSUED, data)
                    }
                    _ => ("clock.checked", json!({"within": true})),
                };
                change(leaf, &mut data);
                let of_both = [3, 5].contains(&leaf).then_some(41);
                let content = Content {
                    application: data.as_object_mut().and_then(|data| data.remove("about")).map_or(of_both, |about| about.as_i64()),
                    at: "2026-11-21T14:12:22.123Z".parse().unwrap(),
                    certificate: (leaf == 5).then_some(7),
                    data: &canonical_text(&data).unwrap(),
                    kind,
                    position: i64::try_from(leaf).unwrap() + 100,
                };
                (content.text(), Salt([u8::try_from(leaf).unwrap(); 32]))
            })
            .collect();
        let commitments: Vec<Commitment> = contents.iter().map(|(content, salt)| Commitment::of(salt, content)).collect();
        let (mut memory, mut edge) = (Memory::default(), Edge::empty());
        memory.append(&commitments, edge.append(&commitments));
        let key = LogKey::generate("ra.example/log").unwrap();
        let note = key.sign_checkpoint(edge.size(), edge.root()).unwrap().note().to_owned();
        let entry = |leaf: u64| {
            let (content, salt) = &contents[usize::try_from(leaf).unwrap()];
            let proof = TlogProof { leaf, hashes: inclusion_proof(&memory, leaf, edge.size()).unwrap(), note: note.clone() };
            ReceiptEntry::new(content, salt, &proof).unwrap()
        };
        let certificate = ReceiptCertificate { kind: "signature".to_owned(), serial: "5f3a".to_owned(), sha256: digest(CERTIFICATE) };
        let receipt = Receipt::new(certificate, ReceiptApplication { sha256: digest(APPLICATION) }, entry(3), entry(5));
        Self { key, contents, receipt }
    }

    fn judge(&self, text: &str) -> Result<VerifiedReceipt, ReceiptRefusal> {
        Receipt::parse(text)?.verify(self.key.verifier(), &[], Some(CERTIFICATE), Some(APPLICATION))
    }

    fn verify(&self) -> Result<VerifiedReceipt, ReceiptRefusal> {
        self.judge(&serde_json::to_string(&self.receipt).unwrap())
    }
}

fn true_story() -> Story {
    Story::told(|_, _| ())
}

#[test]
fn a_receipt_proves_application_and_certificate() {
    let story = true_story();
    let verified = story.verify().unwrap();
    assert_eq!((verified.kind.as_str(), verified.serial.as_str(), verified.leaves), ("signature", "5f3a", [3, 5]));
    assert_eq!(verified.checkpoint.size(), 9);
    assert_eq!(verified.certificate_sha256, hex::encode(sha256(CERTIFICATE)));
    // White space and the order of members are no part of what is committed to.
    assert!(story.judge(&serde_json::to_string_pretty(&story.receipt).unwrap()).is_ok());
}

#[test]
fn what_it_is_held_against_must_be_what_the_log_says() {
    let story = true_story();
    let verify = |certificate, application| story.receipt.verify(story.key.verifier(), &[], certificate, application);
    assert!(verify(None, None).is_ok());
    assert!(matches!(verify(Some(b"another"), None), Err(ReceiptRefusal::Mismatch("the certificate that was given"))));
    assert!(matches!(verify(None, Some(b"another")), Err(ReceiptRefusal::Mismatch("the application that was given"))));
    let other = LogKey::generate("ra.example/log").unwrap();
    assert!(matches!(story.receipt.verify(other.verifier(), &[], None, None), Err(ReceiptRefusal::Proof { kind: ACCEPTED, .. })));
}

#[test]
fn a_witness_that_is_asked_for_must_have_cosigned() {
    let story = true_story();
    // A key's name and octets make its identifier: this one is of 32 zeros.
    let key = [[4].as_slice(), &[0; 32]].concat();
    let id = hex::encode(&sha256(&[b"witness.example\n".as_slice(), &key].concat())[..4]);
    let witness = WitnessVerifier::parse(&format!("witness.example+{id}+{}", STANDARD.encode(key))).unwrap();
    let refused = story.receipt.verify(story.key.verifier(), &[witness], None, None);
    let unsigned = NoteRefusal::Unsigned("witness.example".to_owned());
    assert_eq!(refused.unwrap_err(), ReceiptRefusal::Witness { kind: ACCEPTED, refusal: unsigned });
}

#[test]
fn entries_that_do_not_belong_together_are_found() {
    for (leaf, member, other, what) in [
        (3, "about", json!(42), "that the two entries are about one application"),
        (3, "digest", json!("00"), "the application that the certificate was issued upon"),
        (5, "application_sha256", json!("00"), "the application that the certificate was issued upon"),
        (5, "sha256", json!("00"), "the certificate's digest"),
        (5, "serial", json!("5f3b"), "the certificate's serial number"),
        (5, "kind", json!("authentication"), "the certificate's kind"),
    ] {
        let story = Story::told(|at, data| {
            if at == leaf {
                data[member] = other.clone();
            }
        });
        assert_eq!(story.verify().unwrap_err(), ReceiptRefusal::Mismatch(what));
    }
    let story = Story::told(|at, data| {
        if at == 5 {
            data.as_object_mut().unwrap().remove("serial");
        }
    });
    assert!(matches!(story.verify(), Err(ReceiptRefusal::Malformed(_))));
}

#[test]
fn another_form_is_no_receipt() {
    let story = true_story();
    let good = serde_json::to_value(&story.receipt).unwrap();
    let other = |change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        story.judge(&value.to_string())
    };
    assert!(other(&|_| ()).is_ok());
    for change in [
        &(|value: &mut Value| value["type"] = json!("tsunagi.receipt.v2")) as &dyn Fn(&mut Value),
        &|value| value["more"] = json!(1),
        &|value| value["entries"].as_array_mut().unwrap().swap(0, 1),
        &|value| drop(value["entries"].as_array_mut().unwrap().pop()),
        &|value| value["entries"][0] = value["entries"][1].clone(),
        &|value| value["entries"][0]["salt"] = json!("AAAA"),
        &|value| value["entries"][0]["salt"] = json!(STANDARD.encode([0; 32])),
        &|value| value["entries"][0]["content"]["data"] = json!({"digest": 0.5}),
        &|value| value["entries"][0]["content"] = json!([]),
        &|value| value["entries"][0]["proof"] = value["entries"][1]["proof"].clone(),
        &|value| value["entries"][0]["proof"] = json!(""),
    ] {
        assert!(other(change).is_err());
    }
    // Integers beyond 64 bits would be read as fractions, and written otherwise.
    for number in ["0.5", "1e3", "88888888888888888888888888"] {
        let text = good.to_string().replacen(r#""position":103"#, &format!(r#""position":{number}"#), 1);
        assert!(text.contains(number) && matches!(Receipt::parse(&text), Err(ReceiptRefusal::Malformed(_))));
    }
    assert!(matches!(Receipt::parse(&" ".repeat(MAX_RECEIPT + 1)), Err(ReceiptRefusal::Malformed(_))));
    // Nobody is told what the other leaves say.
    let text = serde_json::to_string(&story.receipt).unwrap();
    assert!(!text.contains(&story.contents[4].0) && !text.contains("clock.checked"));
}

proptest! {
    #[test]
    fn a_character_changed_is_found(place: prop::sample::Index, other in "[ -~]") {
        let story = true_story();
        let text = serde_json::to_string(&story.receipt).unwrap();
        let place = place.index(text.len());
        prop_assume!(text.is_char_boundary(place) && text.is_char_boundary(place + 1) && text[place..=place] != other);
        let mut changed = text;
        changed.replace_range(place..=place, &other);
        prop_assert!(story.judge(&changed).is_err(), "{}", changed);
    }
}
