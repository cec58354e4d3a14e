//! Searching the log: by certificate, holder, operator, time and kind, alone and together.

use ca_core::kind::CertificateKind::{Authentication, Signature};
use ca_core::lifecycle::{Command, HoldCause};
use schema::change::{Order, Origin, Target};
use schema::instruction::{Asked, Decision, InstructionForm, NewInstruction};
use schema::search::{SearchFault, SearchHit, SearchPage, SearchQuestion};
use schema::testing::{Sample, TestDatabase, add_ca_keys, jpki, moment};
use schema::{EventKind, EventPosition, NewEvent, StoreFault, on_each_database};
use serde_json::json;

use crate::leaves::{happen, lead, sequence};

/// A hold of a certificate, by an operator's instruction.
fn hold(store: &TestDatabase, sample: &Sample, operator: &str, cause: HoldCause, seconds: i64) {
    let new = NewInstruction::new(InstructionForm::Operator, format!("hold {} for {cause:?} by {operator}", sample.number).into_bytes());
    let by = Origin::Operator { name: operator.to_owned(), role: "call-centre".to_owned() };
    let target = Target::Serial { serial: sample.serial(Signature), kind: None };
    store
        .writer()
        .write(move |tx| -> Result<(), StoreFault> {
            tx.receive_instruction(&new, moment(seconds))?;
            let order = Order { origin: by.clone(), instruction: Some(new.digest) };
            tx.change_certificates(std::slice::from_ref(&target), &Command::Hold { cause }, &jpki(), &order, moment(seconds)).unwrap();
            let asked = Asked { by: Some(&by), action: Some("hold") };
            tx.decide_instruction(&new.digest, &Decision::Done(json!({})), asked, moment(seconds)).unwrap();
            Ok(())
        })
        .unwrap();
}

fn anything() -> SearchQuestion {
    SearchQuestion { limit: 100, ..SearchQuestion::default() }
}

fn of_operator(name: &str) -> SearchQuestion {
    SearchQuestion { operator: Some(name.to_owned()), ..anything() }
}

fn of_holder(sample: &Sample) -> SearchQuestion {
    SearchQuestion { holder_id: Some(sample.holder_id.clone()), ..anything() }
}

fn of_certificate(sample: &Sample) -> SearchQuestion {
    SearchQuestion { certificate: Some((None, sample.serial(Signature))), ..anything() }
}

fn positions(page: &SearchPage) -> Vec<i64> {
    page.hits.iter().map(|hit| hit.event.position.0).collect()
}

fn found(store: &TestDatabase, question: &SearchQuestion) -> Vec<i64> {
    let page = store.reader().search(question).unwrap();
    assert_eq!(page.next, None);
    positions(&page)
}

/// The same, a few at a time.
fn found_by_pages(store: &TestDatabase, question: &SearchQuestion, limit: u32) -> Vec<i64> {
    let mut question = SearchQuestion { limit, ..question.clone() };
    let mut all = Vec::new();
    loop {
        let page = store.reader().search(&question).unwrap();
        assert!(page.hits.len() <= limit as usize);
        all.extend(positions(&page));
        match page.next {
            Some(next) => question.after = Some(next),
            None => return all,
        }
    }
}

/// 1 and 2 CA keys; 3 to 6 and 7 to 10 the issuances of two holders; 11, 12 a hold of the first by Sato, 13, 14 of the second by Tanaka,
/// 15, 16 of the first by Tanaka.
fn lives(store: &TestDatabase) -> [Sample; 2] {
    let keys = add_ca_keys(&store.writer());
    let samples = [1, 2].map(|number| Sample::new(number, keys));
    samples[0].accept_and_issue(&store.writer(), moment(10)).unwrap();
    samples[1].accept_and_issue(&store.writer(), moment(20)).unwrap();
    hold(store, &samples[0], "Sato", HoldCause::PhoneLost, 30);
    hold(store, &samples[1], "Tanaka", HoldCause::PhoneLost, 40);
    hold(store, &samples[0], "Tanaka", HoldCause::Operator, 50);
    samples
}

