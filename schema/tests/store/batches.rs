//! Batches: everything that hangs on the cards of a scope, page by page.

use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind::{Authentication, Signature};
use ca_core::lifecycle::{HoldCause, State};
use ca_core::revocation::{Revocation, RevocationReason};
use schema::batch::{Batch, BatchChange, BatchId, NewBatch, Scope};
use schema::card::CardStanding;
use schema::card_event::CardChange;
use schema::change::{Order, Origin};
use schema::instruction::{InstructionForm, NewInstruction};
use schema::issuance::IssueRefusal;
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment, stored};
use schema::{EventKind, EventPosition, StoreFault, WriteError, on_each_database};

use crate::cards::{apply_all, following, state};
use crate::changes::operator;

const REVOKE: BatchChange = BatchChange::Revoke { reason: RevocationReason::CaCompromise };

/// All signature cards of the samples.
fn scope(sample: &Sample) -> Scope {
    Scope { issuer_key_id: sample.card(Signature).issuer_key_id, distribution_point_sha256: None }
}

pub(crate) fn of_feed(name: &str, scope: Scope, change: BatchChange) -> NewBatch {
    NewBatch { name: name.to_owned(), scope, change, order: Origin::CardEvent { id: name.to_owned() }.into() }
}

/// A batch that operators asked for, with the instruction.
fn of_operator(store: &TestDatabase, message: &str, scope: Scope, change: BatchChange) -> NewBatch {
    let new = NewInstruction::new(InstructionForm::Operator, message.as_bytes().to_vec());
    let order = Order { instruction: Some(new.digest), ..operator() };
    let name = new.digest.to_string();
    store.writer().write(move |tx| tx.receive_instruction(&new, moment(1))).unwrap();
    NewBatch { name, scope, change, order }
}

pub(crate) fn start(store: &TestDatabase, new: &NewBatch, seconds: i64) -> BatchId {
    let new = new.clone();
    store.writer().write(move |tx| tx.start_batch(&new, moment(seconds))).unwrap()
}

fn advance(store: &TestDatabase, id: BatchId, seconds: i64) -> Batch {
    store.writer().write(move |tx| tx.advance_batch(id, 3, &jpki(), moment(seconds))).unwrap()
}

fn finish(store: &TestDatabase, id: BatchId, seconds: i64) -> Batch {
    loop {
        let batch = advance(store, id, seconds);
        if batch.finished_at.is_some() {
            return batch;
        }
    }
}

fn samples(store: &TestDatabase, count: u32) -> Vec<Sample> {
    let keys = add_ca_keys(&store.writer());
    let samples: Vec<_> = (0..count).map(|number| Sample::new(number, keys)).collect();
    samples.iter().for_each(|sample| {
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
    });
    samples
}

fn states(store: &TestDatabase) -> [Vec<State>; 2] {
    let states: Vec<_> = stored(&store.reader()).into_values().collect();
    [0, 1].map(|half| states.iter().skip(half).step_by(2).copied().collect())
}

