//! Who leads publishes, and nobody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ca_core::clock::Clock as _;
use ca_core::revocation::RevocationReason as Reason;
use chrono::TimeDelta;
use crl_publisher::{CrlSettings, NoPublishSteps, PublishFault, PublishStep, PublishSteps};
use schema::StoreFault;
use schema::on_each_database;

use crate::house::{House, SIGNATURE, TestClock, at_once, house, run};
use crate::support::at;

/// Waits until the list in force is that number.
fn wait_for(house: &House<'_>, number: u64) {
    for _ in 0..500 {
        if house.number(SIGNATURE) == Some(number) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("no list {number}");
}

/// A step takes time.
struct Takes(PublishStep, TimeDelta, TestClock);

impl PublishSteps for Takes {
    fn reached(&self, step: PublishStep) {
        if step == self.0 {
            self.2.pass(self.1);
        }
    }
}

on_each_database! {
    fn whoever_lost_the_lease_publishes_nothing(store) {
        let house = house(store);
        let first = house.lease("one").unwrap();
        let mut publisher = house.publisher(CrlSettings::default());
        let published = publisher.run_once(Some(&first)).unwrap();
        assert!(published.iter().all(|outcome| outcome.is_ok()));
        house.clock.pass(TimeDelta::seconds(11));
        let second = house.lease("two").unwrap();
        house.clock.set("2026-03-01T13:00:00Z");
        let outcomes = publisher.run_once(Some(&first)).unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(PublishFault::Store(StoreFault::Fenced(_))))), "{outcomes:?}");
        // The new leader publishes; the old one sees it and has nothing left to do.
        let mut other = house.publisher(CrlSettings::default());
        assert_eq!(other.run_once(Some(&second)).unwrap().len(), 2);
        assert_eq!(publisher.due(house.clock.now()).unwrap(), []);
    }

    fn a_lease_that_is_lost_in_the_middle_of_a_list_leaves_it_unpublished(store) {
        struct Loses<'a>(&'a (dyn Fn() + Send + Sync));
        impl PublishSteps for Loses<'_> {
            fn reached(&self, step: PublishStep) {
                if step == PublishStep::Stored {
                    (self.0)();
                }
            }
        }
        let house = house(store);
        let first = house.lease("one").unwrap();
        let (writer, now) = (store.writer(), house.clock.now() + TimeDelta::seconds(11));
        let take: &'static (dyn Fn() + Send + Sync) = Box::leak(Box::new(move || {
            writer.write(move |tx| tx.acquire_lease("ca", "two", now, TimeDelta::seconds(100))).unwrap();
        }));
        let mut publisher = house.publisher_with(CrlSettings::default(), Arc::new(Loses(take)));
        let outcomes = publisher.run_once(Some(&first)).unwrap();
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(PublishFault::Store(StoreFault::Fenced(_))))), "{outcomes:?}");
        assert_eq!(house.number(SIGNATURE), None);
        assert!(house.shelf().in_force("signature-1").is_none());
        let second = store.reader().lease("ca").unwrap().unwrap();
        assert_eq!(second.owner, "two");
        let mut other = house.publisher(CrlSettings::default());
        assert!(other.run_once(Some(&second)).unwrap().iter().all(|outcome| outcome.is_ok()));
        house.assert_whole(SIGNATURE);
    }

    fn the_loop_publishes_soon_after_a_revocation_and_a_second_process_takes_over_when_the_first_dies(store) {
        let house = house(store);
        house.put(SIGNATURE, &["0A", "0B"]);
        let leads = Arc::new(std::sync::Mutex::new(house.lease("one")));
        let loop_of = |owner: &'static str| {
            // As another process has it.
            let database = store.open_again();
            let mut publisher = house.publisher_of(&database, at_once(), Arc::new(NoPublishSteps));
            let (wake, stop, leads) = (database.wake(), Arc::new(AtomicBool::new(false)), Arc::clone(&leads));
            let thread = std::thread::spawn({
                let stop = Arc::clone(&stop);
                move || publisher.run(&wake, &|| leads.lock().unwrap().clone().filter(|lease| lease.owner == owner), &stop)
            });
            (thread, stop)
        };
        let (first, stop_first) = loop_of("one");
        let (second, stop_second) = loop_of("two");
        wait_for(&house, 1);
        house.revoke(SIGNATURE, "0A", "2026-03-01T12:31:00Z", Reason::AffiliationChanged);
        wait_for(&house, 2);
        // The first is gone; nobody leads; then the second does.
        *leads.lock().unwrap() = None;
        stop_first.store(true, Ordering::Relaxed);
        first.join().unwrap();
        house.revoke(SIGNATURE, "0B", "2026-03-01T12:31:30Z", Reason::AffiliationChanged);
        house.clock.pass(TimeDelta::seconds(60));
        *leads.lock().unwrap() = house.lease("two");
        wait_for(&house, 3);
        stop_second.store(true, Ordering::Relaxed);
        second.join().unwrap();
        assert_eq!(house.listed(SIGNATURE).len(), 2);
        house.assert_whole(SIGNATURE);
    }

    fn a_restored_store_is_not_published_before_it_is_reconciled(store) {
        let house = house(store);
        let mut publisher = house.publisher(CrlSettings::default());
        run(&mut publisher);
        store.writer().write(|tx| tx.begin_epoch(5, &[(SIGNATURE, 1_000)], at("2026-03-01T12:59:00Z"))).unwrap();
        house.clock.set("2026-03-01T13:00:00Z");
        assert_eq!(run(&mut publisher), []);
        store.writer().write(|tx| tx.end_reconciliation(at("2026-03-01T13:00:00Z"))).unwrap();
        assert_eq!(run(&mut publisher)[0].list.number, 1_001);
    }

    fn after_a_long_list_the_next_at_once_waits_its_multiple_and_the_regular_one_does_not(store) {
        let house = house(store);
        house.put(SIGNATURE, &["0A", "0B"]);
        let settings = CrlSettings { rest_multiple: 10, ..CrlSettings::default() };
        let slow = Takes(PublishStep::Passed, TimeDelta::seconds(30), house.clock.clone());
        run(&mut house.publisher(CrlSettings::default()));
        let mut publisher = house.publisher_with(settings, Arc::new(slow));
        house.revoke(SIGNATURE, "0A", "2026-03-01T12:31:00Z", Reason::KeyCompromise);
        publisher.due(house.clock.now()).unwrap();
        house.clock.set("2026-03-01T12:40:00Z");
        assert_eq!(run(&mut publisher).len(), 1);
        assert_eq!(house.clock.now(), at("2026-03-01T12:40:30Z"));
        house.revoke(SIGNATURE, "0B", "2026-03-01T12:40:30Z", Reason::KeyCompromise);
        publisher.due(house.clock.now()).unwrap();
        house.clock.set("2026-03-01T12:45:29.999Z");
        assert_eq!(publisher.due(house.clock.now()).unwrap(), []);
        house.clock.set("2026-03-01T12:45:30Z");
        assert_eq!(publisher.due(house.clock.now()).unwrap().len(), 1);
        // Latency counts from the commit to the publication.
        assert_eq!(run(&mut publisher).len(), 1);
        let history = store.reader().latency_history(schema::latency::LatencyStage::Crl, at("2026-03-01T12:40:00Z"), at("2026-03-01T12:41:00Z"));
        assert_eq!(history.unwrap()[0].max_milliseconds, 330_000);
    }
}
