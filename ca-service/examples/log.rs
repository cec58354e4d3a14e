//! Measures how fast committed events become leaves under a signed checkpoint, and how soon. benches/log.sh runs it.
//!
//! `log backlog URL DIRECTORY EVENTS`: in a new store so many events wait, copies of those that issuance leaves; they are brought into the
//! log, first as leaves alone, then, in a second half, with notes and tile directory beside.
//! `log pace URL DIRECTORY RATE SECONDS`: so many events come in each second, seven in each commit, and for each commit is measured how long
//! it took until a signed note covered it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use audit_log::{LogKey, TileDirectory};
use ca_core::clock::{Clock as _, SystemClock};
use ca_service::{LogKeeper, LogParts, LogSettings, WitnessPace};
use chrono::{TimeDelta, Utc};
use schema::lease::Lease;
use schema::log::LogIdentity;
use schema::testing::{Sample, add_ca_keys};
use schema::{Database, Event, EventPosition, NewEvent, StoreFault, Transaction};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["backlog", url, directory, events] => backlog(url, Path::new(directory), events.parse().unwrap()),
        ["pace", url, directory, rate, seconds] => pace(url, Path::new(directory), rate.parse().unwrap(), seconds.parse().unwrap()),
        _ => panic!("log backlog URL DIRECTORY EVENTS | log pace URL DIRECTORY RATE SECONDS"),
    }
}

/// A store with a log, somebody who keeps it, and what events look like.
struct Stand {
    database: Database,
    keeper: LogKeeper,
    lease: Lease,
    like: Vec<NewEvent>,
}

impl Stand {
    fn new(url: &str, directory: &Path) -> Self {
        let database = Database::create(url).unwrap();
        let key = LogKey::generate("bench.example/log").unwrap();
        let identity = LogIdentity { origin: key.origin().to_owned(), verifier_key: key.verifier().vkey() };
        database.writer().write(move |tx| tx.begin_log(&identity, Utc::now())).map(drop).unwrap();
        let lease = database.writer().write(|tx| tx.acquire_lease("ca", "bench", Utc::now(), TimeDelta::days(1))).unwrap().unwrap();
        let keeper = LogKeeper::new(LogParts {
            key: Arc::new(key),
            directory: TileDirectory::new(directory),
            reader: database.reader(),
            writer: database.writer(),
            wake: database.wake(),
            clock: Arc::new(SystemClock),
            settings: LogSettings::default(),
            pace: WitnessPace::default(),
        });
        let like = events_of_issuance(&database);
        Self { keeper: keeper.unwrap(), database, lease, like }
    }

    fn size(&self) -> u64 {
        self.database.reader().log_head().unwrap().size
    }

    fn noted(&self) -> u64 {
        self.database.reader().log_head().unwrap().note.map_or(0, |note| note.size)
    }

    /// So many events in one transaction; the position of the last.
    fn commit(&self, count: usize) {
        let events: Vec<NewEvent> = self.like.iter().cycle().take(count).cloned().collect();
        let emit = move |tx: &mut Transaction<'_>| -> Result<(), StoreFault> {
            events.iter().for_each(|event| tx.emit(NewEvent { at: SystemClock.now(), ..event.clone() }));
            Ok(())
        };
        self.database.writer().write(emit).unwrap();
    }
}

/// What accepting and issuing two certificates leaves.
fn events_of_issuance(database: &Database) -> Vec<NewEvent> {
    let (writer, before) = (database.writer(), database.reader().position().unwrap());
    let ca_keys = add_ca_keys(&writer);
    let shards = ca_keys;
    writer.write(move |tx| shards.into_iter().try_for_each(|ca_key| tx.open_crl_shards(ca_key, 1, Utc::now()).map(drop))).unwrap();
    Sample::new(1, ca_keys).accept_and_issue(&writer, Utc::now()).unwrap();
    let events = database.reader().events_after(before, 100).unwrap();
    let about_one = |event: &Event| event.certificate.is_some() || event.application.is_some();
    let copy = |event: Event| NewEvent {
        kind: event.kind,
        at: event.at,
        certificate: event.certificate,
        application: event.application,
        data: event.data,
    };
    let like: Vec<NewEvent> = events.into_iter().filter(about_one).map(copy).collect();
    let octets: usize = like.iter().map(|event| event.data.to_string().len()).sum();
    let kinds: Vec<&str> = like.iter().map(|event| event.kind.as_str()).collect();
    println!("events: {}; {} octets of data each in the mean", kinds.join(", "), octets / like.len());
    like
}

