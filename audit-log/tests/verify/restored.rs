//! Stores that were restored, and logs that follow others: what they lost excuses what follows from that, and nothing else.

use audit_log::export::{Absent, ExportFormat};
use audit_log::testing::{Leaf, SyntheticLog, TestEvent};
use audit_log::verify::{Measures, Rule, Verdict, Verification, Why};
use audit_log::{LogKey, Salt};
use serde_json::{Value, json};

use crate::stage::{Stage, clean, found, name};
use crate::visits::visit;

const AT: i64 = 1_795_219_200_000;

/// A log that has begun, to be told what happens.
struct Told {
    stage: Stage,
    position: i64,
}

impl Told {
    fn new() -> Self {
        let mut told = Self { stage: Stage::new(61, 0), position: 0 };
        let key = told.stage.log.key.verifier().vkey();
        told.tell("log.began", None, None, &json!({"key": key, "origin": told.stage.log.key.origin()}));
        told
    }

    /// With applications 1 and on, each with a certificate, a holder and a card of the same number.
    fn with(applications: i64) -> Self {
        let mut told = Self::new();
        (1..=applications).for_each(|number| told.issue(number, number, number));
        told
    }

    fn tell(&mut self, kind: &'static str, application: Option<i64>, certificate: Option<i64>, data: &Value) {
        self.position += 1;
        let at = AT + 1_000 * i64::try_from(self.leaves()).unwrap();
        let event = TestEvent { kind, at, application, certificate, data: data.to_string() };
        let salt = Salt([u8::try_from(self.leaves() % 251).unwrap(); 32]);
        self.stage.log.leaves.push(SyntheticLog::leaf(&event, self.position, salt));
    }

    fn leaves(&self) -> u64 {
        self.stage.log.leaves.len() as u64
    }

    fn accept(&mut self, application: i64) {
        self.tell("application.accepted", Some(application), None, &json!({"digest": format!("{application:064x}")}));
    }

    fn issued(&mut self, application: Option<i64>, certificate: i64, holder: i64) {
        let mut data = json!({
            "ca_key": 1, "card": certificate, "holder": holder, "kind": "signature", "not_after": "2031-11-21T00:00:00Z",
            "public_key_sha256": format!("f{certificate:063x}"), "serial": format!("{:x}", self.leaves()),
        });
        if let Some(application) = application {
            data["application_sha256"] = json!(format!("{application:064x}"));
        }
        self.tell("certificate.issued", application, Some(certificate), &data);
    }

    fn issue(&mut self, application: i64, certificate: i64, holder: i64) {
        self.accept(application);
        self.issued(Some(application), certificate, holder);
        self.tell("application.issued", Some(application), None, &json!({}));
    }

    fn passes(&mut self) {
        self.tell("clock.checked", None, None, &json!({}));
    }

    /// The store goes on from a backup of this many leaves.
    fn restored(&mut self, from: u64) {
        let to = self.leaves();
        self.position = i64::try_from(from).unwrap();
        let range = usize::try_from(from).unwrap()..usize::try_from(to).unwrap();
        self.stage.log.destroy(range, Absent::Lost);
        self.tell("store.epoch_began", None, None, &json!({"epoch": 2}));
        self.tell("log.leaves_lost", None, None, &json!({"from": from, "to": to}));
    }

    fn export(&self, label: &str, from: u64) -> std::path::PathBuf {
        self.stage.export(label, from, self.leaves(), ExportFormat::Jsonl)
    }

    fn verdict(&self) -> Verdict {
        self.stage.verify(&[&self.export("export", 0)])
    }
}

