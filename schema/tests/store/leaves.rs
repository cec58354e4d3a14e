//! The log: leaves are appended in the order of events by whoever leads, and never change but by purging.

use ca_core::digest::Sha256Digest;
use chrono::TimeDelta;
use schema::audit_export::PART_LEAVES;
use schema::lease::Lease;
use schema::log::{LeafBatch, LeafContent, LogIdentity, LogNote, LogTile, LostLeaves, NewLeaf, PAGE_LEAVES};
use schema::testing::{Sample, TestDatabase, add_ca_keys, moment};
use schema::{EventKind, EventPosition, NewEvent, StoreFault, on_each_database};
use serde_json::json;

pub(crate) fn lead(store: &TestDatabase) -> Lease {
    store.writer().write(|tx| tx.acquire_lease("log", "one", moment(0), TimeDelta::seconds(1_000))).unwrap().unwrap()
}

/// Leaves `count` events.
pub(crate) fn happen(store: &TestDatabase, count: usize) {
    store
        .writer()
        .write(move |tx| -> Result<(), StoreFault> {
            (0..count).for_each(|number| tx.emit(NewEvent::new(EventKind::ClockChecked, moment(number as i64), json!({"number": number}))));
            Ok(())
        })
        .unwrap();
}

fn hash(what: &str, number: i64) -> [u8; 32] {
    Sha256Digest::of(format!("{what} {number}").as_bytes()).0
}

fn root(size: u64) -> [u8; 32] {
    hash("root", size as i64)
}

/// The leaves of the events after the head's, `count` of them.
pub(crate) fn next_leaves(store: &TestDatabase, count: usize) -> LeafBatch {
    let head = store.reader().log_head().unwrap();
    let leaf = |position: i64| NewLeaf {
        position: EventPosition(position),
        salt: hash("salt", position),
        commitment: hash("commitment", position),
    };
    let leaves: Vec<NewLeaf> = (head.position.0 + 1..).take(count).map(leaf).collect();
    LeafBatch { first_leaf: head.size, leaves, tiles: Vec::new(), root: root(head.size + count as u64) }
}

fn append(store: &TestDatabase, lease: &Lease, batch: LeafBatch) -> Result<(), StoreFault> {
    let lease = lease.clone();
    store.writer().write(move |tx| tx.append_leaves(&lease, &batch, moment(50)))
}

/// Gives every event a leaf, and signs the tree.
pub(crate) fn sequence(store: &TestDatabase, lease: &Lease) {
    let head = store.reader().log_head().unwrap();
    let count = store.reader().position().unwrap().0 - head.position.0;
    append(store, lease, next_leaves(store, count as usize)).unwrap();
    note(store, lease, head.size + count as u64).unwrap();
}

fn note(store: &TestDatabase, lease: &Lease, size: u64) -> Result<(), StoreFault> {
    let (lease, note) = (lease.clone(), LogNote { size, text: format!("a note of {size}\n"), at: moment(60) });
    store.writer().write(move |tx| tx.store_note(&lease, &note))
}

/// What the leaves from one on are: index, commitment, and position and data, or what is the matter with them.
fn read(store: &TestDatabase, first: u64, limit: u64) -> Vec<(u64, [u8; 32], String)> {
    let mut seen = Vec::new();
    let count = store.reader().log_records(first, limit, |record| -> Result<(), StoreFault> {
        let told = match record.content {
            LeafContent::Present { event, salt } => {
                assert_eq!(salt, hash("salt", event.position.0));
                format!("{} {} {}", event.position.0, event.kind, event.data)
            }
            LeafContent::Purged => "purged".to_owned(),
            LeafContent::Lost => "lost".to_owned(),
        };
        seen.push((record.leaf, record.commitment, told));
        Ok(())
    });
    assert_eq!(count, Ok(seen.len() as u64));
    seen
}

