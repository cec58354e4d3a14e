//! Rows that nobody honest would write, and clocks that go wrong: what stands beside them goes on all the same.

use back_office::{BackOffice, BackOfficeFault, CardEventPage, CardHolder, CardName, CardReference, Notice, RegisterState};
use ca_service::ScheduleName;
use chrono::{DateTime, Utc};
use sandbox::instruction::Signer;
use sandbox::kind::Kind;
use sandbox::operator::Target;
use schema::instruction::{InstructionForm, InstructionState};
use schema::on_each_database;
use std::sync::Arc;

use crate::instructions::hold;
use crate::rooms::desk::end;
use crate::rooms::{CaWish, Rooms};

/// A back office that gives no answer.
struct Silent;

impl BackOffice for Silent {
    fn look_up(&self, _: &[CardReference]) -> Result<Vec<Option<CardHolder>>, BackOfficeFault> {
        Err(BackOfficeFault::Malformed("silence"))
    }

    fn card_events(&self, _: &str, _: u32) -> Result<CardEventPage, BackOfficeFault> {
        Err(BackOfficeFault::Malformed("silence"))
    }

    fn card_states(&self, _: &[CardName]) -> Result<Vec<Option<RegisterState>>, BackOfficeFault> {
        Err(BackOfficeFault::Malformed("silence"))
    }

    fn notify(&self, _: &[Notice]) -> Result<Vec<String>, BackOfficeFault> {
        Err(BackOfficeFault::Malformed("silence"))
    }

    fn clock(&self) -> Result<DateTime<Utc>, BackOfficeFault> {
        Err(BackOfficeFault::Malformed("silence"))
    }
}

const YEAR: i64 = 365 * 86_400;

on_each_database! {
    fn applications_without_evidence_keep_nobody_waiting(store) {
        let rooms = Rooms::furnish(store);
        let octets = |number: usize, count: usize| {
            let hex = format!("{number:02x}").repeat(count);
            if store.is_postgres() { format!("'\\x{hex}'::bytea") } else { format!("x'{hex}'") }
        };
        for number in 1..=3 {
            let statement = format!(
                "INSERT INTO application (digest, challenge, accepted_at, ticket_hash) VALUES ({}, {}, {}, {})",
                octets(number, 32), octets(number, 48), Utc::now().timestamp_millis(), octets(number, 32)
            );
            store.execute(&statement).unwrap();
        }
        let ca = rooms.outfit.ca(CaWish { batch: 2, ..CaWish::named("one") }).leading();
        let (application, _) = rooms.apply(&rooms.card());
        for _ in 0..4 {
            ca.role.issue_batch().unwrap();
        }
        assert!(rooms.is_issued(application), "rows without evidence stand in its way");
        assert_eq!(rooms.refusal(ca_core::application::ApplicationId(1)), "evidence_unreadable");
        rooms.sound();
    }

    fn a_target_that_the_database_cannot_take_keeps_nobody_waiting(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        rooms.phone(&ca, &card);
        let desk = rooms.operators.operator("alice", "call-centre");
        let poison = rooms.instruct(&desk, &hold(Target::holder("\0")));
        let noise = rooms.store_instruction(InstructionForm::Operator, b"noise".to_vec());
        let ended = rooms.holder_instructs((&card.signature).into(), &end("all", "cessationOfOperation"));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&poison), "instruction_malformed");
        assert_eq!(rooms.refused(&noise), "cms_malformed");
        rooms.outcome(&ended);
        assert!(rooms.live(&card).is_empty());
    }

    fn instructions_that_wait_for_the_back_office_hold_up_no_report_of_a_loss(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        ca.stand_down();
        let ca = rooms.outfit.ca(CaWish { back_office: Some(Arc::new(Silent)), ..CaWish::named("two") }).leading();
        let signer: Signer<'_> = (&card.signature).into();
        let waiting: Vec<_> = (0..201).map(|_| rooms.holder_instructs(signer, &end("all", "cessationOfOperation"))).collect();
        let held = rooms.instruct(&rooms.operators.operator("alice", "call-centre"), &hold(Target::device(&phone.device)));
        ca.role.take_instructions().unwrap();
        rooms.outcome(&held);
        assert!(waiting.iter().all(|digest| matches!(rooms.instruction(digest), InstructionState::Waiting)));
    }

    fn a_clock_that_was_ahead_for_a_moment_makes_no_evidence_fresh_and_no_schedule_wait(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let hear = || {
            ca.role.follow_feed().unwrap();
            ca.role.read_card_crls().unwrap();
            ca.role.compare_cards().unwrap();
        };
        hear();
        ca.role.run_schedules().unwrap();
        ca.clock.set_ahead(YEAR);
        hear();
        ca.role.run_schedules().unwrap();
        ca.clock.set_ahead(0);
        assert!(ca.role.evidence_is_stale().unwrap().is_some(), "news of next year are believed");
        hear();
        assert_eq!(ca.role.evidence_is_stale().unwrap(), None);
        assert_eq!(ca.role.run_schedules().unwrap(), ScheduleName::ALL, "runs of next year are waited for");
        assert_eq!(ca.role.run_schedules().unwrap(), []);
        // Asked for while the clock was wrong: done once.
        store.execute(&format!("UPDATE schedule SET requested_at = {} WHERE name = 'compare'", (Utc::now().timestamp() + YEAR) * 1_000)).unwrap();
        assert_eq!(ca.role.run_schedules().unwrap(), [ScheduleName::Compare]);
        assert_eq!(ca.role.run_schedules().unwrap(), []);
    }

    fn a_challenge_of_a_clock_that_was_ahead_is_none(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        ca.clock.set_ahead(YEAR);
        ca.role.draw_beacon_if_due().unwrap();
        let ahead = rooms.holder_instructs(phone.signer(Kind::Authentication), &end("this-phone", "unspecified"));
        ca.clock.set_ahead(0);
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.refused(&ahead), "challenge_expired");
    }
}
