//! A publisher that dies between any two steps, and the one that comes after it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ca_core::revocation::RevocationReason as Reason;
use crl_publisher::{CrlSettings, PublishStep, PublishSteps, Shelf};
use schema::latency::LatencyStage;
use schema::on_each_database;

use crate::house::{AUTHENTICATION, SIGNATURE, at_once, house, run};
use crate::support::at;

/// Ends everything at one step.
struct DiesAt(PublishStep);

impl PublishSteps for DiesAt {
    fn reached(&self, step: PublishStep) {
        if step == self.0 {
            // No message: it is meant.
            std::panic::resume_unwind(Box::new("dies"));
        }
    }
}

on_each_database! {
    fn wherever_it_dies_the_next_one_finds_everything_and_leaves_nothing_over(store) {
        let house = house(store);
        house.put(SIGNATURE, &["0A", "0B", "0C", "0D", "0E", "0F", "10", "11"]);
        run(&mut house.publisher(at_once()));
        let mut last = 1;
        for (round, step) in PublishStep::ALL.into_iter().enumerate() {
            let number = ["0A", "0B", "0C", "0D", "0E", "0F", "10", "11"][round];
            let minute = 31 + round;
            let when = format!("2026-03-01T12:{minute}:00Z");
            house.revoke(SIGNATURE, number, &when, Reason::KeyCompromise);
            house.clock.set(&when);
            let mut dying = house.publisher_with(at_once(), Arc::new(DiesAt(step)));
            assert!(catch_unwind(AssertUnwindSafe(|| dying.run_once(None))).is_err(), "{step:?}");
            drop(dying);
            let is_published = PublishStep::ALL.iter().position(|one| *one == PublishStep::Published).unwrap() <= round;
            assert_eq!(house.number(SIGNATURE), Some(if is_published { last + 1 } else { last }), "{step:?}");

            let mut next = house.publisher(at_once());
            let published: Vec<u64> = run(&mut next).iter().map(|one| one.list.number).collect();
            // The number that was reserved is not given out again.
            assert_eq!(published, if is_published { vec![] } else { vec![last + 2] }, "{step:?}");
            last += if is_published { 1 } else { 2 };
            assert_eq!(house.number(SIGNATURE), Some(last));
            assert_eq!(house.listed(SIGNATURE).len(), round + 1, "{step:?}");
            house.assert_whole(SIGNATURE);
            house.assert_whole(AUTHENTICATION);
        }
        let history = store.reader().latency_history(LatencyStage::Crl, at("2026-03-01T12:00:00Z"), at("2026-03-01T13:00:00Z")).unwrap();
        assert_eq!(history.iter().map(|minute| minute.count).collect::<Vec<_>>(), [1; 8], "each revocation is counted once");
    }

    fn what_a_killed_process_leaves_in_files_is_removed_by_the_next_leader(store) {
        let house = house(store);
        let work = house.shelf().work_directory();
        // Nothing of what would run on the way out has run.
        for name in ["signature-1-7.crl", "signature-1-7.entries"] {
            std::fs::write(work.join(name), b"half a list").unwrap();
        }
        let reserved = store.writer().write(move |tx| tx.reserve_crl_number_in(SIGNATURE, 0, at("2026-03-01T12:00:00Z"))).unwrap();
        store.writer().write(move |tx| tx.append_crl_chunk(SIGNATURE, reserved, 0, b"half a list")).unwrap();
        run(&mut house.publisher(CrlSettings::default()));
        house.assert_whole(SIGNATURE);
        assert_eq!(house.number(SIGNATURE), Some(reserved + 1));
    }

    fn a_shelf_that_lost_its_lists_is_filled_from_the_store(store) {
        let house = house(store);
        run(&mut house.publisher(CrlSettings::default()));
        for name in ["signature-1.crl", "signature-1/1.crl", "authentication-1.crl"] {
            std::fs::remove_file(house.directory.path().join(name)).unwrap();
        }
        assert!(Shelf::open(house.directory.path()).unwrap().in_force("signature-1").is_none());
        assert_eq!(run(&mut house.publisher(CrlSettings::default())), []);
        house.assert_whole(SIGNATURE);
        house.assert_whole(AUTHENTICATION);
    }
}
