//! Served processes killed by SIGKILL at random moments while people apply, report losses, change phones and lose cards: nothing
//! acknowledged is lost, nothing half done is seen, every queue drains afterwards, and the issuance log never loses, doubles or
//! reorders an event, shrinks or forks.
//!
//! A few kills for each database, or as many as `TSUNAGI_TEST_KILLS` says: `scripts/soak`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod household;
mod ledger;
mod log;
mod messages;
#[path = "../rooms/never.rs"]
mod never;
mod persistence;
mod processes;
#[path = "../support/mod.rs"]
mod support;
mod town;
mod verdict;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use processes::Processes;
use town::Town;

/// Kills where nothing else is said.
const KILLS: usize = 6;
/// Families that all do something at any time.
const HOUSEHOLDS: usize = 4;

support::on_each_database! {
    fn nothing_acknowledged_is_lost_whenever_processes_are_killed(store) {
        let kills = std::env::var("TSUNAGI_TEST_KILLS").map_or(KILLS, |number| number.parse().expect("a number of kills"));
        let town = Town::found(store);
        let mut processes = Processes::start(&town);
        thread::scope(|scope| {
            let _end = StopAtEnd(&town);
            let town = &town;
            let mut people: Vec<_> = (0..HOUSEHOLDS).map(|number| scope.spawn(move || household::live(town, number))).collect();
            people.push(scope.spawn(|| town.watch_the_status()));
            people.push(scope.spawn(|| town.log.watch(town)));
            for number in 1..=kills {
                processes.kill_one_of(number, || people.iter().any(thread::ScopedJoinHandle::is_finished));
                verdict::nothing_half_done(&town.installation.reader());
                town.log.nothing_is_lost_doubled_or_reordered(&town.installation.reader());
                processes.restart(number, kills);
            }
        });
        verdict::pass(&town, &processes);
    }
}

/// Whoever leaves off, the others do so too.
struct StopAtEnd<'t>(&'t Town);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
        self.0.lost.store(thread::panicking(), Ordering::Relaxed);
    }
}

/// A random number of milliseconds below that one.
fn moment(below: usize) -> Duration {
    Duration::from_millis(sandbox::keys::random_below(below.max(1)).unwrap() as u64)
}

/// One time out of so many.
fn one_in(times: usize) -> bool {
    sandbox::keys::random_below(times).unwrap() == 0
}
