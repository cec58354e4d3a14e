//! Very many events at once, and leaves for them, to measure with: what a population's holders have been through in four years.

use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::certificate::CertificateId;
use crate::codes;
use crate::database::{Database, OpenOptions};
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::log::{LeafBatch, LogTile, NewLeaf};
use crate::sql::{sql, value_rows};
use crate::transaction::Transaction;

/// Events of one holder.
const EVENTS_OF_A_HOLDER: u64 = 8;
/// Holders in one transaction.
const HOLDERS: usize = 1_000;
/// Leaves in one transaction.
const LEAVES: u32 = 8_192;
/// So many operators share the work.
const OPERATORS: u64 = 50;

/// One holder of a population, as its events name it.
struct Life {
    number: u64,
    holder: i64,
    signature: (i64, String),
    authentication: (i64, String),
}

/// Gives each of a population's holders, from the first on, eight events: an application accepted, two certificates issued, the
/// application decided, a hold by an operator's instruction, the instruction done, a card revoked and the certificate that hangs on it. Made for an
/// initialised store with a population of both kinds and no such events; the certificates' states stay as they are. Needs `events` / 8
/// holders; `progress` is told how many events there are so far.
pub fn populate_events(url: &str, events: u64, now: DateTime<Utc>, mut progress: impl FnMut(u64)) -> Result<u64, StoreFault> {
    let database = Database::open(url, &OpenOptions::default())?;
    let (reader, writer) = (database.reader(), database.writer());
    let holders = events / EVENTS_OF_A_HOLDER;
    // Four years, evenly.
    let step = TimeDelta::days(1_460) / i32::try_from(holders.max(1)).map_err(|_| StoreFault::Misuse("too many events"))?;
    let mut after = 0;
    let mut number = 0;
    while number < holders {
        let lives = reader.read(|session| {
            sql("SELECT s.holder, s.id, s.serial, a.id, a.serial FROM (SELECT id FROM holder WHERE id > ? ORDER BY id LIMIT ?) AS h \
                 JOIN certificate AS s ON s.holder = h.id AND s.kind = 1 JOIN certificate AS a ON a.holder = h.id AND a.kind = 2 \
                 ORDER BY h.id")
            .bind(after)
            .bind(HOLDERS as i64)
            .rows(session, |row| {
                let holder = row.big()?;
                let signature = (row.big()?, row.serial()?.to_string());
                Ok(Life { number: 0, holder, signature, authentication: (row.big()?, row.serial()?.to_string()) })
            })
        })?;
        let Some(last) = lives.last() else { return Err(StoreFault::Misuse("the population has too few holders")) };
        after = last.holder;
        let lives: Vec<Life> = (number..holders).zip(lives).map(|(number, life)| Life { number, ..life }).collect();
        number += lives.len() as u64;
        writer.write(move |tx| live(tx, &lives, now - TimeDelta::days(1_460), step))?;
        progress(number * EVENTS_OF_A_HOLDER);
    }
    Ok(number * EVENTS_OF_A_HOLDER)
}

fn digest(what: &str, number: u64) -> Sha256Digest {
    Sha256Digest::of(format!("{what} {number}").as_bytes())
}

fn live(tx: &mut Transaction<'_>, lives: &[Life], begin: DateTime<Utc>, step: TimeDelta) -> Result<(), StoreFault> {
    for life in lives {
        let at = begin + step * i32::try_from(life.number).map_err(|_| StoreFault::Misuse("too many events"))?;
        let at = codes::time(at.timestamp_millis())?;
        let application = insert_application(tx, life.number, at)?;
        tell(tx, life, application, at);
    }
    Ok(())
}

fn insert_application(tx: &mut Transaction<'_>, number: u64, at: DateTime<Utc>) -> Result<ApplicationId, StoreFault> {
    let digest = digest("population application", number);
    let challenge = [&digest.0[..], &digest.0[..16]].concat();
    let columns = "digest, challenge, state, accepted_at, decided_at, ticket_hash";
    sql(format!("INSERT INTO application ({columns}) VALUES {} RETURNING id", value_rows(1, 6)))
        .bind(&digest)
        .bind(challenge.as_slice())
        .bind(2_i16)
        .bind(at)
        .bind(at)
        .bind(&digest)
        .optional(tx.session, |row| Ok(ApplicationId(row.big()?)))?
        .ok_or(StoreFault::Corrupt("an insert returned no row"))
}