on_each_database! {
    fn a_certificate_finds_its_own_events_its_applications_and_its_instructions(store) {
        let [one, two] = lives(store);
        assert_eq!(found(store, &of_certificate(&one)), [3, 4, 5, 6, 11, 12, 15, 16]);
        assert_eq!(found(store, &of_certificate(&two)), [7, 8, 9, 10, 13, 14]);
        let other_kind = SearchQuestion { certificate: Some((Some(Authentication), one.serial(Signature))), ..anything() };
        assert_eq!(found(store, &other_kind), [0; 0]);
        let authentication = SearchQuestion { certificate: Some((Some(Authentication), one.serial(Authentication))), ..anything() };
        assert_eq!(found(store, &authentication), [3, 4, 5, 6]);
    }

    fn a_holder_finds_what_all_the_certificates_find(store) {
        let [one, two] = lives(store);
        let again = Sample { holder_id: one.holder_id.clone(), ..Sample::new(3, one.ca_keys) };
        again.accept_and_issue(&store.writer(), moment(60)).unwrap();
        // Accepted, two superseded, two issued, decided.
        assert_eq!(found(store, &of_holder(&one)), [3, 4, 5, 6, 11, 12, 15, 16, 17, 18, 19, 20, 21, 22]);
        assert_eq!(found(store, &of_holder(&two)), [7, 8, 9, 10, 13, 14]);
        assert_eq!(found(store, &SearchQuestion { holder_id: Some("nobody".to_owned()), ..anything() }), [0; 0]);
        let both = SearchQuestion { holder_id: Some(two.holder_id.clone()), ..of_certificate(&one) };
        assert_eq!(found(store, &both), [0; 0], "it is another holder's");
        assert_eq!(found(store, &of_certificate(&one)), [3, 4, 5, 6, 11, 12, 15, 16, 18], "what it was superseded by is another's story, but for its end");
    }

    fn an_operator_is_found_by_name_alone_and_with_all_else(store) {
        let [one, _] = lives(store);
        assert_eq!(found(store, &of_operator("Sato")), [11, 12]);
        assert_eq!(found(store, &of_operator("Tanaka")), [13, 14, 15, 16]);
        assert_eq!(found(store, &of_operator("Tan")), [0; 0]);
        assert_eq!(found(store, &of_operator("")), [0; 0]);
        assert_eq!(found(store, &SearchQuestion { operator: Some("Tanaka".to_owned()), ..of_certificate(&one) }), [15, 16]);
        assert_eq!(found(store, &SearchQuestion { from: Some(moment(50)), ..of_operator("Tanaka") }), [15, 16]);
        assert_eq!(found(store, &SearchQuestion { kinds: vec![EventKind::InstructionDone], ..of_operator("Tanaka") }), [14, 16]);
    }

    fn times_include_their_beginning_and_not_their_end(store) {
        let [one, _] = lives(store);
        let between = |from: i64, to: i64| SearchQuestion { from: Some(moment(from)), to: Some(moment(to)), ..anything() };
        assert_eq!(found(store, &between(20, 40)), [8, 9, 10, 11, 12]);
        assert_eq!(found(store, &between(21, 40)), [11, 12]);
        // The acceptance of the second happened when that of the first did.
        assert_eq!(found(store, &between(1, 20)), [3, 7, 4, 5, 6]);
        assert_eq!(found(store, &SearchQuestion { from: Some(moment(50)), ..anything() }), [15, 16]);
        assert_eq!(found(store, &SearchQuestion { to: Some(moment(1)), ..anything() }), [1, 2]);
        assert_eq!(found(store, &SearchQuestion { holder_id: Some(one.holder_id.clone()), ..between(20, 40) }), [11, 12]);
    }

    fn pages_give_what_one_answer_gives(store) {
        let [one, _] = lives(store);
        let timed = SearchQuestion { from: Some(moment(0)), to: Some(moment(45)), ..anything() };
        let kinds = SearchQuestion { kinds: vec![EventKind::CertificateIssued, EventKind::CertificateHeld], ..anything() };
        for question in [anything(), of_certificate(&one), of_holder(&one), of_operator("Tanaka"), timed.clone(), kinds.clone()] {
            let all = found(store, &question);
            assert!(all.len() >= 4, "{question:?}");
            for limit in [1, 2, 3, 4, 7, 100] {
                assert_eq!(found_by_pages(store, &question, limit), all, "{question:?} {limit}");
            }
        }
        assert_eq!(found(store, &anything()), (1..=16).collect::<Vec<_>>());
        assert_eq!(found(store, &kinds), [4, 5, 8, 9, 11, 13]);
        let after_nothing = SearchQuestion { after: Some(EventPosition(99)), ..timed };
        assert!(matches!(store.reader().search(&after_nothing), Err(SearchFault::NoSuchPlace)));
    }

    fn a_long_way_to_the_next_hit_is_gone_in_bounded_steps(store) {
        happen(store, 10_050);
        store.writer().write(|tx| -> Result<(), StoreFault> {
            tx.emit(NewEvent::new(EventKind::SettingsChanged, moment(20_000), json!({})));
            Ok(())
        }).unwrap();
        let wanted = SearchQuestion { kinds: vec![EventKind::SettingsChanged], ..anything() };
        for question in [wanted.clone(), SearchQuestion { from: Some(moment(0)), ..wanted }] {
            let first = store.reader().search(&question).unwrap();
            assert_eq!((positions(&first), first.next), (vec![], Some(EventPosition(10_000))));
            assert_eq!(found_by_pages(store, &question, 10), [10_051]);
        }
    }

    fn a_hit_has_its_leaf_and_the_whole_event(store) {
        let [_, two] = lives(store);
        let lease = lead(store);
        sequence(store, &lease);
        hold(store, &two, "Suzuki", HoldCause::Operator, 70);
        let hits: Vec<SearchHit> = store.reader().search(&of_certificate(&two)).unwrap().hits;
        let leaves: Vec<_> = hits.iter().map(|hit| (hit.event.position.0, hit.leaf)).collect();
        assert_eq!(leaves[4..], [(13, Some(12)), (14, Some(13)), (17, None), (18, None)]);
        let told = store.reader().events_after(EventPosition(16), 1).unwrap();
        assert_eq!(hits[6].event, told[0]);
    }
}
