//! A second visit: nothing was changed or left out since the first.

use audit_log::export::ExportFormat;
use audit_log::verify::{Measures, Rule, Verification};

use crate::stage::{Stage, clean, found, name};

/// An export of the leaves `from` to `to` of the tree of `size`, with a proof from `old`.
fn visit(stage: &Stage, label: &str, (from, to): (u64, u64), size: usize, old: Option<usize>) -> std::path::PathBuf {
    let mut order = stage.log.order(from, to, ExportFormat::Jsonl);
    order.previous = old.map(|old| stage.log.proof(old, size));
    stage.ordered(label, size, order)
}

#[test]
fn a_second_visit_goes_on_where_the_first_ended() {
    let stage = Stage::new(11, 3_000);
    let first = visit(&stage, "first", (0, 1_777), 1_777, None);
    let second = visit(&stage, "second", (1_777, 3_000), 3_000, Some(1_777));
    let verdict = stage.verify(&[&first, &second]);
    clean(&verdict);
    assert_eq!(verdict.exports[1].extends, Some(1_777));
    // Rules hold across visits: nothing is unknown.
    assert!(verdict.not_judged.iter().all(|count| count.rule == Rule::Evidence), "{:?}", verdict.not_judged);
    assert!(verdict.proved.iter().any(|proved| proved.what.contains("first 1777 leaves")), "{:?}", verdict.proved);
}

#[test]
fn without_a_proof_the_leaves_themselves_show_it_where_they_reach_back_far_enough() {
    let stage = Stage::new(12, 3_000);
    let first = visit(&stage, "first", (0, 1_777), 1_777, None);
    for (label, from) in [("from the beginning", 0), ("overlapping", 1_500), ("just after", 1_777)] {
        let second = visit(&stage, label, (from, 3_000), 3_000, None);
        let verdict = stage.verify(&[&first, &second]);
        clean(&verdict);
        assert_eq!(verdict.exports[1].extends, Some(1_777), "{label}");
    }
    let gap = visit(&stage, "gap", (2_000, 3_000), 3_000, None);
    let verdict = stage.verify(&[&first, &gap]);
    assert_eq!(verdict.by_rule.keys().collect::<Vec<_>>(), [&Rule::Earlier]);
    // With a proof the gap is no offence; the rules only know less.
    let proved = visit(&stage, "gap with proof", (2_000, 3_000), 3_000, Some(1_777));
    let verdict = stage.verify(&[&first, &proved]);
    clean(&verdict);
    assert!(verdict.not_judged.len() > 1);
}

#[test]
fn a_checkpoint_is_enough_to_go_on_from() {
    let stage = Stage::new(13, 2_000);
    let checkpoint = stage.log.checkpoint(1_234).unwrap();
    let verify = |note: &str, directory: &std::path::Path| {
        let mut verification = Verification::new(stage.log.key.verifier(), &[], Measures::default(), None);
        verification.checkpoint("kept", note);
        verification.export(directory, &name(directory), &mut |_| ()).unwrap();
        verification.finish()
    };
    let second = visit(&stage, "second", (1_500, 2_000), 2_000, Some(1_234));
    clean(&verify(&checkpoint, &second));
    assert_eq!(verify(&checkpoint.replace("1234", "1235"), &second).by_rule.keys().collect::<Vec<_>>(), [&Rule::Earlier]);
}

#[test]
fn an_older_export_in_place_of_a_newer_is_found() {
    let stage = Stage::new(14, 2_000);
    let newer = visit(&stage, "newer", (0, 2_000), 2_000, None);
    let older = visit(&stage, "older", (0, 1_000), 1_000, None);
    let verdict = stage.verify(&[&newer, &older]);
    assert_eq!(verdict.by_rule.keys().collect::<Vec<_>>(), [&Rule::Earlier]);
    assert!(verdict.findings[0].words.contains("older"), "{}", verdict.findings[0]);
}

#[test]
fn a_log_that_was_written_again_is_a_fork_whoever_signs_it() {
    let mut stage = Stage::new(15, 2_000);
    let first = visit(&stage, "first", (0, 1_000), 1_000, None);
    // The operator has the key, and changes what was told already.
    let audit_log::testing::Leaf::Present { content, .. } = &mut stage.log.leaves[400] else { panic!() };
    *content = content.replacen("2026-11-21T", "2026-11-20T", 1);
    for (label, old) in [("with a proof", Some(1_000)), ("by leaves", None)] {
        let second = visit(&stage, label, (0, 2_000), 2_000, old);
        let verdict = stage.verify(&[&first, &second]);
        assert!(verdict.by_rule.contains_key(&Rule::Earlier), "{label}: {:?}", verdict.findings);
    }
    let same_size = visit(&stage, "of the same size", (0, 1_000), 1_000, None);
    assert!(stage.verify(&[&first, &same_size]).findings[0].words.contains("forked"));
}

#[test]
fn rules_hold_across_visits() {
    // The certificate of the first visit is revoked in the second, twice.
    let mut stage = Stage::new(16, 2_000);
    let text = |leaf: &audit_log::testing::Leaf| match leaf {
        audit_log::testing::Leaf::Present { content, .. } => content.clone(),
        audit_log::testing::Leaf::Absent { .. } => String::new(),
    };
    let revoked = (1_000..2_000).find(|leaf| text(&stage.log.leaves[*leaf]).contains("certificate.revoked")).unwrap();
    let again = text(&stage.log.leaves[revoked]).replace(&format!("\"position\":{}", revoked + 1), "\"position\":2001");
    stage.log.leaves.push(audit_log::testing::Leaf::Present { salt: audit_log::Salt([1; 32]), content: again });
    let first = visit(&stage, "first", (0, 1_990), 1_990, None);
    let second = visit(&stage, "second", (1_990, 2_001), 2_001, Some(1_990));
    found(&stage.verify(&[&first, &second]), Rule::State, 2_000);
    // Alone, the second visit cannot know.
    clean(&stage.verify(&[&second]));
}