on_each_database! {
    fn a_batch_of_the_feed_ends_cards_and_what_hangs_on_them_page_by_page(store) {
        let samples = samples(store, 7);
        assert_eq!(store.reader().count_scope(&scope(&samples[0])).unwrap(), 7);
        let new = of_feed("batch-1", scope(&samples[0]), REVOKE);
        let id = start(store, &new, 10);
        assert_eq!(start(store, &new, 11), id, "started twice");
        assert_eq!(store.reader().batches_running().unwrap(), [id]);
        let first = advance(store, id, 20);
        assert_eq!((first.cards, first.changed, first.finished_at), (3, 3, None));
        // Killed here, another process goes on.
        let again = store.open_again();
        let second = again.writer().write(move |tx| tx.advance_batch(id, 3, &jpki(), moment(30))).unwrap();
        assert_eq!((second.cards, second.changed), (6, 6));
        drop(again);
        let done = finish(store, id, 40);
        assert_eq!((done.cards, done.changed, done.finished_at), (7, 7, Some(moment(40))));
        assert_eq!(store.reader().batch(id).unwrap(), Some(done.clone()));
        assert_eq!(advance(store, id, 50), done);
        assert!(store.reader().batches_running().unwrap().is_empty());
        let [signature, authentication] = states(store);
        assert!(signature.iter().all(|state| matches!(state, State::Ended(revocation) if revocation.reason == RevocationReason::CaCompromise)));
        assert!(authentication.iter().all(|state| *state == State::Live));
        let card = samples[6].card(Signature);
        let standing = store.reader().card_record(&card.issuer_key_id, &card.serial).unwrap().unwrap().standing;
        assert_eq!(standing, CardStanding::Ended(Revocation::new(moment(10), RevocationReason::CaCompromise)));
        let events = store.reader().events_after(EventPosition(0), 1_000).unwrap();
        for (kind, count) in [(EventKind::BatchStarted, 1), (EventKind::CardRevoked, 7), (EventKind::CertificateRevoked, 7), (EventKind::BatchFinished, 1)] {
            assert_eq!(events.iter().filter(|event| event.kind == kind).count(), count, "{kind:?}");
        }
        assert_eq!(events.iter().find(|event| event.kind == EventKind::CertificateRevoked).unwrap().data["by"]["card_event"], "batch-1");
        assert_eq!(events.last().unwrap().data["changed"], 7);
        assert_eq!(store.reader().count_scope(&scope(&samples[0])).unwrap(), 0);
    }

    fn a_batch_of_one_distribution_point_leaves_the_others(store) {
        let keys = add_ca_keys(&store.writer());
        for number in 0..6 {
            let sample = Sample::new(number, keys);
            let application = sample.accept(&store.writer());
            let intents = sample.intents(Some(application));
            let mut issuance = sample.issuance(application);
            issuance.certificates[0].card_distribution_point = [None, Some(b"one".to_vec()), Some(b"two".to_vec())][number as usize % 3].clone();
            store.writer().write(move |tx| { tx.record_intents(&intents, moment(2))?; tx.issue(&issuance, &jpki(), moment(2)) }).unwrap();
        }
        let scope = Scope { distribution_point_sha256: Some(Sha256Digest::of(b"two")), ..scope(&Sample::new(0, keys)) };
        assert_eq!(store.reader().count_scope(&scope).unwrap(), 2);
        let id = start(store, &of_feed("batch-1", scope, REVOKE), 10);
        assert_eq!(finish(store, id, 10).changed, 2);
        let ended: Vec<_> = states(store)[0].iter().map(|state| state.is_final()).collect();
        assert_eq!(ended, [false, false, true, false, false, true]);
        // A card of another distribution point is still good for an application, one of this is not.
        let renewed = |number: u32, point: &'static [u8]| {
            let sample = Sample { card: number, ..Sample::new(100 + number, keys) };
            let application = sample.accept(&store.writer());
            let intents = sample.intents(Some(application));
            let mut issuance = sample.issuance(application);
            issuance.certificates[0].card_distribution_point = Some(point.to_vec());
            store.writer().write(move |tx| { tx.record_intents(&intents, moment(12))?; tx.issue(&issuance, &jpki(), moment(12)) })
        };
        renewed(20, b"one").unwrap();
        assert_eq!(renewed(21, b"two"), Err(WriteError::Refused(IssueRefusal::CardRevoked)));
        // Nor where the signature certificate only signs, and nothing is to hang on it.
        let only = Sample { kinds: vec![Authentication], ..Sample::new(130, keys) };
        let application = only.accept(&store.writer());
        let intents = only.intents(Some(application));
        let issuance = schema::issuance::Issuance { signing_card_distribution_point: Some(b"two".to_vec()), ..only.issuance(application) };
        let issued = store.writer().write(move |tx| { tx.record_intents(&intents, moment(13))?; tx.issue(&issuance, &jpki(), moment(13)) });
        assert_eq!(issued, Err(WriteError::Refused(IssueRefusal::CardRevoked)));
    }

    fn a_batch_covers_cards_that_nobody_had_heard_of(store) {
        let samples = samples(store, 1);
        let id = start(store, &of_feed("batch-1", scope(&samples[0]), BatchChange::Hold), 10);
        let stranger = Sample::new(9, samples[0].ca_keys);
        let application = stranger.accept(&store.writer());
        assert_eq!(stranger.issue(&store.writer(), application, moment(11)), Err(WriteError::Refused(IssueRefusal::CardHeld)));
        assert_eq!(finish(store, id, 12).changed, 1);
        assert!(matches!(states(store)[0][0], State::Held(_)));
        let again = Sample { card: 9, ..Sample::new(10, samples[0].ca_keys) };
        assert_eq!(again.accept_and_issue(&store.writer(), moment(13)), Err(WriteError::Refused(IssueRefusal::CardHeld)));
        // The other kind's card CA is another; and each card can be released on its own.
        let only = Sample { kinds: vec![Authentication], ..Sample::new(11, samples[0].ca_keys) };
        assert!(only.accept_and_issue(&store.writer(), moment(13)).is_err(), "signed by a card that the batch covers");
        apply_all(store, &[stranger.card_event(Signature, 5, CardChange::Released { at: moment(14) })], &jpki(), 14);
        Sample { card: 9, ..Sample::new(12, samples[0].ca_keys) }.accept_and_issue(&store.writer(), moment(15)).unwrap();
    }

    fn a_card_that_was_released_while_a_batch_of_holds_runs_is_not_held_by_it(store) {
        let samples = samples(store, 2);
        let id = start(store, &of_feed("batch-1", scope(&samples[0]), BatchChange::Hold), 10);
        apply_all(store, &[samples[1].card_event(Signature, 5, CardChange::Released { at: moment(11) })], &following(), 11);
        assert_eq!(finish(store, id, 12).changed, 1);
        assert_eq!(states(store)[0][1], State::Live);
        // But a release from before does not keep the batch off.
        let id = start(store, &of_feed("batch-2", scope(&samples[0]), BatchChange::Hold), 20);
        assert_eq!(finish(store, id, 21).changed, 1);
        assert!(matches!(states(store)[0][1], State::Held(_)));
    }

    fn a_batch_of_operators_changes_certificates_and_leaves_the_cards(store) {
        let samples = samples(store, 4);
        let new = of_operator(store, "mass hold", scope(&samples[0]), BatchChange::Hold);
        let digest = new.order.instruction.unwrap();
        let id = start(store, &new, 10);
        let stranger = Sample::new(9, samples[0].ca_keys);
        let application = stranger.accept(&store.writer());
        assert_eq!(stranger.issue(&store.writer(), application, moment(11)), Err(WriteError::Refused(IssueRefusal::CardHeld)));
        assert_eq!(finish(store, id, 12).changed, 4);
        let first = *stored(&store.reader()).keys().next().unwrap();
        let State::Held(holds) = state(store, first) else { panic!("not held") };
        assert_eq!(holds.causes().iter().collect::<Vec<_>>(), [HoldCause::Operator]);
        assert_eq!(store.reader().holds(first).unwrap()[0].instruction, Some(digest));
        let card = samples[0].card(Signature);
        assert_eq!(store.reader().card_record(&card.issuer_key_id, &card.serial).unwrap().unwrap().standing, CardStanding::Good);
        // It was about what there was: cards are as good as before.
        let issuance = stranger.issuance(application);
        store.writer().write(move |tx| tx.issue(&issuance, &jpki(), moment(13))).unwrap();
        let id = start(store, &of_operator(store, "mass revocation", scope(&samples[0]), REVOKE), 20);
        assert_eq!(finish(store, id, 21).changed, 5);
        assert!(states(store)[0].iter().all(State::is_final));
    }

    fn a_batch_revokes_for_no_hold(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let new = of_feed("batch-1", scope(&sample), BatchChange::Revoke { reason: RevocationReason::CertificateHold });
        assert!(matches!(store.writer().write(move |tx| tx.start_batch(&new, moment(1))), Err(StoreFault::Misuse(_))));
    }
}
