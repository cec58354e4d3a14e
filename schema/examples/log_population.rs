//! Gives the holders of a population very many events and leaves, and measures how fast the log is read and searched:
//! `cargo run --release -p schema --features testing --example log_population -- --url sqlite:///tmp/store.db --events 10000000 --leaves`
//! (with `--features testing,postgres` for a `postgres://` URL), after the example `population` has made a quarter as many certificates.

use std::error::Error;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use schema::certificate::{CertificateFilter, CertificateId};
use schema::log::LeafContent;
use schema::search::SearchQuestion;
use schema::testing::{populate_events, populate_leaves};
use schema::{Database, EventPosition, OpenOptions, Reader, StoreFault};

/// Gives the holders of a population very many events and leaves, and measures how fast the log is read and searched.
#[derive(Debug, Parser)]
struct CommandLine {
    /// The store, as `store.url` of the settings has it: sqlite://… or postgres://…
    #[arg(long)]
    url: String,
    /// How many events are made: eight for each holder
    #[arg(long)]
    events: Option<u64>,
    /// Append leaves for all events that have none; they commit to nothing
    #[arg(long)]
    leaves: bool,
    /// Measure reading and searching
    #[arg(long)]
    measure: bool,
    /// Measure searching alone
    #[arg(long, requires = "measure")]
    only_searches: bool,
    /// How many searches of each sort
    #[arg(long, default_value_t = 200)]
    searches: u32,
}

fn main() -> Result<(), Box<dyn Error>> {
    let line = CommandLine::parse();
    if let Some(events) = line.events {
        let (bar, started) = (bar(events)?, Instant::now());
        let made = populate_events(&line.url, events, Utc::now(), |done| bar.set_position(done))?;
        bar.finish();
        println!("{made} events: {}", rate(made, started.elapsed()));
    }
    if line.leaves {
        let reader = open(&line.url)?;
        let (first, all) = (reader.log_head()?.size, reader.position()?.0.unsigned_abs());
        let (bar, started) = (bar(all)?, Instant::now());
        let made = populate_leaves(&line.url, Utc::now(), |done| bar.set_position(done))? - first;
        bar.finish();
        println!("{made} leaves, read, and appended with their tiles in transactions of 8,192: {}", rate(made, started.elapsed()));
    }
    if line.measure {
        let reader = open(&line.url)?;
        if !line.only_searches {
            read(&reader)?;
        }
        for limit in [100, 1_000] {
            println!("at most {limit} events at once:");
            search(&reader, line.searches, limit)?;
        }
    }
    Ok(())
}

fn open(url: &str) -> Result<Reader, StoreFault> {
    Ok(Database::open(url, &OpenOptions::default())?.reader())
}

fn bar(length: u64) -> Result<ProgressBar, Box<dyn Error>> {
    let style = "{elapsed_precise} {wide_bar} {human_pos}/{human_len}, {per_sec}, {eta} left";
    Ok(ProgressBar::new(length).with_style(ProgressStyle::with_template(style)?))
}

fn rate(count: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    format!("{seconds:.1} s ({:.0}/s)", count as f64 / seconds.max(1e-9))
}

/// By the clock, and by the processor's time.
fn rates(count: u64, started: Instant, processor: Option<Duration>) -> String {
    let processor = processor_time().zip(processor).map(|(now, then)| now.saturating_sub(then));
    let told = processor.map_or(String::new(), |processor| format!(", of which on the processor {}", rate(count, processor)));
    rate(count, started.elapsed()) + &told
}

