//! What events tell an auditor who has nothing else: enough to recognise certificates, holders and cards again, and nobody's name.

use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind::{self, Signature};
use ca_core::lifecycle::{CardChange, Command, HoldCause};
use ca_core::revocation::RevocationReason;
use schema::authority::NewResponder;
use schema::change::{Origin, Target};
use schema::instruction::{Asked, Decision, InstructionForm, NewInstruction};
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment, new_ca_key};
use schema::{Event, EventKind, EventPosition, StoreFault, on_each_database};
use serde_json::{Value, json};

use crate::cards::following;
use crate::changes::{change, device};

fn told(store: &TestDatabase, kind: EventKind) -> Vec<Event> {
    store.reader().events_after(EventPosition(0), 1_000).unwrap().into_iter().filter(|event| event.kind == kind).collect()
}

fn data(store: &TestDatabase, kind: EventKind) -> Value {
    told(store, kind).pop().unwrap().data
}

/// The row of a sample's holder.
fn holder(store: &TestDatabase, sample: &Sample) -> i64 {
    store.reader().count_for_test(&format!("SELECT id FROM holder WHERE holder_id = '{}'", sample.holder_id)).unwrap()
}

/// The row of the card that a sample's certificate hangs on.
fn card(store: &TestDatabase, certificate: i64) -> i64 {
    store.reader().count_for_test(&format!("SELECT card_id FROM link WHERE certificate_id = {certificate}")).unwrap()
}

