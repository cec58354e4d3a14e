//! The publisher over a real store.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ca_core::clock::Clock;
use ca_core::issuer::{CaKeyId, Issuer};
use ca_core::kind::CertificateKind;
use ca_core::revocation::{Revocation, RevocationReason as Reason};
use ca_core::signer::KeyType;
use chrono::{DateTime, TimeDelta, Utc};
use crl_publisher::before::read_back::ReadBack;
use crl_publisher::{AtOnce, Cause, CrlSettings, GateFault, PublishFault, Published, Publisher};
use schema::StoreFault;
use schema::lease::Lease;
use schema::testing::TestDatabase;
use support::{at, issuer, openssl_crl, serial};

#[derive(Clone)]
struct TestClock(Arc<Mutex<DateTime<Utc>>>);

impl TestClock {
    fn set(&self, text: &str) {
        *self.0.lock().unwrap() = at(text);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

struct House {
    store: TestDatabase,
    clock: TestClock,
    issuers: Vec<Issuer>,
}

const SIGNATURE: CaKeyId = CaKeyId(1);
const AUTHENTICATION: CaKeyId = CaKeyId(2);

fn house() -> House {
    let now = at("2026-03-01T12:30:00Z");
    let store = TestDatabase::sqlite();
    let issuers = vec![
        issuer(1, CertificateKind::Signature, 1, KeyType::EcdsaP256, now),
        issuer(2, CertificateKind::Authentication, 1, KeyType::EcdsaP256, now),
    ];
    for issuer in &issuers {
        store.add_ca_key(issuer.ca_key(), now);
    }
    House { store, clock: TestClock(Arc::new(Mutex::new(now))), issuers }
}

impl House {
    fn publisher(&self, settings: CrlSettings) -> Publisher {
        let database = self.store.database();
        Publisher::new(self.issuers.clone(), database.reader(), database.writer(), Arc::new(self.clock.clone()), settings).unwrap()
    }

    fn listed(&self, ca_key: CaKeyId) -> Vec<(String, Reason)> {
        let crl = self.store.reader().latest_crl(ca_key).unwrap().unwrap();
        let list = ReadBack::from_der(&crl.der).unwrap();
        let entries = list.entries().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.serial().unwrap().to_string(), entry.revocation().unwrap().reason)).collect()
    }

    fn revoke(&self, ca_key: CaKeyId, number: &str, when: &str, reason: Reason) {
        self.store.revoke(ca_key, &serial(number), Revocation::new(at(when), reason));
    }
}

fn run(publisher: &mut Publisher) -> Vec<Published> {
    publisher.run_once(None).unwrap().into_iter().map(|published| published.unwrap()).collect()
}

#[test]
fn the_first_lists_come_at_once_then_each_hour_and_the_number_rises() {
    let house = house();
    let mut publisher = house.publisher(CrlSettings::default());
    let first = run(&mut publisher);
    assert_eq!(
        first.iter().map(|one| (one.ca_key, one.number, one.cause)).collect::<Vec<_>>(),
        [(SIGNATURE, 1, Cause::First), (AUTHENTICATION, 1, Cause::First)]
    );
    assert_eq!(first[0].next_update, at("2026-03-01T19:00:00Z"));
    assert_eq!(house.listed(SIGNATURE), []);
    house.clock.set("2026-03-01T12:59:59.999Z");
    assert_eq!(run(&mut publisher), []);
    house.clock.set("2026-03-01T13:00:00.250Z");
    let regular = run(&mut publisher);
    assert_eq!(regular.iter().map(|one| (one.number, one.cause)).collect::<Vec<_>>(), [(2, Cause::Regular); 2]);
    assert_eq!(regular[0].this_update, at("2026-03-01T13:00:00Z"));
    // Another publisher, after a restart, knows what is there.
    assert_eq!(run(&mut house.publisher(CrlSettings::default())), []);
}

#[test]
fn a_revocation_is_listed_after_the_delay_for_its_key_alone_even_if_it_happened_while_nobody_looked() {
    let house = house();
    let end = at("2027-01-01T00:00:00Z");
    for number in ["0A", "8001", "FF"] {
        house.store.put_certificate(AUTHENTICATION, &serial(number), end);
    }
    house.store.put_certificate(SIGNATURE, &serial("0B"), end);
    run(&mut house.publisher(CrlSettings::default()));

    house.revoke(AUTHENTICATION, "FF", "2026-03-01T12:31:00Z", Reason::AffiliationChanged);
    house.revoke(AUTHENTICATION, "8001", "2026-03-01T12:31:00Z", Reason::CertificateHold);
    house.clock.set("2026-03-01T12:31:01Z");
    // Small pages, so that there are several.
    let mut publisher = house.publisher(CrlSettings { page_entries: 1, ..CrlSettings::default() });
    assert_eq!(publisher.due(house.clock.now()).unwrap(), []);
    house.clock.set("2026-03-01T12:31:01.200Z");
    let published = run(&mut publisher);
    assert_eq!(
        published.iter().map(|one| (one.ca_key, one.cause, one.entries)).collect::<Vec<_>>(),
        [(AUTHENTICATION, Cause::Revocation, 2)]
    );
    let expected = [("8001".to_owned(), Reason::CertificateHold), ("FF".to_owned(), Reason::AffiliationChanged)];
    assert_eq!(house.listed(AUTHENTICATION), expected);
    assert_eq!(house.listed(SIGNATURE), []);
    assert_eq!(run(&mut publisher), []);
    let crl = house.store.reader().latest_crl(AUTHENTICATION).unwrap().unwrap();
    let said = openssl_crl(&crl.der, house.issuers[1].ca_key().certificate_der());
    assert!(said.contains("Serial Number: 8001") && said.contains("Serial Number: FF"), "{said}");
}

