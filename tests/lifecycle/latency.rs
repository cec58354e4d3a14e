//! How long revocations take to be told: followed by asking whoever tells them.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ca_core::issuer::CaKey;
use ca_core::ocsp::{StatusWitness, ToldStatus, WitnessFault};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use chrono::{TimeDelta, Utc};
use policies::LifecyclePolicy;
use sandbox::operator::{OperatorAction, Target};
use sandbox::reason::Reason;
use schema::latency::{LatencyMinute, LatencyStage};
use schema::on_each_database;

use crate::instructions::{hold, lift};
use crate::rooms::{Ca, CaWish, Rooms};

/// Tells what a test lets it tell.
#[derive(Default)]
struct Teller {
    /// What it says is revoked, for this reason.
    revoked: Mutex<Vec<(SerialNumber, RevocationReason)>>,
    /// While there is one, it answers nothing else.
    fault: Mutex<Option<WitnessFault>>,
    asked: AtomicUsize,
    most: AtomicUsize,
}

impl StatusWitness for Teller {
    fn told(&self, _: &CaKey, serials: &[SerialNumber]) -> Result<Vec<ToldStatus>, WitnessFault> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.most.fetch_max(serials.len(), Ordering::Relaxed);
        if let Some(fault) = self.fault.lock().unwrap().clone() {
            return Err(fault);
        }
        let revoked = self.revoked.lock().unwrap();
        let told = |serial: &SerialNumber| match revoked.iter().find(|(known, _)| known == serial) {
            Some((_, reason)) => ToldStatus::Revoked(Revocation::new(Utc::now(), *reason)),
            None => ToldStatus::Good,
        };
        Ok(serials.iter().map(told).collect())
    }
}

impl Teller {
    fn reveal(&self, rooms: &Rooms<'_>, reason: RevocationReason) {
        let (changes, _) = rooms.reader.status_changes_after(schema::EventPosition(0), 1_000).unwrap();
        let serials: HashSet<SerialNumber> = changes.into_iter().map(|change| change.serial).collect();
        *self.revoked.lock().unwrap() = serials.into_iter().map(|serial| (serial, reason)).collect();
    }
}

fn watching(rooms: &Rooms<'_>, name: &str, teller: &Arc<Teller>) -> Ca {
    let lifecycle = Arc::new(LifecyclePolicy::derived_piv().unwrap());
    let witness: Arc<dyn StatusWitness> = Arc::clone(teller) as _;
    let ca = rooms.outfit.ca(CaWish { witness: Some(witness), lifecycle, ..CaWish::named(name) }).leading();
    ca.role.follow_latency().unwrap();
    ca
}

fn history(rooms: &Rooms<'_>) -> Vec<LatencyMinute> {
    let now = Utc::now();
    rooms.reader.latency_history(LatencyStage::Ocsp, now - TimeDelta::days(1), now + TimeDelta::days(1)).unwrap()
}

fn counted(rooms: &Rooms<'_>) -> (u64, u64) {
    history(rooms).iter().fold((0, 0), |(count, lost), minute| (count + minute.count, lost + minute.lost))
}

fn revoke(target: Target) -> OperatorAction {
    OperatorAction::Revoke { target, reason: Reason::KeyCompromise, invalid_since: None, ticket: "seen for sale".to_owned() }
}