#[test]
fn a_restoration_told_where_nothing_was_lost_excuses_nothing() {
    let mut told = Told::with(2);
    told.position = 0;
    told.tell("store.epoch_began", None, None, &json!({"epoch": 2}));
    told.issued(None, 3, 1);
    told.issued(None, 4, 1);
    let verdict = told.verdict();
    found(&verdict, Rule::Position, 7);
    assert_eq!(verdict.by_rule[&Rule::Accepted], 2, "{:#?}", verdict.findings);
    assert_eq!(verdict.by_rule[&Rule::OneLive], 2, "{:#?}", verdict.findings);
    // Nor if it says that leaves are lost whose content is there.
    let mut told = Told::with(2);
    told.position = 1;
    told.tell("store.epoch_began", None, None, &json!({"epoch": 2}));
    told.tell("log.leaves_lost", None, None, &json!({"from": 1, "to": 7}));
    told.issue(3, 1, 1);
    let verdict = told.verdict();
    for rule in [Rule::Position, Rule::Lost, Rule::State] {
        assert!(verdict.by_rule.contains_key(&rule), "{rule}: {:#?}", verdict.findings);
    }
}

#[test]
fn what_an_earlier_visit_saw_and_the_store_lost_is_judged_and_held_against_nothing() {
    let mut told = Told::with(2);
    let kept = told.leaves();
    told.issue(3, 3, 3);
    told.passes();
    let seen = told.leaves();
    let first = told.export("first", 0);
    clean(&told.stage.verify(&[&first]));
    // Rows, positions and the card-signed message of what was lost come again.
    told.restored(kept);
    told.issue(3, 3, 4);
    let second = visit(&told.stage, "second", (seen, told.leaves()), told.stage.log.leaves.len(), Some(usize::try_from(seen).unwrap()));
    let both = told.stage.verify(&[&first, &second]);
    clean(&both);
    assert!(
        both.not_judged.iter().any(|count| (count.rule, count.why, count.count) == (Rule::Lost, Why::Lost, 4)),
        "{:?}",
        both.not_judged
    );
    clean(&told.stage.verify(&[&first, &told.export("whole", 0)]));
    clean(&told.stage.verify(&[&told.export("alone", 0)]));

    // What contradicts the leaves that were not lost is found, and so is what contradicts nothing that was.
    let lost = told.leaves();
    told.issue(5, 5, 1);
    told.issued(None, 6, 6);
    told.issued(Some(3), 7, 7);
    let third = visit(&told.stage, "third", (seen, told.leaves()), told.stage.log.leaves.len(), Some(usize::try_from(seen).unwrap()));
    let verdict = told.stage.verify(&[&first, &third]);
    found(&verdict, Rule::OneLive, lost + 1);
    let leaves: Vec<_> =
        verdict.findings.iter().filter(|finding| finding.rule == Rule::Accepted).map(|finding| finding.leaf.unwrap()).collect();
    assert!(leaves.contains(&(lost + 3)) && leaves.contains(&(lost + 4)), "{:#?}", verdict.findings);
}

#[test]
fn an_offence_in_leaves_that_were_lost_later_is_found_all_the_same() {
    let mut told = Told::with(2);
    let kept = told.leaves();
    told.issued(None, 9, 9);
    let seen = told.leaves();
    let first = told.export("first", 0);
    told.restored(kept);
    let second = visit(&told.stage, "second", (seen, told.leaves()), told.stage.log.leaves.len(), Some(usize::try_from(seen).unwrap()));
    found(&told.stage.verify(&[&first, &second]), Rule::Accepted, kept);
}

#[test]
fn without_room_to_go_back_it_is_told_that_leaves_were_not_judged() {
    let mut told = Told::with(40);
    let kept = told.leaves();
    told.issue(41, 41, 41);
    let seen = told.leaves();
    let first = told.export("first", 0);
    told.restored(kept);
    told.issue(41, 41, 42);
    let second = visit(&told.stage, "second", (seen, told.leaves()), told.stage.log.leaves.len(), Some(usize::try_from(seen).unwrap()));
    let measures = Measures { room: 2_500_000, ..Measures::default() };
    let mut verification = Verification::new(told.stage.log.key.verifier(), &[], measures, None);
    verification.foresee(&second);
    for directory in [&first, &second] {
        verification.export(directory, &name(directory), &mut |_| ()).unwrap();
    }
    let verdict = verification.finish();
    assert!(!verdict.by_rule.contains_key(&Rule::Position), "{:#?}", verdict.findings);
    assert!(verdict.not_judged.iter().any(|count| (count.rule, count.why) == (Rule::Lost, Why::NoRoom)), "{:?}", verdict.not_judged);
}

