//! Several processes of the CA: one leads, and whoever led before changes nothing any more.

use std::sync::{Arc, Mutex};

use ca_core::kind::CertificateKind;
use ca_service::{CaFault, IssuanceStep};
use sandbox::kind::Kind;
use schema::{StoreFault, on_each_database};

use crate::at_once;
use crate::rooms::{Ca, CaWish, Rooms, StepsTaken};

/// Everything a leader does, tried by one who leads no longer: nothing happens.
fn changes_nothing(rooms: &Rooms<'_>, former: &Ca) {
    let (position, beacon) = (rooms.reader.position().unwrap(), rooms.reader.latest_beacon().unwrap());
    let intents = rooms.sound();
    for (what, done) in [
        ("issues", former.role.issue_batch().map(drop)),
        ("follows the feed", former.role.follow_feed().map(drop)),
        ("applies the inbox", former.role.apply_inbox().map(drop)),
        ("reads the card CRLs", former.role.read_card_crls().map(drop)),
    ] {
        let fault = done.expect_err(what);
        assert!(matches!(fault, CaFault::Fenced | CaFault::Store(StoreFault::Fenced(_))), "{what}: {fault}");
    }
    // Its clock goes far ahead, so that a beacon would be due.
    former.clock.set_ahead(3_600);
    former.role.draw_beacon_if_due().expect_err("draws beacons");
    former.clock.set_ahead(0);
    if let Some(lease) = former.role.lease() {
        let fault = former.publisher().run_once(Some(&lease)).expect_err("publishes");
        assert!(matches!(fault, StoreFault::Fenced(_)), "publishes: {fault}");
    }
    assert_eq!(rooms.sound(), intents, "it recorded serial numbers");
    assert_eq!(rooms.reader.position().unwrap(), position);
    assert_eq!(rooms.reader.latest_beacon().unwrap(), beacon);
    assert!(rooms.reader.ca_keys().unwrap().iter().all(|key| rooms.reader.latest_crl_number(key.id()).unwrap().is_none()));
}

/// Work for every duty of a leader: an application that waits, events in the feed and in the inbox, a card CRL that tells more.
fn leave_work(rooms: &Rooms<'_>, leader: &Ca) {
    let [in_feed, in_inbox] = [rooms.card(), rooms.card()];
    for card in [&in_feed, &in_inbox] {
        rooms.apply(card);
    }
    leader.issue_all();
    rooms.revoke_card(&in_feed, &Kind::ALL);
    crate::events::push(rooms, &crate::events::revocation(&in_inbox, Kind::Signature, "pushed", 1));
    rooms.apply(&rooms.card());
}

on_each_database! {
    fn a_process_that_does_not_lead_changes_nothing(store) {
        let rooms = Rooms::furnish(store);
        let leader = rooms.ca("leader").leading();
        leave_work(&rooms, &leader);
        let waiting = rooms.ca("waiting");
        assert!(!waiting.role.lead().unwrap());
        changes_nothing(&rooms, &waiting);
    }

    fn a_leader_whose_lead_has_passed_on_changes_nothing_though_it_believes_to_lead(store) {
        let rooms = Rooms::furnish(store);
        let former = rooms.ca("former").leading();
        leave_work(&rooms, &former);
        let leader = rooms.successor();
        assert!(former.role.leads(), "it has no way to know");
        changes_nothing(&rooms, &former);
        assert!(!former.role.lead().unwrap());
        assert_eq!(leader.issue_all().issued, 1);
        assert_eq!(leader.role.follow_feed().unwrap(), 2);
        assert_eq!(leader.role.apply_inbox().unwrap(), 1);
        rooms.sound();
    }

    fn a_leader_that_is_overtaken_between_signing_and_committing_throws_its_certificates_away(store) {
        let rooms = Rooms::furnish(store);
        let card = rooms.card();
        let (application, _) = rooms.apply(&card);
        let successor: Arc<Mutex<Option<Ca>>> = Arc::default();
        let steps = {
            let (outfit, successor) = (rooms.outfit.clone(), Arc::clone(&successor));
            StepsTaken(move |step: IssuanceStep| {
                if step == IssuanceStep::Signed {
                    let ca = outfit.ca(CaWish { ahead_seconds: 20, ..CaWish::named("successor") }).leading();
                    assert_eq!(ca.issue_all().issued, 1);
                    *successor.lock().unwrap() = Some(ca);
                }
            })
        };
        let slow = rooms.outfit.ca(CaWish { steps: Arc::new(steps), ..CaWish::named("slow") }).leading();
        let fault = slow.role.issue_batch().unwrap_err();
        assert!(matches!(fault, CaFault::Store(StoreFault::Fenced(_))), "{fault}");
        assert!(successor.lock().unwrap().is_some());

        assert!(rooms.is_issued(application));
        assert_eq!(rooms.live_kinds(&card), CertificateKind::ALL);
        assert_eq!(rooms.certificates(&card).len(), 2);
        assert_eq!(rooms.sound().len(), 2, "the slow one's serial numbers stay unused");
    }

    fn of_many_that_reach_for_the_lead_at_once_one_gets_it(store) {
        let rooms = Rooms::furnish(store);
        let candidates: Vec<Ca> = (0..6).map(|number| rooms.ca(&format!("candidate {number}"))).collect();
        for round in 0..3 {
            for candidate in &candidates {
                candidate.clock.set_ahead(20 * round);
            }
            let (application, _) = rooms.apply(&rooms.card());
            let leads = at_once(candidates.len(), |number| candidates[number].role.lead().unwrap());
            assert_eq!(leads.iter().filter(|leads| **leads).count(), 1, "round {round}");
            for (candidate, _) in candidates.iter().zip(&leads).filter(|(_, leads)| !**leads) {
                assert!(candidate.role.issue_batch().is_err(), "round {round}");
            }
            let leader = leads.iter().position(|leads| *leads).unwrap();
            assert_eq!(candidates[leader].issue_all().issued, 1);
            assert!(rooms.is_issued(application), "round {round}");
            rooms.sound();
        }
    }
}
