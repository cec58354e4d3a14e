//! What happens to cards, over whatever channel it is heard.

use ca_core::lifecycle::CardChange;
use chrono::Utc;
use sandbox::back_office::{BatchOrder, CardEventType, CardOrder, EventScope, Faults, OrderDetail};
use sandbox::card::Card;
use sandbox::kind::Kind;
use sandbox::reason::Reason;
use schema::card_event::{CardEvent, CardEventSource};
use schema::certificate::CertificateState;
use schema::channel::Channel;
use schema::on_each_database;

use crate::rooms::Rooms;

fn order(rooms: &Rooms<'_>, card: &Card, order: CardOrder) {
    rooms.back_office.order(card.card_id.as_ref().unwrap(), order, &OrderDetail { pooled_keys: true, ..OrderDetail::default() }).unwrap();
}

fn states(rooms: &Rooms<'_>, card: &Card) -> Vec<CertificateState> {
    rooms.certificates(card).iter().map(|certificate| certificate.state).collect()
}

const LIVE: CertificateState = CertificateState::Live;
const HELD: CertificateState = CertificateState::Held;
const REVOKED: CertificateState = CertificateState::Revoked;

on_each_database! {
    fn each_change_of_a_card_reaches_the_phone_as_jpki_says(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        for (change, expected) in [
            (CardOrder::Hold, [HELD, HELD]),
            (CardOrder::Renew, [REVOKED, REVOKED]),
            (CardOrder::Expire, [LIVE, LIVE]),
            (CardOrder::RecordChange, [REVOKED, LIVE]),
            (CardOrder::Death, [REVOKED, REVOKED]),
            (CardOrder::Emigration, [REVOKED, REVOKED]),
            (CardOrder::RecordError, [REVOKED, REVOKED]),
            (CardOrder::Transfer, [REVOKED, REVOKED]),
        ] {
            let card = rooms.card();
            rooms.phone(&ca, &card);
            order(&rooms, &card, change);
            ca.role.follow_feed().unwrap();
            assert_eq!(states(&rooms, &card), expected, "{change}");
        }
        rooms.sound();
    }

    fn while_a_card_is_held_nothing_is_issued_on_it(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        // Accepted before the hold, decided after it.
        let (application, _) = rooms.apply(&card);
        order(&rooms, &card, CardOrder::Hold);
        ca.role.follow_feed().unwrap();
        ca.issue_all();
        assert_eq!(rooms.refusal(application), "card_held");
        rooms.sound();
    }

    fn the_comparison_finds_what_feed_and_push_have_lost(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let cards = [rooms.card(), rooms.card(), rooms.card()];
        for card in &cards {
            rooms.phone(&ca, card);
        }
        rooms.back_office.set_faults(Faults { drop_from_both: 100, ..Faults::default() }).unwrap();
        order(&rooms, &cards[0], CardOrder::Hold);
        order(&rooms, &cards[1], CardOrder::Death);
        ca.role.follow_feed().unwrap();
        assert!(cards.iter().all(|card| states(&rooms, card) == [LIVE, LIVE]), "no event was told");
        assert_eq!(ca.role.compare_cards().unwrap(), 4);
        assert_eq!(states(&rooms, &cards[0]), [HELD, HELD]);
        assert_eq!(states(&rooms, &cards[1]), [REVOKED, REVOKED]);
        assert_eq!(states(&rooms, &cards[2]), [LIVE, LIVE]);
        assert_eq!(ca.role.compare_cards().unwrap(), 0);
        rooms.sound();
    }

    fn the_second_look_comes_a_week_later_and_once(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        rooms.phone(&ca, &card);
        rooms.back_office.set_faults(Faults { drop_from_both: 100, ..Faults::default() }).unwrap();
        order(&rooms, &card, CardOrder::RecordError);
        assert_eq!(ca.role.take_second_looks().unwrap(), 0);
        ca.clock.set_ahead(8 * 86_400);
        assert_eq!(ca.role.take_second_looks().unwrap(), 2);
        assert_eq!(states(&rooms, &card), [REVOKED, REVOKED]);
        assert_eq!(ca.role.take_second_looks().unwrap(), 0);
        rooms.sound();
    }

    fn an_event_that_nobody_understands_does_not_stop_those_after_it(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let [card, other] = [rooms.card(), rooms.card()];
        for card in [&card, &other] {
            rooms.phone(&ca, card);
        }
        rooms.back_office.set_faults(Faults { misname: 2, ..Faults::default() }).unwrap();
        order(&rooms, &card, CardOrder::Death);
        order(&rooms, &other, CardOrder::Death);
        ca.role.follow_feed().unwrap();
        assert_eq!(states(&rooms, &card), [LIVE, LIVE]);
        assert_eq!(states(&rooms, &other), [REVOKED, REVOKED]);
        assert_eq!(ca.role.read_card_crls().unwrap(), 2, "the card CRL tells what the feed did not");
        assert_eq!(states(&rooms, &card), [REVOKED, REVOKED]);
        rooms.sound();
    }

    fn one_event_for_a_municipality_reaches_each_of_its_cards_and_no_others(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let cards = [rooms.card(), rooms.card()];
        for card in &cards {
            rooms.phone(&ca, card);
        }
        let whole = rooms.back_office.scope(cards[0].card_id.as_ref().unwrap(), Kind::Signature).unwrap();
        let scope = EventScope { distribution_point_sha256: None, ..whole };
        let batch = BatchOrder { scope, event_type: CardEventType::Revoked, reason: Some(Reason::CaCompromise), at: None };
        rooms.back_office.order_batch(&batch).unwrap();
        ca.role.follow_feed().unwrap();
        // Applications wait for nobody: while the batch runs, none is issued on its cards.
        let (application, _) = rooms.apply(&rooms.card());
        ca.issue_all();
        assert_eq!(rooms.refusal(application), "card_revoked");
        while ca.role.advance_batches().unwrap() > 0 {}
        for card in &cards {
            assert_eq!(states(&rooms, card), [REVOKED, LIVE]);
        }
        ca.role.follow_feed().unwrap();
        assert_eq!(ca.role.advance_batches().unwrap(), 0, "the same batch runs twice");
        rooms.sound();
    }

    fn what_the_ra_puts_into_the_inbox_releases_nothing_however_it_is_marked(store) {
        let rooms = Rooms::furnish(store);
        let ca = crate::instructions::lifting(&rooms);
        let card = rooms.card();
        rooms.phone(&ca, &card);
        let identity = ca_core::card::certificate::UnverifiedCardCertificate::parse(&card.signature.certificate).unwrap();
        let identity = identity.identity().clone();
        let event = |event_id: &str, change, source| CardEvent {
            event_id: event_id.to_owned(),
            issuer_key_id: identity.issuer_key_id.clone(),
            serial: identity.serial.clone(),
            sequence: i64::MAX,
            change,
            source,
        };
        let at = Utc::now();
        for event in [
            event("held", CardChange::Held { at }, CardEventSource::Push),
            event("released", CardChange::Released { at }, CardEventSource::Feed),
        ] {
            store.writer().write(move |tx| tx.receive_card_event(&event, at)).unwrap();
            ca.role.apply_inbox().unwrap();
        }
        let record = rooms.reader.card_record(&identity.issuer_key_id, &identity.serial).unwrap().unwrap();
        assert!(matches!(record.standing, schema::card::CardStanding::Held { .. }), "{record:?}");
    }

    fn stale_evidence_refuses_issuance_until_it_is_fresh_again(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        ca.clock.set_ahead(3_700);
        ca.role.draw_beacon_if_due().unwrap();
        let waiting = || smuggle(&rooms);
        let first = waiting();
        assert_eq!(ca.role.evidence_is_stale().unwrap(), Some(Channel::Feed));
        assert_eq!(ca.role.issue_batch().unwrap().taken, 0, "refused before fresh evidence could come");
        ca.clock.set_ahead(3_720);
        ca.issue_all();
        assert_eq!(rooms.refusal(first), "card_evidence_stale");
        ca.role.follow_feed().unwrap();
        assert_eq!(ca.role.evidence_is_stale().unwrap(), None);
        let second = waiting();
        ca.issue_all();
        assert_ne!(rooms.refusal(second), "card_evidence_stale", "its card's status is too old by that clock, and nothing else");
    }
}

/// An application on the newest beacon, as a process of the RA stores it whose clock is right.
fn smuggle(rooms: &Rooms<'_>) -> ca_core::application::ApplicationId {
    use schema::application::{Acceptance, NewApplication};

    let card = rooms.card();
    let cms = rooms.application(&card, sandbox::phone::Replaces::Any).cms;
    let evidence = rooms.ra.evidence_for(&cms);
    let mut challenge = [0; 48];
    challenge[..32].copy_from_slice(ca_core::digest::Sha256Digest::of(&cms).as_bytes());
    let new = NewApplication::from_parts(cms, challenge, evidence, ca_core::digest::Sha256Digest::of(b"ticket"));
    match rooms.store.writer().write(move |tx| tx.accept_application(&new, Utc::now())).unwrap() {
        Acceptance::Accepted(id) | Acceptance::Existing(id) => id,
    }
}
