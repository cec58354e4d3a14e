//! Every leaf between two visits was read, or it is said which was not.

use std::path::Path;

use audit_log::testing::{SyntheticLog, TestEvent};
use audit_log::verify::{Measures, Rule, Unread, Verdict, Verification, WhyUnread};
use audit_log::{CompactRange, LogKey, Salt};

use crate::stage::{Stage, clean, name};
use crate::visits::visit;

/// The statements of what is not proved, as one text.
fn not_proved(verdict: &Verdict) -> String {
    verdict.not_proved.iter().map(|not| format!("{}: {}\n", not.what, not.by)).collect()
}

/// What verification of an export comes to after these checkpoints, given in this order.
fn after(stage: &Stage, sizes: &[usize], directory: &Path) -> Verdict {
    let mut verification = Verification::new(stage.log.key.verifier(), &[], Measures::default(), None);
    for size in sizes {
        verification.checkpoint(&format!("kept-{size}"), &stage.log.checkpoint(*size).unwrap());
    }
    verification.export(directory, &name(directory), &mut |_| ()).unwrap();
    verification.finish()
}

/// The gap is found, and named.
#[track_caller]
fn gap(verdict: &Verdict, from: u64, to: u64) {
    assert_eq!(verdict.by_rule.keys().collect::<Vec<_>>(), [&Rule::Gap], "{:#?}", verdict.findings);
    let first = verdict.first.as_ref().unwrap();
    assert_eq!((first.leaf, first.to_leaf), (Some(from), (to > from + 1).then_some(to)));
    let leaves = if to == from + 1 { format!("leaf {from} has") } else { format!("leaves {from} to {} have", to - 1) };
    assert!(first.words.contains(&format!("{leaves} not been read by you")), "{first}");
    assert!(verdict.not_read.iter().any(|unread| (unread.from, unread.to) == (from, to)), "{:?}", verdict.not_read);
    assert!(!verdict.clean && verdict.proved.is_empty());
}

#[test]
fn leaves_skipped_after_the_last_visit_are_a_finding_whatever_is_proved_of_the_tree() {
    let stage = Stage::new(31, 900);
    let first = visit(&stage, "first", (0, 400), 400, None);
    let second = visit(&stage, "second", (600, 800), 900, Some(400));
    let verdict = stage.verify(&[&first, &second]);
    gap(&verdict, 400, 600);
    // In words and in JSON, though there are findings.
    assert!(not_proved(&verdict).contains("leaves 400 to 599, which have not been read by you"), "{}", not_proved(&verdict));
    let json = serde_json::to_value(&verdict).unwrap();
    assert_eq!(json["not_read"][0], serde_json::json!({"from": 400, "to": 600, "why": "no_export"}));
    assert_eq!(json["not_read"][1], serde_json::json!({"from": 800, "to": 900, "why": "after_the_exports"}));
    // One leaf is enough.
    gap(&stage.verify(&[&first, &visit(&stage, "but one", (401, 900), 900, Some(400))]), 400, 401);
}

#[test]
fn an_earlier_visit_that_ended_before_its_tree_did_is_gone_on_from_at_its_end() {
    let stage = Stage::new(32, 900);
    let first = visit(&stage, "first", (0, 300), 400, None);
    gap(&stage.verify(&[&first, &visit(&stage, "from the tree's end", (400, 900), 900, Some(400))]), 300, 400);
    let verdict = stage.verify(&[&first, &visit(&stage, "from its own end", (300, 900), 900, Some(400))]);
    clean(&verdict);
    assert_eq!(verdict.not_read, []);
}

#[test]
fn a_gap_between_two_earlier_visits_is_found_as_well() {
    let stage = Stage::new(33, 900);
    let visits = [(0, 200, 200), (300, 400, 400), (400, 900, 900)];
    let directories = visits.map(|(from, to, size)| {
        let old = [0, 200, 400].into_iter().rev().find(|old| *old < size && *old > 0);
        visit(&stage, &format!("from {from}"), (from, to), size, old)
    });
    gap(&stage.verify(&directories.each_ref().map(std::path::PathBuf::as_path)), 200, 300);
    // In whatever order they are named.
    let [first, second, third] = directories;
    let verdict = stage.verify(&[&second, &first, &third]);
    assert!(verdict.findings.iter().any(|finding| (finding.rule, finding.leaf) == (Rule::Gap, Some(200))), "{:#?}", verdict.findings);
}