fn backlog(url: &str, directory: &Path, events: usize) {
    let stand = Stand::new(url, directory);
    let fill = |count: usize| {
        let began = Instant::now();
        (0..count).step_by(5_000).for_each(|done| stand.commit((count - done).min(5_000)));
        println!("{count} events committed in {:.1?}", began.elapsed());
    };
    fill(events / 2);
    let (began, before) = (Instant::now(), stand.size());
    while stand.keeper.sequence(&stand.lease).unwrap() > 0 {}
    told("leaves alone", stand.size() - before, began.elapsed());

    fill(events / 2);
    let (position, before) = (stand.database.reader().position().unwrap(), stand.size());
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    thread::scope(|scope| {
        scope.spawn(|| stand.keeper.run(&|| Some(stand.lease.clone()), &stop));
        while stand.database.reader().log_head().unwrap().position < position {
            thread::sleep(Duration::from_millis(10));
        }
        let appended = began.elapsed();
        let size = stand.size();
        while stand.noted() < size {
            thread::sleep(Duration::from_millis(10));
        }
        told("leaves beside notes and tiles", size - before, appended);
        told("until all are under a note", size - before, began.elapsed());
        let tiles = TileDirectory::new(directory);
        let published = || tiles.checkpoint().unwrap().is_some_and(|note| note.lines().nth(1) == Some(&size.to_string()));
        while !published() {
            thread::sleep(Duration::from_millis(20));
        }
        told("until all are in the tile directory", size - before, began.elapsed());
        stop.store(true, Ordering::Relaxed);
    });
    println!("most memory {}", most_memory());
}

fn told(what: &str, leaves: u64, took: Duration) {
    println!("{what}: {leaves} in {took:.2?}: {:.0}/s", leaves as f64 / took.as_secs_f64());
}

fn pace(url: &str, directory: &Path, rate: usize, seconds: u64) {
    /// What one issuance of both kinds leaves, about.
    const CROWD: usize = 7;
    let stand = Stand::new(url, directory);
    let (stop, began, step) = (AtomicBool::new(false), Instant::now(), Duration::from_secs_f64(CROWD as f64 / rate as f64));
    let mut waits: Vec<Duration> = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| stand.keeper.run(&|| Some(stand.lease.clone()), &stop));
        let committing = scope.spawn(|| {
            let mut committed: Vec<(EventPosition, Instant)> = Vec::new();
            for number in 0.. {
                let due = began + step * number;
                if due >= began + Duration::from_secs(seconds) {
                    return committed;
                }
                thread::sleep(due.saturating_duration_since(Instant::now()));
                stand.commit(CROWD);
                committed.push((stand.database.wake().position(), Instant::now()));
            }
            committed
        });
        let mut noted: Vec<(u64, Instant)> = Vec::new();
        while !committing.is_finished() {
            let size = stand.noted();
            if noted.last().is_none_or(|(known, _)| *known < size) {
                noted.push((size, Instant::now()));
            }
            thread::sleep(Duration::from_millis(2));
        }
        let committed = committing.join().unwrap();
        while stand.noted() < stand.database.reader().position().unwrap().0.unsigned_abs() {
            thread::sleep(Duration::from_millis(2));
        }
        noted.push((stand.noted(), Instant::now()));
        stop.store(true, Ordering::Relaxed);
        // Leaf and position run beside each other in a store that was never restored.
        for (position, at) in committed {
            let covered = noted.iter().find(|(size, _)| *size >= position.0.unsigned_abs()).unwrap();
            waits.push(covered.1.saturating_duration_since(at));
        }
        println!("{} commits of {CROWD} events, {} notes", waits.len(), noted.len());
    });
    waits.sort_unstable();
    let part = |share: usize| waits[(waits.len() - 1) * share / 1_000];
    println!("from commit to note: p50 {:.0?}, p99 {:.0?}, longest {:.0?}", part(500), part(990), part(1_000));
    println!("most memory {}", most_memory());
}

/// The most memory that this process has held.
fn most_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim().to_owned()
}
