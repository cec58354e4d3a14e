//! Fills an initialised store with very many certificates, to measure with:
//! `cargo run --release -p schema --features testing --example population -- --url sqlite:///tmp/store.db --revoked 0.1`
//! (with `--features testing,postgres` for a `postgres://` URL).

use std::error::Error;
use std::time::Instant;

use ca_core::kind::CertificateKind;
use chrono::Utc;
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use schema::testing::{Population, add_ca_keys, populate};
use schema::{Database, OpenOptions};

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
