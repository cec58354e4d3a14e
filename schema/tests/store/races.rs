//! Two at once: one order or the other, never a mixture.

use std::sync::Barrier;

use ca_core::kind::CertificateKind::Signature;
use ca_core::lifecycle::{Command, HoldCause, State};
use ca_core::revocation::RevocationReason;
use schema::batch::{BatchChange, Scope};
use schema::card::CardStanding;
use schema::card_event::CardChange;
use schema::certificate::CertificateFilter;
use schema::change::Target;
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment, replayed, stored};
use schema::{Transaction, WriteError, Writer, on_each_database};

use crate::batches::of_feed;
use crate::cards::following;
use crate::changes::operator;

const ROUNDS: u32 = 8;

/// Both at once, from two processes.
fn race<A: Send, B: Send>(one: impl FnOnce() -> A + Send, other: impl FnOnce() -> B + Send) -> (A, B) {
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        let one = scope.spawn(|| {
            barrier.wait();
            one()
        });
        let other = scope.spawn(|| {
            barrier.wait();
            other()
        });
        (one.join().unwrap(), other.join().unwrap())
    })
}

fn change(writer: &Writer, target: &Target, command: Command) -> bool {
    let target = target.clone();
    let work = move |tx: &mut Transaction<'_>| {
        tx.change_certificates(std::slice::from_ref(&target), &command, &following(), &operator(), moment(10))
    };
    match writer.write(work) {
        Ok(changed) => !changed.is_empty(),
        Err(WriteError::Refused(_)) => false,
        Err(WriteError::Fault(fault)) => panic!("{fault}"),
    }
}

fn sound(store: &TestDatabase) {
    assert_eq!(stored(&store.reader()), replayed(&store.reader()));
}

