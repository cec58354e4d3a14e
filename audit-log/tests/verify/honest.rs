//! What is as it has to be is found so, wherever it begins and ends.

use audit_log::export::{Absent, ExportFormat};
use audit_log::verify::{Rule, Why};

use crate::stage::{Stage, clean};

#[test]
fn a_log_that_nobody_changed_is_clean_in_both_formats() {
    let stage = Stage::new(1, 3_000);
    for format in [ExportFormat::Jsonl, ExportFormat::Csv] {
        let directory = stage.export(format.as_str(), 0, 3_000, format);
        let verdict = stage.verify(&[&directory]);
        clean(&verdict);
        let told = &verdict.exports[0];
        assert_eq!((told.records, told.purged, told.lost, told.size), (3_000, 0, 0, 3_000));
        // Nothing is left open but what evidence would show, and cascades whose time was not over.
        assert!(verdict.not_judged.iter().all(|count| count.rule == Rule::Evidence), "{:?}", verdict.not_judged);
        assert!(verdict.proved.iter().any(|proved| proved.what.contains("leaves 0 to 2999")), "{:?}", verdict.proved);
        assert!(verdict.not_proved.iter().any(|not| not.by.contains("--witness")), "{:?}", verdict.not_proved);
    }
}

#[test]
fn a_range_anywhere_is_clean_and_says_what_it_cannot_judge() {
    let stage = Stage::new(2, 70_000);
    // Across the border of two parts, from the middle to the end, one leaf.
    for (from, to) in [(65_000, 66_000), (69_000, 70_000), (65_536, 65_537), (0, 1)] {
        let verdict = stage.verify(&[&stage.export(&format!("{from}-{to}"), from, to, ExportFormat::Jsonl)]);
        clean(&verdict);
        let before = verdict.not_judged.iter().filter(|count| count.why == Why::BeforeTheRecords).map(|count| count.count).sum::<u64>();
        assert_eq!(before > 1, to - from >= 1_000, "{from}: {:?}", verdict.not_judged);
    }
}

#[test]
fn what_was_purged_long_after_is_clean_and_what_hung_on_it_is_counted() {
    let mut stage = Stage::new(3, 4_000);
    // Every record of the first certificates and applications.
    let old = 0..700;
    stage.log.destroy(old, Absent::Purged);
    let purged = audit_log::testing::TestEvent {
        kind: "log.purged",
        at: 1_795_300_000_000,
        application: None,
        certificate: None,
        data: r#"{"before":"2027-01-01T00:00:00Z","leaves":700}"#.to_owned(),
    };
    stage.log.leaves.push(audit_log::testing::SyntheticLog::leaf(&purged, 4_001, audit_log::Salt([7; 32])));
    let mut order = stage.log.order(0, 4_001, ExportFormat::Jsonl);
    order.taken_at += chrono::TimeDelta::days(11 * 365);
    let verdict = stage.verify(&[&stage.ordered("export", 4_001, order)]);
    clean(&verdict);
    assert_eq!((verdict.exports[0].records, verdict.exports[0].purged), (3_301, 700));
    let count = |rule: Rule, why: Why| {
        verdict.not_judged.iter().find(|count| (count.rule, count.why) == (rule, why)).map_or(0, |count| count.count)
    };
    assert!(count(Rule::State, Why::Purged) > 10, "{:?}", verdict.not_judged);
    assert_eq!(count(Rule::Purged, Why::BeforeTheRecords), 700);
}

#[test]
fn what_a_restored_store_lost_is_clean_if_the_log_says_so() {
    use audit_log::Salt;
    use audit_log::testing::{SyntheticLog, TestEvent};

    let mut stage = Stage::new(4, 1_000);
    // The last fifty are lost; the store goes on from the position before them.
    stage.log.destroy(950..1_000, Absent::Lost);
    let at = 1_795_300_000_000;
    let event = |kind, data: &str| TestEvent { kind, at, application: None, certificate: None, data: data.to_owned() };
    let after = [
        event("store.epoch_began", r#"{"epoch":2}"#),
        event("log.leaves_lost", r#"{"from":950,"to":1000}"#),
        event("store.reconciled", r#"{"epoch":2}"#),
    ];
    for (position, event) in (951..).zip(&after) {
        stage.log.leaves.push(SyntheticLog::leaf(event, position, Salt([7; 32])));
    }
    clean(&stage.verify(&[&stage.export("export", 0, 1_003, ExportFormat::Csv)]));

    // Unsaid, it is found.
    let _ = stage.log.leaves.remove(1_001);
    let silent = stage.log.leaves.len() as u64;
    let reconciled = SyntheticLog::leaf(&after[2], 952, Salt([7; 32]));
    stage.log.leaves[1_001] = reconciled;
    let verdict = stage.verify(&[&stage.export("silent", 0, silent, ExportFormat::Csv)]);
    let first = verdict.first.unwrap();
    assert_eq!((first.rule, first.leaf, first.to_leaf), (Rule::Lost, Some(950), Some(1_000)));
}

#[test]
fn cosigners_who_are_not_judged_and_files_that_no_manifest_names_are_told() {
    let mut stage = Stage::new(19, 100);
    stage.log.cosign = Box::new(|_| format!("\u{2014} witness.example/w1 {}\n", "A".repeat(100)));
    let directory = stage.export("export", 0, 100, ExportFormat::Jsonl);
    std::fs::write(directory.join("records-00000001.jsonl"), "{}\n").unwrap();
    let verdict = stage.verify(&[&directory]);
    clean(&verdict);
    let told = &verdict.exports[0];
    assert_eq!((told.cosigned.len(), told.cosigned_unjudged.as_slice()), (0, ["witness.example/w1".to_owned()].as_slice()));
    assert_eq!(told.unnamed, ["records-00000001.jsonl"]);
}
