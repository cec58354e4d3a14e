//! What was changed in the store is found before anything is signed, and named.

use ca_service::AuditSettings;
use chrono::TimeDelta;
use schema::audit_export::{ExportFormat, ExportState};

use crate::stage::House;

/// Changes the store, asks for everything, and tells why that fails.
fn failure_after(house: &House, statements: &str) -> String {
    house.store.tamper(statements).unwrap();
    let export = house.ask('a', (0, house.size()), ExportFormat::Jsonl, None);
    house.work();
    house.failure(&export)
}

#[test]
fn a_record_that_was_changed_is_named() {
    for (statements, failure) in [
        (
            "UPDATE event SET data = replace(data, '\"number\":41', '\"number\":14') WHERE position = 43",
            "leaf 42 does not say what the log committed to",
        ),
        ("UPDATE event SET kind = 'card.held' WHERE position = 43", "leaf 42 does not say what the log committed to"),
        ("UPDATE event SET at = at + 1 WHERE position = 43", "leaf 42 does not say what the log committed to"),
        ("UPDATE log_leaf SET salt = zeroblob(32) WHERE leaf = 42", "leaf 42 does not say what the log committed to"),
        ("UPDATE log_leaf SET commitment = zeroblob(32) WHERE leaf = 42", "leaf 42 does not say what the log committed to"),
        ("UPDATE log_leaf SET salt = NULL WHERE leaf = 42", "leaf 42 cannot be read: a leaf that is neither there nor absent"),
        ("DELETE FROM log_leaf WHERE leaf = 42", "leaf 42 is missing: leaf 43 stands in its place"),
        (
            "UPDATE log_leaf SET position = NULL WHERE leaf IN (42, 43); \
             UPDATE log_leaf SET position = 44 WHERE leaf = 42; UPDATE log_leaf SET position = 43 WHERE leaf = 43",
            "leaf 42 does not say what the log committed to",
        ),
    ] {
        let house = House::new(400);
        // A swap passes through rows that no constraint allows.
        let statements = format!("PRAGMA ignore_check_constraints = ON; {statements}");
        assert_eq!(failure_after(&house, &statements), failure, "{statements}");
    }
}

/// Whoever may write to the store can make a record agree with a new commitment, but neither with the tree nor with what was published.
#[test]
fn a_record_that_was_changed_with_its_commitment_is_named() {
    for (leaf, published, failure) in [
        (42_u64, true, "leaf 42 is not the one that was published"),
        (300, true, "leaf 300 is not the one that was published"),
        (42, false, "one of the leaves 0 to 255 is not the one that the tree was made of"),
        (300, false, "the tree of the store is not the one that the checkpoint states: `tsunagi log check` tells more"),
    ] {
        let house = House::new(400);
        if !published {
            std::fs::remove_dir_all(house.stage.directory()).unwrap();
        }
        let statements = format!(
            "PRAGMA ignore_check_constraints = ON; \
             UPDATE log_leaf SET commitment = zeroblob(32), absent = 1, salt = NULL, position = NULL WHERE leaf = {leaf}"
        );
        assert_eq!(failure_after(&house, &statements), failure);
    }
}

#[test]
fn a_checkpoint_or_tile_that_was_changed_ends_it_as_well() {
    let house = House::new(400);
    let failure = failure_after(&house, "UPDATE log_tile SET hashes = zeroblob(32) WHERE level = 1");
    assert_eq!(failure, "one of the leaves 0 to 255 is not the one that the tree was made of");

    let house = House::new(400);
    let failure = failure_after(&house, "DELETE FROM log_tile");
    assert_eq!(failure, "the tree in the store is damaged: tile/1/000.p/1");

    let house = House::new(400);
    let failure = failure_after(&house, "UPDATE log_head SET note = replace(note, 'ra.test', 'rb.test')");
    assert!(failure.starts_with("the checkpoint that the export stands under is not this log's"), "{failure}");
}

#[test]
fn what_fails_again_and_again_ends_and_what_is_to_end_does_not_wait_for_it() {
    let house = House::new(400);
    let kept = house.ask('a', (0, 10), ExportFormat::Jsonl, None);
    house.work();
    let hopeless = house.ask('b', (0, house.size()), ExportFormat::Jsonl, None);
    let next = house.ask('c', (0, house.size()), ExportFormat::Jsonl, None);
    // No tree has so many leaves: neither the log nor the store is to blame.
    house.store.tamper(&format!("UPDATE audit_export SET previous_size = 1000000 WHERE public_id = '{hopeless}'")).unwrap();
    let exporter = house.exporter(AuditSettings::default(), TimeDelta::days(8));
    assert!(exporter.advance(&house.lease).unwrap());
    assert!(matches!(house.export(&kept).state, ExportState::Expired { .. }), "{:?}", house.export(&kept));
    let mut faults = 0;
    while exporter.advance(&house.lease).unwrap_or_else(|fault| {
        faults += 1;
        assert!(faults < 9, "{fault:?}");
        true
    }) {}
    assert_eq!((faults, house.failure(&hopeless).as_str()), (4, "it was tried 5 times without success"));
    assert!(matches!(house.export(&next).state, ExportState::Ready { .. }));
}

#[test]
fn what_is_stored_of_a_part_and_is_none_ends_it() {
    let house = House::new(400);
    let export = house.ask('a', (0, house.size()), ExportFormat::Jsonl, None);
    let exporter = house.exporter(AuditSettings::default(), TimeDelta::zero());
    assert!(exporter.advance(&house.lease).unwrap());
    house.store.tamper("UPDATE audit_export_part SET detail = '{}'").unwrap();
    while exporter.advance(&house.lease).unwrap() {}
    assert_eq!(house.failure(&export), "a stored part of the export is no part of a manifest");
}

#[test]
fn after_a_failure_the_next_export_has_its_turn() {
    let house = House::new(400);
    failure_after(&house, "UPDATE event SET at = at + 1 WHERE position = 343");
    let sound = house.ask('b', (0, 300), ExportFormat::Csv, None);
    house.work();
    assert!(matches!(house.export(&sound).state, ExportState::Ready { .. }), "what is not in it is not looked at");
}
