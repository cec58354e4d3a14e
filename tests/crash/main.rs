//! Processes killed by SIGKILL at every point of their work: afterwards another one takes the lead and finishes, and there was
//! never an orphan, nor a holder with two certificates of a kind or, having had one, with none.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod acts;
mod child;
mod life;
mod mortal;
#[path = "../rooms/mod.rs"]
mod rooms;

use ca_core::application::ApplicationId;
use ca_core::kind::CertificateKind;
use ca_core::revocation::RevocationReason;
use ca_service::IssuanceStep;
use crl_publisher::Published;
use rooms::Rooms;
use sandbox::card::Card;
use sandbox::kind::Kind;
use schema::application::{Acceptance, ApplicationState};
use schema::certificate::{CertificateState, CertificateSummary};
use schema::{EventKind, on_each_database};

use child::Order;

const BOTH: [CertificateKind; 2] = CertificateKind::ALL;

fn kill(rooms: &Rooms<'_>, order: &Order) {
    rooms::child::kill("child::does_as_it_is_told", &rooms.outfit, order);
}

/// Another process takes over and does all that is left to do.
fn another_finishes(rooms: &Rooms<'_>) {
    let successor = rooms.successor();
    successor.issue_all();
    successor.role.apply_inbox().unwrap();
    successor.role.follow_feed().unwrap();
    successor.stand_down();
}

/// The killed process had the application in hand. Whether it is decided depends on nothing but the commit.
fn is_decided_as_committed(rooms: &Rooms<'_>, step: IssuanceStep, application: ApplicationId) {
    let committed = step == IssuanceStep::Committed;
    assert_eq!(rooms.is_issued(application), committed, "{step:?}");
    assert!(committed || rooms.state(application) == ApplicationState::Accepted, "{step:?}");
    let intents = rooms.sound().len();
    // Serial numbers are on record from the step of that name on; the certificates of a crash before the commit never come.
    let recorded = matches!(step, IssuanceStep::Recorded | IssuanceStep::Signed);
    assert_eq!(intents % 2, 0, "{step:?}");
    assert!(!recorded || intents >= 2, "{step:?}: signed without a record, or not recorded");
}

/// The application has its answer, and the same octets get the same one.
fn is_answered_once_and_for_all(rooms: &Rooms<'_>, application: ApplicationId, cms: &[u8]) {
    let ApplicationState::Issued { certificates } = rooms.state(application) else {
        panic!("not issued: {:?}", rooms.state(application));
    };
    assert_eq!(certificates.iter().map(|certificate| certificate.kind).collect::<Vec<_>>(), BOTH);
    let position = rooms.reader.position().unwrap();
    assert_eq!(rooms.ra.submit(cms), Ok(Acceptance::Existing(application)));
    assert_eq!(rooms.successor_finds_nothing_to_do(), position);
    assert_eq!(rooms.state(application), ApplicationState::Issued { certificates });
}

impl Rooms<'_> {
    fn successor_finds_nothing_to_do(&self) -> schema::EventPosition {
        let successor = self.successor();
        assert_eq!(successor.issue_all().taken, 0);
        successor.stand_down();
        self.reader.position().unwrap()
    }
}

fn were_superseded_once(rooms: &Rooms<'_>, old: &[CertificateSummary]) {
    for certificate in old {
        let detail = rooms.reader.certificate_detail(Some(certificate.kind), &certificate.serial).unwrap().unwrap();
        assert_eq!(detail.summary.state, CertificateState::Revoked);
        assert_eq!(detail.summary.revocation.unwrap().reason, RevocationReason::Superseded);
        let endings = detail.events.iter().filter(|event| event.kind == EventKind::CertificateRevoked).count();
        assert_eq!(endings, 1);
    }
}

fn first_certificates_survive(rooms: &Rooms<'_>, step: IssuanceStep) -> Card {
    let card = rooms.card();
    let (application, cms) = rooms.apply(&card);
    kill(rooms, &Order::Issue { step: step.as_str().to_owned() });
    is_decided_as_committed(rooms, step, application);
    assert_eq!(rooms.live(&card).len(), if step == IssuanceStep::Committed { 2 } else { 0 }, "{step:?}");

    another_finishes(rooms);
    assert_eq!(rooms.live_kinds(&card), BOTH, "{step:?}");
    assert_eq!(rooms.certificates(&card).len(), 2, "{step:?}: a certificate too many");
    is_answered_once_and_for_all(rooms, application, &cms);
    rooms.sound();
    card
}

fn a_second_phones_certificates_take_the_place_of_the_first(rooms: &Rooms<'_>, step: IssuanceStep, card: &Card) {
    let old = rooms.live(card);
    let (application, cms) = rooms.apply(card);
    kill(rooms, &Order::Issue { step: step.as_str().to_owned() });
    is_decided_as_committed(rooms, step, application);
    // At no moment without, at no moment with two.
    assert_eq!(rooms.live_kinds(card), BOTH, "{step:?}");
    assert_eq!(rooms.live(card) == old, step != IssuanceStep::Committed, "{step:?}");

    another_finishes(rooms);
    assert_eq!(rooms.live_kinds(card), BOTH, "{step:?}");
    assert_eq!(rooms.certificates(card).len(), 4, "{step:?}: a certificate too many");
    were_superseded_once(rooms, &old);
    is_answered_once_and_for_all(rooms, application, &cms);
    rooms.sound();
}

