//! The processes that serve the town, and how they are killed.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use schema::{Database, OpenOptions};

use crate::support::{Process, Store, free_address, until};
use crate::town::Town;
use crate::{moment, one_in};

/// How long the town may take until something is done again.
const RECOVERY: Duration = Duration::from_secs(150);
/// So often, a dead CA's lead runs out by itself. Else it is ended: fifteen seconds in which nothing happens prove nothing more.
const LEADS_THAT_RUN_OUT: usize = 12;

struct Running {
    name: &'static str,
    roles: &'static [&'static str],
    telemetry: Option<SocketAddr>,
    process: Process,
}

pub(crate) struct Processes<'t> {
    town: &'t Town,
    running: Vec<Running>,
    /// Which of them is dead.
    dead: usize,
    acknowledged_before: usize,
    /// How long it took each time until something was acknowledged again.
    recoveries: Vec<Duration>,
}

impl<'t> Processes<'t> {
    /// All roles in one process on SQLite, a process for each on PostgreSQL; waits until the town can be served.
    pub(crate) fn start(town: &'t Town) -> Self {
        let plan: Vec<(&'static str, &'static [&'static str], Option<SocketAddr>)> = match town.store {
            Store::Sqlite => vec![("all", &[], None)],
            #[cfg(feature = "postgres")]
            Store::Postgres => {
                vec![("ca", &["ca"], None), ("ra", &["ra"], Some(free_address())), ("status", &["status"], Some(free_address()))]
            }
        };
        let begin =
            |(name, roles, telemetry)| Running { name, roles, telemetry, process: town.installation.start_role(name, roles, telemetry) };
        let running = plan.into_iter().map(begin).collect();
        town.open();
        Self { town, running, dead: 0, acknowledged_before: 0, recoveries: Vec::new() }
    }

    /// Waits until something has been done since the last kill, mostly, and for a random moment more; then kills a random one.
    pub(crate) fn kill_one_of(&mut self, number: usize, has_anybody_left: impl Fn() -> bool) {
        let is_hasty = one_in(5);
        let restarted = Instant::now();
        while !is_hasty && self.town.ledger.acknowledgements() < self.acknowledged_before + 2 {
            assert!(!has_anybody_left(), "somebody found a defect");
            self.all_run();
            assert!(restarted.elapsed() < RECOVERY, "after kill {}, nothing is done any more", number - 1);
            sleep(Duration::from_millis(10));
        }
        if !is_hasty {
            self.recoveries.push(restarted.elapsed());
        }
        sleep(moment(700));
        assert!(!has_anybody_left(), "somebody found a defect");
        // The CA, which is the first or in it, has the most to lose.
        self.dead = if one_in(2) { 0 } else { sandbox::keys::random_below(self.running.len()).unwrap() };
        self.all_run();
        let dead = &mut self.running[self.dead];
        dead.process.kill();
        self.town.ledger.count(&format!("kills of {}", dead.name));
    }

    fn all_run(&mut self) {
        for running in &mut self.running {
            assert!(running.process.is_running(), "the process {} ended by itself", running.name);
        }
    }

    /// Starts the dead one again, sometimes after a while.
    pub(crate) fn restart(&mut self, number: usize, kills: usize) {
        if one_in(4) {
            sleep(moment(1_000));
        }
        let dead = &mut self.running[self.dead];
        let led = dead.roles.is_empty() || dead.roles.contains(&"ca");
        // The lead of the last one runs out in any case, if there are many.
        if led && !(kills > 50 && (one_in(LEADS_THAT_RUN_OUT) || number == kills)) {
            end_the_lead(&self.town.installation.store_url());
        }
        self.acknowledged_before = self.town.ledger.acknowledgements();
        dead.process = self.town.installation.start_role(dead.name, dead.roles, dead.telemetry);
        if number.is_multiple_of(20) {
            eprintln!("{number} kills; {} acknowledgements", self.acknowledged_before);
        }
    }

    /// The time from a restart to the second thing done: the middle one, and the longest.
    pub(crate) fn recovery(&self) -> (Duration, Duration) {
        let mut sorted = self.recoveries.clone();
        sorted.sort_unstable();
        (sorted.get(sorted.len() / 2).copied().unwrap_or_default(), sorted.last().copied().unwrap_or_default())
    }
}

/// As if the time of a dead process's lead had run out. It is dead, so nobody is led astray.
fn end_the_lead(url: &str) {
    let database = until("the store can be opened", || Database::open(url, &OpenOptions::default()).ok());
    if let Some(lease) = database.reader().lease("ca").unwrap() {
        let past = Utc::now() - TimeDelta::seconds(1);
        database.writer().write(move |tx| tx.release_lease(&lease, past)).unwrap();
    }
}