#[test]
fn leaves_called_lost_that_no_restoration_lost() {
    // One leaf in the middle, and a record that names everything.
    let mut told = Told::with(1);
    told.issued(None, 9, 9);
    let lost = told.leaves() - 1;
    told.stage.log.destroy([usize::try_from(lost).unwrap()], Absent::Lost);
    told.tell("log.leaves_lost", None, None, &json!({"from": 0, "to": lost + 1}));
    told.issue(3, 3, 3);
    let verdict = told.verdict();
    // The position of what is gone was not given out again.
    assert!(verdict.by_rule.contains_key(&Rule::Position), "{:#?}", verdict.findings);
    let words: Vec<&str> =
        verdict.findings.iter().filter(|finding| finding.rule == Rule::Lost).map(|finding| finding.words.as_str()).collect();
    assert!(words.iter().any(|words| words.contains("the store was restored")), "{words:?}");
    assert!(words.iter().any(|words| words.contains("not all of these are")), "{words:?}");
    assert!(words.iter().any(|words| words.contains("no record of the log says so")), "{words:?}");
}

#[test]
fn leaves_that_were_lost_in_several_steps_are_each_named() {
    let mut told = Told::with(4);
    told.position = 7;
    told.stage.log.destroy(7..13, Absent::Lost);
    told.tell("store.epoch_began", None, None, &json!({"epoch": 2}));
    told.tell("log.leaves_lost", None, None, &json!({"from": 7, "to": 10}));
    let unnamed = told.verdict();
    assert_eq!(unnamed.by_rule.keys().collect::<Vec<_>>(), [&Rule::Lost]);
    told.tell("log.leaves_lost", None, None, &json!({"from": 10, "to": 13}));
    clean(&told.stage.verify(&[&told.export("named", 0)]));
}

#[test]
fn a_log_that_never_began() {
    let mut told = Told::with(1);
    let began = told.stage.log.leaves.remove(0);
    let first = |leaf: &Leaf| matches!(leaf, Leaf::Present { content, .. } if content.contains("log.began"));
    assert!(first(&began));
    let leaves = std::mem::take(&mut told.stage.log.leaves);
    told.position = 0;
    for _ in &leaves {
        told.passes();
    }
    assert_eq!(told.verdict().by_rule.keys().collect::<Vec<_>>(), [&Rule::Began]);
}

