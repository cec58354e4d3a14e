//! What happens to card certificates, by policy: nine changes, in whatever order and from whomever.

use ca_core::kind::CertificateKind::{self, Authentication, Signature};
use ca_core::lifecycle::{HoldCause, State};
use ca_core::revocation::{Revocation, RevocationReason};
use policies::LifecyclePolicy;
use schema::card::{CardRecord, CardStanding};
use schema::card_event::{CardChange, CardChangeKind, CardEvent, CardEventSource};
use schema::certificate::CertificateId;
use schema::issuance::IssueRefusal;
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment, replayed, stored};
use schema::{EventKind, EventPosition, WriteError, on_each_database};

/// Derived credentials that follow a card's hold and its release.
pub(crate) fn following() -> LifecyclePolicy {
    let text = include_str!("../../../policies/lifecycle/derived-piv.toml").replace("held = \"none\"", "held = \"hold\"");
    LifecyclePolicy::parse("following.toml", &text).unwrap()
}

pub(crate) fn apply_all(store: &TestDatabase, events: &[CardEvent], policy: &LifecyclePolicy, seconds: i64) -> Vec<CertificateId> {
    let (events, policy) = (events.to_vec(), policy.clone());
    store.writer().write(move |tx| tx.apply_card_events(&events, &policy, moment(seconds))).unwrap()
}

fn apply(store: &TestDatabase, event: &CardEvent, policy: &LifecyclePolicy, seconds: i64) -> Vec<CertificateId> {
    apply_all(store, std::slice::from_ref(event), policy, seconds)
}

pub(crate) fn state(store: &TestDatabase, certificate: CertificateId) -> State {
    assert_eq!(stored(&store.reader()), replayed(&store.reader()), "the events tell something else than the rows");
    stored(&store.reader())[&certificate]
}

fn record(store: &TestDatabase, sample: &Sample, kind: CertificateKind) -> CardRecord {
    let card = sample.card(kind);
    store.reader().card_record(&card.issuer_key_id, &card.serial).unwrap().unwrap()
}

fn held(seconds: i64) -> CardChange {
    CardChange::Held { at: moment(seconds) }
}

fn released(seconds: i64) -> CardChange {
    CardChange::Released { at: moment(seconds) }
}

fn pushed(event: CardEvent) -> CardEvent {
    CardEvent { source: CardEventSource::Push, ..event }
}

