//! Certificates' lives as stories, and what verifiers may look up.

use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use ca_core::lifecycle::{CardChange, CardChangeKind, Command, HoldCause};
use ca_core::revocation::RevocationReason;
use schema::change::{Order, Origin, Target};
use schema::device::Erasure;
use schema::device_command::{DeviceAction, Settlement};
use schema::history::{Evidence, Why};
use schema::instruction::{InstructionForm, NewInstruction};
use schema::lookup::{NewLookup, Relation};
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment};
use schema::{EventKind, StoreFault, on_each_database};

use crate::devices::{command, create, settle, with_phone};

const SIGNATURE: CertificateKind = CertificateKind::Signature;
const AUTHENTICATION: CertificateKind = CertificateKind::Authentication;

fn call_centre() -> Origin {
    Origin::Operator { name: "Tanaka".to_owned(), role: "call-centre".to_owned() }
}

/// Holds a certificate for a lost phone, as an instruction asks.
fn hold(store: &TestDatabase, sample: &Sample, kind: CertificateKind) -> Sha256Digest {
    let new = NewInstruction::new(InstructionForm::Operator, format!("hold {kind}").into_bytes());
    let digest = new.digest;
    store.writer().write(move |tx| tx.receive_instruction(&new, moment(9))).unwrap();
    let target = Target::Serial { serial: sample.serial(kind), kind: Some(kind) };
    let order = Order { origin: call_centre(), instruction: Some(digest) };
    let command = Command::Hold { cause: HoldCause::PhoneLost };
    store.writer().write(move |tx| tx.change_certificates(std::slice::from_ref(&target), &command, &jpki(), &order, moment(10))).unwrap();
    digest
}