/// How fast one thread reads the whole log, and all events as those see them who make leaves of them.
fn read(reader: &Reader) -> Result<(), StoreFault> {
    let (mut octets, started, processor) = (0, Instant::now(), processor_time());
    let leaves = reader.log_records(0, u64::MAX, |record| -> Result<(), StoreFault> {
        if let LeafContent::Present { event, .. } = record.content {
            octets += event.data.len() as u64;
        }
        Ok(())
    })?;
    println!(
        "{leaves} leaves read with their events, {} octets of data each: {}",
        octets / leaves.max(1),
        rates(leaves, started, processor)
    );
    let (mut last, started, processor) = (EventPosition(0), Instant::now(), processor_time());
    while reader.events_to_sequence(last, 8_192, |event| -> Result<(), StoreFault> {
        last = event.position;
        Ok(())
    })? > 0
    {}
    println!("{} events read in batches of 8,192: {}", last.0, rates(last.0.unsigned_abs(), started, processor));
    Ok(())
}

/// How long searches take, each asked once and each for something else.
fn search(reader: &Reader, searches: u32, limit: u32) -> Result<(), Box<dyn Error>> {
    let last = reader.position()?;
    // The samples: holders, with their certificates, all over the population.
    let mut samples = Vec::new();
    for number in 0..searches {
        let position = EventPosition(last.0 / i64::from(searches) * i64::from(number));
        let issued = reader.events_after(position, 8)?.into_iter().find_map(|event| Some((event.certificate?, event.at)));
        let Some((certificate, at)) = issued else { continue };
        let after = CertificateId(certificate.0 - 1);
        let found = reader.list_certificates(&CertificateFilter::default(), Some(after), 1)?;
        let Some(found) = found.into_iter().find(|found| found.id == certificate) else { continue };
        samples.push((found, at));
    }
    let anything = || SearchQuestion { limit, ..SearchQuestion::default() };
    let sorts: [(&str, Vec<SearchQuestion>); 5] = [
        (
            "certificate",
            samples.iter().map(|(one, _)| SearchQuestion { certificate: Some((None, one.serial.clone())), ..anything() }).collect(),
        ),
        ("holder", samples.iter().map(|(one, _)| SearchQuestion { holder_id: Some(one.holder_id.clone()), ..anything() }).collect()),
        ("operator", (0..searches).map(|number| operator(number, last, anything())).collect()),
        (
            "hour",
            samples.iter().map(|(_, at)| SearchQuestion { from: Some(*at), to: Some(*at + TimeDelta::hours(1)), ..anything() }).collect(),
        ),
        (
            "year",
            samples.iter().map(|(_, at)| SearchQuestion { from: Some(*at), to: Some(*at + TimeDelta::days(365)), ..anything() }).collect(),
        ),
    ];
    for (what, questions) in sorts {
        let (mut took, mut of_processor, mut hits) = (Vec::new(), Vec::new(), 0);
        for question in &questions {
            let (started, processor) = (Instant::now(), processor_time());
            hits += reader.search(question)?.hits.len();
            took.push(started.elapsed());
            of_processor.extend(processor_time().zip(processor).map(|(now, then)| now.saturating_sub(then)));
        }
        println!(
            "search by {what}: {} questions, {} hits each; {}; of which on the processor {}",
            questions.len(),
            hits / questions.len().max(1),
            spread(&mut took),
            spread(&mut of_processor)
        );
    }
    Ok(())
}

fn spread(took: &mut [Duration]) -> String {
    took.sort_unstable();
    let milliseconds = |took: Option<&Duration>| took.map_or(0.0, |took| took.as_secs_f64() * 1_000.0);
    format!("{:.2} ms in the middle, {:.2} ms the longest", milliseconds(took.get(took.len() / 2)), milliseconds(took.last()))
}

/// The time that this thread was given: what else runs on the machine adds to the clock's. Linux tells it (proc(5), schedstat: nanoseconds on
/// the processor first).
fn processor_time() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(Duration::from_nanos(told.split_whitespace().next()?.parse().ok()?))
}

/// One page of what an operator did, from somewhere in the log on.
fn operator(number: u32, last: EventPosition, anything: SearchQuestion) -> SearchQuestion {
    let after = EventPosition(last.0 / 7 * i64::from(number % 7));
    SearchQuestion { operator: Some(format!("operator-{:02}", number % 50)), after: Some(after), ..anything }
}
