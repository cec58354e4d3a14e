//! Our CRLs: numbers that only rise, lists in order.

use ca_core::issuer::CaKeyId;
use schema::crl::StoredCrl;
use schema::testing::{TestDatabase, add_ca_keys, moment};
use schema::{Database, EventPosition, StoreFault, on_each_database};

fn reserve(database: &Database, key: CaKeyId) -> u64 {
    database.writer().write(move |tx| tx.reserve_crl_number(key, moment(0))).unwrap()
}

fn crl(key: CaKeyId, number: u64) -> StoredCrl {
    StoredCrl {
        ca_key: key,
        number,
        der: vec![0x30; 300],
        this_update: moment(0),
        next_update: moment(86_400),
        entries: 2,
        event_position: EventPosition(7),
    }
}

fn publish(store: &TestDatabase, crl: StoredCrl) -> Result<(), StoreFault> {
    store.writer().write(move |tx| tx.publish_crl(&crl, moment(1)))
}

on_each_database! {
    fn crl_numbers_rise_over_reopening_and_refused_writes(store) {
        let keys = add_ca_keys(&store.writer());
        assert_eq!((reserve(store.database(), keys[0]), reserve(store.database(), keys[1])), (1, 1));
        let given_up = store.writer().write(move |tx| { tx.reserve_crl_number(keys[0], moment(0))?; Err::<(), _>(StoreFault::Misuse("given up")) });
        assert!(given_up.is_err());
        assert_eq!(reserve(&store.open_again(), keys[0]), 2);
        // A reserved number that was never published is not given out again, even if its row were lost.
        store.execute("DELETE FROM crl").unwrap();
        assert_eq!(reserve(&store.open_again(), keys[0]), 3);
    }

    fn concurrent_reservations_never_share_a_number(store) {
        let key = add_ca_keys(&store.writer())[0];
        let other = store.open_again();
        let mut numbers: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|thread| {
                let database = if thread % 2 == 0 { store.database().clone() } else { other.clone() };
                scope.spawn(move || (0..10).map(|_| reserve(&database, key)).collect::<Vec<_>>())
            }).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=40).collect::<Vec<_>>());
    }

    fn crls_are_published_under_reserved_numbers_and_in_order(store) {
        let key = add_ca_keys(&store.writer())[0];
        let numbers = [reserve(store.database(), key), reserve(store.database(), key), reserve(store.database(), key)];
        assert_eq!(store.reader().latest_crl(key).unwrap(), None);
        publish(store, crl(key, numbers[1])).unwrap();
        assert!(matches!(publish(store, crl(key, numbers[1])), Err(StoreFault::Misuse(_))), "published twice");
        assert!(matches!(publish(store, crl(key, numbers[0])), Err(StoreFault::Misuse(_))), "published after a later one");
        assert!(matches!(publish(store, crl(key, 99)), Err(StoreFault::Misuse(_))), "published unreserved");
        assert_eq!(store.reader().latest_crl(key).unwrap(), Some(crl(key, numbers[1])));
        publish(store, crl(key, numbers[2])).unwrap();
        assert_eq!(store.reader().latest_crl_number(key).unwrap(), Some(numbers[2]));
        assert_eq!(store.reader().crl(key, numbers[1]).unwrap(), Some(crl(key, numbers[1])));
        assert_eq!(store.reader().crl(key, numbers[0]).unwrap(), None);
    }
}

on_each_database! {
    fn why_a_list_was_not_published_is_known_until_one_is(store) {
        let key = add_ca_keys(&store.writer())[0];
        let failure = || store.reader().crl_failure(key, 0).unwrap().map(|failure| (failure.number, failure.reason));
        publish(store, crl(key, reserve(store.database(), key))).unwrap();
        assert_eq!(failure(), None);
        let failed = reserve(store.database(), key);
        let fail = |number, reason: &'static str| store.writer().write(move |tx| tx.fail_crl(key, number, reason, moment(5)));
        store.writer().write(move |tx| tx.append_crl_chunk(key, failed, 0, b"half a list")).unwrap();
        fail(failed, "certificate 01 is missing").unwrap();
        assert_eq!(failure(), Some((failed, "certificate 01 is missing".to_owned())));
        assert_eq!(store.reader().count_for_test(&format!("SELECT COUNT(*) FROM crl_chunk WHERE number = {failed}")).unwrap(), 0);
        assert!(matches!(fail(1, "published already"), Err(StoreFault::Misuse(_))));
        let long: &'static str = Box::leak("長".repeat(1_000).into_boxed_str());
        fail(reserve(store.database(), key), long).unwrap();
        assert_eq!(failure().unwrap().1.len(), 999);
        publish(store, crl(key, reserve(store.database(), key))).unwrap();
        assert_eq!(failure(), None);
        assert_eq!(store.reader().crls_kept(key, 0).unwrap().iter().map(|list| list.number).collect::<Vec<_>>(), [4, 1]);
    }

    fn a_new_leader_removes_what_was_stored_of_lists_that_were_never_published(store) {
        let key = add_ca_keys(&store.writer())[0];
        publish(store, crl(key, reserve(store.database(), key))).unwrap();
        let left = reserve(store.database(), key);
        store.writer().write(move |tx| tx.append_crl_chunk(key, left, 0, b"half a list")).unwrap();
        assert_eq!(store.writer().write(move |tx| tx.clear_unpublished_crls(key, 0)).unwrap(), 1);
        assert_eq!(store.reader().count_for_test("SELECT COUNT(*) FROM crl_chunk").unwrap(), 1, "the published list's stays");
    }
}
