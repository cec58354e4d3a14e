//! What is done because the time has come.

use ca_core::kind::CertificateKind::{Authentication, Signature};
use ca_core::lifecycle::{Command, HoldCause, State};
use ca_core::revocation::{Revocation, RevocationReason};
use chrono::TimeDelta;
use policies::LifecyclePolicy;
use schema::card::CardStanding;
use schema::card_event::CardChange;
use schema::certificate::CertificateId;
use schema::change::{Order, Origin, Target};
use schema::on_each_database;
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment};

use crate::cards::{apply_all, state};
use crate::changes::change;

const DAY: i64 = 86_400;

fn schedule(name: &str) -> Order {
    Origin::Schedule { name: name.to_owned() }.into()
}

fn expire(store: &TestDatabase, limit: u32, seconds: i64) -> Vec<CertificateId> {
    let changed = store.writer().write(move |tx| tx.expire_due(limit, &jpki(), &schedule("expire"), moment(seconds))).unwrap();
    changed.into_iter().map(|changed| changed.id).collect()
}

fn hold(store: &TestDatabase, sample: &Sample, seconds: i64) {
    let target = Target::Serial { serial: sample.serial(Signature), kind: None };
    change(store, target, Command::Hold { cause: HoldCause::PhoneLost }, &jpki(), seconds).unwrap();
}

on_each_database! {
    fn certificates_expire_when_their_end_has_passed(store) {
        let keys = add_ca_keys(&store.writer());
        let samples = [50, 60, 5000].map(|end| Sample { not_after: moment(end), ..Sample::new(end as u32, keys) });
        let issued = samples.each_ref().map(|sample| sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates);
        hold(store, &samples[1], 10);
        assert_eq!(expire(store, 10, 50), [], "the last second is valid");
        assert_eq!(expire(store, 1, 100).len(), 1);
        assert_eq!(expire(store, 10, 100).len(), 3);
        assert_eq!(expire(store, 10, 100), []);
        assert_eq!(state(store, issued[0][0]), State::Expired);
        // It was not valid at its end, so it stays on one more list.
        let permanent = Revocation::new(moment(10), RevocationReason::CessationOfOperation);
        assert_eq!(state(store, issued[1][0]), State::Ended(permanent));
        assert_eq!(state(store, issued[2][0]), State::Live);
        let events = store.reader().certificate_detail(None, &samples[0].serial(Signature)).unwrap().unwrap().events;
        assert_eq!(events.last().unwrap().data["by"], serde_json::json!({"schedule": "expire"}));
    }

    fn a_hold_that_stood_too_long_becomes_a_revocation_if_policy_says_so(store) {
        let keys = add_ca_keys(&store.writer());
        let samples = [1, 2].map(|number| Sample::new(number, keys));
        let issued = samples.each_ref().map(|sample| sample.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates[0]);
        hold(store, &samples[0], 10);
        hold(store, &samples[1], 10 + DAY);
        let late = |policy: LifecyclePolicy, seconds| {
            let changed = store.writer().write(move |tx| tx.holds_past_deadline(10, &policy, &schedule("hold-deadlines"), moment(seconds))).unwrap();
            changed.into_iter().map(|changed| changed.id).collect::<Vec<_>>()
        };
        let derived = || LifecyclePolicy::derived_piv().unwrap();
        assert_eq!(late(jpki(), 900 * DAY), []);
        assert_eq!(late(derived(), 30 * DAY), []);
        assert_eq!(late(derived(), 30 * DAY + 10), issued[..1]);
        assert_eq!(late(derived(), 30 * DAY + 10), []);
        assert_eq!(state(store, issued[0]), State::Ended(Revocation::new(moment(10), RevocationReason::CessationOfOperation)));
        assert!(matches!(state(store, issued[1]), State::Held(_)));
    }

    fn a_card_is_looked_at_again_seven_days_after_issuance(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let week = moment(2) + TimeDelta::days(7);
        assert_eq!(store.reader().second_looks_due(10, week - TimeDelta::seconds(1)).unwrap(), []);
        apply_all(store, &[sample.card_event(Authentication, 1, CardChange::Died { at: moment(5) })], &jpki(), 5);
        let due = store.reader().second_looks_due(10, week).unwrap();
        assert_eq!(due.iter().map(|look| (look.certificate, look.stands)).collect::<Vec<_>>(), [(issued.certificates[0], true), (issued.certificates[1], false)]);
        assert_eq!((due[0].kind, &due[0].card), (Signature, &sample.card(Signature)));
        assert_eq!(due[0].distribution_point.as_deref(), Some(b"distribution point".as_slice()));
        let done = issued.certificates.clone();
        store.writer().write(move |tx| tx.second_look_done(&done)).unwrap();
        assert_eq!(store.reader().second_looks_due(10, week).unwrap(), []);
    }

    fn cards_that_something_hangs_on_are_walked_through(store) {
        let keys = add_ca_keys(&store.writer());
        let samples: Vec<_> = (0..4).map(|number| Sample::new(number, keys)).collect();
        samples.iter().for_each(|sample| { sample.accept_and_issue(&store.writer(), moment(2)).unwrap(); });
        // One half ended, one half held, and a card that nothing hangs on.
        apply_all(store, &[
            samples[0].card_event(Signature, 1, CardChange::Died { at: moment(5) }),
            samples[1].card_event(Signature, 1, CardChange::Held { at: moment(5) }),
            Sample::new(9, keys).card_event(Signature, 1, CardChange::Held { at: moment(5) }),
        ], &jpki(), 5);
        let (mut cards, mut cursor) = (Vec::new(), 0);
        while let page @ [.., last] = store.reader().linked_cards_after(cursor, 3).unwrap().as_slice() {
            cursor = last.cursor;
            cards.extend_from_slice(page);
        }
        assert_eq!(cards.len(), 7);
        let held: Vec<_> = cards.iter().filter(|card| card.record.standing != CardStanding::Good).map(|card| &card.serial).collect();
        assert_eq!(held, [&samples[1].card(Signature).serial]);
    }
}
