//! Events become leaves, a tree, a note and files, whoever does it and however often he is killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audit_log::{Checkpoint, consistency_proof, verify_consistency};
use ca_service::LogFault;
use schema::on_each_database;

use crate::stage::{Stage, events, keep, lead, whole_tree};

on_each_database! {
    fn each_event_becomes_one_leaf_and_every_checkpoint_extends_the_one_before(store) {
        let stage = Stage::new();
        stage.begin(store);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        let mut earlier: Vec<Checkpoint> = Vec::new();
        // Less than a tile, to its end, beyond it, beyond one batch.
        for more in [0, 4, 251, 1, 700, 9_000] {
            events(store.database(), more);
            keep(&keeper, &lease);
            stage.judge(&store.reader());
            let published = stage.published().unwrap().checkpoint().clone();
            for earlier in &earlier {
                let proof = consistency_proof(&stage.tiles(), earlier.size, published.size).unwrap();
                verify_consistency(&proof, earlier.size, &earlier.root, published.size, &published.root).unwrap();
            }
            earlier.push(published);
        }
        assert_eq!(earlier.last().unwrap().size, 1 + 4 + 251 + 1 + 700 + 9_000);
        assert!(!keeper.sign(&lease).unwrap() && !keeper.publish(&lease).unwrap(), "there is nothing more to do");
    }

    fn whoever_is_killed_between_two_steps_the_next_goes_on(store) {
        let stage = Stage::new();
        stage.begin(store);
        for term in 0..12 {
            events(store.database(), 100);
            let database = store.open_again();
            let (keeper, lease) = (stage.keeper(&database), lead(&database, "mortal", term));
            keeper.sequence(&lease).unwrap();
            if term % 3 > 0 {
                keeper.sign(&lease).unwrap();
            }
            if term % 3 > 1 {
                keeper.publish(&lease).unwrap();
                stage.judge(&store.reader());
            }
            whole_tree(&store.reader());
        }
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "last", 12));
        keep(&keeper, &lease);
        stage.judge(&store.reader());
    }

    fn an_event_is_under_a_published_checkpoint_soon(store) {
        let stage = Stage::new();
        stage.begin(store);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        let (stop, reader) = (AtomicBool::new(false), store.reader());
        thread::scope(|scope| {
            scope.spawn(|| keeper.run(&|| Some(lease.clone()), &stop));
            let noted = || reader.log_head().unwrap().note.map_or(0, |note| note.size);
            let mut expected = 1;
            for _ in 0..5 {
                let began = Instant::now();
                events(store.database(), 3);
                expected += 3;
                while noted() < expected {
                    assert!(began.elapsed() < Duration::from_secs(10), "the note has {} leaves and not {expected}", noted());
                    thread::sleep(Duration::from_millis(5));
                }
            }
            while stage.published().is_none_or(|published| published.size() < expected) {
                thread::sleep(Duration::from_millis(20));
            }
            stop.store(true, Ordering::Relaxed);
        });
        stage.judge(&reader);
    }

    fn a_log_that_has_not_begun_or_is_anothers_is_left_alone(store) {
        let (stage, other) = (Stage::new(), Stage::new());
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        assert!(matches!(keeper.sequence(&lease), Err(LogFault::NotBegun)));
        other.begin(store);
        assert!(matches!(keeper.sequence(&lease), Err(LogFault::OtherLog { .. })));
        assert!(!keeper.sign(&lease).unwrap(), "nothing is signed before the store was looked at");
        assert_eq!(store.reader().log_head().unwrap().size, 0);
    }

    fn tiles_that_do_not_make_the_tree_are_noticed(store) {
        let stage = Stage::new();
        stage.begin(store);
        events(store.database(), 600);
        let (keeper, lease) = (stage.keeper(store.database()), lead(store.database(), "a", 0));
        keep(&keeper, &lease);
        let (disable, blob) = if store.is_postgres() {
            ("ALTER TABLE log_tile DISABLE TRIGGER USER", "decode(repeat('00', 64), 'hex')")
        } else {
            ("DROP TRIGGER log_tile_only_grows", "zeroblob(64)")
        };
        store.execute(&format!("{disable}; UPDATE log_tile SET hashes = {blob}")).unwrap();
        events(store.database(), 1);
        let next = stage.keeper(store.database());
        assert!(matches!(next.sequence(&lease), Err(LogFault::Damaged { size: 601 })));
    }
}