fn tell(tx: &mut Transaction<'_>, life: &Life, application: ApplicationId, at: DateTime<Utc>) {
    let later = |seconds: i64| at + TimeDelta::seconds(seconds);
    let hex = |what: &str| digest(what, life.number).to_string();
    let message = digest("population application", life.number).to_string();
    tx.emit(NewEvent::new(EventKind::ApplicationAccepted, at, json!({"digest": message})).about_application(application));
    for (kind, (id, serial)) in [("signature", &life.signature), ("authentication", &life.authentication)] {
        let data = json!({
            "kind": kind, "ca_key": 1, "serial": serial, "shard": 0, "holder": life.holder, "card": life.holder, "sha256": hex(kind),
            "public_key_sha256": hex("key"), "policy_sha256": digest("policy", 1).to_string(), "application_sha256": message,
            "not_before": at, "not_after": at + TimeDelta::days(1_825), "platform": "android",
        });
        let event = NewEvent::new(EventKind::CertificateIssued, later(1), data);
        tx.emit(event.about_certificate(CertificateId(*id)).about_application(application));
    }
    tx.emit(NewEvent::new(EventKind::ApplicationIssued, later(1), json!({})).about_application(application));
    let (id, serial) = &life.signature;
    let by = json!({"operator": format!("operator-{:02}", life.number % OPERATORS), "role": "call-centre"});
    let data = json!({
        "kind": "signature", "ca_key": 1, "serial": serial, "holder": life.holder, "by": by, "policy": digest("policy", 2).to_string(),
        "instruction": hex("instruction"), "cause": "phone-lost", "effective_at": later(2),
    });
    tx.emit(NewEvent::new(EventKind::CertificateHeld, later(2), data).about_certificate(CertificateId(*id)));
    let data = json!({"instruction": hex("instruction"), "by": by, "action": "hold", "received_at": later(2)});
    tx.emit(NewEvent::new(EventKind::InstructionDone, later(2), data));
    let card_event = format!("population-{}", life.number);
    let data = json!({"event_id": card_event, "card": life.holder, "received_at": later(3), "reason": "superseded"});
    tx.emit(NewEvent::new(EventKind::CardRevoked, later(3), data));
    let (id, serial) = &life.authentication;
    let data = json!({
        "kind": "authentication", "ca_key": 2, "serial": serial, "holder": life.holder, "by": {"card_event": card_event},
        "policy": digest("policy", 2).to_string(), "card_change": "revoked", "reason": "superseded", "effective_at": later(3),
    });
    tx.emit(NewEvent::new(EventKind::CertificateRevoked, later(3), data).about_certificate(CertificateId(*id)));
}

/// Appends leaves for all events that have none, with commitments and tiles that are as long as real ones and commit to nothing: it can
/// be measured, and proves nothing. How many leaves there are then; `progress` is told how many so far.
pub fn populate_leaves(url: &str, now: DateTime<Utc>, mut progress: impl FnMut(u64)) -> Result<u64, StoreFault> {
    let database = Database::open(url, &OpenOptions::default())?;
    let (reader, writer) = (database.reader(), database.writer());
    let lease = writer.write(move |tx| tx.acquire_lease("population", "population", now, TimeDelta::days(1)))?;
    let lease = lease.ok_or(StoreFault::Misuse("another makes leaves"))?;
    loop {
        let head = reader.log_head()?;
        let mut leaves = Vec::new();
        reader.events_to_sequence(head.position, LEAVES, |event| -> Result<(), StoreFault> {
            let salt = digest("population salt", event.position.0.unsigned_abs()).0;
            leaves.push(NewLeaf { position: event.position, salt, commitment: Sha256Digest::of(event.data.as_bytes()).0 });
            Ok(())
        })?;
        if leaves.is_empty() {
            return Ok(head.size);
        }
        let end = head.size + leaves.len() as u64;
        let (tiles, root) = (grown(head.size, end), digest("population root", end).0);
        let batch = LeafBatch { first_leaf: head.size, leaves, tiles, root };
        let leader = lease.clone();
        writer.write(move |tx| tx.append_leaves(&leader, &batch, now))?;
        progress(end);
    }
}

/// The tiles above level 0 that change when a tree grows.
fn grown(from: u64, to: u64) -> Vec<LogTile> {
    let mut tiles = Vec::new();
    for level in 1..=7_u8 {
        let (before, after) = (from >> (8 * level), to >> (8 * level));
        for number in before >> 8..after.div_ceil(256) {
            let width = (after - number * 256).min(256) as usize;
            tiles.push(LogTile { level, number, hashes: digest("population tile", number).0.repeat(width) });
        }
    }
    tiles
}