on_each_database! {
    fn an_issuance_tells_what_the_certificate_is_and_rests_on(store) {
        let keys = add_ca_keys(&store.writer());
        // The rows' numbers differ, or one could be told for another.
        Sample::new(7, keys).accept_and_issue(&store.writer(), moment(1)).unwrap();
        Sample { kinds: vec![Signature], ..Sample::new(8, keys) }.accept_and_issue(&store.writer(), moment(1)).unwrap();
        let sample = Sample { kinds: vec![Signature], device: Some(device(1)), ..Sample::new(1, keys) };
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates;
        let new = &sample.certificates()[0];
        let (holder, card) = (holder(store, &sample), card(store, issued[0].0));
        assert!(holder != card && holder != issued[0].0);
        let expected = json!({
            "kind": "signature", "ca_key": keys[0].0, "serial": new.serial.to_string(), "shard": 0, "holder": holder, "card": card,
            "sha256": Sha256Digest::of(&new.der).to_string(), "public_key_sha256": new.public_key_sha256.to_string(),
            "policy_sha256": new.policy_sha256.to_string(), "application_sha256": sample.digest().to_string(),
            "not_before": "2027-01-15T08:00:00Z", "not_after": "2029-10-11T08:00:00Z", "platform": "android",
        });
        assert_eq!(data(store, EventKind::CertificateIssued), expected);
        assert!(told(store, EventKind::CertificateIssued)[0].data.get("platform").is_none(), "nobody told it");
        let accepted = data(store, EventKind::ApplicationAccepted);
        assert_eq!(accepted, json!({"digest": sample.digest().to_string()}));
    }

    fn what_happens_to_a_certificate_tells_its_holder_and_why(store) {
        let keys = add_ca_keys(&store.writer());
        Sample::new(7, keys).accept_and_issue(&store.writer(), moment(1)).unwrap();
        let sample = Sample::new(1, keys);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let target = Target::Serial { serial: sample.serial(Signature), kind: None };
        change(store, target.clone(), Command::Hold { cause: HoldCause::Operator }, &following(), 5).unwrap();
        change(store, target, Command::Lift { cause: HoldCause::Operator }, &following(), 6).unwrap();
        let revoked = sample.card_event(Signature, 1, CardChange::Revoked { reason: RevocationReason::KeyCompromise, at: moment(7) });
        store.writer().write(move |tx| tx.apply_card_event(&revoked, &jpki(), moment(8))).unwrap();
        for kind in [EventKind::CertificateHeld, EventKind::CertificateReleased, EventKind::CertificateRevoked] {
            let data = data(store, kind);
            assert_eq!(data["holder"], json!(holder(store, &sample)), "{kind:?}");
            assert_eq!((&data["kind"], &data["serial"]), (&json!("signature"), &json!(sample.serial(Signature).to_string())));
        }
    }

    fn what_happens_to_a_card_tells_which_and_when_it_was_heard(store) {
        let keys = add_ca_keys(&store.writer());
        Sample::new(7, keys).accept_and_issue(&store.writer(), moment(1)).unwrap();
        let sample = Sample::new(1, keys);
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates;
        let card = card(store, issued[0].0);
        let pulled = sample.card_event(Signature, 1, CardChange::Held { at: moment(3) });
        let name = pulled.event_id.clone();
        store.writer().write(move |tx| tx.apply_card_event(&pulled, &jpki(), moment(5))).unwrap();
        assert_eq!(data(store, EventKind::CardHeld), json!({"event_id": name, "card": card, "received_at": "2027-01-15T08:00:05Z"}));

        let pushed = sample.card_revoked(Signature, 2, RevocationReason::KeyCompromise);
        let (name, received) = (pushed.event_id.clone(), pushed.clone());
        store.writer().write(move |tx| tx.receive_card_event(&received, moment(10))).unwrap();
        store.writer().write(move |tx| tx.apply_card_event(&pushed, &jpki(), moment(20))).unwrap();
        let expected = json!({"event_id": name, "card": card, "received_at": "2027-01-15T08:00:10Z", "reason": "keyCompromise"});
        assert_eq!(data(store, EventKind::CardRevoked), expected);
        assert_eq!(data(store, EventKind::CardEventReceived), json!({"event_id": name, "received_at": "2027-01-15T08:00:10Z"}));
        assert_eq!(data(store, EventKind::CertificateRevoked)["by"], json!({"card_event": name}));
    }

    fn an_instruction_tells_what_was_asked_for_by_whom_and_when(store) {
        let new = NewInstruction::new(InstructionForm::Operator, b"hold".to_vec());
        let digest = new.digest;
        store.writer().write(move |tx| tx.receive_instruction(&new, moment(3))).unwrap();
        let by = Origin::Operator { name: "Sato".to_owned(), role: "administrator".to_owned() };
        store.writer().write(move |tx| {
            let asked = Asked { by: Some(&by), action: Some("hold") };
            tx.decide_instruction(&digest, &Decision::Done(json!({})), asked, moment(9))
        }).unwrap();
        assert_eq!(data(store, EventKind::InstructionDone), json!({
            "instruction": digest.to_string(), "action": "hold", "by": {"operator": "Sato", "role": "administrator"},
            "received_at": "2027-01-15T08:00:03Z",
        }));
    }

    fn keys_and_responders_tell_the_digests_of_their_certificates(store) {
        let keys = add_ca_keys(&store.writer());
        let key = new_ca_key(CertificateKind::Authentication);
        let expected = json!({
            "ca_key": keys[1].0, "kind": "authentication", "generation": 1, "sha256": Sha256Digest::of(&key.certificate).to_string(),
        });
        assert_eq!(data(store, EventKind::CaKeyAdded), expected);
        let serial = Sample::new(1, keys).serial(Signature);
        let responder = NewResponder {
            ca_key: keys[0],
            serial: serial.clone(),
            der: vec![0x30; 400],
            public_key_sha256: Sha256Digest::of(b"key"),
            not_before: moment(0),
            not_after: moment(100),
        };
        store.writer().write(move |tx| tx.add_responder(&responder, moment(1))).unwrap();
        let sha256 = Sha256Digest::of(&[0x30; 400]).to_string();
        assert_eq!(data(store, EventKind::ResponderAdded), json!({"ca_key": keys[0].0, "serial": serial.to_string(), "sha256": sha256}));
    }

    fn an_operators_name_is_kept_beside_the_event_as_far_as_it_is_searched_for(store) {
        let long = "長".repeat(100);
        for name in ["Sato", long.as_str(), ""] {
            let by = Origin::Operator { name: name.to_owned(), role: "auditor".to_owned() };
            store.writer().write(move |tx| -> Result<(), StoreFault> {
                tx.emit(schema::NewEvent::new(EventKind::LogPurged, moment(1), json!({"by": by})));
                Ok(())
            }).unwrap();
        }
        let of = |condition: &str| store.reader().count_for_test(&format!("SELECT COUNT(*) FROM event WHERE {condition}")).unwrap();
        assert_eq!(of("operator = 'Sato'"), 1);
        assert_eq!(of(&format!("operator = '{}'", "長".repeat(85))), 1, "255 octets");
        assert_eq!(of("operator IS NULL"), 1);
        let question = schema::search::SearchQuestion { operator: Some(long), limit: 10, ..Default::default() };
        assert_eq!(store.reader().search(&question).unwrap().hits.len(), 1);
    }
}