on_each_database! {
    fn a_held_card_holds_what_hangs_on_it_until_it_is_released(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let before = store.reader().position().unwrap();
        assert_eq!(apply(store, &sample.card_event(Signature, 1, held(5)), &following(), 10), issued.certificates[..1]);
        let State::Held(holds) = state(store, issued.certificates[0]) else { panic!("not held") };
        assert_eq!((holds.since(), holds.causes().iter().collect::<Vec<_>>()), (moment(10), vec![HoldCause::CardHeld]));
        assert_eq!(state(store, issued.certificates[1]), State::Live);
        assert_eq!(record(store, &sample, Signature), CardRecord { standing: CardStanding::Held { since: moment(5) }, last_sequence: Some(1) });
        let detail = store.reader().certificate_detail(None, &sample.serial(Signature)).unwrap().unwrap();
        assert_eq!((detail.link.card_revocation, detail.link.card_held_since), (None, Some(moment(5))));

        assert_eq!(apply(store, &sample.card_event(Signature, 2, released(15)), &following(), 20), issued.certificates[..1]);
        assert_eq!(state(store, issued.certificates[0]), State::Live);
        assert_eq!(record(store, &sample, Signature), CardRecord { standing: CardStanding::Good, last_sequence: Some(2) });
        let events = store.reader().events_after(before, 10).unwrap();
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [
            EventKind::CardHeld, EventKind::CertificateHeld, EventKind::CardReleased, EventKind::CertificateReleased,
        ]);
        let data = &events[1].data;
        assert_eq!(data["by"]["card_event"], "held-signature-1-1");
        assert_eq!((&data["card_change"], &data["cause"]), (&"held".into(), &"card-held".into()));
        assert_eq!(data["policy"].as_str().unwrap(), ca_core::digest::Sha256Digest(following().sha256).to_string());
        let told = events.iter().map(|event| event.data.to_string()).collect::<String>();
        assert!(!told.contains(&sample.card(Signature).serial.to_string()) && !told.contains(&sample.holder_id));
    }

    fn holds_and_releases_count_by_their_sequence(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let (hold, release) = (sample.card_event(Signature, 1, held(5)), sample.card_event(Signature, 2, released(15)));
        let rounds = [vec![&release], vec![&hold], vec![&hold, &release, &hold], vec![&hold, &release]];
        for events in rounds.map(|events| events.into_iter().cloned().collect::<Vec<_>>()) {
            apply_all(store, &events, &following(), 20);
            assert_eq!(state(store, issued.certificates[0]), State::Live, "{events:?}");
        }
    }

    fn where_holds_are_never_lifted_a_release_frees_the_card_only(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        apply(store, &sample.card_event(Signature, 1, held(5)), &jpki(), 10);
        assert_eq!(apply(store, &sample.card_event(Signature, 2, released(15)), &jpki(), 20), []);
        assert!(matches!(state(store, issued.certificates[0]), State::Held(_)));
        assert_eq!(record(store, &sample, Signature).standing, CardStanding::Good);
    }

    fn what_was_pushed_releases_nothing_and_puts_nothing_off(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let policy = following();
        let certificate = issued.certificates[0];
        let is_held = || matches!(state(store, certificate), State::Held(_));
        apply(store, &sample.card_event(Signature, 1, held(5)), &policy, 10);
        apply(store, &pushed(sample.card_event(Signature, i64::MAX, released(6))), &policy, 11);
        assert!(is_held(), "a pushed release released");
        // A revocation for a reason that is outlived lifts the card's hold: from the feed, and not from a push.
        let outlived = CardChange::Revoked { reason: RevocationReason::Superseded, at: moment(7) };
        let another = Sample::new(2, sample.ca_keys);
        let other = another.accept_and_issue(&store.writer(), moment(2)).unwrap().certificates[0];
        apply(store, &another.card_event(Signature, 1, held(5)), &policy, 10);
        apply(store, &pushed(another.card_event(Signature, 2, outlived)), &policy, 11);
        assert!(matches!(state(store, other), State::Held(_)), "a pushed revocation lifted a hold");
        apply(store, &another.card_event(Signature, 2, outlived), &policy, 12);
        assert_eq!(state(store, other), State::Live);

        apply(store, &sample.card_event(Signature, 2, released(20)), &policy, 20);
        assert!(!is_held());
        // A made-up hold is believed for now, but its number shuts out neither the feed nor the comparison.
        apply(store, &pushed(sample.card_event(Signature, i64::MAX, held(21))), &policy, 21);
        assert!(is_held());
        apply(store, &sample.card_event(Signature, 3, held(22)), &policy, 22);
        apply(store, &sample.card_event(Signature, 4, released(23)), &policy, 23);
        assert!(!is_held());
        apply(store, &pushed(sample.card_event(Signature, i64::MAX, held(24))), &policy, 24);
        assert!(is_held());
        let asked = |sequence| CardEvent { source: CardEventSource::Comparison, ..sample.card_event(Signature, sequence, released(25)) };
        apply(store, &asked(3), &policy, 25);
        assert!(is_held(), "an answer from before the last event overruled it");
        apply(store, &asked(4), &policy, 25);
        assert!(!is_held());
        assert_eq!(record(store, &sample, Signature), CardRecord { standing: CardStanding::Good, last_sequence: Some(4) });
    }

    fn the_inbox_says_that_it_was_pushed_whatever_its_rows_say(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let kinds = CardChangeKind::ALL.map(|kind| (kind, (kind == CardChangeKind::Revoked).then_some(RevocationReason::Unspecified)));
        let events: Vec<_> = (1..).zip(kinds).map(|(sequence, (kind, reason))| {
            sample.card_event(Signature, sequence, CardChange::new(kind, reason, moment(sequence)).unwrap())
        }).collect();
        let received = events.clone();
        store.writer().write(move |tx| received.iter().try_for_each(|event| tx.receive_card_event(event, moment(1)).map(|_| ()))).unwrap();
        let read = store.reader().unapplied_card_events(20).unwrap();
        assert_eq!(read, events.into_iter().map(pushed).collect::<Vec<_>>());
        apply_all(store, &read, &jpki(), 30);
        assert!(store.reader().unapplied_card_events(20).unwrap().is_empty());
        let kinds: Vec<_> = store.reader().events_after(EventPosition(2), 20).unwrap().iter().map(|event| event.kind).collect();
        assert_eq!(kinds[0], EventKind::CardRevoked);
        assert_eq!(kinds[1..], [EventKind::CardEventReceived; 9]);
    }

    fn a_changed_record_ends_the_signature_and_leaves_the_authentication(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let changes = [Signature, Authentication].map(|kind| sample.card_event(kind, 1, CardChange::RecordChanged { at: moment(5) }));
        assert_eq!(apply_all(store, &changes, &jpki(), 10), issued.certificates[..1]);
        let revocation = Revocation::new(moment(10), RevocationReason::AffiliationChanged);
        assert_eq!([0, 1].map(|which| state(store, issued.certificates[which])), [State::Ended(revocation), State::Live]);
        assert_eq!(record(store, &sample, Authentication).standing, CardStanding::Good);
        assert!(matches!(record(store, &sample, Signature).standing, CardStanding::Ended(_)));
        apply(store, &sample.card_event(Authentication, 2, CardChange::Died { at: moment(6) }), &jpki(), 11);
        let revocation = Revocation::new(moment(11), RevocationReason::CessationOfOperation);
        assert_eq!(state(store, issued.certificates[1]), State::Ended(revocation));
    }

    fn a_changed_record_is_remembered_of_a_card_that_nothing_hangs_on(store) {
        let keys = add_ca_keys(&store.writer());
        let [first, later] = [1, 2].map(|number| Sample::new(number, keys));
        first.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let changes = [Signature, Authentication].map(|kind| later.card_event(kind, 1, CardChange::RecordChanged { at: moment(5) }));
        assert_eq!(apply_all(store, &changes, &jpki(), 10), []);
        assert_eq!(later.accept_and_issue(&store.writer(), moment(11)), Err(WriteError::Refused(IssueRefusal::CardRevoked)));
        assert_eq!(record(store, &later, Authentication).standing, CardStanding::Good);
    }

    fn a_hold_that_becomes_a_revocation_keeps_its_date(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        apply_all(store, &[
            sample.card_event(Signature, 1, held(5)),
            sample.card_event(Signature, 2, CardChange::Revoked { reason: RevocationReason::KeyCompromise, at: moment(6) }),
        ], &jpki(), 10);
        let first = Revocation::new(moment(10), RevocationReason::KeyCompromise);
        assert_eq!(state(store, issued.certificates[0]), State::Ended(first));
        apply(store, &sample.card_event(Authentication, 1, held(5)), &jpki(), 20);
        apply(store, &sample.card_event(Authentication, 2, CardChange::Emigrated { at: moment(6) }), &jpki(), 30);
        let second = Revocation::new(moment(20), RevocationReason::CessationOfOperation);
        assert_eq!(state(store, issued.certificates[1]), State::Ended(second));
        assert_eq!(store.reader().holds(issued.certificates[1]).unwrap(), []);
    }

    fn many_events_at_once_do_what_they_do_one_by_one(store) {
        let other = TestDatabase::sqlite();
        let policies = [jpki(), following()];
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut draw = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for store in [store, &other] {
            let keys = add_ca_keys(&store.writer());
            (0..20).for_each(|number| { Sample::new(number, keys).accept_and_issue(&store.writer(), moment(2)).unwrap(); });
        }
        let keys = [ca_core::issuer::CaKeyId(1), ca_core::issuer::CaKeyId(2)];
        for (round, policy) in policies.iter().enumerate() {
            let events: Vec<CardEvent> = (0..150).map(|_| {
                // Some cards that nobody has heard of, too.
                let sample = Sample::new(draw(25) as u32, keys);
                let kind = CertificateKind::ALL[draw(2) as usize];
                // Mostly holds and releases, which go to and fro.
                let change = [CardChangeKind::Held, CardChangeKind::Released][draw(2) as usize];
                let change = if draw(6) == 0 { CardChangeKind::ALL[draw(9) as usize] } else { change };
                let reason = (change == CardChangeKind::Revoked).then_some(RevocationReason::Superseded);
                let event = sample.card_event(kind, draw(12) as i64, CardChange::new(change, reason, moment(3)).unwrap());
                if draw(4) == 0 { pushed(event) } else { event }
            }).collect();
            let seconds = 100 * (round as i64 + 1);
            apply_all(store, &events, policy, seconds);
            events.iter().for_each(|event| { apply(&other, event, policy, seconds); });
            assert_eq!(stored(&store.reader()), stored(&other.reader()));
        }
        assert_eq!(stored(&store.reader()), replayed(&store.reader()));
        for number in 0..25 {
            for kind in CertificateKind::ALL {
                let card = Sample::new(number, keys).card(kind);
                let records = [store, &other].map(|store| store.reader().card_record(&card.issuer_key_id, &card.serial).unwrap());
                assert_eq!(records[0], records[1]);
            }
        }
    }
}