on_each_database! {
    fn a_hold_and_a_revocation(store) {
        let keys = add_ca_keys(&store.writer());
        let other = store.open_again();
        for number in 0..ROUNDS {
            let sample = Sample::new(number, keys);
            let id = sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates[0];
            let target = Target::Serial { serial: sample.serial(Signature), kind: None };
            let (_, revoked) = race(
                || change(&store.writer(), &target, Command::Hold { cause: HoldCause::PhoneLost }),
                || change(&other.writer(), &target, Command::Revoke { reason: RevocationReason::KeyCompromise, invalid_since: None }),
            );
            assert!(revoked && stored(&store.reader())[&id].is_final());
            assert!(store.reader().holds(id).unwrap().is_empty());
            sound(store);
        }
    }

    fn the_lift_of_the_last_cause_and_another_hold(store) {
        let keys = add_ca_keys(&store.writer());
        let other = store.open_again();
        for number in 0..ROUNDS {
            let sample = Sample::new(number, keys);
            let id = sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates[0];
            let target = Target::Serial { serial: sample.serial(Signature), kind: None };
            assert!(change(&store.writer(), &target, Command::Hold { cause: HoldCause::PhoneLost }));
            let held = sample.card_event(Signature, 1, CardChange::Held { at: moment(5) });
            race(
                || assert!(change(&store.writer(), &target, Command::Lift { cause: HoldCause::PhoneLost })),
                || other.writer().write(move |tx| tx.apply_card_event(&held, &following(), moment(10))).unwrap(),
            );
            let State::Held(holds) = stored(&store.reader())[&id] else { panic!("not held") };
            assert_eq!(holds.causes().iter().collect::<Vec<_>>(), [HoldCause::CardHeld]);
            sound(store);
        }
    }

    fn an_issuance_and_a_hold_of_its_card(store) {
        let keys = add_ca_keys(&store.writer());
        let other = store.open_again();
        for number in 0..ROUNDS {
            let sample = Sample::new(number, keys);
            let application = sample.accept(&store.writer());
            let held = sample.card_event(Signature, 1, CardChange::Held { at: moment(5) });
            let (issued, _) = race(
                || sample.issue(&store.writer(), application, moment(10)),
                || other.writer().write(move |tx| tx.apply_card_event(&held, &jpki(), moment(10))).unwrap(),
            );
            match issued {
                Ok(issued) => assert!(matches!(stored(&store.reader())[&issued.certificates[0]], State::Held(_))),
                Err(refused) => assert_eq!(refused, WriteError::Refused(schema::issuance::IssueRefusal::CardHeld)),
            }
            sound(store);
        }
    }

    fn a_new_phone_and_a_hold_of_whatever_the_holder_has(store) {
        let keys = add_ca_keys(&store.writer());
        let other = store.open_again();
        for number in 0..ROUNDS {
            let old = Sample::new(2 * number, keys);
            let first = old.accept_and_issue(&store.writer(), moment(2)).unwrap();
            let new = Sample { holder_id: old.holder_id.clone(), ..Sample::new(2 * number + 1, keys) };
            let application = new.accept(&store.writer());
            let target = Target::Holder(old.holder_id.clone());
            let (second, held) = race(
                || new.issue(&store.writer(), application, moment(10)).unwrap(),
                || change(&other.writer(), &target, Command::Hold { cause: HoldCause::PhoneLost }),
            );
            let states = stored(&store.reader());
            assert!(held && states[&first.certificates[0]].is_final());
            // Either the old phone's were held and then superseded, or the new one's are held.
            let were_held = |id| {
                let filter = CertificateFilter { holder_id: Some(old.holder_id.clone()), ..Default::default() };
                let serial = store.reader().list_certificates(&filter, None, 10).unwrap().into_iter().find(|summary| summary.id == id).unwrap().serial;
                store.reader().certificate_detail(None, &serial).unwrap().unwrap().events.iter().any(|event| event.kind == schema::EventKind::CertificateHeld)
            };
            assert_ne!(were_held(first.certificates[0]), were_held(second.certificates[0]));
            sound(store);
        }
    }

    fn an_issuance_and_the_start_of_a_batch_that_covers_it(store) {
        let keys = add_ca_keys(&store.writer());
        let other = store.open_again();
        for number in 0..ROUNDS {
            let sample = Sample::new(number, keys);
            // A card CA of its own for each round, for a batch covers the cards to come as well.
            let application = sample.accept(&store.writer());
            let intents = sample.intents(Some(application));
            let mut issuance = sample.issuance(application);
            let issuer_key_id = ca_core::card::identity::KeyIdentifier::new(vec![number as u8 + 1; 20]).unwrap();
            issuance.certificates[0].card.issuer_key_id = issuer_key_id.clone();
            let batch = of_feed(&format!("batch-{number}"), Scope { issuer_key_id: issuer_key_id.clone(), distribution_point_sha256: None },
                BatchChange::Revoke { reason: RevocationReason::Superseded });
            store.writer().write(move |tx| tx.record_intents(&intents, moment(9))).unwrap();
            let (issued, id) = race(
                || store.writer().write(move |tx| tx.issue(&issuance, &jpki(), moment(10))),
                || {
                    let id = other.writer().write(move |tx| tx.start_batch(&batch, moment(10))).unwrap();
                    while other.writer().write(move |tx| tx.advance_batch(id, 10, &jpki(), moment(10))).unwrap().finished_at.is_none() {}
                    id
                },
            );
            assert!(store.reader().batch(id).unwrap().unwrap().finished_at.is_some());
            if let Ok(issued) = issued {
                assert!(stored(&store.reader())[&issued.certificates[0]].is_final(), "an issuance raced past the batch");
                let card = sample.card(Signature);
                let record = store.reader().card_record(&issuer_key_id, &card.serial).unwrap().unwrap();
                assert!(matches!(record.standing, CardStanding::Ended(_)));
            }
            sound(store);
        }
    }
    fn an_issuance_and_the_retirement_of_its_ca_key(store) {
        let keys = add_ca_keys(&store.writer());
        let other = store.open_again();
        for number in 0..ROUNDS {
            let sample = Sample { kinds: vec![Signature], ..Sample::new(number, keys) };
            let application = sample.accept(&store.writer());
            let intents = sample.intents(Some(application));
            store.writer().write(move |tx| tx.record_intents(&intents, moment(1))).unwrap();
            let issuance = sample.issuance(application);
            let (issued, retired) = race(
                || store.writer().write(move |tx| tx.issue(&issuance, &jpki(), moment(2))).is_ok(),
                || other.writer().write(move |tx| tx.retire_ca_key(keys[0], moment(2))).is_ok(),
            );
            assert_ne!(issued, retired, "a retired CA key with a certificate that stands, or neither happened");
            if issued {
                let revoke = Command::Revoke { reason: RevocationReason::Superseded, invalid_since: None };
                store.command(keys[0], &sample.serial(Signature), revoke, moment(3));
            }
            store.execute("UPDATE ca_key SET retired_at = NULL").unwrap();
        }
        sound(store);
    }
}
