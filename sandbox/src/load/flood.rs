//! A flood of card events: as many as a municipality or a whole card CA has cards, with a little of everything else beside it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::card_events::CardEventLines;
use super::issued::{Issued, issue};
use super::latencies::LatencyReport;
use super::responder::Responder;
use super::trickle::{Trickle, TrickleReport, beside};
use super::{LoadFault, LoadSettings, Phase, Progress, check};
use crate::back_office::{BatchOrder, CardEventType, EventScope};
use crate::kind::Kind;
use crate::operator::{Operator, OperatorSettings};
use crate::reason::Reason;
use crate::relying_party::{RelyingPartyFault, Status};

/// The time between two looks at whether the last event was applied.
const POLL: Duration = Duration::from_millis(20);
/// How long the trickle runs alone, to compare with.
const QUIET: Duration = Duration::from_secs(20);
/// Certificates of which it is looked up in the end whether they were revoked, at most.
const SAMPLE: usize = 2_000;

/// What to measure.
#[derive(Debug, Clone)]
pub struct FloodSettings {
    /// The registration authority and where cards come from; its steps do not matter here.
    pub load: LoadSettings,
    /// The CA certificates (DER).
    pub issuers: HashMap<Kind, Vec<u8>>,
    /// The operators' listener, as an administrator or auditor.
    pub auditor: OperatorSettings,
    /// Holders that certificates are issued to beforehand.
    pub holders: u32,
    /// Clients that apply for these at once.
    pub clients: u32,
    /// Card events.
    pub events: u64,
    /// With a scope: the events, of type expired, only make the cards known; then one event of the feed revokes all of the newest
    /// signature key of the card CA.
    pub scope: bool,
    /// Where the events are written.
    pub file: PathBuf,
    /// Applications per second beside it.
    pub applications: u32,
    /// OCSP requests per second beside it.
    pub ocsp: u32,
    /// How long it may take until the last event is applied.
    pub patience: Duration,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct FloodReport {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Processors of the machine, shared by everything.
    pub processors: usize,
    /// Certificates issued beforehand.
    pub certificates: u64,
    /// Card events delivered.
    pub events: u64,
    /// From the first event applied until the last was: both seen through OCSP.
    pub seconds: f64,
    /// Events per second in this time.
    pub events_per_second: f64,
    /// From the start of the delivering process until its end; it reads the whole file before it sends anything.
    pub delivery_seconds: f64,
    /// Certificates looked up in the end.
    pub looked_up: u64,
    /// Those among them that were not revoked although their card was.
    pub not_revoked: u64,
    /// The batch of a scope, as the operators' listener tells of it, if there was one.
    pub batch: Option<BatchReport>,
    /// The trickle before.
    pub quiet: TrickleReport,
    /// The trickle meanwhile.
    pub meanwhile: TrickleReport,
}

/// A batch of the feed.
#[derive(Debug, Clone, Serialize)]
pub struct BatchReport {
    /// Card certificates that it went through.
    pub cards: u64,
    /// Certificates that it changed.
    pub changed: u64,
    /// From its acceptance by the back office until it was finished.
    pub seconds: f64,
    /// Cards per second from its start to its end.
    pub cards_per_second: f64,
    /// The trickle meanwhile.
    pub meanwhile: TrickleReport,
}

impl FloodReport {
    /// The measurement as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The measurement as a table for people.
    pub fn to_table(&self) -> String {
        let mut table = format!(
            "{} card events in {:.1} s: {:.0}/s, first applied to last applied (delivered in {:.1} s); {} certificates issued before, \
             {} of {} looked up not revoked\n",
            self.events, self.seconds, self.events_per_second, self.delivery_seconds, self.certificates, self.not_revoked, self.looked_up
        );
        if let Some(batch) = &self.batch {
            // Writing to a String cannot fail.
            let _ = writeln!(
                table,
                "one event of the feed: {} cards, {} certificates in {:.1} s: {:.0} cards/s",
                batch.cards, batch.changed, batch.seconds, batch.cards_per_second
            );
        }
        let _ = write!(table, "\n{}", LatencyReport::heading());
        table.push_str(&self.quiet.lines("before"));
        table.push_str(&self.meanwhile.lines("meanwhile"));
        if let Some(batch) = &self.batch {
            table.push_str(&batch.meanwhile.lines("batch"));
        }
        table
    }

