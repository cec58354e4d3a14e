//! Fills an initialised store with very many certificates, to measure with:
//! `cargo run --release -p schema --features testing --example population -- --url sqlite:///tmp/store.db --revoked 0.1`
//! (with `--features testing,postgres` for a `postgres://` URL).

use std::error::Error;
use std::time::Instant;

use ca_core::issuer::CaKey;
use ca_core::kind::CertificateKind;
use chrono::Utc;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use schema::testing::{Population, add_ca_keys, populate, population_serial};
use schema::{Database, OpenOptions};

/// Revocations in one page of a list.
const PAGE: u32 = 10_000;

/// Fills an initialised store with very many certificates, to measure with.
#[derive(Debug, Parser)]
struct CommandLine {
    /// The store, as `store.url` of the settings has it: sqlite://… or postgres://…
    #[arg(long)]
    url: String,
    /// How many certificates
    #[arg(long, default_value_t = 10_000_000)]
    certificates: u64,
    /// Which share of them is revoked, 0 to 1
    #[arg(long, default_value_t = 0.1)]
    revoked: f64,
    /// Over how many CRL shards of each CA key they are spread, 1 to 4096
    #[arg(long, default_value_t = 1)]
    shards: u16,
    /// Of one kind only: signature or authentication; else both in turns
    #[arg(long)]
    kind: Option<CertificateKind>,
    /// Make nothing, and measure how fast one thread reads what is there
    #[arg(long)]
    measure: bool,
    /// Make the store first, with CA keys that nobody has: it can be read, but nothing can be signed for it
    #[arg(long)]
    create: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let line = CommandLine::parse();
    if line.create {
        add_ca_keys(&Database::create(&line.url)?.writer());
    }
    if Database::open(&line.url, &OpenOptions::default())?.reader().ca_keys()?.is_empty() {
        return Err("the store has no CA keys: run tsunagi init first, or give --create".into());
    }
    if line.measure {
        return measure(&line);
    }
    let population = Population {
        certificates: line.certificates,
        kinds: line.kind.map_or(CertificateKind::ALL.to_vec(), |kind| vec![kind]),
        revoked_per_million: (line.revoked.clamp(0.0, 1.0) * 1_000_000.0).round() as u32,
        shards: line.shards,
    };
    let style = "{elapsed_precise} {wide_bar} {human_pos}/{human_len} certificates, {per_sec}, {eta} left";
    let bar = ProgressBar::new(line.certificates).with_style(ProgressStyle::with_template(style)?);
    let started = Instant::now();
    let made = populate(&line.url, &population, Utc::now(), |done| bar.set_position(done))?;
    bar.finish();
    println!(
        "{} certificates ({} revoked) with their recorded intents, {} holders, {} CRL shard(s) for each CA key: {:.1} s",
        made.certificates,
        made.revoked,
        made.holders,
        line.shards,
        started.elapsed().as_secs_f64()
    );
    println!("stored by rising serial number, in transactions of half a million certificates, with all constraints on");
    println!("not made: the certificates themselves, applications, links to cards, phones, certified keys, events");
    Ok(())
}

/// How fast one thread reads statuses of certificates and of serial numbers never issued, one by one, and what belongs on lists.
fn measure(line: &CommandLine) -> Result<(), Box<dyn Error>> {
    const LOOKS: u64 = 100_000;
    let reader = Database::open(&line.url, &OpenOptions::default())?.reader();
    let kinds = line.kind.map_or(CertificateKind::ALL.to_vec(), |kind| vec![kind]);
    let keys = reader.ca_keys()?;
    let key_of = |number: u64| keys.iter().find(|key| key.kind() == kinds[(number % kinds.len() as u64) as usize]).map(CaKey::id);
    for (what, first) in [("certificates", 0), ("serial numbers never issued", line.certificates)] {
        // 2^31 - 1 is prime, so that as many others follow each number as there are.
        let numbers = (0..LOOKS.min(line.certificates)).map(|look| first + look * 2_147_483_647 % line.certificates.max(1));
        let asked: Vec<_> = numbers.filter_map(|number| Some((key_of(number)?, population_serial(number)))).collect();
        for turn in ["first look", "second look"] {
            let (watch, mut found) = (Watch::start(), 0);
            for (key, serial) in &asked {
                found += reader.status_at(*key, std::slice::from_ref(serial))?.statuses.iter().flatten().count();
            }
            println!("statuses of {} {what}, one by one, {turn}: {found} found, {}", asked.len(), watch.each(asked.len()));
        }
    }
    for scope in reader.crl_scopes()? {
        let name = format!("CA key {}, shard {}", scope.ca_key.0, scope.shard);
        let (watch, mut entries, mut after) = (Watch::start(), 0, None);
        loop {
            after = reader.revoked_in_scope(scope.ca_key, scope.shard, Utc::now(), after.as_ref(), PAGE, |_| entries += 1)?;
            if after.is_none() {
                break;
            }
        }
        println!("{name}: {entries} revocations read, {}", watch.each(entries));
        let watch = Watch::start();
        let counted = reader.gate_count(scope.ca_key, scope.shard, Utc::now(), reader.position()?)?.count;
        println!("{name}: {counted} revocations counted, {}", watch.each(entries));
    }
    Ok(())
}

/// Measures by the clock, and by the processor's time that this thread was given: what else runs on the machine adds to the first.
struct Watch {
    started: Instant,
    processor: Option<f64>,
}

impl Watch {
    fn start() -> Self {
        Self { started: Instant::now(), processor: processor_seconds() }
    }

    fn each(&self, count: usize) -> String {
        let told = |seconds: f64| format!("{seconds:.3} s ({:.0}/s)", count as f64 / seconds.max(1e-9));
        let processor =
            processor_seconds().zip(self.processor).map(|(now, then)| format!(", of which on the processor {}", told(now - then)));
        told(self.started.elapsed().as_secs_f64()) + &processor.unwrap_or_default()
    }
}

/// Linux tells it (proc(5), schedstat: nanoseconds on the processor first).
fn processor_seconds() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(told.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}