#[test]
fn checkpoints_of_a_fork_are_found_however_many_are_named_and_in_which_order() {
    let (mut one, mut other) = (Told::with(1), Told::new());
    let forked = one.stage.log.checkpoint(4).unwrap();
    // The same key signs another tree.
    std::mem::swap(&mut other.stage.log.key, &mut one.stage.log.key);
    other.stage.log.leaves.clear();
    other.position = 0;
    let began = json!({"key": other.stage.log.key.verifier().vkey(), "origin": "x"});
    other.tell("log.began", None, None, &began);
    (7..12).for_each(|number| other.issue(number, number, number));
    let (same_size, later) = (other.stage.log.checkpoint(4).unwrap(), other.stage.log.checkpoint(7).unwrap());
    let export = other.export("export", 0);
    let verdict = |other: &Told, checkpoints: &[&str]| {
        let mut verification = Verification::new(other.stage.log.key.verifier(), &[], Measures::default(), None);
        for (number, checkpoint) in checkpoints.iter().enumerate() {
            verification.checkpoint(&format!("kept-{number}"), checkpoint);
        }
        verification.export(&export, "export", &mut |_| ()).unwrap();
        verification.finish()
    };
    clean(&verdict(&other, &[&same_size, &later]));
    for checkpoints in [[&forked, &later], [&later, &forked], [&forked, &same_size], [&same_size, &forked]] {
        let verdict = verdict(&other, &checkpoints.map(String::as_str));
        assert_eq!(verdict.by_rule.keys().collect::<Vec<_>>(), [&Rule::Earlier], "{:#?}", verdict.findings);
    }
    // One that is of a tree that no export reaches shows nothing, beside one that is shown.
    other.passes();
    let unreached = other.stage.log.checkpoint(17).unwrap();
    let mut verification = Verification::new(other.stage.log.key.verifier(), &[], Measures::default(), None);
    verification.checkpoint("shown", &later);
    verification.checkpoint("unreached", &unreached);
    verification.export(&export, "export", &mut |_| ()).unwrap();
    let verdict = verification.finish();
    assert_eq!(verdict.by_rule.keys().collect::<Vec<_>>(), [&Rule::Earlier], "{:#?}", verdict.findings);
    assert!(verdict.findings[0].words.contains("older than that of unreached"), "{:#?}", verdict.findings);
}

#[test]
fn fresh_leaves_purged_behind_an_old_date_or_in_an_export_of_a_time_to_come() {
    let purge = |stage: &mut Told| {
        stage.issued(None, 9, 1);
        let last = usize::try_from(stage.leaves() - 1).unwrap();
        stage.stage.log.destroy([last], Absent::Purged);
        stage.issue(3, 3, 3);
        u64::try_from(last).unwrap()
    };
    let mut told = Told::with(1);
    let old = TestEvent { kind: "clock.checked", at: 1_262_304_000_000, application: None, certificate: None, data: "{}".to_owned() };
    told.position += 1;
    told.stage.log.leaves.push(SyntheticLog::leaf(&old, told.position, Salt([9; 32])));
    let leaf = purge(&mut told);
    let verdict = told.verdict();
    assert!(verdict.findings.iter().any(|finding| finding.rule == Rule::Purged && finding.leaf == Some(leaf)), "{:#?}", verdict.findings);
    assert!(verdict.findings.iter().any(|finding| finding.words.contains("1 leaves are said to be purged")), "{:#?}", verdict.findings);

    let mut told = Told::with(1);
    purge(&mut told);
    let mut order = told.stage.log.order(0, told.leaves(), ExportFormat::Jsonl);
    order.taken_at += chrono::TimeDelta::days(73 * 365);
    let verdict = told.stage.verify(&[&told.stage.ordered("future", told.stage.log.leaves.len(), order)]);
    assert!(verdict.by_rule.contains_key(&Rule::Manifest) && verdict.by_rule.contains_key(&Rule::Purged), "{:#?}", verdict.findings);
}

/// A log under another key that took over the first leaves of one, and says so.
fn renewed(former: &Told, kept: u64, root: &str) -> Told {
    let key = LogKey::generate("ca.example.test/second").unwrap();
    let mut told = Told { stage: Stage::new(62, 0), position: i64::try_from(kept).unwrap() };
    let earlier = &former.stage.log.key;
    told.stage.log.leaves = former.stage.log.leaves[..usize::try_from(kept).unwrap()].to_vec();
    let former = json!({"key": earlier.verifier().vkey(), "origin": earlier.origin(), "size": kept, "root": root});
    let data = json!({"former": former, "key": key.verifier().vkey(), "origin": key.origin()});
    told.stage.log.key = key;
    told.tell("store.epoch_began", None, None, &json!({"epoch": 2}));
    told.tell("log.began", None, None, &data);
    told.issue(8, 8, 8);
    told
}

fn root(stage: &Stage, size: u64) -> String {
    let mut range = audit_log::CompactRange::empty(0);
    stage.log.hashes()[..usize::try_from(size).unwrap()].iter().for_each(|hash| range.push(*hash));
    hex::encode(range.root().unwrap())
}