on_each_database! {
    fn a_ca_killed_at_any_step_of_an_issuance_leaves_neither_orphans_nor_a_holder_with_two_or_none(store) {
        let rooms = Rooms::furnish(store);
        for step in IssuanceStep::ALL {
            let card = first_certificates_survive(&rooms, step);
            a_second_phones_certificates_take_the_place_of_the_first(&rooms, step, &card);
        }
    }

    fn a_killed_leader_keeps_the_lead_until_it_runs_out_and_not_longer(store) {
        let rooms = Rooms::furnish(store);
        let (application, _) = rooms.apply(&rooms.card());
        kill(&rooms, &Order::Issue { step: IssuanceStep::Recorded.as_str().to_owned() });
        let waiting = rooms.ca("waiting");
        assert!(!waiting.role.lead().unwrap(), "two lead at once");
        assert!(waiting.role.issue_batch().is_err());
        assert_eq!(rooms.state(application), ApplicationState::Accepted);
        waiting.clock.set_ahead(20);
        assert!(waiting.role.lead().unwrap());
        assert_eq!(waiting.issue_all().issued, 1);
        // The two serial numbers of the killed process are lost, and nothing else.
        assert_eq!(rooms.sound().len(), 2);
    }

    fn an_ra_killed_around_its_commit_has_accepted_all_of_an_application_or_nothing(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let cms = rooms.application(&card, sandbox::phone::Replaces::Any).cms;
        kill(&rooms, &Order::Accept { cms: cms.clone(), committed: false });
        assert!(rooms.reader.accepted_applications(10).unwrap().is_empty());
        rooms.sound();
        kill(&rooms, &Order::Accept { cms: cms.clone(), committed: true });
        let waiting = rooms.reader.accepted_applications(10).unwrap();
        assert_eq!(waiting.len(), 1);
        // The phone never had an answer, and sends the same again.
        assert_eq!(rooms.ra.submit(&cms), Ok(Acceptance::Existing(waiting[0].id)));
        another_finishes(&rooms);
        assert_eq!(rooms.live_kinds(&card), BOTH);
        is_answered_once_and_for_all(&rooms, waiting[0].id, &cms);
        rooms.sound();
    }

    fn a_ca_killed_during_the_cascade_revokes_everything_once_in_the_end(store) {
        let rooms = Rooms::furnish(store);
        let orders = [Order::CascadeFetched, Order::CascadeUncommitted, Order::CascadeCursorBehind];
        for order in orders {
            let card = rooms.card();
            rooms.apply(&card);
            another_finishes(&rooms);
            rooms.revoke_card(&card, &Kind::ALL);
            kill(&rooms, &order);
            rooms.sound();
            let committed = matches!(order, Order::CascadeCursorBehind);
            assert_eq!(rooms.live(&card).len(), if committed { 0 } else { 2 }, "{order:?}");

            another_finishes(&rooms);
            assert!(rooms.live(&card).is_empty(), "{order:?}");
            for certificate in rooms.certificates(&card) {
                assert_eq!(certificate.revocation.unwrap().reason, RevocationReason::AffiliationChanged, "{order:?}");
            }
            let position = rooms.reader.position().unwrap();
            another_finishes(&rooms);
            assert_eq!(rooms.reader.position().unwrap(), position, "{order:?}: what is done was done again");
            rooms.sound();
        }
    }

    fn a_publisher_killed_between_a_crls_number_and_its_publication_leaves_a_gap_and_no_repetition(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        rooms.apply(&card);
        let leader = rooms.successor();
        leader.issue_all();
        let publish = |ca: &rooms::Ca| -> Vec<Published> {
            ca.publisher().run_once(Some(&ca.lease())).unwrap().into_iter().map(Result::unwrap).collect()
        };
        assert_eq!(publish(&leader).iter().map(|one| one.list.number).collect::<Vec<_>>(), [1, 1]);
        rooms.revoke_card(&card, &Kind::ALL);
        assert_eq!(leader.role.follow_feed().unwrap(), 2);
        leader.stand_down();

        kill(&rooms, &Order::Publish);
        let keys: Vec<_> = rooms.reader.ca_keys().unwrap().iter().map(|key| key.id()).collect();
        assert_eq!(rooms.reader.latest_crl_number(keys[0]).unwrap(), Some(1), "a list was published before it was signed");
        rooms.sound();

        let successor = rooms.successor();
        // The killed process had taken number 2 of the first key; the list lacks nothing for it.
        let published = publish(&successor);
        assert_eq!(published.iter().map(|one| (one.list.ca_key, one.list.number)).collect::<Vec<_>>(), [(keys[0], 3), (keys[1], 2)]);
        for (key, number) in [(keys[0], 3), (keys[1], 2)] {
            let stored = rooms.reader.latest_crl_in(key, 0).unwrap().unwrap();
            assert_eq!((stored.number, stored.entries), (number, 1));
            assert_eq!(rooms.reader.crl_in(key, 0, number - 1).unwrap().is_some(), number == 2, "a list of a number never published");
        }
        rooms.sound();
    }
}