on_each_database! {
    fn a_revocation_counts_when_it_is_told_and_once_whoever_leads(store) {
        let rooms = Rooms::furnish(store);
        let teller = Arc::new(Teller::default());
        let ca = watching(&rooms, "one", &teller);
        let phone = rooms.phone(&ca, &rooms.card());
        rooms.instruct(&rooms.operators.operator("alice", "administrator"), &revoke(Target::device(&phone.device)));
        ca.role.take_instructions().unwrap();
        for _ in 0..5 {
            ca.role.follow_latency().unwrap();
        }
        assert!(teller.asked.load(Ordering::Relaxed) > 0);
        assert_eq!(counted(&rooms), (0, 0), "it is told as good");
        ca.clock.set_ahead(3);
        teller.reveal(&rooms, RevocationReason::KeyCompromise);
        ca.role.follow_latency().unwrap();
        assert_eq!(counted(&rooms), (2, 0));
        let longest = history(&rooms).iter().map(|minute| minute.max_milliseconds).max().unwrap();
        assert!((3_000..10_000).contains(&longest), "{longest}");
        ca.stand_down();
        let next = watching(&rooms, "two", &teller);
        while next.role.follow_latency().unwrap() > 0 {}
        assert_eq!(counted(&rooms), (2, 0), "the cursor moved with the measurement");
    }

    fn of_what_was_held_only_the_revocation_is_news_and_a_hold_that_was_lifted_is_forgotten(store) {
        let rooms = Rooms::furnish(store);
        let teller = Arc::new(Teller::default());
        let ca = watching(&rooms, "one", &teller);
        let phone = rooms.phone(&ca, &rooms.card());
        let (desk, boss) = (rooms.operators.operator("bob", "call-centre"), rooms.operators.operator("alice", "administrator"));
        rooms.instruct(&desk, &hold(Target::device(&phone.device)));
        ca.role.take_instructions().unwrap();
        teller.reveal(&rooms, RevocationReason::CertificateHold);
        ca.role.follow_latency().unwrap();
        assert_eq!(counted(&rooms), (2, 0));
        rooms.instruct(&boss, &revoke(Target::device(&phone.device)));
        ca.role.take_instructions().unwrap();
        ca.role.follow_latency().unwrap();
        assert_eq!(counted(&rooms), (2, 0), "it is told as held still");
        teller.reveal(&rooms, RevocationReason::KeyCompromise);
        ca.clock.set_ahead(1);
        ca.role.follow_latency().unwrap();
        assert_eq!(counted(&rooms), (4, 0));

        let other = rooms.phone(&ca, &rooms.card());
        rooms.instruct(&desk, &hold(Target::device(&other.device)));
        ca.role.take_instructions().unwrap();
        ca.role.follow_latency().unwrap();
        rooms.instruct(&desk, &lift(Target::device(&other.device), sandbox::operator::HoldCause::PhoneLost));
        ca.role.take_instructions().unwrap();
        ca.clock.set_ahead(5);
        ca.role.follow_latency().unwrap();
        assert_eq!(ca.role.follow_latency().unwrap(), 0, "nothing is open");
        assert_eq!(counted(&rooms), (4, 0));
    }

    fn what_is_not_told_in_a_minute_is_lost_whether_good_is_said_or_nothing(store) {
        let rooms = Rooms::furnish(store);
        let teller = Arc::new(Teller::default());
        let ca = watching(&rooms, "one", &teller);
        let boss = rooms.operators.operator("alice", "administrator");
        let mut ahead = 0;
        for fault in [None, Some(WitnessFault::Unreachable("nobody is there".to_owned()))] {
            *teller.fault.lock().unwrap() = fault;
            let phone = rooms.phone(&ca, &rooms.card());
            rooms.instruct(&boss, &revoke(Target::device(&phone.device)));
            ca.role.take_instructions().unwrap();
            ca.role.follow_latency().unwrap();
            // So slowly that it leads all the time.
            for _ in 0..7 {
                ahead += 10;
                ca.clock.set_ahead(ahead);
                assert!(ca.role.lead().unwrap());
                ca.role.follow_latency().unwrap();
            }
            ca.role.follow_latency().unwrap();
        }
        assert_eq!(counted(&rooms), (0, 4));
    }

    fn test_certificates_are_not_followed_and_many_are_asked_about_sixteen_at_a_time(store) {
        let rooms = Rooms::furnish(store);
        let teller = Arc::new(Teller::default());
        let ca = watching(&rooms, "one", &teller);
        ca.role.renew_test_certificates().unwrap();
        while ca.role.follow_latency().unwrap() > 0 {}
        assert_eq!(teller.asked.load(Ordering::Relaxed), 0);
        let boss = rooms.operators.operator("alice", "administrator");
        for _ in 0..18 {
            let phone = rooms.phone(&ca, &rooms.card());
            rooms.instruct(&boss, &revoke(Target::device(&phone.device)));
        }
        while ca.role.take_instructions().unwrap() > 0 {}
        teller.reveal(&rooms, RevocationReason::KeyCompromise);
        while ca.role.follow_latency().unwrap() > 0 {}
        assert_eq!(counted(&rooms), (36, 0));
        assert_eq!((teller.asked.load(Ordering::Relaxed), teller.most.load(Ordering::Relaxed)), (4, 16), "18 of each kind");
    }
}
