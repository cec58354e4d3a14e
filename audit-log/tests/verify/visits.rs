//! A second visit: nothing was changed or left out since the first.

use audit_log::export::ExportFormat;
use audit_log::hash::sha256;
use audit_log::verify::{Measures, Rule, Verification};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::stage::{Stage, clean, found, name};

/// An export of the leaves `from` to `to` of the tree of `size`, with a proof from `old`.
pub(crate) fn visit(stage: &Stage, label: &str, (from, to): (u64, u64), size: usize, old: Option<usize>) -> std::path::PathBuf {
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
    assert_eq!(verdict.by_rule.keys().collect::<Vec<_>>(), [&Rule::Earlier, &Rule::Gap]);
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
    let second = visit(&stage, "second", (1_234, 2_000), 2_000, Some(1_234));
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

#[test]
fn a_store_that_lost_what_an_earlier_visit_saw_goes_on_without_it_if_the_log_says_so() {
    use audit_log::Salt;
    use audit_log::export::Absent;
    use audit_log::testing::{SyntheticLog, TestEvent};

    let mut stage = Stage::new(18, 1_000);
    let first = visit(&stage, "first", (0, 1_000), 1_000, None);
    // Restored from before the last hundred; something that was told already happens again.
    stage.log.destroy(900..1_000, Absent::Lost);
    let event = |kind, data: &str| TestEvent { kind, at: 1_795_300_000_000, application: None, certificate: None, data: data.to_owned() };
    let told = [
        event("settings.changed", r#"{"changed":[],"role":"ca","sha256":"00"}"#),
        event("store.epoch_began", r#"{"epoch":2}"#),
        event("log.leaves_lost", r#"{"from":900,"to":1000}"#),
    ];
    for (position, event) in (901..).zip(&told) {
        stage.log.leaves.push(SyntheticLog::leaf(event, position, Salt([8; 32])));
    }
    let second = visit(&stage, "second", (1_000, 1_003), 1_003, Some(1_000));
    let verdict = stage.verify(&[&first, &second]);
    clean(&verdict);
    assert!(verdict.not_judged.iter().any(|count| count.why == audit_log::verify::Why::Lost), "{:?}", verdict.not_judged);

    // Positions that fall for no reason are found where they fell.
    stage.log.leaves.truncate(1_001);
    let silent = visit(&stage, "silent", (1_000, 1_001), 1_001, Some(1_000));
    found(&stage.verify(&[&first, &silent]), Rule::Position, 1_000);
}

#[test]
fn a_witness_that_was_named_must_have_cosigned() {
    let witnesses = [audit_log::WitnessVerifier::parse(&witness_key(1)).unwrap()];
    let mut stage = Stage::new(17, 300);
    let verdict = |stage: &Stage, label: &str| {
        let directory = visit(stage, label, (0, 300), 300, None);
        let mut verification = Verification::new(stage.log.key.verifier(), &witnesses, Measures::default(), None);
        verification.export(&directory, label, &mut |_| ()).unwrap();
        verification.finish()
    };
    let missing = verdict(&stage, "missing");
    assert_eq!(missing.by_rule.keys().collect::<Vec<_>>(), [&Rule::Witness]);
    assert!(!missing.proved.iter().any(|proved| proved.what.contains("everybody")));

    stage.log.cosign = Box::new(|note| cosignature(1, note));
    let cosigned = verdict(&stage, "cosigned");
    clean(&cosigned);
    assert!(cosigned.proved.iter().any(|proved| proved.by.contains("witness.example/w1 at 2026-11-21T00:00:00Z")), "{:?}", cosigned.proved);

    // Another key under the witness's name and identifier.
    stage.log.cosign = Box::new(|note| {
        let (mine, other) = (cosignature(1, note), cosignature(2, note));
        let decode = |line: &str| STANDARD.decode(line.trim().rsplit(' ').next().unwrap()).unwrap();
        let forged = [&decode(&mine)[..12], &decode(&other)[12..]].concat();
        format!("\u{2014} {WITNESS} {}\n", STANDARD.encode(forged))
    });
    assert_eq!(verdict(&stage, "forged").by_rule.keys().collect::<Vec<_>>(), [&Rule::Witness]);
}

#[test]
fn a_later_cosignature_covers_an_earlier_visit_that_the_later_tree_extends() {
    let witnesses = [audit_log::WitnessVerifier::parse(&witness_key(1)).unwrap()];
    let mut stage = Stage::new(19, 600);
    let verify = |stage: &Stage, directories: &[&std::path::Path]| {
        let mut verification = Verification::new(stage.log.key.verifier(), &witnesses, Measures::default(), None);
        for directory in directories {
            verification.export(directory, &name(directory), &mut |_| ()).unwrap();
        }
        verification.finish()
    };
    let first = visit(&stage, "first", (0, 300), 300, None);
    let uncosigned = visit(&stage, "uncosigned", (300, 600), 600, Some(300));
    stage.log.cosign = Box::new(|note| cosignature(1, note));
    let second = visit(&stage, "second", (300, 600), 600, Some(300));
    let earlier = visit(&stage, "earlier", (0, 200), 200, None);

    let verdict = verify(&stage, &[&first, &second]);
    clean(&verdict);
    assert!(verdict.proved.iter().any(|proved| proved.what.contains("everybody")), "{:?}", verdict.proved);
    let told = verdict.not_proved.iter().find(|not| not.what.contains("the tree of first was shown to everybody")).unwrap();
    assert!(told.by.contains("it has cosigned that of second"), "{told:?}");

    // What comes before covers nothing, and without any there is nothing to cover it.
    for directories in [[earlier.as_path(), &uncosigned], [&first, &uncosigned]] {
        let verdict = verify(&stage, &directories);
        assert!(verdict.by_rule.contains_key(&Rule::Witness), "{:#?}", verdict.findings);
    }

    // A cosigned tree that is not shown to extend it covers nothing.
    let audit_log::testing::Leaf::Present { content, .. } = &mut stage.log.leaves[40] else { panic!() };
    *content = content.replacen("2026-11-21T", "2026-11-20T", 1);
    let forked = visit(&stage, "forked", (300, 600), 600, Some(300));
    let verdict = verify(&stage, &[&first, &forked]);
    assert!(verdict.by_rule.contains_key(&Rule::Witness) && verdict.by_rule.contains_key(&Rule::Earlier), "{:#?}", verdict.findings);
}

const WITNESS: &str = "witness.example/w1";

fn pair(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

/// Type and public key of a witness, and the identifier that follows from them.
fn identified(seed: u8) -> (Vec<u8>, Vec<u8>) {
    let public = [[4].as_slice(), pair(seed).public_key().as_ref()].concat();
    let id = sha256(&[WITNESS.as_bytes(), b"\n", &public].concat())[..4].to_vec();
    (public, id)
}

fn witness_key(seed: u8) -> String {
    let (public, id) = identified(seed);
    format!("{WITNESS}+{}+{}", hex::encode(id), STANDARD.encode(public))
}

/// A cosignature made from the text of C2SP tlog-cosignature alone.
fn cosignature(seed: u8, note: &str) -> String {
    let text = &note[..note.find("\n\n").unwrap() + 1];
    let time = 1_795_219_200_u64;
    let signature = pair(seed).sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
    let octets = [identified(seed).1.as_slice(), &time.to_be_bytes(), signature.as_ref()].concat();
    format!("\u{2014} {WITNESS} {}\n", STANDARD.encode(octets))
}
