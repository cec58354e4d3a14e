//! Leases: one leader, and fences against the one before.

use chrono::TimeDelta;
use schema::lease::Lease;
use schema::testing::{TestDatabase, moment};
use schema::{StoreFault, on_each_database};

fn acquire(store: &TestDatabase, owner: &'static str, seconds: i64) -> Option<Lease> {
    store.writer().write(move |tx| tx.acquire_lease("ca", owner, moment(seconds), TimeDelta::seconds(10))).unwrap()
}

/// What a leader does: writes, if its lease stands.
fn lead(store: &TestDatabase, lease: &Lease) -> Result<(), StoreFault> {
    let lease = lease.clone();
    store.writer().write(move |tx| {
        tx.set_feed_cursor("led", &lease.owner)?;
        tx.check_lease(&lease)
    })
}

on_each_database! {
    fn a_lease_is_one_owners_until_it_expires(store) {
        let first = acquire(store, "one", 0).unwrap();
        assert_eq!(first.epoch, 1);
        assert_eq!(acquire(store, "two", 9), None);
        assert_eq!(acquire(store, "one", 5).unwrap().epoch, 1, "renewed in time");
        assert_eq!(acquire(store, "two", 14), None);
        let second = acquire(store, "two", 15).unwrap();
        assert_eq!(second.epoch, 2);
        assert_eq!(acquire(store, "one", 16), None);
        assert_eq!(store.reader().lease("ca").unwrap(), Some(second));
    }

    fn a_former_leader_is_fenced_and_writes_nothing(store) {
        let former = acquire(store, "one", 0).unwrap();
        lead(store, &former).unwrap();
        let present = acquire(store, "two", 20).unwrap();
        lead(store, &present).unwrap();
        assert_eq!(lead(store, &former), Err(StoreFault::Fenced("ca".to_owned())));
        assert_eq!(store.reader().feed_cursor("led").unwrap().as_deref(), Some("two"));
        let swallowing = former.clone();
        let swallowed = store.writer().write(move |tx| -> Result<(), StoreFault> {
            let _ = tx.check_lease(&swallowing);
            Ok(())
        });
        assert_eq!(swallowed, Err(StoreFault::Fenced("ca".to_owned())));
    }

    fn an_owner_that_comes_back_after_expiry_gets_a_new_epoch(store) {
        let former = acquire(store, "one", 0).unwrap();
        let again = acquire(store, "one", 30).unwrap();
        assert_eq!(again.epoch, 2);
        assert!(lead(store, &former).is_err());
        lead(store, &again).unwrap();
    }

    fn a_released_lease_is_free_at_once(store) {
        let former = acquire(store, "one", 0).unwrap();
        let released = former.clone();
        store.writer().write(move |tx| tx.release_lease(&released, moment(1))).unwrap();
        assert_eq!(acquire(store, "two", 1).unwrap().epoch, 2);
        store.writer().write(move |tx| tx.release_lease(&former, moment(2))).unwrap();
        assert_eq!(acquire(store, "one", 2), None, "only one's own lease is given back");
    }
}