#[test]
fn a_hold_shows_on_the_list_leaves_it_when_lifted_and_keeps_its_date_when_it_becomes_permanent() {
    let house = house();
    for number in ["0A", "0B"] {
        house.store.put_certificate(SIGNATURE, &serial(number), at("2027-01-01T00:00:00Z"));
    }
    let settings = CrlSettings { delay_milliseconds: 0, interval_seconds: 0, ..CrlSettings::default() };
    let mut publisher = house.publisher(settings);
    run(&mut publisher);
    let mut listed_after = |when: &str| {
        house.clock.set(when);
        assert_eq!(run(&mut publisher).iter().map(|one| (one.ca_key, one.cause)).collect::<Vec<_>>(), [(SIGNATURE, Cause::Revocation)]);
        let crl = house.store.reader().latest_crl(SIGNATURE).unwrap().unwrap();
        let list = ReadBack::from_der(&crl.der).unwrap();
        let entries = list.entries().map(|entry| entry.unwrap());
        entries.map(|entry| (entry.serial().unwrap(), entry.revocation().unwrap())).collect::<Vec<_>>()
    };
    let held = Revocation::new(at("2026-03-01T12:31:00Z"), Reason::CertificateHold);
    for number in ["0A", "0B"] {
        house.store.revoke(SIGNATURE, &serial(number), held);
    }
    assert_eq!(listed_after("2026-03-01T12:32:00Z"), [(serial("0A"), held), (serial("0B"), held)]);

    house.store.lift(SIGNATURE, &serial("0A"), at("2026-03-01T12:33:00Z"));
    assert_eq!(listed_after("2026-03-01T12:34:00Z"), [(serial("0B"), held)]);

    house.revoke(SIGNATURE, "0B", "2026-03-01T12:35:00Z", Reason::KeyCompromise);
    let permanent = Revocation { reason: Reason::KeyCompromise, ..held };
    assert_eq!(listed_after("2026-03-01T12:36:00Z"), [(serial("0B"), permanent)]);

    let again = Revocation { at: at("2026-03-01T12:37:00Z"), ..held };
    house.store.revoke(SIGNATURE, &serial("0A"), again);
    assert_eq!(listed_after("2026-03-01T12:38:00Z"), [(serial("0A"), again), (serial("0B"), permanent)]);
}

#[test]
fn with_urgent_only_the_others_wait_for_the_regular_list() {
    let house = house();
    let end = at("2027-01-01T00:00:00Z");
    house.store.put_certificate(SIGNATURE, &serial("0A"), end);
    house.store.put_certificate(SIGNATURE, &serial("0B"), end);
    house.store.put_certificate(SIGNATURE, &serial("0C"), end);
    let mut publisher = house.publisher(CrlSettings { at_once: AtOnce::Urgent, ..CrlSettings::default() });
    run(&mut publisher);
    house.revoke(SIGNATURE, "0A", "2026-03-01T12:31:00Z", Reason::Superseded);
    house.revoke(SIGNATURE, "0C", "2026-03-01T12:31:00Z", Reason::CertificateHold);
    publisher.due(house.clock.now()).unwrap();
    house.clock.set("2026-03-01T12:40:00Z");
    assert_eq!(run(&mut publisher), []);
    house.revoke(SIGNATURE, "0B", "2026-03-01T12:40:00Z", Reason::KeyCompromise);
    publisher.due(house.clock.now()).unwrap();
    house.clock.set("2026-03-01T12:40:01Z");
    assert_eq!(run(&mut publisher)[0].entries, 3);
}

