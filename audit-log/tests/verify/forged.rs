//! Logs made to be clean and to say what must not be: all of them have begun, every record is signed, and each offence hides behind a form that a
//! rule might not ask for.

use audit_log::export::{ExportFormat, Identities};
use audit_log::testing::{SyntheticLog, TestEvent};
use audit_log::verify::{AskedKey, EvidenceJudge, EvidenceMeans, Measures, Rule, Verdict, Verification, Why};
use serde_json::{Value, json};

use crate::stage::{Stage, clean, found, name};

const AT: i64 = 1_795_219_200_000;
const DAY: i64 = 86_400_000;

/// What happens, a second after what was before it.
struct Told(Vec<TestEvent>, Stage);

impl Told {
    /// Leaf 0 says that the log began.
    fn new() -> Self {
        let stage = Stage::new(51, 0);
        let began = json!({"key": stage.log.key.verifier().vkey(), "origin": "ca.example.test/log"});
        let mut told = Self(Vec::new(), stage);
        told.tell("log.began", None, None, &began);
        told
    }

    /// Applications 1 and on, each with a certificate, a holder and a card of the same number.
    fn with(applications: i64) -> Self {
        let mut told = Self::new();
        (1..=applications).for_each(|number| told.issue(number, number, number, number));
        told
    }

    fn tell(&mut self, kind: &'static str, application: Option<i64>, certificate: Option<i64>, data: &Value) {
        let at = AT + 1_000 * i64::try_from(self.0.len()).unwrap();
        self.0.push(TestEvent { kind, at, application, certificate, data: data.to_string() });
    }

    /// The last one has another time.
    fn at(&mut self, at: i64) {
        self.0.last_mut().unwrap().at = at;
    }

    fn accept(&mut self, application: i64) {
        self.tell("application.accepted", Some(application), None, &json!({"digest": format!("{application:064x}")}));
    }

    fn issued(&mut self, application: i64, certificate: i64, holder: i64, card: i64, change: impl Fn(&mut Value)) {
        let mut data = record(application, certificate, holder, card);
        change(&mut data);
        self.tell("certificate.issued", Some(application), Some(certificate), &data);
    }

    fn done(&mut self, application: i64) {
        self.tell("application.issued", Some(application), None, &json!({}));
    }

    fn issue(&mut self, application: i64, certificate: i64, holder: i64, card: i64) {
        self.accept(application);
        self.issued(application, certificate, holder, card, |_| ());
        self.done(application);
    }

    fn card_revoked(&mut self, card: i64, received_at: &str) {
        let data = json!({"card": card, "event_id": "e", "reason": "keyCompromise", "received_at": received_at});
        self.tell("card.revoked", None, None, &data);
    }

    fn revoked(&mut self, certificate: i64, by: &Value) {
        let data = json!({"by": by, "holder": certificate, "kind": "signature", "reason": "keyCompromise"});
        self.tell("certificate.revoked", None, Some(certificate), &data);
    }

    fn passes(&mut self, milliseconds: i64) {
        let last = self.0.last().unwrap().at;
        self.tell("clock.checked", None, None, &json!({}));
        self.at(last + milliseconds);
    }

    fn verdict(self) -> Verdict {
        let mut stage = self.1;
        stage.log.leaves = SyntheticLog::leaves_of(51, self.0);
        let leaves = stage.log.leaves.len() as u64;
        stage.verify(&[&stage.export("export", 0, leaves, ExportFormat::Jsonl)])
    }
}

/// All that the record of an issuance has to say.
fn record(application: i64, certificate: i64, holder: i64, card: i64) -> Value {
    json!({
        "application_sha256": format!("{application:064x}"), "ca_key": 1, "card": card, "holder": holder, "kind": "signature",
        "not_after": "2031-11-21T00:00:00Z", "public_key_sha256": format!("f{certificate:063x}"), "serial": format!("{certificate:x}"),
    })
}

