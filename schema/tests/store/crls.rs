//! Our CRLs: numbers that only rise, lists in order.

use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use schema::crl::{CrlCause, CrlRetention, PrunedCrl, PublishedCrl};
use schema::testing::{TestDatabase, add_ca_keys, latest_crl_der, moment};
use schema::{Database, EventPosition, StoreFault, on_each_database};

fn reserve(database: &Database, key: CaKeyId) -> u64 {
    database.writer().write(move |tx| tx.reserve_crl_number_in(key, 0, moment(0))).unwrap()
}

const DER: &[u8] = &[0x30; 300];

fn crl(key: CaKeyId, number: u64) -> PublishedCrl {
    PublishedCrl {
        ca_key: key,
        shard: 0,
        number,
        this_update: moment(0),
        next_update: moment(86_400),
        entries: 2,
        octets: DER.len() as u64,
        sha256: Sha256Digest::of(DER),
        event_position: EventPosition(7),
        cause: CrlCause::Regular,
    }
}

fn publish(store: &TestDatabase, crl: PublishedCrl) -> Result<(), StoreFault> {
    store.writer().write(move |tx| {
        tx.append_crl_chunk(crl.ca_key, crl.number, 0, DER)?;
        tx.publish_crl_in(&crl, moment(1))
    })
}