on_each_database! {
    fn a_log_begins_once_under_one_name(store) {
        let (mine, other) = (identity("one"), identity("another"));
        let begin = |identity: &LogIdentity| {
            let identity = identity.clone();
            store.writer().write(move |tx| tx.begin_log(&identity, moment(1))).unwrap()
        };
        assert_eq!(store.reader().log_head().unwrap().identity, None);
        assert_eq!(begin(&mine), mine);
        assert_eq!(begin(&mine), mine);
        assert_eq!(begin(&other), mine, "it has begun under another name");
        assert_eq!(store.reader().log_head().unwrap().identity, Some(mine));
        let events = store.reader().events_after(EventPosition(0), 10).unwrap();
        assert_eq!(events.iter().map(|event| (event.kind, event.data.clone())).collect::<Vec<_>>(), [
            (EventKind::LogBegan, json!({"origin": "one.example/log", "key": "one.example/log+0000+key"})),
        ]);
    }

    fn leaves_are_appended_in_the_order_of_events_and_read_back_page_by_page(store) {
        let lease = lead(store);
        let count = PAGE_LEAVES as usize + 1_500;
        happen(store, count);
        let tile = LogTile { level: 1, number: 0, hashes: vec![3; 32 * 18] };
        let mut batch = next_leaves(store, 4_700);
        batch.tiles = vec![tile.clone()];
        append(store, &lease, batch).unwrap();
        let mut rest = next_leaves(store, count - 4_700);
        rest.tiles = vec![LogTile { hashes: vec![3; 32 * 21], ..tile.clone() }, LogTile { level: 2, number: 0, hashes: vec![4; 32] }];
        append(store, &lease, rest).unwrap();

        let head = store.reader().log_head().unwrap();
        assert_eq!((head.size, head.position.0, head.root), (count as u64, count as i64, root(count as u64)));
        assert_eq!((head.sequenced_at, head.note), (Some(moment(50)), None));
        let all = read(store, 0, u64::MAX);
        assert_eq!(all.len(), count);
        for (leaf, position) in [(0, 1), (4_095, 4_096), (4_096, 4_097), (count - 1, count as i64)] {
            let number = position - 1;
            assert_eq!(all[leaf], (leaf as u64, hash("commitment", position), format!(r#"{position} clock.checked {{"number":{number}}}"#)));
        }
        assert_eq!(read(store, 4_094, 4), all[4_094..4_098]);
        assert_eq!(read(store, count as u64, 4), []);
        let commitments = store.reader().log_commitments(4_090, 20).unwrap();
        assert_eq!(commitments, all[4_090..4_110].iter().map(|(_, commitment, _)| *commitment).collect::<Vec<_>>());
        assert_eq!(store.reader().log_commitments(count as u64 - 1, 20).unwrap().len(), 1);
        assert_eq!(store.reader().log_tile(1, 0).unwrap(), Some(vec![3; 32 * 21]));
        assert_eq!(store.reader().log_tile(2, 0).unwrap(), Some(vec![4; 32]));
        assert_eq!(store.reader().log_tile(1, 1).unwrap(), None);
        assert_eq!(store.reader().leaf_of_position(EventPosition(4_097)).unwrap(), Some(4_096));
        assert_eq!(store.reader().leaf_of_position(EventPosition(count as i64 + 1)).unwrap(), None);
    }

    fn whoever_reads_may_stop_and_is_told_its_own_fault(store) {
        let lease = lead(store);
        happen(store, 10);
        append(store, &lease, next_leaves(store, 10)).unwrap();
        let mut seen = 0;
        let stopped = store.reader().log_records(2, 100, |_| { seen += 1; if seen == 3 { Err(StoreFault::Stopped) } else { Ok(()) } });
        assert_eq!((stopped, seen), (Err(StoreFault::Stopped), 3));
        let mut seen = 0;
        let stopped = store.reader().events_to_sequence(EventPosition(0), 100, |_| { seen += 1; if seen == 3 { Err(StoreFault::Stopped) } else { Ok(()) } });
        assert_eq!((stopped, seen), (Err(StoreFault::Stopped), 3));
        assert_eq!(read(store, 0, 100).len(), 10, "the connection is as good as before");
    }

    fn a_batch_for_another_tree_or_other_events_is_not_appended(store) {
        let lease = lead(store);
        happen(store, 10);
        append(store, &lease, next_leaves(store, 4)).unwrap();
        let good = next_leaves(store, 3);
        let twice = LeafBatch { first_leaf: 0, ..good.clone() };
        let late = LeafBatch { first_leaf: 5, ..good.clone() };
        let passing_over = LeafBatch { leaves: good.leaves[1..].to_vec(), ..good.clone() };
        let reordered = LeafBatch { leaves: [1, 0, 2].map(|place| good.leaves[place]).to_vec(), ..good.clone() };
        let none = LeafBatch { leaves: Vec::new(), ..good.clone() };
        for bad in [twice, late, passing_over, reordered, none] {
            assert!(matches!(append(store, &lease, bad), Err(StoreFault::Misuse(_))));
        }
        assert!(append(store, &lease, next_leaves(store, 7)).is_err(), "of an event that has not happened");
        let shorter = LogTile { level: 1, number: 0, hashes: vec![3; 64] };
        append(store, &lease, LeafBatch { tiles: vec![shorter.clone()], ..good }).unwrap();
        let other = LogTile { hashes: vec![5; 96], ..shorter };
        assert!(append(store, &lease, LeafBatch { tiles: vec![other], ..next_leaves(store, 1) }).is_err(), "a tile of another tree");
        assert_eq!(store.reader().log_head().unwrap().size, 7);
        assert_eq!(read(store, 0, 100).len(), 7);
    }

    fn a_former_leader_appends_and_notes_nothing(store) {
        let former = lead(store);
        happen(store, 2);
        append(store, &former, next_leaves(store, 1)).unwrap();
        store.writer().write(|tx| tx.acquire_lease("log", "two", moment(2_000), TimeDelta::seconds(1_000))).unwrap().unwrap();
        assert_eq!(append(store, &former, next_leaves(store, 1)), Err(StoreFault::Fenced("log".to_owned())));
        assert_eq!(note(store, &former, 1), Err(StoreFault::Fenced("log".to_owned())));
        let head = store.reader().log_head().unwrap();
        assert_eq!((head.size, head.note), (1, None));
    }

    fn notes_only_grow_and_never_beyond_the_tree(store) {
        let lease = lead(store);
        happen(store, 5);
        assert!(note(store, &lease, 0).is_err() && note(store, &lease, 1).is_err());
        append(store, &lease, next_leaves(store, 5)).unwrap();
        note(store, &lease, 3).unwrap();
        note(store, &lease, 3).unwrap();
        assert!(matches!(note(store, &lease, 2), Err(StoreFault::Misuse(_))));
        assert!(matches!(note(store, &lease, 6), Err(StoreFault::Misuse(_))));
        let head = store.reader().log_head().unwrap();
        assert_eq!(head.note, Some(LogNote { size: 3, text: "a note of 3\n".to_owned(), at: moment(60) }));
        assert_eq!((head.size, head.root), (5, root(5)));
    }

    fn what_waits_for_a_note_waits_since_it_was_left(store) {
        let lease = lead(store);
        assert_eq!(store.reader().unsequenced_since().unwrap(), None);
        happen(store, 1);
        assert_eq!(store.reader().unsequenced_since().unwrap(), Some(moment(0)));
        sequence(store, &lease);
        assert_eq!(store.reader().unsequenced_since().unwrap(), None);
        // Accepted by the RA before the note, and told of only now.
        let keys = add_ca_keys(&store.writer());
        sequence(store, &lease);
        Sample::new(1, keys).accept_and_issue(&store.writer(), moment(70)).unwrap();
        assert_eq!(store.reader().unsequenced_since().unwrap(), Some(moment(70)));
        append(store, &lease, next_leaves(store, 2)).unwrap();
        assert_eq!(store.reader().unsequenced_since().unwrap(), Some(moment(70)), "a leaf is not enough");
        note(store, &lease, store.reader().log_head().unwrap().size).unwrap();
        assert_eq!(store.reader().unsequenced_since().unwrap(), Some(moment(70)), "others wait");
        sequence(store, &lease);
        assert_eq!(store.reader().unsequenced_since().unwrap(), None);
    }

    fn leaves_are_found_by_application_and_by_time(store) {
        let lease = lead(store);
        let keys = add_ca_keys(&store.writer());
        let (one, two) = (Sample::new(1, keys), Sample::new(2, keys));
        let first = one.accept(&store.writer());
        one.issue(&store.writer(), first, moment(10)).unwrap();
        two.accept_and_issue(&store.writer(), moment(20)).unwrap();
        sequence(store, &lease);
        Sample::new(3, keys).accept_and_issue(&store.writer(), moment(30)).unwrap();
        let mut told = Vec::new();
        store.reader().leaves_of_application(first, |record| {
            let LeafContent::Present { event, .. } = record.content else { panic!("{record:?}") };
            assert_eq!(event.application, Some(first));
            told.push((record.leaf, event.kind.to_owned()));
        }).unwrap();
        let words = ["application.accepted", "certificate.issued", "certificate.issued", "application.issued"].map(str::to_owned);
        assert_eq!(told, (2..).zip(words).collect::<Vec<_>>());

        // Accepted at 1 each; issued at 10, 20 and, without a leaf, 30.
        let reader = store.reader();
        let of = |seconds: i64| (reader.first_leaf_at(moment(seconds)).unwrap(), reader.leaf_before(moment(seconds)).unwrap());
        assert_eq!(of(0), (Some(0), 0));
        assert_eq!(of(1), (Some(2), 2));
        assert_eq!(of(10), (Some(3), 7));
        assert_eq!(of(20), (Some(7), 7));
        assert_eq!(of(21), (None, 10));
        assert_eq!(of(1_000), (None, 10));
    }

    fn nothing_in_the_log_changes_but_by_being_purged_under_a_note(store) {
        let lease = lead(store);
        happen(store, 6);
        let mut batch = next_leaves(store, 5);
        batch.tiles = vec![LogTile { level: 1, number: 0, hashes: vec![3; 64] }];
        append(store, &lease, batch).unwrap();
        note(store, &lease, 3).unwrap();
        for forbidden in [
            "UPDATE event SET at = at + 1 WHERE position = 1",
            "UPDATE event SET data = '{}' WHERE position = 6",
            "DELETE FROM event WHERE position = 1",
            "DELETE FROM event WHERE position = 6",
            "UPDATE log_leaf SET leaf = 9 WHERE leaf = 4",
            "UPDATE log_leaf SET commitment = salt WHERE leaf = 1",
            "UPDATE log_leaf SET salt = commitment WHERE leaf = 1",
            "UPDATE log_leaf SET position = 6 WHERE leaf = 1",
            "UPDATE log_leaf SET position = NULL WHERE leaf = 1",
            "UPDATE log_leaf SET position = NULL, salt = NULL, absent = 2 WHERE leaf = 1",
            "UPDATE log_leaf SET position = NULL, salt = NULL, absent = 1 WHERE leaf = 3",
            "DELETE FROM log_leaf WHERE leaf = 4",
            "UPDATE log_tile SET hashes = substr(hashes, 1, 32)",
            "UPDATE log_tile SET number = 1",
            "DELETE FROM log_tile",
            "UPDATE log_head SET size = 4",
            "UPDATE log_head SET size = 6",
            "UPDATE log_head SET position = 4",
            "UPDATE log_head SET root = (SELECT commitment FROM log_leaf WHERE leaf = 0)",
            "UPDATE log_head SET note_size = 2",
            "UPDATE log_head SET note_size = 6",
            "UPDATE log_head SET note_position = 2",
            "DELETE FROM log_head",
        ] {
            assert!(store.execute(forbidden).is_err(), "{forbidden}");
        }
        if store.is_postgres() {
            for table in ["event", "log_leaf", "log_tile", "log_head"] {
                assert!(store.execute(&format!("TRUNCATE {table} CASCADE")).is_err(), "{table}");
            }
        }
        let before = read(store, 0, 100);
        store.execute("UPDATE log_leaf SET position = NULL, salt = NULL, absent = 1 WHERE leaf = 1").unwrap();
        assert!(store.execute("UPDATE log_leaf SET position = 2, salt = commitment, absent = NULL WHERE leaf = 1").is_err());
        store.execute("DELETE FROM event WHERE position = 2").unwrap();
        let mut expected = before;
        expected[1].2 = "purged".to_owned();
        assert_eq!(read(store, 0, 100), expected);
    }

    fn lost_leaves_are_adopted_and_the_log_goes_on_after_them(store) {
        let lease = lead(store);
        happen(store, 4);
        append(store, &lease, next_leaves(store, 3)).unwrap();
        let adopt = |first_leaf: u64| {
            let commitments = vec![[8; 32], [9; 32]];
            let lost = LostLeaves { first_leaf, commitments, tiles: Vec::new(), root: root(first_leaf + 2) };
            store.writer().write(move |tx| tx.adopt_lost_leaves(&lost, moment(55)))
        };
        assert!(matches!(adopt(2), Err(StoreFault::Misuse(_))) && matches!(adopt(4), Err(StoreFault::Misuse(_))));
        adopt(3).unwrap();
        let head = store.reader().log_head().unwrap();
        assert_eq!((head.size, head.position.0, head.root), (5, 3, root(5)));
        append(store, &lease, next_leaves(store, 2)).unwrap();
        let all = read(store, 3, 100);
        assert_eq!(all[..2], [(3, [8; 32], "lost".to_owned()), (4, [9; 32], "lost".to_owned())]);
        assert_eq!(all[3], (6, hash("commitment", 5), r#"5 log.leaves_lost {"from":3,"to":5}"#.to_owned()));
        note(store, &lease, 5).unwrap();
        assert_eq!(store.reader().unsequenced_since().unwrap(), Some(moment(60)), "two have leaves that no note covers");
        note(store, &lease, 7).unwrap();
        assert_eq!(store.reader().unsequenced_since().unwrap(), None);
    }
}

fn identity(name: &str) -> LogIdentity {
    LogIdentity { origin: format!("{name}.example/log"), verifier_key: format!("{name}.example/log+0000+key") }
}

#[test]
fn a_part_of_an_export_is_as_many_leaves_as_a_tile_of_the_second_level_has() {
    assert_eq!(PART_LEAVES, 256 * 256);
}