/// The records without some members.
fn without(members: &'static [&'static str]) -> impl Fn(&mut Value) {
    move |data| members.iter().for_each(|member| drop(data.as_object_mut().unwrap().remove(*member)))
}

const HEARD: &str = "2026-11-21T00:00:03.000Z";

#[test]
fn an_issuance_that_no_rule_could_follow() {
    clean(&Told::with(2).verdict());
    for (certificate, kind, member) in [
        (Some(1 << 33), "signature", "x"),
        (Some(0), "signature", "x"),
        (Some(2), "Signature", "x"),
        (None, "signature", "x"),
        (Some(2), "signature", "holder"),
    ] {
        let mut told = Told::with(1);
        told.accept(2);
        let mut data = record(2, 2, 1, 1);
        data["kind"] = json!(kind);
        if member == "holder" {
            data[member] = json!(1_u64 << 40);
        }
        told.tell("certificate.issued", Some(2), certificate, &data);
        told.done(2);
        found(&told.verdict(), Rule::Content, 5);
    }
    // An application of a row that no store gives out.
    let mut told = Told::with(1);
    told.accept(1 << 40);
    found(&told.verdict(), Rule::Content, 4);
}

#[test]
fn a_message_a_key_and_a_serial_number_are_there_once() {
    let again = |member: &'static str, of_first: String| {
        let mut told = Told::with(1);
        told.accept(2);
        told.issued(2, 2, 2, 2, move |data| data[member] = json!(of_first));
        told.done(2);
        told.verdict()
    };
    found(&again("public_key_sha256", format!("F{:063X}", 1)), Rule::Accepted, 5);
    found(&again("serial", "0001".to_owned()), Rule::Accepted, 5);
    clean(&again("serial", "01a".to_owned()));
    let mut told = Told::with(1);
    told.tell("application.accepted", Some(2), None, &json!({"digest": format!("{:064x}", 1)}));
    told.issued(2, 2, 2, 2, |data| data["application_sha256"] = json!(format!("{:064x}", 1)));
    told.done(2);
    found(&told.verdict(), Rule::Accepted, 4);
}

#[test]
fn an_application_has_one_certificate_of_a_kind_and_one_holder() {
    let two = |kind: &'static str, holder: i64| {
        let mut told = Told::new();
        told.accept(1);
        told.issued(1, 1, 1, 1, |_| ());
        told.issued(1, 2, holder, 2, |data| data["kind"] = json!(kind));
        told.done(1);
        told.verdict()
    };
    clean(&two("authentication", 1));
    found(&two("signature", 2), Rule::Accepted, 3);
    found(&two("authentication", 2), Rule::Accepted, 3);
}

#[test]
fn a_certificate_that_expires_before_its_end() {
    let expired = |at: i64| {
        let mut told = Told::with(1);
        told.tell("certificate.expired", None, Some(1), &json!({"by": {"schedule": "x"}, "holder": 1, "kind": "signature"}));
        told.at(at);
        told.issue(2, 2, 1, 1);
        told.verdict()
    };
    clean(&expired(AT + 5 * 366 * DAY));
    found(&expired(AT + DAY), Rule::State, 4);
}

#[test]
fn records_that_say_less_after_the_log_began() {
    for members in [["public_key_sha256"], ["holder"], ["card"], ["not_after"], ["application_sha256"], ["serial"], ["ca_key"]] {
        let mut told = Told::with(1);
        told.accept(2);
        told.issued(2, 2, 2, 2, |data| members.iter().for_each(|member| drop(data.as_object_mut().unwrap().remove(*member))));
        told.done(2);
        found(&told.verdict(), Rule::Content, 5);
    }
    let mut told = Told::with(1);
    told.accept(2);
    told.issued(2, 2, 2, 2, |data| data["public_key_sha256"] = json!("zz"));
    found(&told.verdict(), Rule::Content, 5);
    let mut told = Told::with(1);
    told.tell("card.revoked", None, None, &json!({"card": 1, "event_id": "e", "reason": "keyCompromise"}));
    found(&told.verdict(), Rule::Content, 4);
    let mut told = Told::with(1);
    told.tell("certificate.revoked", None, Some(1), &json!({"by": {}, "kind": "signature", "reason": "superseded"}));
    found(&told.verdict(), Rule::Content, 4);
    let mut told = Told::with(1);
    told.tell("crl.published", None, None, &json!({"ca_key": 1, "number": 5, "shard": 0}));
    found(&told.verdict(), Rule::Content, 4);
}