on_each_database! {
    fn crl_numbers_rise_over_reopening_and_refused_writes(store) {
        let keys = add_ca_keys(&store.writer());
        assert_eq!((reserve(store.database(), keys[0]), reserve(store.database(), keys[1])), (1, 1));
        let given_up = store.writer().write(move |tx| { tx.reserve_crl_number_in(keys[0], 0, moment(0))?; Err::<(), _>(StoreFault::Misuse("given up")) });
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
        assert_eq!(store.reader().latest_crl_in(key, 0).unwrap(), None);
        publish(store, crl(key, numbers[1])).unwrap();
        assert!(matches!(publish(store, crl(key, numbers[1])), Err(StoreFault::Misuse(_))), "published twice");
        assert!(matches!(publish(store, crl(key, numbers[0])), Err(StoreFault::Misuse(_))), "published after a later one");
        assert!(matches!(publish(store, crl(key, 99)), Err(StoreFault::Misuse(_))), "published unreserved");
        assert_eq!(store.reader().latest_crl_in(key, 0).unwrap(), Some(crl(key, numbers[1])));
        publish(store, crl(key, numbers[2])).unwrap();
        assert_eq!(store.reader().latest_crl_number(key).unwrap(), Some(numbers[2]));
        assert_eq!(store.reader().crl_in(key, 0, numbers[1]).unwrap(), Some(crl(key, numbers[1])));
        assert_eq!(store.reader().crl_in(key, 0, numbers[0]).unwrap(), None);
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
    fn a_list_is_published_when_its_chunks_are_all_there_and_then_stays_as_it_is(store) {
        let key = add_ca_keys(&store.writer())[0];
        store.writer().write(move |tx| tx.open_crl_shards(key, 2, moment(0))).unwrap();
        let number = store.writer().write(move |tx| tx.reserve_crl_number_in(key, 1, moment(0))).unwrap();
        let append = |sequence, octets: &'static [u8]| store.writer().write(move |tx| tx.append_crl_chunk(key, number, sequence, octets));
        let list = PublishedCrl { shard: 1, octets: 10, ..crl(key, number) };
        let publish = |list: PublishedCrl| store.writer().write(move |tx| tx.publish_crl_in(&list, moment(1)));
        append(0, b"first ").unwrap();
        assert!(matches!(publish(list.clone()), Err(StoreFault::Misuse(_))), "four octets are missing");
        append(2, b"last").unwrap();
        assert!(matches!(publish(list.clone()), Err(StoreFault::Misuse(_))), "a chunk is missing in between");
        store.execute("UPDATE crl_chunk SET sequence = 1 WHERE sequence = 2").unwrap();
        assert!(append(1, b"last").is_err(), "twice");
        let octets = || store.reader().crl_chunks(key, number, |_| -> Result<(), StoreFault> { Ok(()) }).unwrap();
        assert_eq!(octets(), 0, "not published");
        assert!(matches!(publish(PublishedCrl { shard: 0, ..list.clone() }), Err(StoreFault::Misuse(_))), "another shard's number");
        publish(list.clone()).unwrap();
        assert_eq!(latest_crl_der(&store.reader(), key, 1).unwrap(), b"first last");
        assert_eq!(octets(), 10);
        assert!(matches!(append(2, b"more"), Err(StoreFault::Misuse(_))));
        assert_eq!(store.reader().latest_crl_in(key, 0).unwrap(), None);
        assert_eq!(store.reader().latest_crls().unwrap(), [list]);
        assert!(store.writer().write(move |tx| tx.reserve_crl_number_in(key, 2, moment(0))).is_err(), "no such shard");
    }

    fn a_shards_numbers_rise_apart_and_a_lower_one_is_not_published_after_a_higher(store) {
        let key = add_ca_keys(&store.writer())[0];
        store.writer().write(move |tx| tx.open_crl_shards(key, 2, moment(0))).unwrap();
        let reserve = |shard| store.writer().write(move |tx| tx.reserve_crl_number_in(key, shard, moment(0))).unwrap();
        let (first, other, second) = (reserve(0), reserve(1), reserve(0));
        publish(store, crl(key, second)).unwrap();
        publish(store, PublishedCrl { shard: 1, ..crl(key, other) }).unwrap();
        assert!(matches!(publish(store, crl(key, first)), Err(StoreFault::Misuse(_))));
        assert_eq!(store.reader().latest_crls().unwrap().iter().map(|list| (list.shard, list.number)).collect::<Vec<_>>(), [(0, 3), (1, 2)]);
        assert_eq!(store.reader().latest_crl_number(key).unwrap(), Some(3));
    }

    fn old_lists_go_but_the_two_newest_and_the_last(store) {
        let key = add_ca_keys(&store.writer())[0];
        let causes = [CrlCause::First, CrlCause::Revocation, CrlCause::Regular, CrlCause::Revocation, CrlCause::Regular, CrlCause::Final];
        for (at, cause) in (0..).zip(causes) {
            let number = reserve(store.database(), key);
            publish(store, PublishedCrl { cause, this_update: moment(at * 100), ..crl(key, number) }).unwrap();
        }
        let abandoned = reserve(store.database(), key);
        store.writer().write(move |tx| tx.append_crl_chunk(key, abandoned, 0, b"half a list")).unwrap();
        let prune = |regular_before: i64, at_once_before: i64| {
            let keep = CrlRetention { regular_before: moment(regular_before), at_once_before: moment(at_once_before) };
            let pruned: Vec<PrunedCrl> = store.writer().write(move |tx| tx.prune_crls(&keep, 10, moment(900))).unwrap();
            pruned.iter().map(|list| list.number).collect::<Vec<_>>()
        };
        assert_eq!(prune(0, 0), [0; 0]);
        assert_eq!(prune(0, 201), [2], "the list after it was issued at 200");
        assert_eq!(prune(150, 201), [1]);
        assert_eq!(prune(1000, 1000), [3, 4], "5 and 6 are the newest");
        assert_eq!(prune(1000, 1000), [0; 0]);
        assert_eq!(store.reader().count_for_test("SELECT COUNT(*) FROM crl_chunk").unwrap(), 2);
        assert_eq!(store.reader().crl_in(key, 0, 1).unwrap().unwrap().number, 1, "what is known of it stays");
        assert_eq!(store.reader().crls_kept(key, 0).unwrap().iter().map(|list| list.number).collect::<Vec<_>>(), [6, 5]);
    }
}
