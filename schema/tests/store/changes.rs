//! Changes that people ask for: holds with their causes, lifts, revocations, whatever they mean by a target.

use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind::{Authentication, Signature};
use ca_core::lifecycle::{Command, HoldCause, State};
use ca_core::refusal::Refusal;
use ca_core::revocation::{Revocation, RevocationReason};
use policies::LifecyclePolicy;
use schema::card_event::CardChange;
use schema::certificate::CertificateState;
use schema::change::{Changed, Order, Origin, Target};
use schema::device::NewDevice;
use schema::instruction::{InstructionForm, NewInstruction};
use schema::issuance::IssueRefusal;
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment, replayed, stored};
use schema::{EventKind, WriteError, on_each_database};

use crate::cards::{apply_all, following, state};

pub(crate) fn operator() -> Order {
    Origin::Operator { name: "山田".to_owned(), role: "call-centre".to_owned() }.into()
}

pub(crate) fn change(
    store: &TestDatabase,
    target: Target,
    command: Command,
    policy: &LifecyclePolicy,
    seconds: i64,
) -> Result<Vec<Changed>, &'static str> {
    let policy = policy.clone();
    let changed = store
        .writer()
        .write(move |tx| tx.change_certificates(std::slice::from_ref(&target), &command, &policy, &operator(), moment(seconds)));
    changed.map_err(|error| match error {
        WriteError::Refused(refusal) => refusal.code(),
        WriteError::Fault(fault) => panic!("{fault}"),
    })
}

/// A lift that waits, found in order at that time.
fn put_off(store: &TestDatabase, message: &[u8], seconds: i64) -> Sha256Digest {
    let new = NewInstruction::new(InstructionForm::Operator, message.to_vec());
    let digest = new.digest;
    store.writer().write(move |tx| tx.receive_instruction(&new, moment(seconds))).unwrap();
    store.writer().write(move |tx| tx.defer_instruction(&digest, moment(seconds))).unwrap();
    digest
}

const LOST: Command = Command::Hold { cause: HoldCause::PhoneLost };
const FOUND: Command = Command::Lift { cause: HoldCause::PhoneLost };
const REVOKE: Command = Command::Revoke { reason: RevocationReason::KeyCompromise, invalid_since: None };

fn holder(sample: &Sample) -> Target {
    Target::Holder(sample.holder_id.clone())
}

fn serial(sample: &Sample) -> Target {
    Target::Serial { serial: sample.serial(Signature), kind: None }
}

pub(crate) fn device(number: u32) -> NewDevice {
    NewDevice {
        public_id: format!("{number:032x}"),
        platform: "android".to_owned(),
        model: "Pixel 9".to_owned(),
        key_storage: "strongbox".to_owned(),
        push_token: None,
        command_key: None,
    }
}