#[test]
fn records_of_before_the_log_began_may_say_less() {
    let poor = without(&["public_key_sha256", "holder", "card", "not_after", "application_sha256"]);
    // An upgraded store: the oldest event is leaf 0, and the log begins later.
    let mut told = Told::new();
    let began = told.0.remove(0);
    told.accept(1);
    told.issued(1, 1, 1, 1, &poor);
    told.done(1);
    told.0.push(began);
    told.issue(2, 2, 2, 2);
    let mut stage = std::mem::replace(&mut told.1, Stage::new(52, 0));
    stage.log.leaves = SyntheticLog::leaves_of(51, told.0);
    clean(&stage.verify(&[&stage.export("whole", 0, 7, ExportFormat::Jsonl)]));
    // From the middle on as well, if it turns out to begin afterwards.
    clean(&stage.verify(&[&stage.export("late", 1, 7, ExportFormat::Jsonl)]));

    // One that does not begin afterwards has begun before.
    let mut told = Told::with(1);
    told.accept(2);
    told.issued(2, 2, 2, 2, &poor);
    told.done(2);
    let mut stage = told.1;
    stage.log.leaves = SyntheticLog::leaves_of(51, told.0);
    found(&stage.verify(&[&stage.export("later", 4, 7, ExportFormat::Jsonl)]), Rule::Content, 5);
}

#[test]
fn a_card_event_that_was_heard_after_it_was_told() {
    let mut told = Told::with(1);
    told.card_revoked(1, "2090-01-01T00:00:00Z");
    told.passes(DAY);
    let verdict = told.verdict();
    found(&verdict, Rule::Cascade, 4);
    // It is due by the record's own time, so that it is late as well.
    assert_eq!(verdict.by_rule[&Rule::Cascade], 2, "{:#?}", verdict.findings);
    // Clocks of two machines may be minutes apart.
    let mut told = Told::with(1);
    told.card_revoked(1, "2026-11-21T00:05:00.000Z");
    told.revoked(1, &json!({"card_event": "e"}));
    told.passes(DAY);
    clean(&told.verdict());
}

#[test]
fn a_record_that_the_ra_dated_does_not_tell_the_time() {
    let rejected = |told: &mut Told, at: i64| {
        told.tell("application.rejected", None, None, &json!({"application": "00", "code": "x"}));
        told.at(at);
    };
    // Of a far future: the cascade is late all the same.
    for future in [false, true] {
        let mut told = Told::with(1);
        if future {
            rejected(&mut told, AT + 30_000 * DAY);
        }
        told.card_revoked(1, HEARD);
        told.passes(3 * DAY);
        told.revoked(1, &json!({"operator": "o", "role": "administrator"}));
        told.passes(3 * DAY + 60_000);
        found(&told.verdict(), Rule::Cascade, if future { 5 } else { 4 });
    }
    // One of the CA role's own clock, gone wrong for a moment, does not stop it either.
    let mut told = Told::with(1);
    told.passes(30_000 * DAY);
    told.card_revoked(1, HEARD);
    told.passes(3 * DAY);
    told.revoked(1, &json!({"operator": "o", "role": "administrator"}));
    found(&told.verdict(), Rule::Cascade, 5);
    // Two hours ahead, between the card's end and what follows from it: in time all the same. At the end of the records too.
    let mut told = Told::with(1);
    told.card_revoked(1, HEARD);
    rejected(&mut told, AT + 7_200_000);
    told.revoked(1, &json!({"card_event": "e"}));
    clean(&told.verdict());
    let mut told = Told::with(1);
    told.card_revoked(1, HEARD);
    rejected(&mut told, AT + 7_200_000);
    let verdict = told.verdict();
    clean(&verdict);
    assert!(verdict.not_judged.iter().any(|count| count.why == Why::NotOverYet), "{:?}", verdict.not_judged);
}

