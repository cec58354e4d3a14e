//! Applications that meet: of one holder, for one challenge, with one key.

use ca_core::kind::CertificateKind;
use ca_core::revocation::RevocationReason;
use sandbox::card::Card;
use sandbox::keys::{Key, KeyAlgorithm};
use sandbox::kind::Kind;
use sandbox::phone::Replaces;
use schema::application::{AcceptRefusal, Acceptance};
use schema::certificate::CertificateState;
use schema::{WriteError, on_each_database};

use crate::at_once;
use crate::rooms::{CaWish, Rooms};

const BOTH: [CertificateKind; 2] = CertificateKind::ALL;

/// Two or more applications of the card's holder were issued on: the certificates of one live, all others were superseded.
fn one_lives_and_the_others_were_superseded(rooms: &Rooms<'_>, card: &Card, applications: usize) {
    assert_eq!(rooms.live_kinds(card), BOTH);
    let certificates = rooms.certificates(card);
    assert_eq!(certificates.len(), 2 * applications);
    for certificate in certificates.iter().filter(|certificate| certificate.state != CertificateState::Live) {
        assert_eq!(certificate.revocation.unwrap().reason, RevocationReason::Superseded);
    }
    // The two that live came by the same application: no half of a phone was left behind.
    let live = rooms.live(card);
    let of = |place: usize| rooms.reader.certificate_detail(Some(live[place].kind), &live[place].serial).unwrap().unwrap().application;
    assert_eq!(of(0), of(1));
    rooms.sound();
}

on_each_database! {
    fn of_applications_of_one_holder_in_one_batch_one_ends_live_and_the_others_superseded(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let other_card = rooms.card_of_same_holder(&card);
        let applications = [&card, &other_card, &card].map(|card| rooms.apply(card).0);
        let ca = rooms.ca("one").leading();
        assert_eq!(ca.issue_all().issued, 3);
        assert!(applications.iter().all(|application| rooms.is_issued(*application)));
        one_lives_and_the_others_were_superseded(&rooms, &card, 3);
    }

    fn of_applications_of_one_holder_accepted_and_issued_by_many_threads_one_ends_live(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let ca = rooms.outfit.ca(CaWish { batch: 1, ..CaWish::named("one") }).leading();
        for round in 1..=3 {
            let messages: Vec<_> = (0..4).map(|_| rooms.application(&card, Replaces::Any).cms).collect();
            let accepted = at_once(4, |thread| {
                let application = rooms.ra.accept(&messages[thread]);
                ca.issue_all();
                application
            });
            ca.issue_all();
            assert!(accepted.iter().all(|application| rooms.is_issued(*application)), "round {round}");
            one_lives_and_the_others_were_superseded(&rooms, &card, 4 * round);
        }
    }

    fn of_two_first_applications_that_end_nothing_one_is_issued_and_the_other_refused(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.outfit.ca(CaWish { batch: 1, ..CaWish::named("one") }).leading();
        for _ in 0..3 {
            let card = rooms.card();
            let applications = [(); 2].map(|()| rooms.ra.accept(&rooms.application(&card, Replaces::None).cms));
            at_once(2, |_| ca.issue_all());
            let issued = applications.iter().filter(|application| rooms.is_issued(**application)).count();
            assert_eq!(issued, 1);
            for application in applications.into_iter().filter(|application| !rooms.is_issued(*application)) {
                assert_eq!(rooms.refusal(application), "holder_has_live_certificate");
            }
            assert_eq!(rooms.live_kinds(&card), BOTH);
            rooms.sound();
        }
    }

    fn a_challenge_answered_by_several_applications_at_once_serves_one(store) {
        let rooms = Rooms::furnish(store);
        let ras: Vec<_> = (0..6).map(|_| rooms.outfit.ra()).collect();
        let ca = rooms.ca("one").leading();
        for _ in 0..3 {
            let challenge = rooms.ra.challenge().to_base64();
            let messages: Vec<_> = (0..6)
                .map(|_| {
                    let keys = [(); 2].map(|()| Key::generate(KeyAlgorithm::P256).unwrap());
                    rooms.application_with(&rooms.card(), &challenge, &[(Kind::Signature, &keys[0]), (Kind::Authentication, &keys[1])])
                })
                .collect();
            let mut accepted = 0;
            for answer in at_once(6, |thread| ras[thread].submit(&messages[thread])) {
                match answer {
                    Ok(Acceptance::Accepted(_)) => accepted += 1,
                    other => assert_eq!(other, Err(WriteError::Refused(AcceptRefusal::ChallengeSpent))),
                }
            }
            assert_eq!(accepted, 1);
            let outcome = ca.issue_all();
            assert_eq!((outcome.issued, outcome.refused), (1, 0));
            // The same answer when there is no race any more, and for the one that was first.
            let later: Vec<_> = messages.iter().map(|cms| rooms.ra.submit(cms).is_ok()).collect();
            assert_eq!(later.iter().filter(|known| **known).count(), 1);
            rooms.sound();
        }
    }

    fn the_same_octets_from_eight_at_once_are_one_application(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let cms = rooms.application(&card, Replaces::Any).cms;
        let ras: Vec<_> = (0..8).map(|_| rooms.outfit.ra()).collect();
        let ca = rooms.outfit.ca(CaWish { batch: 1, ..CaWish::named("one") }).leading();
        let answers = at_once(8, |thread| {
            let answer = ras[thread].submit(&cms).unwrap();
            ca.issue_all();
            answer
        });
        let new: Vec<_> = answers.iter().filter(|answer| matches!(answer, Acceptance::Accepted(_))).collect();
        assert_eq!(new.len(), 1, "{answers:?}");
        let Acceptance::Accepted(application) = *new[0] else { unreachable!() };
        assert!(answers.iter().all(|answer| matches!(answer, Acceptance::Accepted(id) | Acceptance::Existing(id) if *id == application)));
        ca.issue_all();
        assert!(rooms.is_issued(application));
        one_lives_and_the_others_were_superseded(&rooms, &card, 1);
    }

    fn a_key_that_two_holders_ask_for_at_once_is_certified_for_one(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.outfit.ca(CaWish { batch: 1, ..CaWish::named("one") }).leading();
        for kinds in [[Kind::Signature, Kind::Signature], [Kind::Authentication, Kind::Signature]] {
            let key = Key::generate(KeyAlgorithm::P256).unwrap();
            let cards = [rooms.card(), rooms.card()];
            let applications = [0, 1].map(|place| {
                let challenge = rooms.ra.challenge().to_base64();
                rooms.ra.accept(&rooms.application_with(&cards[place], &challenge, &[(kinds[place], &key)]))
            });
            at_once(2, |_| ca.issue_all());
            let issued: Vec<_> = applications.map(|application| rooms.is_issued(application)).to_vec();
            assert_eq!(issued.iter().filter(|issued| **issued).count(), 1, "{kinds:?}");
            for place in [0, 1] {
                assert_eq!(rooms.live(&cards[place]).len(), usize::from(issued[place]));
                if !issued[place] {
                    assert_eq!(rooms.refusal(applications[place]), "key_already_certified");
                }
            }
            rooms.sound();
        }
    }

    fn a_card_revoked_between_acceptance_and_issuance_gets_nothing(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        // The half that signs counts even where nothing will hang on it.
        for (revoked, asked_for) in [
            (Kind::Signature, Kind::ALL.as_slice()),
            (Kind::Authentication, &Kind::ALL),
            (Kind::Signature, &[Kind::Authentication]),
        ] {
            let card = rooms.card();
            let cms = rooms.application_for(&card, Replaces::Any, asked_for).cms;
            let application = rooms.ra.accept(&cms);
            rooms.revoke_card(&card, &[revoked]);
            assert_eq!(ca.role.follow_feed().unwrap(), 1);
            let outcome = ca.issue_all();
            assert_eq!((outcome.issued, outcome.refused), (0, 1));
            assert_eq!(rooms.refusal(application), "card_revoked");
            assert!(rooms.certificates(&card).is_empty());
            // And the card CA tells the RA the same from now on.
            assert_eq!(rooms.ra.verify(&cms).unwrap_err(), "card_revoked");
        }
        rooms.sound();
    }

    fn an_issuance_and_the_cards_revocation_at_once_leave_nothing_live(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        for _ in 0..6 {
            let card = rooms.card();
            rooms.apply(&card);
            rooms.revoke_card(&card, &Kind::ALL);
            at_once(2, |thread| if thread == 0 { ca.issue_all().taken } else { ca.role.follow_feed().unwrap() });
            assert!(rooms.live(&card).is_empty());
            rooms.sound();
        }
    }

    fn a_new_phone_and_the_revocation_of_the_old_phones_card_at_once_end_the_old_certificate_once(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        for _ in 0..6 {
            let card = rooms.card();
            let renewed = rooms.card_of_same_holder(&card);
            rooms.apply(&card);
            ca.issue_all();
            rooms.apply(&renewed);
            rooms.revoke_card(&card, &Kind::ALL);
            at_once(2, |thread| if thread == 0 { ca.issue_all().taken } else { ca.role.follow_feed().unwrap() });
            assert_eq!(rooms.live_kinds(&card), BOTH);
            assert_eq!(rooms.certificates(&card).len(), 4);
            rooms.sound();
        }
    }
}

