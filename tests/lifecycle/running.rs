//! The role with all its threads: what is asked for happens by itself, soon, and a stop is a stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ca_service::ScheduleName;
use sandbox::back_office::{CardOrder, OrderDetail};
use sandbox::kind::Kind;
use sandbox::operator::Target;
use schema::certificate::CertificateState;
use schema::on_each_database;
use schema::schedule::ScheduleRecord;

use crate::instructions::hold;
use crate::rooms::desk::end;
use crate::rooms::{CaWish, Rooms, StepsTaken};

#[track_caller]
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what} does not happen");
        thread::sleep(Duration::from_millis(20));
    }
}

on_each_database! {
    fn everything_happens_by_itself_and_ends_at_once(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        let cards = [rooms.card(), rooms.card(), rooms.card()];
        let [held, ended, dead] = cards.each_ref().map(|card| rooms.phone(&ca, card));
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let running = scope.spawn(|| ca.role.run(&stop));
            rooms.instruct(&rooms.operators.operator("alice", "call-centre"), &hold(Target::device(&held.device)));
            rooms.holder_instructs(ended.signer(Kind::Authentication), &end("this-phone", "unspecified"));
            let order = OrderDetail::default();
            rooms.back_office.order(cards[2].card_id.as_ref().unwrap(), CardOrder::Death, &order).unwrap();
            let all_are = |card: usize, state| rooms.certificates(&cards[card]).iter().all(|certificate| certificate.state == state);
            soon("the hold", || all_are(0, CertificateState::Held));
            soon("the ending", || all_are(1, CertificateState::Revoked));
            soon("the cascade", || all_are(2, CertificateState::Revoked));
            soon("telling the holders", || rooms.back_office.notices().len() == 12);
            let commands = |device: &str| rooms.reader.device(device).unwrap().unwrap().commands.len();
            soon("commanding the phones", || [&held, &ended, &dead].iter().all(|phone| commands(&phone.device) == 2));
            let has_run = |run: &ScheduleRecord| run.last_finished_at.is_some();
            soon("what is regular", || rooms.reader.schedules().unwrap().iter().filter(|run| has_run(run)).count() == ScheduleName::ALL.len());
            stop.store(true, Ordering::Relaxed);
            let begin = Instant::now();
            running.join().unwrap();
            assert!(begin.elapsed() < Duration::from_secs(5), "it took {:?} to stop", begin.elapsed());
        });
        rooms.sound();
    }

    fn a_panic_ends_that_round_and_no_thread(store) {
        let rooms = Rooms::furnish(store);
        let armed = Arc::new(AtomicBool::new(false));
        let steps = {
            let armed = Arc::clone(&armed);
            StepsTaken(move |_| assert!(!armed.swap(false, Ordering::SeqCst), "a panic on purpose"))
        };
        let ca = rooms.outfit.ca(CaWish { steps: Arc::new(steps), ..CaWish::named("one") }).leading();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let running = scope.spawn(|| ca.role.run(&stop));
            // More often than there are threads that issue.
            for _ in 0..=thread::available_parallelism().map_or(2, usize::from).clamp(2, 16) {
                armed.store(true, Ordering::SeqCst);
                let card = rooms.card();
                rooms.apply(&card);
                soon("issuance after a panic", || rooms.live(&card).len() == 2);
                assert!(!armed.load(Ordering::SeqCst), "nothing panicked");
            }
            stop.store(true, Ordering::Relaxed);
            running.join().unwrap();
        });
        rooms.sound_under_any_policy();
    }
}