on_each_database! {
    fn a_certificate_is_held_while_any_cause_stands(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let id = sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates[0];
        let policy = following();
        let before = store.reader().position().unwrap();
        assert_eq!(change(store, serial(&sample), LOST, &policy, 10).unwrap().len(), 1);
        apply_all(store, &[sample.card_event(Signature, 1, CardChange::Held { at: moment(11) })], &policy, 20);
        change(store, serial(&sample), Command::Hold { cause: HoldCause::Operator }, &policy, 30).unwrap();
        assert_eq!(change(store, serial(&sample), LOST, &policy, 40), Ok(Vec::new()), "placed twice");
        let causes: Vec<_> = store.reader().holds(id).unwrap().into_iter().map(|hold| (hold.cause, hold.placed_at)).collect();
        assert_eq!(causes, [(HoldCause::CardHeld, moment(20)), (HoldCause::PhoneLost, moment(40)), (HoldCause::Operator, moment(30))]);

        change(store, serial(&sample), FOUND, &policy, 50).unwrap();
        assert_eq!(change(store, serial(&sample), FOUND, &policy, 51), Err("not_on_hold"));
        assert_eq!(change(store, serial(&sample), Command::Lift { cause: HoldCause::CardHeld }, &policy, 52), Err("hold_of_card"));
        change(store, serial(&sample), Command::Lift { cause: HoldCause::Operator }, &policy, 60).unwrap();
        let status = store.reader().certificate_status(sample.ca_keys[0], &sample.serial(Signature)).unwrap().unwrap();
        assert_eq!(status.state, CertificateState::Held);
        assert_eq!(status.revocation, Some(Revocation::new(moment(10), RevocationReason::CertificateHold)));
        apply_all(store, &[sample.card_event(Signature, 2, CardChange::Released { at: moment(61) })], &policy, 70);
        assert_eq!(state(store, id), State::Live);
        let kinds: Vec<_> = store.reader().events_after(before, 20).unwrap().iter().filter(|event| event.certificate.is_some()).map(|event| event.kind).collect();
        assert_eq!(kinds, [
            EventKind::CertificateHeld, EventKind::CertificateHoldAdded, EventKind::CertificateHoldAdded, EventKind::CertificateHoldLifted,
            EventKind::CertificateHoldLifted, EventKind::CertificateReleased,
        ]);
    }

    fn a_permanent_revocation_wins_and_keeps_the_holds_date(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let id = sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates[0];
        change(store, serial(&sample), LOST, &jpki(), 10).unwrap();
        assert_eq!(change(store, serial(&sample), FOUND, &jpki(), 11), Err("hold_not_liftable"));
        let revoked = change(store, serial(&sample), REVOKE, &jpki(), 20).unwrap();
        assert_eq!(revoked[0].id, id);
        assert_eq!(state(store, id), State::Ended(Revocation::new(moment(10), RevocationReason::KeyCompromise)));
        assert_eq!(store.reader().holds(id).unwrap(), []);
        for command in [LOST, REVOKE] {
            assert_eq!(change(store, serial(&sample), command, &jpki(), 30), Err("certificate_ended"));
        }
    }

    fn targets_mean_what_still_stands(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample { device: Some(device(1)), ..Sample::new(1, keys) };
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let public_key = Target::PublicKey(sample.certificates()[1].public_key_sha256);
        let end = Command::End { reason: RevocationReason::KeyCompromise };
        assert_eq!(change(store, public_key.clone(), end, &jpki(), 3).unwrap()[0].id, issued.certificates[1]);
        assert_eq!(change(store, public_key, end, &jpki(), 4), Err("target_unknown"));
        let held = change(store, Target::Device(device(1).public_id), LOST, &jpki(), 5).unwrap();
        assert_eq!(held.iter().map(|changed| changed.id).collect::<Vec<_>>(), issued.certificates[..1]);
        assert_eq!(change(store, holder(&sample), REVOKE, &jpki(), 6).unwrap().len(), 1);
        for target in [holder(&sample), Target::Holder("nobody".to_owned()), Target::Device(device(1).public_id), Target::Device(device(2).public_id),
            Target::PublicKey(Sha256Digest::of(b"never certified")), Target::Serial { serial: sample.serial(Signature), kind: Some(Authentication) }] {
            assert_eq!(change(store, target, LOST, &jpki(), 7), Err("target_unknown"));
        }
        assert_eq!(change(store, serial(&sample), LOST, &jpki(), 7), Err("certificate_ended"));
    }

    fn several_certificates_are_changed_as_far_as_they_can_be(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let policy = LifecyclePolicy::derived_piv().unwrap();
        change(store, serial(&sample), LOST, &policy, 10).unwrap();
        let lifted = change(store, holder(&sample), FOUND, &policy, 11).unwrap();
        assert_eq!(lifted.iter().map(|changed| changed.id).collect::<Vec<_>>(), issued.certificates[..1]);
        assert_eq!(change(store, holder(&sample), FOUND, &policy, 12), Err("not_on_hold"));
        let position = store.reader().position().unwrap();
        assert_eq!(change(store, holder(&sample), Command::Revoke { reason: RevocationReason::CertificateHold, invalid_since: None }, &policy, 13), Err("reason_not_permanent"));
        assert_eq!(store.reader().position().unwrap(), position);
    }

    fn a_certificate_past_its_end_is_not_changed_any_more(store) {
        let sample = Sample { not_after: moment(50), ..Sample::new(1, add_ca_keys(&store.writer())) };
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        assert_eq!(change(store, serial(&sample), LOST, &jpki(), 51), Err("certificate_ended"));
        assert_eq!(change(store, holder(&sample), REVOKE, &jpki(), 51), Err("certificate_ended"));
    }

    fn an_instruction_is_named_with_what_it_did(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let id = sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates[0];
        let new = NewInstruction::new(InstructionForm::Operator, b"signed by an operator".to_vec());
        let digest = new.digest;
        let order = Order { instruction: Some(digest), ..operator() };
        let target = serial(&sample);
        store.writer().write(move |tx| {
            tx.receive_instruction(&new, moment(5))?;
            tx.change_certificates(std::slice::from_ref(&target), &LOST, &jpki(), &order, moment(6))
        }).unwrap();
        assert_eq!(store.reader().holds(id).unwrap()[0].instruction, Some(digest));
        let detail = store.reader().certificate_detail(None, &sample.serial(Signature)).unwrap().unwrap();
        let data = &detail.events.last().unwrap().data;
        assert_eq!(data["by"], serde_json::json!({"operator": "山田", "role": "call-centre"}));
        assert_eq!(data["instruction"].as_str().unwrap(), digest.to_string());
        assert_eq!(Origin::from_data(&data["by"]), Some(operator().origin));
    }

    fn a_phone_is_applied_for_again_while_it_is_held_but_not_while_the_card_is(store) {
        let keys = add_ca_keys(&store.writer());
        let old = Sample { device: Some(device(1)), ..Sample::new(1, keys) };
        let issued = old.accept_and_issue(&store.writer(), moment(2)).unwrap();
        change(store, holder(&old), LOST, &jpki(), 10).unwrap();
        let new = Sample { holder_id: old.holder_id.clone(), card: old.card, device: Some(device(2)), ..Sample::new(2, keys) };
        let refused = Sample { supersede: false, ..new.clone() };
        let application = refused.accept(&store.writer());
        assert_eq!(refused.issue(&store.writer(), application, moment(19)), Err(WriteError::Refused(IssueRefusal::HolderHasLiveCertificate)));
        let issuance = new.issuance(application);
        let second = store.writer().write(move |tx| tx.issue(&issuance, &jpki(), moment(20))).unwrap();
        assert_eq!(second.superseded, issued.certificates);
        // From the hold's date, for it was not valid any more since then.
        let superseded = Revocation::new(moment(10), RevocationReason::Superseded);
        assert_eq!(state(store, issued.certificates[0]), State::Ended(superseded));
        assert!(change(store, Target::Device(device(1).public_id), REVOKE, &jpki(), 21).is_err());
        let detail = store.reader().certificate_detail(None, &old.serial(Signature)).unwrap().unwrap();
        let last = detail.events.last().unwrap();
        assert_eq!((&last.data["by"], last.application), (&serde_json::json!({"issuance": true}), Some(application)));

        apply_all(store, &[old.card_event(Authentication, 1, CardChange::Held { at: moment(22) })], &jpki(), 22);
        let third = Sample { holder_id: old.holder_id.clone(), card: old.card, ..Sample::new(3, keys) };
        assert_eq!(third.accept_and_issue(&store.writer(), moment(23)), Err(WriteError::Refused(IssueRefusal::CardHeld)));
        assert_eq!(state(store, second.certificates[0]), State::Live);
    }

    fn a_lift_that_was_put_off_leaves_holds_alone_that_came_after_it(store) {
        let keys = add_ca_keys(&store.writer());
        let [again, anew, before] = [1, 2, 3].map(|number| {
            let sample = Sample::new(number, keys);
            sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
            sample
        });
        let policy = following();
        for sample in [&again, &before] {
            change(store, serial(sample), LOST, &policy, 10).unwrap();
        }
        let lift = put_off(store, b"found", 20);
        // Once a second later, and once by a clock that is behind: none of that makes it come before the lift.
        assert_eq!(change(store, serial(&again), LOST, &policy, 21), Ok(Vec::new()));
        change(store, serial(&anew), LOST, &policy, 15).unwrap();
        let held = store.reader().certificate_status(keys[0], &again.serial(Signature)).unwrap().unwrap().revocation.unwrap();
        assert_eq!(held.at, moment(10), "what relying parties are told stays");

        let asked = |samples: &[&Sample]| {
            let targets: Vec<Target> = samples.iter().map(|sample| serial(sample)).collect();
            let (order, policy) = (Order { instruction: Some(lift), ..operator() }, policy.clone());
            let lifted = store.writer().write(move |tx| tx.change_certificates(&targets, &FOUND, &policy, &order, moment(30)));
            lifted.map(|changed| changed.len()).map_err(|error| match error {
                WriteError::Refused(refusal) => refusal.code(),
                WriteError::Fault(fault) => panic!("{fault}"),
            })
        };
        assert_eq!(asked(&[&again]), Err("hold_renewed"));
        assert_eq!(asked(&[&anew]), Err("hold_renewed"));
        assert_eq!(asked(&[&again, &anew, &before]), Ok(1), "what stood before is lifted");
        assert_eq!(asked(&[&before]), Err("not_on_hold"));
        assert_eq!(change(store, serial(&again), FOUND, &policy, 40).unwrap().len(), 1, "by whoever asks after it");
        assert_eq!(stored(&store.reader()), replayed(&store.reader()));
    }

    fn a_lift_that_waits_for_a_released_card_is_overtaken_by_what_holds_again(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let id = sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates[0];
        let text = include_str!("../../../policies/lifecycle/derived-piv.toml");
        let policy = LifecyclePolicy::parse("holding.toml", &text.replace("held = \"none\"", "held = \"hold\"").replace("expired = \"none\"", "expired = \"hold\"")).unwrap();
        let apply = |changes: &[(i64, CardChange)], seconds: i64| {
            let events: Vec<_> = changes.iter().map(|(sequence, change)| sample.card_event(Signature, *sequence, *change)).collect();
            let policy = policy.clone();
            drop(store.writer().write(move |tx| tx.apply_card_events_without_lifts(&events, &policy, moment(seconds))).unwrap());
        };
        let lift = |seconds: i64| {
            let policy = policy.clone();
            store.writer().write(move |tx| tx.lift_deferred(100, &policy, moment(seconds))).unwrap()
        };
        apply(&[(1, CardChange::Held { at: moment(3) })], 4);
        apply(&[(2, CardChange::Released { at: moment(5) }), (3, CardChange::Expired { at: moment(6) })], 7);
        apply(&[(4, CardChange::Released { at: moment(8) })], 9);
        apply(&[(5, CardChange::Expired { at: moment(10) })], 11);
        assert_eq!((lift(12), store.reader().holds(id).unwrap().len()), (0, 1), "the card is good, and was followed by what holds");
        apply(&[(6, CardChange::Expired { at: moment(13) }), (7, CardChange::Released { at: moment(14) })], 15);
        assert_eq!((lift(16), state(store, id)), (1, State::Live));
    }
}