#[test]
fn an_export_has_to_go_on_where_the_kept_checkpoint_ended() {
    let stage = Stage::new(34, 900);
    let skips = visit(&stage, "skips", (600, 900), 900, Some(400));
    gap(&after(&stage, &[400], &skips), 400, 600);

    let follows = visit(&stage, "follows", (400, 900), 900, Some(400));
    let verdict = after(&stage, &[400], &follows);
    clean(&verdict);
    // Whether they were read is not shown by a checkpoint.
    assert_eq!(verdict.not_read, [Unread { from: 0, to: 400, why: WhyUnread::CheckpointAlone }]);
    assert!(
        not_proved(&verdict).contains("leaves 0 to 399, which have not been read by you: only a checkpoint"),
        "{}",
        not_proved(&verdict)
    );
}

#[test]
fn a_checkpoint_got_elsewhere_shows_nothing_read_beside_an_earlier_export() {
    let stage = Stage::new(35, 900);
    let first = visit(&stage, "first", (0, 400), 400, None);
    let second = visit(&stage, "second", (600, 900), 900, Some(700));
    let mut verification = Verification::new(stage.log.key.verifier(), &[], Measures::default(), None);
    verification.checkpoint("public", &stage.log.checkpoint(700).unwrap());
    verification.export(&first, "first", &mut |_| ()).unwrap();
    verification.export(&second, "second", &mut |_| ()).unwrap();
    let verdict = verification.finish();
    assert!(verdict.by_rule.contains_key(&Rule::Gap), "{:#?}", verdict.findings);
}

#[test]
fn a_first_visit_tells_what_it_does_not_reach() {
    let stage = Stage::new(36, 900);
    let verdict = stage.verify(&[&visit(&stage, "middle", (100, 700), 900, None)]);
    clean(&verdict);
    assert_eq!(
        verdict.not_read,
        [Unread { from: 0, to: 100, why: WhyUnread::NoExport }, Unread { from: 700, to: 900, why: WhyUnread::AfterTheExports }]
    );
    let words = not_proved(&verdict);
    assert!(words.contains("leaves 0 to 99, which") && words.contains("leaves 700 to 899, which"), "{words}");
    // What reaches from end to end has nothing to tell.
    let whole = stage.verify(&[&visit(&stage, "whole", (0, 900), 900, None)]);
    clean(&whole);
    assert!(whole.not_read.is_empty() && !not_proved(&whole).contains("not been read"), "{}", not_proved(&whole));
}

#[test]
fn a_visit_of_a_former_log_is_gone_on_from_in_the_one_that_follows() {
    let former = Stage::new(37, 400);
    let visited = visit(&former, "visited", (0, 200), 400, None);
    let mut follows = Stage::new(38, 0);
    follows.log.leaves = former.log.leaves[..300].to_vec();
    let earlier = &former.log.key;
    let key = LogKey::generate("ca.example.test/second").unwrap();
    let mut range = CompactRange::empty(0);
    former.log.hashes()[..300].iter().for_each(|hash| range.push(*hash));
    let root = hex::encode(range.root().unwrap());
    let taken_over = serde_json::json!({"key": earlier.verifier().vkey(), "origin": earlier.origin(), "size": 300, "root": root});
    let began = serde_json::json!({"former": taken_over, "key": key.verifier().vkey(), "origin": key.origin()});
    follows.log.key = key;
    for (position, kind, data) in [(301, "store.epoch_began", r#"{"epoch":2}"#.to_owned()), (302, "log.began", began.to_string())] {
        let event = TestEvent { kind, at: 1_795_300_000_000, application: None, certificate: None, data };
        follows.log.leaves.push(SyntheticLog::leaf(&event, position, Salt([7; 32])));
    }
    let keys = [former.log.key.verifier().clone()];
    let kept = former.log.checkpoint(200).unwrap();
    let verdict = |from: u64, by_checkpoint: bool| {
        let mut verification = Verification::new(follows.log.key.verifier(), &[], Measures::default(), None).with_former_logs(&keys);
        if by_checkpoint {
            verification.checkpoint("kept", &kept);
        } else {
            verification.export(&visited, "visited", &mut |_| ()).unwrap();
        }
        let label = format!("from {from} {by_checkpoint}");
        verification.export(&visit(&follows, &label, (from, 302), 302, None), &label, &mut |_| ()).unwrap();
        verification.finish()
    };
    for by_checkpoint in [false, true] {
        let follows_on = verdict(200, by_checkpoint);
        clean(&follows_on);
        assert_eq!(follows_on.not_read.is_empty(), !by_checkpoint, "{:?}", follows_on.not_read);
        gap(&verdict(250, by_checkpoint), 200, 250);
    }
}
