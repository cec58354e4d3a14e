//! While the installation works there is nothing to be found: what changes between two looks is no finding.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sandbox::operator::{HoldCause, OperatorAction, Target};

use crate::support::{Installation, Store, on_each_database};

/// So often the log is checked.
const CHECKS: usize = 20;

on_each_database! {
    fn a_log_that_grows_is_found_sound_each_time(store) {
        checked_while_it_works(store);
    }
}

fn checked_while_it_works(store: Store) {
    let installation = Installation::serving(store);
    let call_centre = installation.operator_named("call-centre");
    let (over, installation) = (AtomicBool::new(false), &installation);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let enrolled = installation.apply(&installation.card());
                    let held = &enrolled.certificates[0];
                    let target = Target::certificate(&held.serial, held.kind);
                    let action = OperatorAction::Hold { target, cause: HoldCause::PhoneLost, ticket: "test".to_owned() };
                    call_centre.instruct(&action).unwrap();
                }
            });
        }
        let unsound =
            (0..CHECKS).map(|_| installation.command(&["log", "check", "--output", "json"])).find(|check| !check.status.success());
        over.store(true, Ordering::Relaxed);
        assert!(unsound.is_none(), "{}", unsound.as_ref().map(crate::support::said).unwrap_or_default());
    });
}
