//! Card events that lie, and what they cannot do: swallow a true one, or put it off.

use ca_core::card::identity::KeyIdentifier;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::Utc;
use sandbox::card::{Card, CardSide};
use sandbox::kind::Kind;
use schema::card_event::{CardChange, CardEvent, CardEventSource, Receipt};
use schema::fault::FaultClass;
use schema::{StoreFault, on_each_database};

use crate::rooms::Rooms;

/// The event of the revocation of a card's certificate of a kind, as anybody may make it up.
pub(crate) fn revocation(card: &Card, kind: Kind, event_id: &str, sequence: i64) -> CardEvent {
    let (issuer_key_id, serial) = identity(side(card, kind));
    CardEvent {
        event_id: event_id.to_owned(),
        issuer_key_id,
        serial,
        sequence,
        change: CardChange::Revoked { reason: RevocationReason::Superseded, at: Utc::now() },
        source: CardEventSource::Push,
    }
}

/// As the RA puts it into the inbox.
pub(crate) fn push(rooms: &Rooms<'_>, event: &CardEvent) -> Receipt {
    let (event, now) = (event.clone(), Utc::now());
    rooms.store.writer().write(move |tx| tx.receive_card_event(&event, now)).unwrap()
}

pub(crate) fn side(card: &Card, kind: Kind) -> &CardSide {
    match kind {
        Kind::Signature => &card.signature,
        Kind::Authentication => card.authentication.as_ref().unwrap(),
    }
}

/// Issuer's key identifier and serial number of a card certificate.
pub(crate) fn identity(side: &CardSide) -> (KeyIdentifier, SerialNumber) {
    let certificate = ca_core::card::certificate::UnverifiedCardCertificate::parse(&side.certificate).unwrap();
    let identity = certificate.identity();
    (identity.issuer_key_id.clone(), identity.serial.clone())
}

on_each_database! {
    fn a_forged_event_under_a_true_ones_id_does_not_swallow_it(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let [card, other] = [rooms.card(), rooms.card()];
        for card in [&card, &other] {
            rooms.apply(card);
        }
        ca.issue_all();
        let events = rooms.revoke_card(&card, &Kind::ALL);
        // The RA has learnt the ids, and stores them for a card that nobody has; applied or not, before the truth or after.
        for (number, event) in events.iter().enumerate() {
            let mut forged = revocation(&other, Kind::Signature, &event.event_id, i64::MAX);
            forged.serial = SerialNumber::from_magnitude(&[0x7f, 0xff, 0xff, 0xfe]).unwrap();
            assert_eq!(push(&rooms, &forged), Receipt::New);
            if number == 0 {
                assert_eq!(ca.role.apply_inbox().unwrap(), 1);
            }
            assert_eq!(push(&rooms, &revocation(&card, Kind::Signature, &event.event_id, 1)), Receipt::Known);
        }
        assert_eq!(rooms.live(&card).len(), 2, "the inbox has kept the truth out, for now");
        assert_eq!(ca.role.follow_feed().unwrap(), 2);
        assert!(rooms.live(&card).is_empty());
        assert_eq!(rooms.live(&other).len(), 2);
        // The one that was not applied is worked off as well, and nothing is stuck.
        assert_eq!(ca.role.apply_inbox().unwrap(), 1);
        assert_eq!(ca.role.apply_inbox().unwrap(), 0);
        rooms.sound();
    }

    fn the_card_crl_tells_what_push_and_feed_do_not(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        rooms.apply(&card);
        ca.issue_all();
        for event in rooms.revoke_card(&card, &Kind::ALL) {
            push(&rooms, &CardEvent { serial: SerialNumber::from_magnitude(&[1]).unwrap(), ..revocation(&card, Kind::Signature, &event.event_id, 9) });
        }
        assert_eq!(ca.role.read_card_crls().unwrap(), 2);
        assert!(rooms.live(&card).is_empty());
        assert_eq!(ca.role.read_card_crls().unwrap(), 0);
        rooms.sound();
    }

    fn a_huge_sequence_number_puts_off_nothing(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        rooms.apply(&card);
        ca.issue_all();
        // For one half of the card only, and it brings that revocation forward: the other half's true events still count.
        push(&rooms, &revocation(&card, Kind::Signature, "forged", i64::MAX));
        assert_eq!(ca.role.apply_inbox().unwrap(), 1);
        assert_eq!(rooms.live(&card).iter().map(|certificate| certificate.kind.as_str()).collect::<Vec<_>>(), ["authentication"]);
        let first = rooms.certificates(&card)[0].revocation;
        rooms.revoke_card(&card, &Kind::ALL);
        assert_eq!(ca.role.follow_feed().unwrap(), 2);
        assert!(rooms.live(&card).is_empty());
        assert_eq!(rooms.certificates(&card)[0].revocation, first, "a revocation changed after it was made");
        rooms.sound();
    }

    fn the_inbox_takes_nothing_that_could_not_be_read_back_and_applied(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let octets = |hex: &str| if store.is_postgres() { format!("'\\x{hex}'") } else { format!("x'{hex}'") };
        let insert = |id: &str, key: &str, serial: &str, reason: i32, at: i64| {
            let (key, serial) = (octets(key), octets(serial));
            store.execute(&format!(
                "INSERT INTO card_event_inbox (event_id, issuer_key_id, serial, sequence, change, reason, occurred_at, source, received_at) \
                 VALUES ('{id}', {key}, {serial}, 1, 1, {reason}, {at}, 1, 0)"
            ))
        };
        insert("in order", "aa", "7f01", 4, 1_000).unwrap();
        insert("zero", "aa", "00", 4, 1_000).unwrap();
        let (negative, long) = ("ff".repeat(20), "01".repeat(21));
        for (what, id, key, serial, reason, at) in [
            ("no id", "", "aa", "01", 4, 0),
            ("no key identifier", "a", "", "01", 4, 0),
            ("no serial number", "b", "aa", "", 4, 0),
            ("a serial number that is too long", "c", "aa", long.as_str(), 4, 0),
            ("a serial number that would be negative", "d", "aa", negative.as_str(), 4, 0),
            ("a serial number with a zero in front", "e", "aa", "0001", 4, 0),
            ("a hold", "f", "aa", "01", 6, 0),
            ("no reason that exists", "g", "aa", "01", 7, 0),
            ("a time out of all bounds", "h", "aa", "01", 4, i64::MAX),
        ] {
            let fault = insert(id, key, serial, reason, at).expect_err(what);
            assert!(matches!(fault, StoreFault::Database { class: FaultClass::Check, .. }), "{what}: {fault}");
        }
        assert_eq!(ca.role.apply_inbox().unwrap(), 2);
        assert_eq!(ca.role.apply_inbox().unwrap(), 0, "an event cannot be worked off");
    }
}