#[test]
fn an_expired_entry_stays_for_one_regular_list_and_then_leaves() {
    let house = house();
    house.store.put_certificate(SIGNATURE, &serial("0A"), at("2026-03-01T12:45:00Z"));
    house.store.put_certificate(SIGNATURE, &serial("0B"), at("2026-03-01T13:00:00Z"));
    let mut publisher = house.publisher(CrlSettings::default());
    run(&mut publisher);
    for number in ["0A", "0B"] {
        house.revoke(SIGNATURE, number, "2026-03-01T12:40:00Z", Reason::Superseded);
    }
    let count = |publisher: &mut Publisher, when: &str| {
        publisher.due(house.clock.now()).unwrap();
        house.clock.set(when);
        run(publisher).iter().find(|one| one.ca_key == SIGNATURE).map(|one| (one.cause, one.entries))
    };
    assert_eq!(count(&mut publisher, "2026-03-01T12:41:00Z"), Some((Cause::Revocation, 2)));
    // Issued beyond the end of 0A, not beyond that of 0B: both are on it.
    assert_eq!(count(&mut publisher, "2026-03-01T13:00:00Z"), Some((Cause::Regular, 2)));
    // 0A was on a regular list after its end and may leave; 0B must be on this one.
    assert_eq!(count(&mut publisher, "2026-03-01T14:00:00Z"), Some((Cause::Regular, 1)));
    assert_eq!(house.listed(SIGNATURE), [("0B".to_owned(), Reason::Superseded)]);
    assert_eq!(count(&mut publisher, "2026-03-01T15:00:00Z"), Some((Cause::Regular, 0)));
}

#[test]
fn a_store_that_forgot_a_revocation_gets_no_list_and_the_last_one_stays() {
    let house = house();
    house.store.put_certificate(SIGNATURE, &serial("0A"), at("2027-01-01T00:00:00Z"));
    house.revoke(SIGNATURE, "0A", "2026-03-01T12:00:00Z", Reason::Superseded);
    let mut publisher = house.publisher(CrlSettings::default());
    assert_eq!(run(&mut publisher)[0].entries, 1);
    house.store.execute("UPDATE certificate SET state = 1, reason = NULL, revoked_at = NULL").unwrap();
    house.clock.set("2026-03-01T13:00:00Z");
    let outcomes = publisher.run_once(None).unwrap();
    assert!(matches!(&outcomes[0], Err(PublishFault::Gate(GateFault::Missing(missing))) if *missing == serial("0A")), "{outcomes:?}");
    assert!(outcomes[1].is_ok(), "the other key's list is not kept back");
    assert_eq!(house.store.reader().latest_crl(SIGNATURE).unwrap().unwrap().number, 1);
    // It is tried again, but not at once; the number that was not used stays unused.
    assert_eq!(publisher.due(house.clock.now()).unwrap(), []);
    house.store.execute("UPDATE certificate SET state = 3, reason = 4, revoked_at = 1772366400000").unwrap();
    house.clock.set("2026-03-01T13:00:10Z");
    assert_eq!(run(&mut publisher).iter().map(|one| (one.ca_key, one.number)).collect::<Vec<_>>(), [(SIGNATURE, 3)]);
}

#[test]
fn whoever_lost_the_lease_publishes_nothing() {
    let house = house();
    let now = house.clock.now();
    let take = |owner: &'static str, now: DateTime<Utc>| {
        let writer = house.store.writer();
        writer.write(move |tx| tx.acquire_lease("ca", owner, now, TimeDelta::seconds(10))).unwrap().unwrap()
    };
    let first: Lease = take("one", now);
    let mut publisher = house.publisher(CrlSettings::default());
    let published = publisher.run_once(Some(&first)).unwrap();
    assert!(published.iter().all(|outcome| outcome.is_ok()));
    let second = take("two", now + TimeDelta::seconds(11));
    house.clock.set("2026-03-01T13:00:00Z");
    let outcomes = publisher.run_once(Some(&first)).unwrap();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(PublishFault::Store(StoreFault::Fenced(_))))), "{outcomes:?}");
    // The new leader publishes; the old one sees it and has nothing left to do.
    let mut other = house.publisher(CrlSettings::default());
    assert_eq!(other.run_once(Some(&second)).unwrap().len(), 2);
    assert_eq!(publisher.due(house.clock.now()).unwrap(), []);
}

#[test]
fn the_loop_publishes_soon_after_a_revocation_and_stops_when_told() {
    let house = house();
    house.store.put_certificate(SIGNATURE, &serial("0A"), at("2027-01-01T00:00:00Z"));
    let database = house.store.database().clone();
    let settings = CrlSettings { delay_milliseconds: 0, interval_seconds: 0, ..CrlSettings::default() };
    let mut publisher = house.publisher(settings);
    let wake = database.wake();
    let stop = Arc::new(AtomicBool::new(false));
    let now = house.clock.now();
    let lease = database.writer().write(move |tx| tx.acquire_lease("ca", "one", now, TimeDelta::days(1))).unwrap();
    let thread = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || publisher.run(&wake, &|| lease.clone(), &stop)
    });
    let wait_for = |number: u64| {
        for _ in 0..500 {
            if database.reader().latest_crl_number(SIGNATURE).unwrap() == Some(number) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("no list {number}");
    };
    wait_for(1);
    house.revoke(SIGNATURE, "0A", "2026-03-01T12:31:00Z", Reason::AffiliationChanged);
    wait_for(2);
    stop.store(true, Ordering::Relaxed);
    thread.join().unwrap();
    assert_eq!(house.listed(SIGNATURE), [("0A".to_owned(), Reason::AffiliationChanged)]);
}