    /// Whether everything that had to be revoked was.
    pub fn is_clean(&self) -> bool {
        self.not_revoked == 0 && self.looked_up > 0
    }
}

/// Issues certificates, writes the file of events, has `deliver` bring it in, and waits until the last event shows its effect.
pub fn run_flood(
    settings: &FloodSettings,
    deliver: &(dyn Fn(&Path) -> Result<(), String> + Sync),
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<FloodReport, LoadFault> {
    check(&settings.load)?;
    if settings.holders < 2 || settings.events < 2 {
        return Err(LoadFault::Settings("a flood has at least two holders and two events".to_owned()));
    }
    let started_at = Utc::now();
    let issued = issue(&settings.load, settings.holders, settings.clients, progress)?;
    let newest = newest_signature_key(settings)?;
    // The certificates whose revocation shows how far the events are: the first line's and the last line's.
    let (first, last) = ends(&issued)?;
    write_events(settings, &issued, &newest)?;
    let responder = Responder::new(&settings.issuers).map_err(RelyingPartyFault::from)?;
    let trickle = Trickle { applications: settings.applications, ocsp: settings.ocsp };
    let beside = |work: &mut dyn FnMut() -> Result<Duration, LoadFault>| beside(trickle, &settings.load, &settings.issuers, &issued, work);

    progress(Progress { phase: Phase::Cascading, clients: 1, done: 0, total: 3 });
    let (_, quiet) = beside(&mut || {
        std::thread::sleep(QUIET);
        Ok(QUIET)
    })?;
    progress(Progress { phase: Phase::Cascading, clients: 1, done: 1, total: 3 });
    let mut delivery_seconds = 0.0;
    let (lasted, meanwhile) = beside(&mut || {
        std::thread::scope(|scope| {
            let delivering = scope.spawn(|| {
                let begin = Instant::now();
                deliver(&settings.file).map(|()| begin.elapsed())
            });
            let begun = await_revocation(&responder, first, settings.patience, &|| delivering.is_finished())?;
            delivery_seconds = delivering.join().map_err(|_| LoadFault::Thread)?.map_err(LoadFault::Delivery)?.as_secs_f64();
            Ok(await_revocation(&responder, last, settings.patience, &|| false)? - begun)
        })
    })?;
    progress(Progress { phase: Phase::Cascading, clients: 1, done: 2, total: 3 });
    let batch = if settings.scope { Some(run_batch(settings, &newest, &mut |work| beside(work))?) } else { None };
    let (looked_up, not_revoked) = look_up(settings, &responder, &issued, &newest)?;
    Ok(FloodReport {
        started_at,
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        certificates: issued.len() as u64,
        events: settings.events,
        seconds: lasted.as_secs_f64(),
        events_per_second: settings.events as f64 / lasted.as_secs_f64().max(0.001),
        delivery_seconds,
        looked_up,
        not_revoked,
        batch,
        quiet,
        meanwhile,
    })
}

/// The key identifier of the card CA's newest key for signature certificates.
fn newest_signature_key(settings: &FloodSettings) -> Result<String, LoadFault> {
    let keys = settings.load.back_office.card_authorities()?;
    let newest = keys.into_iter().filter(|key| key.kind == Kind::Signature).max_by_key(|key| key.generation);
    newest.map(|key| key.key_identifier).ok_or_else(|| LoadFault::Settings("the back office has no card CA".to_owned()))
}

/// The first and the last authentication certificate, which no batch of a signature key reaches.
fn ends(issued: &[Issued]) -> Result<(&Issued, &Issued), LoadFault> {
    let mut of_kind = issued.iter().filter(|one| one.kind == Kind::Authentication);
    match (of_kind.next(), of_kind.next_back()) {
        (Some(first), Some(last)) => Ok((first, last)),
        _ => Err(LoadFault::Settings("a flood needs authentication certificates".to_owned())),
    }
}

/// Writes the events: the first and the last line each end a certificate that is watched.
fn write_events(settings: &FloodSettings, issued: &[Issued], newest: &str) -> Result<(), LoadFault> {
    let (first, last) = ends(issued)?;
    let card = |one: &Issued| (one.issuer_key_id.clone(), one.card_serial.clone(), 1);
    let keys: Vec<String> =
        issued.iter().map(|one| one.issuer_key_id.clone()).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let mut file = BufWriter::new(File::create(&settings.file)?);
    let run = u32::from_be_bytes(crate::keys::random::<4>().map_err(RelyingPartyFault::from)?);
    let single = |one: &Issued, run: u32| CardEventLines { known: vec![card(one)], run, ..CardEventLines::new(1, keys.clone()) };
    single(first, run).write(&mut file)?;
    let between = settings.events - 2;
    let lines = if settings.scope {
        let all = CardEventLines::new(between, vec![newest.to_owned()]);
        CardEventLines { event_type: CardEventType::Expired, reason: None, run: run.wrapping_add(1), ..all }
    } else {
        let watched = |one: &&Issued| one.card_serial != first.card_serial && one.card_serial != last.card_serial;
        let known = issued.iter().filter(watched).take(usize::try_from(between).unwrap_or(usize::MAX)).map(card).collect();
        CardEventLines { known, run: run.wrapping_add(1), ..CardEventLines::new(between, keys.clone()) }
    };
    lines.write(&mut file)?;
    single(last, run.wrapping_add(2)).write(&mut file)?;
    Ok(file.flush()?)
}

/// Waits until OCSP says that a certificate is revoked. `is_over`: nothing more will come.
fn await_revocation(
    responder: &Responder<'_>,
    about: &Issued,
    patience: Duration,
    is_over: &dyn Fn() -> bool,
) -> Result<Instant, LoadFault> {
    let begin = Instant::now();
    loop {
        let over = is_over();
        if matches!(responder.ask(about)?, Status::Revoked { .. }) {
            return Ok(Instant::now());
        }
        if (over && begin.elapsed() > Duration::from_secs(10)) || begin.elapsed() > patience {
            return Err(LoadFault::Late("a card event was delivered, and its certificate is not revoked".to_owned()));
        }
        std::thread::sleep(POLL);
    }
}

type Beside<'a> = dyn FnMut(&mut dyn FnMut() -> Result<Duration, LoadFault>) -> Result<(Duration, TrickleReport), LoadFault> + 'a;

/// Has the back office revoke every card of a key by one event, and follows the batch that comes of it: the store's first.
fn run_batch(settings: &FloodSettings, newest: &str, beside: &mut Beside<'_>) -> Result<BatchReport, LoadFault> {
    let auditor = Operator::new(&settings.auditor)?;
    let order = BatchOrder {
        scope: EventScope { issuer_key_id: newest.to_owned(), distribution_point_sha256: None },
        event_type: CardEventType::Revoked,
        reason: Some(Reason::CessationOfOperation),
        at: None,
    };
    let mut told = serde_json::Value::Null;
    let (lasted, meanwhile) = beside(&mut || {
        settings.load.back_office.order_batch(&order)?;
        let begin = Instant::now();
        while begin.elapsed() < settings.patience {
            std::thread::sleep(POLL * 5);
            let answer = auditor.get("/v1/batches/1")?;
            if answer.json["state"] == "finished" {
                told = answer.json;
                return Ok(begin.elapsed());
            }
        }
        Err(LoadFault::Late("the batch does not end".to_owned()))
    })?;
    let number = |member: &str| told[member].as_u64().unwrap_or(0);
    let time = |member: &str| told[member].as_str().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    let seconds = lasted.as_secs_f64();
    let run = match (time("started_at"), time("finished_at")) {
        (Some(started), Some(finished)) => (finished - started).as_seconds_f64().max(0.001),
        _ => seconds,
    };
    Ok(BatchReport {
        cards: number("cards"),
        changed: number("changed"),
        seconds,
        cards_per_second: number("cards") as f64 / run,
        meanwhile,
    })
}

/// Looks some certificates up whose cards were ended, spread evenly: how many, and how many of them are not revoked.
fn look_up(settings: &FloodSettings, responder: &Responder<'_>, issued: &[Issued], newest: &str) -> Result<(u64, u64), LoadFault> {
    let ended: Vec<&Issued> = issued.iter().filter(|one| !settings.scope || one.issuer_key_id == newest).collect();
    let step = ended.len().div_ceil(SAMPLE).max(1);
    let (mut looked_up, mut not_revoked) = (0, 0);
    for one in ended.into_iter().step_by(step) {
        looked_up += 1;
        not_revoked += u64::from(!matches!(responder.ask(one)?, Status::Revoked { .. }));
    }
    Ok((looked_up, not_revoked))
}