#[test]
fn what_the_auditor_has_of_a_former_log_is_held_against_the_one_that_follows() {
    let former = Told::with(5);
    let kept = 10;
    let follows = renewed(&former, kept, &root(&former.stage, kept));
    let (export, visited) = (follows.export("export", 0), former.export("visited", 0));
    let keys = [former.stage.log.key.verifier().clone()];
    let verdict = |keys: &[audit_log::LogVerifier],
                   checkpoint: Option<usize>,
                   directory: Option<&std::path::Path>,
                   follows: &Told,
                   export: &std::path::Path| {
        let mut verification = Verification::new(follows.stage.log.key.verifier(), &[], Measures::default(), None).with_former_logs(keys);
        if let Some(size) = checkpoint {
            verification.checkpoint("kept", &former.stage.log.checkpoint(size).unwrap());
        }
        for directory in directory.into_iter().chain([export]) {
            verification.export(directory, &name(directory), &mut |_| ()).unwrap();
        }
        verification.finish()
    };
    let unproved = |verdict: &Verdict, words: &str| {
        clean(verdict);
        assert!(verdict.not_proved.iter().any(|not| not.what.contains("continuity") && not.by.contains(words)), "{:?}", verdict.not_proved);
    };
    let has = |verdict: &Verdict| verdict.proved.iter().any(|proved| proved.what.contains("those of the former log ca.example.test/log"));

    // Without its key nothing of it is proved, and that is said by name.
    unproved(&verdict(&[], Some(7), None, &follows, &export), "--former-log-key");
    let held = verdict(&keys, Some(7), None, &follows, &export);
    clean(&held);
    assert!(has(&held) && !held.not_proved.iter().any(|not| not.what.contains("continuity")), "{:?}", held.not_proved);
    // Leaves that were signed and are gone are counted; the rest takes the leaf hashes of that visit.
    unproved(&verdict(&keys, Some(16), None, &follows, &export), "the last 6 were signed");
    let whole = verdict(&keys, None, Some(&visited), &follows, &export);
    unproved(&whole, "the last 6 were signed");
    assert!(has(&whole), "{:?}", whole.proved);

    // Leaves that are not the former log's, or not those that it says it took over, or a log that it does not follow.
    let mut other = Told::with(5);
    let Leaf::Present { content, .. } = &mut other.stage.log.leaves[4] else { panic!() };
    *content = content.replacen("2026-11-21T", "2026-11-20T", 1);
    let mut forked = renewed(&former, kept, &root(&other.stage, kept));
    let wrong_root = forked.export("wrong-root", 0);
    let verdict_of = verdict(&keys, None, Some(&visited), &forked, &wrong_root);
    assert_eq!(verdict_of.by_rule.keys().collect::<Vec<_>>(), [&Rule::Earlier], "{:#?}", verdict_of.findings);
    forked.stage.log.leaves[4] = other.stage.log.leaves[4].clone();
    let changed = forked.export("changed", 0);
    for (checkpoint, directory) in [(Some(7), None), (None, Some(visited.as_path()))] {
        let verdict = verdict(&keys, checkpoint, directory, &forked, &changed);
        assert_eq!(verdict.by_rule.keys().collect::<Vec<_>>(), [&Rule::Earlier], "{:#?}", verdict.findings);
    }
    let stranger = Told::with(2);
    let alone = stranger.export("alone", 0);
    let renamed = LogKey::generate("ca.example.test/third").unwrap();
    let mut verification = Verification::new(stranger.stage.log.key.verifier(), &[], Measures::default(), None);
    verification.checkpoint("another's", renamed.sign_checkpoint(1, stranger.stage.log.hashes()[0]).unwrap().note());
    verification.export(&alone, "alone", &mut |_| ()).unwrap();
    assert_eq!(verification.finish().by_rule.keys().collect::<Vec<_>>(), [&Rule::Earlier]);
}
