//! Measures how long lists of many certificates take to be made, let through and published, and how much memory. benches/crl.sh runs
//! it beside `openssl ca`.
//!
//! `publish fill DIRECTORY ENTRIES SHARDS` makes a store (SQLite) with one CA key and so many revoked certificates;
//! `publish run DIRECTORY` publishes the list of every shard twice: the first time without a list before, the second time with;
//! `publish index DIRECTORY` writes the database of `openssl ca` with the same certificates to standard output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ca_core::clock::Clock;
use ca_core::issuer::{CaUrls, Issuer, create_ca_certificate};
use ca_core::kind::CertificateKind;
use ca_core::revocation::RevocationReason;
use ca_core::signer::{FileSigner, KeyType};
use chrono::{DateTime, TimeDelta, Utc};
use crl_publisher::{CrlSettings, PublishStep, PublishSteps, Publisher, PublisherParts, Shelf};
use policies::Policies;
use schema::authority::NewCaKey;
use schema::testing::{Population, populate};
use schema::{Database, OpenOptions, StoreFault};
use secrecy::SecretString;

const KIND: CertificateKind = CertificateKind::Signature;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["fill", directory, entries, shards] => fill(Path::new(directory), entries.parse().unwrap(), shards.parse().unwrap()),
        ["run", directory] => run(Path::new(directory)),
        ["index", directory] => index(Path::new(directory)),
        _ => panic!("publish fill DIRECTORY ENTRIES SHARDS | publish run DIRECTORY | publish index DIRECTORY"),
    }
}

fn url(directory: &Path) -> String {
    format!("sqlite://{}", directory.join("store.sqlite").display())
}

/// Nothing hangs on it: the key is made for a measurement.
fn passphrase() -> SecretString {
    "measure".to_owned().into()
}

fn fill(directory: &Path, entries: u64, shards: u16) {
    std::fs::create_dir_all(directory).unwrap();
    let signer = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    signer.save(&directory.join("ca.key"), &passphrase()).unwrap();
    let now = Utc::now();
    let certificate = create_ca_certificate(&Policies::shipped().unwrap(), KIND, &signer, now).unwrap();
    std::fs::write(directory.join("ca.der"), &certificate).unwrap();
    let url_of = |what: &str| format!("http://status.example/{what}");
    let urls = CaUrls { crl: url_of("crl/signature-1.crl"), ocsp: url_of("ocsp"), certificate: url_of("ca/signature-1.cer") };
    let new = NewCaKey { kind: KIND, generation: 1, certificate, urls };
    let database = Database::create(&url(directory)).unwrap();
    database.writer().write(move |transaction| -> Result<_, StoreFault> { transaction.add_ca_key(&new, now) }).unwrap();
    let population = Population { certificates: entries, kinds: vec![KIND], revoked_per_million: 1_000_000, shards };
    let made = populate(&url(directory), &population, now, |_| ()).unwrap();
    println!("made: {} certificates, {} of them revoked, in {shards} shard(s)", made.certificates, made.revoked);
}

fn run(directory: &Path) {
    let database = Database::open(&url(directory), &OpenOptions::default()).unwrap();
    let ca_key = database.reader().ca_keys().unwrap().remove(0);
    let signer = FileSigner::open(&directory.join("ca.key"), &passphrase()).unwrap();
    let issuer = Issuer::new(ca_key, Arc::new(signer), Arc::new(Policies::shipped().unwrap())).unwrap();
    let (clock, watch) = (Arc::new(ShiftedClock::default()), Arc::new(Watch::default()));
    let settings = CrlSettings::default();
    let mut publisher = Publisher::new(PublisherParts {
        issuers: vec![issuer],
        reader: database.reader(),
        writer: database.writer(),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        settings,
        shelf: Arc::new(Shelf::open(&directory.join("shelf")).unwrap()),
        witness: None,
        steps: Arc::clone(&watch) as Arc<dyn PublishSteps>,
    })
    .unwrap();
    // What opening the key took (scrypt) is not what an idle process holds.
    let idle = memory("VmRSS");
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    for round in ["without a list before", "with a list before"] {
        watch.begin();
        let started = Instant::now();
        let published = publisher.run_once(None).unwrap();
        let took = started.elapsed().as_secs_f64();
        let lists: Vec<_> = published.into_iter().map(|outcome| outcome.unwrap().list).collect();
        let entries: u64 = lists.iter().map(|list| list.entries).sum();
        let octets: u64 = lists.iter().map(|list| list.octets).sum();
        println!("{round}: {} list(s), {entries} entries, {octets} octets: {took:.2} s", lists.len());
        println!("  {}", watch.told());
        println!("  peak memory {:.1} MB, {:.1} MB above the idle process", memory("VmHWM") / 1e3, (memory("VmHWM") - idle) / 1e3);
        clock.0.fetch_add(3_600, Ordering::Relaxed);
    }
}