#[test]
fn all_that_hangs_on_a_card_is_reached() {
    let both = |reached: &[i64]| {
        let mut told = Told::with(1);
        told.issue(2, 2, 2, 1);
        told.card_revoked(1, HEARD);
        reached.iter().for_each(|certificate| told.revoked(*certificate, &json!({"card_event": "e"})));
        told.passes(DAY);
        told.verdict()
    };
    clean(&both(&[1, 2]));
    found(&both(&[2]), Rule::Cascade, 7);
    found(&both(&[1]), Rule::Cascade, 7);
}

#[test]
fn an_example_for_relying_parties_is_for_nobody() {
    let example = |told: &mut Told, certificate: i64, holder: i64, word: &str, application: Option<i64>| {
        let mut data = record(certificate, certificate, holder, 1);
        without(&["application_sha256", "card", "public_key_sha256"])(&mut data);
        data["test"] = json!(word);
        told.tell("certificate.issued", application, Some(certificate), &data);
    };
    let mut told = Told::with(1);
    example(&mut told, 7, 9, "good", None);
    example(&mut told, 8, 10, "revoked", None);
    clean(&told.verdict());
    // For somebody who has certificates, before or afterwards.
    let mut told = Told::with(1);
    example(&mut told, 7, 1, "held", None);
    found(&told.verdict(), Rule::Accepted, 4);
    let mut told = Told::new();
    example(&mut told, 7, 1, "held", None);
    told.issue(1, 1, 1, 1);
    found(&told.verdict(), Rule::Accepted, 3);
    // For one more holder, of no status, upon an application.
    let mut told = Told::with(1);
    example(&mut told, 7, 9, "good", None);
    example(&mut told, 8, 10, "good", None);
    found(&told.verdict(), Rule::Accepted, 5);
    let mut told = Told::with(1);
    example(&mut told, 7, 9, "perfect", None);
    found(&told.verdict(), Rule::Accepted, 4);
    let mut told = Told::with(1);
    told.accept(2);
    example(&mut told, 7, 9, "good", Some(2));
    found(&told.verdict(), Rule::Accepted, 5);
}

#[test]
fn a_list_without_a_date_does_not_hide_that_dates_fall() {
    let list = |number: u64, this_update: Option<&str>| {
        let mut data = json!({"ca_key": 1, "number": number, "shard": 0});
        if let Some(this_update) = this_update {
            data["this_update"] = json!(this_update);
        }
        data
    };
    let mut told = Told::new();
    let began = told.0.remove(0);
    told.tell("crl.published", None, None, &list(5, Some("2026-11-20T00:00:00Z")));
    told.tell("crl.published", None, None, &list(6, None));
    told.0.push(began);
    told.tell("crl.published", None, None, &list(7, Some("2020-11-20T00:00:00Z")));
    found(&told.verdict(), Rule::CrlNumber, 3);
}

/// Takes every message for one that holds, and asks for the key of the certificate that has its number.
struct Believer;

impl EvidenceJudge for Believer {
    fn judge(&self, evidence: &audit_log::export::Evidence, _: chrono::DateTime<chrono::Utc>) -> Result<Vec<AskedKey>, String> {
        let digest: Value = serde_json::from_slice(&evidence.cms).map_err(|error| error.to_string())?;
        let public_key_sha256 = hex::decode(digest.as_str().unwrap()).unwrap().try_into().unwrap();
        Ok(vec![AskedKey { is_authentication: false, public_key_sha256 }])
    }
}

