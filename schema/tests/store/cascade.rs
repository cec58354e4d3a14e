//! The cascade: a revoked card certificate ends what hangs on it, in whatever order events come.

use std::sync::Barrier;

use ca_core::kind::CertificateKind;
use ca_core::revocation::{Revocation, RevocationReason};
use schema::card::CardStanding;
use schema::card_event::{CardEvent, Receipt};
use schema::certificate::{CertificateId, CertificateState};
use schema::issuance::IssueRefusal;
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment};
use schema::{EventKind, EventPosition, StoreFault, WriteError, on_each_database};

const KIND: CertificateKind = CertificateKind::Signature;

fn apply(store: &TestDatabase, event: &CardEvent, seconds: i64) -> Vec<CertificateId> {
    let event = event.clone();
    store.writer().write(move |tx| tx.apply_card_event(&event, &jpki(), moment(seconds))).unwrap()
}

fn receive(store: &TestDatabase, event: &CardEvent) -> Receipt {
    let event = event.clone();
    store.writer().write(move |tx| tx.receive_card_event(&event, moment(0))).unwrap()
}

on_each_database! {
    fn a_delivery_is_received_once_whatever_is_known_of_it_already(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let revoked = |sequence| CardEvent {
            event_id: format!("event-{sequence}"), ..sample.card_revoked(KIND, sequence, RevocationReason::Superseded)
        };
        assert_eq!(receive(store, &revoked(3)), Receipt::New);
        let mut delivery: Vec<CardEvent> = (0..300).map(revoked).collect();
        delivery.push(revoked(7));
        let again = delivery.clone();
        assert_eq!(store.writer().write(move |tx| tx.receive_card_events(&delivery, moment(1))).unwrap(), 299);
        assert_eq!(store.writer().write(move |tx| tx.receive_card_events(&again, moment(2))).unwrap(), 0);
        assert_eq!(store.reader().unapplied_card_events(1_000).unwrap().len(), 300);
    }

    fn a_revoked_card_certificate_revokes_the_certificate_of_its_kind_and_no_other(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample::new(1, keys);
        let issued = sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let before = store.reader().position().unwrap();
        let revoked = apply(store, &sample.card_revoked(KIND, 5, RevocationReason::AffiliationChanged), 100);
        assert_eq!(revoked, issued.certificates[..1]);

        let status = store.reader().certificate_status(keys[0], &sample.serial(KIND)).unwrap().unwrap();
        assert_eq!(status.state, CertificateState::Revoked);
        assert_eq!(status.revocation, Some(Revocation::new(moment(100), RevocationReason::AffiliationChanged)));
        let other = store.reader().certificate_status(keys[1], &sample.serial(CertificateKind::Authentication)).unwrap().unwrap();
        assert_eq!(other.state, CertificateState::Live);
        let events = store.reader().events_after(before, 10).unwrap();
        assert_eq!(events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::CardRevoked, EventKind::CertificateRevoked]);
        assert_eq!(events[1].certificate, Some(issued.certificates[0]));
        let detail = store.reader().certificate_detail(None, &sample.serial(KIND)).unwrap().unwrap();
        assert_eq!(detail.link.card_revocation.map(|revocation| revocation.at), Some(moment(5)));
        assert_eq!(detail.events.len(), 2);
    }

    fn duplicates_late_and_out_of_order_events_change_nothing_more(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample::new(1, keys);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let later = sample.card_revoked(KIND, 9, RevocationReason::KeyCompromise);
        let earlier = sample.card_revoked(KIND, 3, RevocationReason::Superseded);
        assert_eq!(apply(store, &later, 100).len(), 1);
        let position = store.reader().position().unwrap();
        assert_eq!(apply(store, &later, 200), []);
        assert_eq!(apply(store, &earlier, 300), []);
        assert_eq!(store.reader().position().unwrap(), position, "no events for what changed nothing");
        let status = store.reader().certificate_status(keys[0], &sample.serial(KIND)).unwrap().unwrap();
        assert_eq!(status.revocation, Some(Revocation::new(moment(100), RevocationReason::KeyCompromise)));
        let card = sample.card(KIND);
        let record = store.reader().card_record(&card.issuer_key_id, &card.serial).unwrap().unwrap();
        assert_eq!(record.standing, CardStanding::Ended(Revocation::new(moment(9), RevocationReason::KeyCompromise)));
    }

    fn an_event_that_comes_before_the_application_refuses_it(store) {
        let keys = add_ca_keys(&store.writer());
        let sample = Sample::new(1, keys);
        assert_eq!(apply(store, &sample.card_revoked(CertificateKind::Authentication, 1, RevocationReason::Superseded), 1), []);
        let refused = sample.accept_and_issue(&store.writer(), moment(2));
        assert_eq!(refused, Err(WriteError::Refused(IssueRefusal::CardRevoked)));
        assert_eq!(store.reader().certificate_status(keys[0], &sample.serial(KIND)).unwrap(), None);
    }

    fn the_inbox_takes_an_event_once_and_knows_what_was_applied(store) {
        let keys = add_ca_keys(&store.writer());
        let samples = [Sample::new(1, keys), Sample::new(2, keys)];
        let events = samples.each_ref().map(|sample| sample.card_revoked(KIND, 1, RevocationReason::Unspecified));
        assert_eq!(receive(store, &events[0]), Receipt::New);
        assert_eq!(receive(store, &events[1]), Receipt::New);
        assert_eq!(receive(store, &events[0]), Receipt::Known);
        assert_eq!(store.reader().unapplied_card_events(10).unwrap(), events);
        apply(store, &events[0], 10);
        assert_eq!(store.reader().unapplied_card_events(10).unwrap(), events[1..]);
        apply(store, &events[1], 10);
        assert_eq!(store.reader().unapplied_card_events(10).unwrap(), []);
        assert_eq!(receive(store, &events[1]), Receipt::Known);
    }

    fn an_event_under_a_taken_id_is_applied_all_the_same(store) {
        // Whoever can write the inbox must not be able to swallow a revocation by taking its id first.
        let keys = add_ca_keys(&store.writer());
        let sample = Sample::new(1, keys);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let event = sample.card_revoked(KIND, 1, RevocationReason::Superseded);
        let impostor = CardEvent { event_id: event.event_id.clone(), ..Sample::new(77, keys).card_revoked(KIND, 9, RevocationReason::Superseded) };
        assert_eq!(receive(store, &impostor), Receipt::New);
        assert_eq!(apply(store, &event, 10).len(), 1);
        assert_eq!(store.reader().unapplied_card_events(10).unwrap(), [impostor]);
    }

    fn a_hold_is_no_revocation(store) {
        let sample = Sample::new(1, add_ca_keys(&store.writer()));
        let event = sample.card_revoked(KIND, 1, RevocationReason::CertificateHold);
        let applied = store.writer().write(move |tx| tx.apply_card_event(&event, &jpki(), moment(1)));
        assert!(matches!(applied, Err(StoreFault::Misuse(_))));
        let card = sample.card(KIND);
        assert_eq!(store.reader().card_record(&card.issuer_key_id, &card.serial).unwrap(), None);
    }

    fn issuance_and_cascade_at_once_never_leave_a_live_certificate_on_a_revoked_card(store) {
        let keys = add_ca_keys(&store.writer());
        let other = store.open_again();
        for number in 0..10 {
            let sample = Sample::new(number, keys);
            let application = sample.accept(&store.writer());
            let event = sample.card_revoked(KIND, 1, RevocationReason::Superseded);
            let barrier = Barrier::new(2);
            std::thread::scope(|scope| {
                scope.spawn(|| { barrier.wait(); let _ = sample.issue(&store.writer(), application, moment(2)); });
                scope.spawn(|| { barrier.wait(); other.writer().write(move |tx| tx.apply_card_event(&event, &jpki(), moment(2))).unwrap(); });
            });
            let status = store.reader().certificate_status(keys[0], &sample.serial(KIND)).unwrap();
            assert!(status.is_none_or(|status| status.state == CertificateState::Revoked));
        }
    }

    fn a_feeds_cursor_moves_with_what_was_read_from_it(store) {
        assert_eq!(store.reader().feed_cursor("card-events").unwrap(), None);
        for cursor in ["", "17", "18"] {
            store.writer().write(move |tx| tx.set_feed_cursor("card-events", cursor)).unwrap();
            assert_eq!(store.reader().feed_cursor("card-events").unwrap().as_deref(), Some(cursor));
        }
        assert_eq!(store.reader().position().unwrap(), EventPosition(0));
    }
}