/// Of this process, in kB of 1,000 octets.
fn memory(what: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1.024
}

/// The time, and so many seconds.
#[derive(Default)]
struct ShiftedClock(AtomicI64);

impl Clock for ShiftedClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + TimeDelta::seconds(self.0.load(Ordering::Relaxed))
    }
}

/// How long the steps take, of all lists together.
#[derive(Default)]
struct Watch(Mutex<(Option<Instant>, BTreeMap<usize, Duration>)>);

impl Watch {
    fn begin(&self) {
        *self.0.lock().unwrap() = (Some(Instant::now()), BTreeMap::new());
    }

    fn told(&self) -> String {
        let watch = self.0.lock().unwrap();
        let of = |step: PublishStep| watch.1.get(&place(step)).copied().unwrap_or_default().as_secs_f64();
        format!(
            "reserved {:.2} s, read, written and signed {:.2} s, gated {:.2} s, stored {:.2} s, published {:.2} s, on the shelf {:.2} s",
            of(PublishStep::Reserved),
            of(PublishStep::Written),
            of(PublishStep::Passed),
            of(PublishStep::Storing) + of(PublishStep::Stored),
            of(PublishStep::Published),
            of(PublishStep::Shelved)
        )
    }
}

impl PublishSteps for Watch {
    fn reached(&self, step: PublishStep) {
        let mut watch = self.0.lock().unwrap();
        let now = Instant::now();
        if let Some(last) = watch.0.replace(now) {
            *watch.1.entry(place(step)).or_default() += now - last;
        }
    }
}

fn place(step: PublishStep) -> usize {
    PublishStep::ALL.iter().position(|known| *known == step).unwrap()
}

/// A line for each certificate: R, end of validity, date and reason of revocation, serial number, file, subject; with tabs between.
fn index(directory: &Path) {
    let database = Database::open(&url(directory), &OpenOptions::default()).unwrap();
    let (reader, mut out) = (database.reader(), BufWriter::new(std::io::stdout().lock()));
    for scope in reader.crl_scopes().unwrap() {
        let mut after = None;
        loop {
            after = reader
                .revoked_in_scope(scope.ca_key, scope.shard, DateTime::UNIX_EPOCH, after.as_ref(), 10_000, |entry| {
                    let reason = in_openssl(entry.revocation.reason);
                    let at = entry.revocation.at.format("%y%m%d%H%M%SZ");
                    writeln!(out, "R\t401231235959Z\t{at}{reason}\t{}\tunknown\t/C=JP/CN=holder", entry.serial).unwrap();
                })
                .unwrap();
            if after.is_none() {
                break;
            }
        }
    }
    out.flush().unwrap();
}

fn in_openssl(reason: RevocationReason) -> &'static str {
    match reason {
        RevocationReason::Unspecified => "",
        RevocationReason::KeyCompromise => ",keyCompromise",
        RevocationReason::CaCompromise => ",CACompromise",
        RevocationReason::AffiliationChanged => ",affiliationChanged",
        RevocationReason::Superseded => ",superseded",
        RevocationReason::CessationOfOperation => ",cessationOfOperation",
        RevocationReason::CertificateHold => ",certificateHold",
        RevocationReason::PrivilegeWithdrawn => ",privilegeWithdrawn",
        RevocationReason::AaCompromise => ",AACompromise",
    }
}