/// The same, held still at the worst moment: the issuance has seen the old certificate live, and waits for its row while
/// somebody else revokes it.
#[cfg(feature = "postgres")]
#[test]
fn a_revocation_that_came_first_keeps_its_reason_though_a_new_phone_was_about_to_end_the_certificate() {
    let store = schema::testing::TestDatabase::postgres();
    let rooms = Rooms::furnish(&store);
    let ca = rooms.ca("one").leading();
    let card = rooms.card();
    rooms.apply(&card);
    ca.issue_all();
    let old = rooms.live(&card);
    rooms.apply(&rooms.card_of_same_holder(&card));
    let ids = format!("{}, {}", old[0].id.0, old[1].id.0);
    let revoke = format!(
        "BEGIN; UPDATE certificate SET state = 3, reason = 1, revoked_at = 1000 WHERE id IN ({ids}); SELECT pg_sleep(3); \
         WITH counter AS (UPDATE event_counter SET position = position + 2 RETURNING position) \
         INSERT INTO event (position, at, kind, certificate_id, data) \
         SELECT counter.position - 2 + row_number() OVER (ORDER BY c.id), 1000, 'certificate.revoked', c.id, '{{}}' \
         FROM certificate AS c, counter WHERE c.id IN ({ids}); COMMIT;"
    );
    std::thread::scope(|scope| {
        scope.spawn(|| store.execute(&revoke).unwrap());
        let asleep = "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' \
                      AND datname = current_database()) THEN RAISE 'not yet'; END IF; END $$";
        while store.execute(asleep).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        ca.issue_all();
    });
    assert_eq!(rooms.live_kinds(&card), BOTH);
    for certificate in rooms.certificates(&card).into_iter().filter(|certificate| old.iter().any(|old| old.id == certificate.id)) {
        assert_eq!(certificate.revocation.unwrap().reason, RevocationReason::KeyCompromise);
    }
    rooms.sound();
}
