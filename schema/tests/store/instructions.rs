//! Signed instructions, and the challenges they redeem.

use ca_core::digest::Sha256Digest;
use schema::card_event::Receipt;
use schema::change::Origin;
use schema::fault::FaultClass;
use schema::instruction::{Decision, InstructionForm, InstructionRefusal, InstructionState, NewInstruction};
use schema::testing::{TestDatabase, moment};
use schema::{EventKind, EventPosition, WriteError, on_each_database};
use serde_json::{Value, json};

fn receive(store: &TestDatabase, form: InstructionForm, message: &[u8]) -> (Sha256Digest, Receipt) {
    let new = NewInstruction::new(form, message.to_vec());
    let digest = new.digest;
    (digest, store.writer().write(move |tx| tx.receive_instruction(&new, moment(1))).unwrap())
}

fn decide(store: &TestDatabase, digest: Sha256Digest, decision: Decision) -> Result<(), WriteError<InstructionRefusal>> {
    store.writer().write(move |tx| tx.decide_instruction(&digest, &decision, Some(&by()), moment(2)))
}

fn by() -> Origin {
    Origin::Operator { name: "Sato".to_owned(), role: "administrator".to_owned() }
}

fn state(store: &TestDatabase, digest: &Sha256Digest) -> InstructionState {
    store.reader().instruction(digest).unwrap().unwrap().state
}

fn events(store: &TestDatabase) -> Vec<(EventKind, Value)> {
    store.reader().events_after(EventPosition(0), 100).unwrap().into_iter().map(|event| (event.kind, event.data)).collect()
}

on_each_database! {
    fn the_same_instruction_again_is_known_and_leaves_no_event(store) {
        let (digest, receipt) = receive(store, InstructionForm::Operator, b"hold");
        assert_eq!(receipt, Receipt::New);
        assert_eq!(receive(store, InstructionForm::Operator, b"hold").1, Receipt::Known);
        let waiting = store.reader().waiting_instructions(0, 10).unwrap();
        assert_eq!(waiting.len(), 1);
        assert_eq!((waiting[0].digest, waiting[0].form, waiting[0].received_at), (digest, InstructionForm::Operator, moment(1)));
        assert_eq!(waiting[0].message, b"hold");
        assert_eq!(state(store, &digest), InstructionState::Waiting);
        assert_eq!(store.reader().position().unwrap(), EventPosition(0));
        assert_eq!(store.reader().instruction(&Sha256Digest::of(b"another")).unwrap(), None);
    }

    fn a_decision_is_told_once_with_its_event(store) {
        let (digest, _) = receive(store, InstructionForm::Holder, b"end");
        decide(store, digest, Decision::Done(json!({"ended": 2}))).unwrap();
        assert_eq!(state(store, &digest), InstructionState::Done { outcome: json!({"ended": 2}), at: moment(2) });
        let refused = Decision::Refused { code: "certificate_ended".to_owned(), detail: "It ended before.".to_owned() };
        assert_eq!(decide(store, digest, refused.clone()), Err(WriteError::Refused(InstructionRefusal::AlreadyDecided)));
        let (other, _) = receive(store, InstructionForm::KeyCompromise, b"key");
        decide(store, other, refused).unwrap();
        let expected = InstructionState::Refused { code: "certificate_ended".to_owned(), detail: "It ended before.".to_owned(), at: moment(2) };
        assert_eq!(state(store, &other), expected);
        assert!(store.reader().waiting_instructions(0, 10).unwrap().is_empty());
        let (by, received_at) = (json!({"operator": "Sato", "role": "administrator"}), "2027-01-15T08:00:01Z");
        assert_eq!(events(store), [
            (EventKind::InstructionDone, json!({"instruction": digest.to_string(), "by": by, "received_at": received_at})),
            (EventKind::InstructionRefused, json!({"instruction": other.to_string(), "by": by, "received_at": received_at, "code": "certificate_ended"})),
        ]);
    }

    fn an_approval_is_remembered_and_serves_once(store) {
        let (mass, _) = receive(store, InstructionForm::Operator, b"revoke 5000");
        let (approval, _) = receive(store, InstructionForm::Operator, b"approve that");
        let approve = || store.writer().write(move |tx| tx.approve_instruction(&mass, &approval, &json!({"batch": 1}), Some(&by()), moment(3)));
        assert_eq!(approve(), Err(WriteError::Refused(InstructionRefusal::NotAwaitingApproval)), "it does not wait for that yet");
        assert_eq!(store.reader().instruction_awaiting_approval(&mass).unwrap(), None);

        decide(store, mass, Decision::AwaitingApproval(json!({"count": 5000}))).unwrap();
        assert_eq!(state(store, &mass), InstructionState::AwaitingApproval { outcome: json!({"count": 5000}) });
        assert_eq!(store.reader().instruction_awaiting_approval(&mass).unwrap().unwrap().message, b"revoke 5000");
        approve().unwrap();
        let record = store.reader().instruction(&mass).unwrap().unwrap();
        assert_eq!(record.state, InstructionState::Done { outcome: json!({"batch": 1}), at: moment(3) });
        assert_eq!(record.approved_by, Some(approval));
        assert_eq!(approve(), Err(WriteError::Refused(InstructionRefusal::NotAwaitingApproval)));
        let kinds: Vec<_> = events(store).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [EventKind::InstructionAwaitingApproval, EventKind::InstructionDone]);
        assert_eq!(events(store)[1].1["approved_by"], json!(approval.to_string()));
    }

    fn nothing_approves_itself_and_only_operators_are_approved(store) {
        for form in [InstructionForm::Operator, InstructionForm::Holder] {
            let (mass, _) = receive(store, form, form_message(form));
            let (other, _) = receive(store, InstructionForm::Operator, b"another");
            decide(store, mass, Decision::AwaitingApproval(json!({}))).unwrap();
            let approval = if form == InstructionForm::Operator { mass } else { other };
            let refused = store.writer().write(move |tx| tx.approve_instruction(&mass, &approval, &json!({}), None, moment(3)));
            let Err(WriteError::Fault(fault)) = refused else { panic!("approved") };
            assert_eq!(fault.class(), Some(FaultClass::Check));
        }
    }

    fn a_challenge_is_redeemed_once_over_applications_and_instructions(store) {
        let challenge = [5; 48];
        let redeem = || store.writer().write(move |tx| tx.redeem_challenge(&challenge, moment(1)));
        redeem().unwrap();
        assert_eq!(redeem(), Err(WriteError::Refused(InstructionRefusal::ChallengeSpent)));
        let sample = schema::testing::Sample::new(1, schema::testing::add_ca_keys(&store.writer()));
        let application = sample.accept(&store.writer());
        let spent = sample.challenge();
        store.writer().write(move |tx| tx.redeem_challenge(&spent, moment(1))).unwrap();
        assert!(sample.issue(&store.writer(), application, moment(2)).is_err());
    }

    fn an_oversized_or_empty_message_is_refused(store) {
        for message in [vec![0; 65_537], Vec::new()] {
            let new = NewInstruction::new(InstructionForm::Operator, message);
            let fault = store.writer().write(move |tx| tx.receive_instruction(&new, moment(1))).unwrap_err();
            assert_eq!(fault.class(), Some(FaultClass::Check));
        }
    }
}

fn form_message(form: InstructionForm) -> &'static [u8] {
    if form == InstructionForm::Operator { b"an operator's" } else { b"a holder's" }
}