on_each_database! {
    fn a_story_tells_what_when_by_whom_why_and_on_what_evidence(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let instruction = hold(store, &sample, SIGNATURE);
        let revoked = CardChange::new(CardChangeKind::RecordChanged, None, moment(20)).unwrap();
        let event = sample.card_event(SIGNATURE, 1, revoked);
        let applied = event.clone();
        store.writer().write(move |tx| tx.apply_card_event(&applied, &jpki(), moment(21))).unwrap();
        let erase = command(1, &sample, DeviceAction::Erase, &[SIGNATURE]);
        create(store, &erase);
        settle(store, &erase, Settlement::Confirmed);

        let history = store.reader().history(None, &sample.serial(SIGNATURE)).unwrap().unwrap();
        assert!(history.holds.is_empty(), "the revocation ended the hold");
        assert_eq!(history.device.as_ref().map(|device| device.erasure), Some(Erasure::Confirmed));
        assert_eq!(history.commands.len(), 1);
        let story: Vec<_> = history.story.iter().map(|entry| (entry.at, entry.what, entry.by.clone(), entry.why, entry.evidence.clone())).collect();
        let card_event = Origin::CardEvent { id: event.event_id.clone() };
        let of_command = Some(Evidence::Command(erase.public_id.clone()));
        assert_eq!(story, [
            (moment(2), EventKind::CertificateIssued, None, None, Some(Evidence::Application(sample.digest()))),
            (moment(10), EventKind::CertificateHeld, Some(call_centre()), Some(Why::Cause(HoldCause::PhoneLost)), Some(Evidence::Instruction(instruction))),
            (moment(21), EventKind::CertificateRevoked, Some(card_event), Some(Why::Reason(RevocationReason::AffiliationChanged)), Some(Evidence::CardEvent(event.event_id))),
            (moment(100), EventKind::DeviceCommandCreated, None, Some(Why::Action(DeviceAction::Erase)), of_command.clone()),
            (moment(201), EventKind::DeviceCommandConfirmed, None, Some(Why::Action(DeviceAction::Erase)), of_command),
        ]);
        assert_eq!(history.story[2].card_change, Some(CardChangeKind::RecordChanged));
        assert_eq!(store.reader().history(Some(AUTHENTICATION), &sample.serial(SIGNATURE)).unwrap(), None);
    }

    fn standing_holds_are_told_with_their_instructions(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let instruction = hold(store, &sample, AUTHENTICATION);
        let history = store.reader().history(Some(AUTHENTICATION), &sample.serial(AUTHENTICATION)).unwrap().unwrap();
        let holds: Vec<_> = history.holds.iter().map(|hold| (hold.cause, hold.placed_at, hold.instruction)).collect();
        assert_eq!(holds, [(HoldCause::PhoneLost, moment(10), Some(instruction))]);
    }

    fn a_holder_is_shown_with_certificates_and_phones_and_found_by_any_of_them(store) {
        let first = with_phone(1, store);
        first.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let second = Sample { holder_id: first.holder_id.clone(), ..with_phone(2, store) };
        second.accept_and_issue(&store.writer(), moment(3)).unwrap();
        with_phone(3, store).accept_and_issue(&store.writer(), moment(3)).unwrap();
        let holder = store.reader().holder(&first.holder_id).unwrap().unwrap();
        assert_eq!((holder.certificates.len(), holder.devices.len()), (4, 2));
        assert_eq!(holder.devices.iter().map(|device| device.erasure).collect::<Vec<_>>(), [Erasure::Owed, Erasure::NotNeeded]);
        assert_eq!(store.reader().holder("nobody").unwrap(), None);
        let histories = store.reader().holder_histories(&first.holder_id).unwrap();
        assert_eq!(histories.iter().map(|history| &history.certificate.summary).collect::<Vec<_>>(), holder.certificates.iter().collect::<Vec<_>>());
        let found = store.reader().holder_of_certificate(first.ca_keys[0], &first.serial(SIGNATURE)).unwrap();
        assert_eq!(found.as_ref(), Some(&first.holder_id));
        assert_eq!(store.reader().holder_of_certificate(first.ca_keys[1], &first.serial(SIGNATURE)).unwrap(), None);
        let card = second.card(SIGNATURE);
        assert_eq!(store.reader().holder_of_card(&card.issuer_key_id, &card.serial).unwrap().as_ref(), Some(&first.holder_id));
        let unknown = Sample::new(9, first.ca_keys).card(SIGNATURE);
        assert_eq!(store.reader().holder_of_card(&unknown.issuer_key_id, &unknown.serial).unwrap(), None);
    }

    fn relatives_are_found_over_kinds_generations_and_cards(store) {
        let keys = add_ca_keys(&store.writer());
        let samples: Vec<_> = (1..=3).map(|number| Sample { holder_id: "one".to_owned(), ..Sample::new(number, keys) }).collect();
        for (sample, second) in samples.iter().zip(2..) {
            sample.accept_and_issue(&store.writer(), moment(second)).unwrap();
        }
        let signature_only = Sample { kinds: vec![SIGNATURE], holder_id: "two".to_owned(), ..Sample::new(4, keys) };
        signature_only.accept_and_issue(&store.writer(), moment(9)).unwrap();
        let related = |sample: &Sample, kind, relation| {
            let found = store.reader().related_certificate(Some(kind), &sample.serial(kind), relation).unwrap();
            found.map(|certificate| (certificate.kind, certificate.serial))
        };
        let is = |sample: &Sample, kind| Some((kind, sample.serial(kind)));
        let [first, second, third] = samples.as_slice() else { unreachable!() };
        assert_eq!(related(first, SIGNATURE, Relation::OtherKind), is(first, AUTHENTICATION));
        assert_eq!(related(third, AUTHENTICATION, Relation::OtherKind), is(third, SIGNATURE));
        assert_eq!(related(first, SIGNATURE, Relation::Successor), is(second, SIGNATURE));
        assert_eq!(related(third, SIGNATURE, Relation::Successor), None);
        assert_eq!(related(third, AUTHENTICATION, Relation::Predecessor), is(second, AUTHENTICATION));
        assert_eq!(related(first, AUTHENTICATION, Relation::Predecessor), None);
        assert_eq!(related(second, SIGNATURE, Relation::Itself), is(second, SIGNATURE));
        assert_eq!(related(&signature_only, SIGNATURE, Relation::OtherKind), None);
        assert_eq!(store.reader().related_certificate(Some(AUTHENTICATION), &first.serial(SIGNATURE), Relation::Itself).unwrap(), None);
        let itself = store.reader().related_certificate(None, &first.serial(SIGNATURE), Relation::Itself).unwrap().unwrap();
        assert_eq!(itself.holder_id, "one");

        let card = second.card(AUTHENTICATION);
        assert_eq!(store.reader().card_of_certificate(None, &second.serial(AUTHENTICATION)).unwrap().as_ref(), Some(&card));
        let hanging = store.reader().certificate_of_card(&card.issuer_key_id, &card.serial).unwrap().unwrap();
        assert_eq!(hanging.serial, second.serial(AUTHENTICATION));
    }

    fn of_the_certificates_of_one_card_the_one_that_stands_is_told(store) {
        let keys = add_ca_keys(&store.writer());
        let first = Sample::new(1, keys);
        let second = Sample { holder_id: first.holder_id.clone(), card: 1, ..Sample::new(2, keys) };
        first.accept_and_issue(&store.writer(), moment(2)).unwrap();
        second.accept_and_issue(&store.writer(), moment(3)).unwrap();
        let card = first.card(SIGNATURE);
        let hanging = store.reader().certificate_of_card(&card.issuer_key_id, &card.serial).unwrap().unwrap();
        assert_eq!(hanging.serial, second.serial(SIGNATURE));
        let other = Sample::new(7, keys).card(SIGNATURE);
        assert_eq!(store.reader().certificate_of_card(&other.issuer_key_id, &other.serial).unwrap(), None);
        assert_eq!(store.reader().card_of_certificate(None, &Sample::new(7, keys).serial(SIGNATURE)).unwrap(), None);
    }

    fn a_lookup_is_recorded_with_its_purpose_or_not_at_all(store) {
        let lookup = NewLookup { verifier: "Bank".to_owned(), purpose: "account 1".to_owned(), question: "successor".to_owned(), found: 1 };
        let recorded = lookup.clone();
        store.writer().write(move |tx| tx.record_lookup(&recorded, moment(1))).unwrap();
        let purposeless = NewLookup { purpose: String::new(), ..lookup };
        assert!(store.writer().write(move |tx| tx.record_lookup(&purposeless, moment(1))).is_err());
        store.execute("INSERT INTO lookup (id, verifier, purpose, question, found, at) SELECT id, verifier, purpose, question, found, at FROM lookup")
            .expect_err("one is on record");
    }

    fn a_story_goes_by_commits_and_not_by_clocks(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        hold(store, &sample, SIGNATURE);
        store.tamper("UPDATE event SET at = at - 3600000 WHERE kind = 'certificate.held'").unwrap();
        let history = store.reader().history(None, &sample.serial(SIGNATURE)).unwrap().unwrap();
        let told: Vec<_> = history.story.iter().map(|entry| entry.what).collect();
        let committed: Vec<_> = history.certificate.events.iter().map(|event| event.kind).collect();
        assert_eq!(told, committed);
    }

    fn a_story_with_a_word_that_means_nothing_is_a_fault(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        hold(store, &sample, SIGNATURE);
        store.tamper(r#"UPDATE event SET data = '{"cause":"whim"}' WHERE kind = 'certificate.held'"#).unwrap();
        assert_eq!(store.reader().history(None, &sample.serial(SIGNATURE)), Err(StoreFault::Corrupt("an event's data")));
    }
}
