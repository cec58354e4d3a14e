//! What is done regularly: missed times are made up for once, and an administrator may ask for a run.

use ca_service::ScheduleName;
use chrono::TimeDelta;
use policies::LifecyclePolicy;
use sandbox::operator::{OperatorAction, Target};
use schema::certificate::CertificateState;
use schema::on_each_database;
use std::sync::Arc;

use crate::instructions::{hold, lifting};
use crate::rooms::{CaWish, Rooms};

on_each_database! {
    fn missed_times_are_made_up_for_by_one_run_of_whoever_leads(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        assert_eq!(ca.role.run_schedules().unwrap(), ScheduleName::ALL);
        assert_eq!(ca.role.run_schedules().unwrap(), []);
        ca.stand_down();
        // Three days without anybody.
        let next = rooms.outfit.ca(CaWish { ahead_seconds: 3 * 86_400, ..CaWish::named("two") }).leading();
        assert_eq!(next.role.run_schedules().unwrap(), ScheduleName::ALL);
        assert_eq!(next.role.run_schedules().unwrap(), []);
        for record in rooms.reader.schedules().unwrap() {
            assert!(record.last_finished_at >= record.last_started_at, "{record:?}");
            // There are as many clocks to compare with as there are other machines.
            let done = if record.name == "check-clock" { 1 + usize::from(store.is_postgres()) } else { 0 };
            assert_eq!(record.last_outcome, Some(format!("{done} done")), "{}", record.name);
        }
    }

    fn an_administrator_may_ask_for_a_run_and_a_run_that_was_broken_off_is_begun_again(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        ca.role.run_schedules().unwrap();
        let run = |schedule: &str| OperatorAction::RunSchedule { schedule: schedule.to_owned() };
        let boss = rooms.operators.operator("alice", "administrator");
        let (asked, unknown) = (rooms.instruct(&boss, &run("compare")), rooms.instruct(&boss, &run("tea")));
        ca.role.take_instructions().unwrap();
        assert_eq!(rooms.outcome(&asked)["schedule"], "compare");
        assert_eq!(rooms.refused(&unknown), "schedule_unknown");
        assert_eq!(ca.role.run_schedules().unwrap(), [ScheduleName::Compare]);
        assert_eq!(ca.role.run_schedules().unwrap(), []);
        rooms.store.execute("UPDATE schedule SET last_finished_at = last_started_at - 1 WHERE name = 'expire'").unwrap();
        assert_eq!(ca.role.run_schedules().unwrap(), [ScheduleName::Expire]);
    }

    fn who_leads_no_more_runs_nothing(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let _next = rooms.successor();
        assert!(ca.role.run_schedules().is_err());
        assert!(rooms.reader.schedules().unwrap().is_empty());
    }

    fn a_hold_that_stands_too_long_becomes_a_revocation_from_the_holds_date(store) {
        let rooms = Rooms::furnish(store);
        let ca = lifting(&rooms);
        let card = rooms.card();
        let phone = rooms.phone(&ca, &card);
        rooms.instruct(&rooms.operators.operator("alice", "call-centre"), &hold(Target::device(&phone.device)));
        ca.role.take_instructions().unwrap();
        let since = rooms.certificates(&card)[0].revocation.unwrap().at;
        ca.clock.set_ahead(29 * 86_400);
        assert_eq!(ca.role.enforce_hold_deadlines().unwrap(), 0);
        ca.clock.set_ahead(31 * 86_400);
        assert_eq!(ca.role.enforce_hold_deadlines().unwrap(), 2);
        let ended = &rooms.certificates(&card)[0];
        assert_eq!((ended.state, ended.revocation.unwrap().at), (CertificateState::Revoked, since));
        rooms.sound();
    }

    fn a_certificate_past_its_end_is_marked_so_and_one_on_hold_stays_on_the_list(store) {
        let rooms = Rooms::furnish(store);
        let jpki = Arc::new(LifecyclePolicy::jpki().unwrap());
        let ca = rooms.outfit.ca(CaWish { lifecycle: jpki, ..CaWish::named("one") }).leading();
        let [card, held] = [rooms.card(), rooms.card()];
        rooms.phone(&ca, &card);
        let lost = rooms.phone(&ca, &held);
        rooms.instruct(&rooms.operators.operator("alice", "call-centre"), &hold(Target::device(&lost.device)));
        ca.role.take_instructions().unwrap();
        assert_eq!(ca.role.expire_certificates().unwrap(), 0);
        let end = rooms.certificates(&card).iter().chain(&rooms.certificates(&held)).map(|certificate| certificate.not_after).max().unwrap();
        ca.clock.set_ahead((end - chrono::Utc::now() + TimeDelta::days(1)).num_seconds());
        assert_eq!(ca.role.expire_certificates().unwrap(), 4);
        assert!(rooms.certificates(&card).iter().all(|certificate| certificate.state == CertificateState::Expired));
        assert!(rooms.certificates(&held).iter().all(|certificate| certificate.state == CertificateState::Revoked));
        rooms.sound();
    }
}