/// Exports of a log of three applications, of which the second is decided by the second export alone: with evidence or without.
fn visits(with: [bool; 2]) -> (Stage, age::x25519::Identity, [std::path::PathBuf; 2]) {
    let mut told = Told::with(1);
    told.accept(2);
    let first = told.0.len() as u64;
    told.issued(2, 2, 2, 2, |_| ());
    told.done(2);
    told.issue(3, 3, 3, 3);
    let mut stage = told.1;
    stage.log.leaves = SyntheticLog::leaves_of(51, told.0);
    stage.log.witness(|application, _| json!(format!("f{application:063x}")).to_string().into_bytes());
    let (identity, leaves) = (age::x25519::Identity::generate(), stage.log.leaves.len());
    let export = |label: &str, from: u64, to: u64, with: bool| {
        let mut order = stage.log.order(from, to, ExportFormat::Jsonl);
        order.previous = (from > 0).then(|| stage.log.proof(usize::try_from(from).unwrap(), leaves));
        order.recipient = with.then(|| identity.to_public().to_string().parse().unwrap());
        stage.ordered(label, usize::try_from(to).unwrap(), order)
    };
    let exports = [export("first", 0, first, with[0]), export("second", first, leaves as u64, with[1])];
    (stage, identity, exports)
}

fn judged(stage: &Stage, identity: &age::x25519::Identity, checkpoint: Option<usize>, exports: &[&std::path::PathBuf]) -> Verdict {
    use age::secrecy::ExposeSecret;

    let identities = Identities::parse(identity.to_string().expose_secret()).unwrap();
    let means = EvidenceMeans { identities: &identities, judge: &Believer };
    let mut verification = Verification::new(stage.log.key.verifier(), &[], Measures::default(), Some(&means));
    if let Some(size) = checkpoint {
        verification.checkpoint("kept", &stage.log.checkpoint(size).unwrap());
    }
    for export in exports {
        verification.export(export, &name(export), &mut |_| ()).unwrap();
    }
    verification.finish()
}

fn unjudged(verdict: &Verdict) -> Vec<(Why, u64)> {
    verdict.not_judged.iter().filter(|count| count.rule == Rule::Evidence).map(|count| (count.why, count.count)).collect()
}

#[test]
fn what_was_accepted_before_the_records_is_not_held_against_them() {
    let (stage, identity, [first, second]) = visits([true, true]);
    let verdict = judged(&stage, &identity, None, &[&first, &second]);
    clean(&verdict);
    assert_eq!((verdict.evidence.unwrap().proved, unjudged(&verdict)), (3, vec![]));
    // The first visit's checkpoint is left, or it was made without evidence.
    let verdict = judged(&stage, &identity, Some(5), &[&second]);
    clean(&verdict);
    assert_eq!((verdict.evidence.unwrap().proved, unjudged(&verdict)), (1, vec![(Why::BeforeTheRecords, 1)]));
    let (stage, identity, [first, second]) = visits([false, true]);
    let verdict = judged(&stage, &identity, None, &[&first, &second]);
    clean(&verdict);
    assert_eq!((verdict.evidence.unwrap().proved, unjudged(&verdict)), (1, vec![(Why::NoEvidence, 2)]));
}

#[test]
fn evidence_that_was_asked_for_and_is_not_there() {
    let (stage, identity, [first, second]) = visits([true, false]);
    let verdict = judged(&stage, &identity, None, &[&first, &second]);
    let finding = found(&verdict, Rule::Evidence, 5);
    assert_eq!((finding.file.as_deref(), verdict.found), (Some("manifest.note"), 1));
    // Nobody asked.
    clean(&stage.verify(&[&first, &second]));
}
