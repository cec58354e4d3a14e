//! How long it takes until the world can see what happened to a card: from the card event's acceptance to OCSP saying revoked.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound as _, Utc};
use serde::Serialize;

use super::issued::{Issued, issue};
use super::latencies::LatencyReport;
use super::responder::Responder;
use super::{LoadFault, LoadSettings, Phase, Progress, check};
use crate::back_office::{CardEvent, CardEventType, RevocationRequest};
use crate::kind::Kind;
use crate::operator::{Operator, OperatorSettings};
use crate::reason::Reason;
use crate::relying_party::{RelyingPartyFault, Status};

/// What to measure.
#[derive(Debug, Clone)]
pub struct CascadeSettings {
    /// The registration authority and where cards come from; its steps do not matter here.
    pub load: LoadSettings,
    /// The CA certificates (DER).
    pub issuers: HashMap<Kind, Vec<u8>>,
    /// The operators' listener, as the back office.
    pub back_office_at_operators: OperatorSettings,
    /// Holders that certificates are issued to beforehand.
    pub holders: u32,
    /// Clients that apply for these at once.
    pub clients: u32,
    /// Card events per second.
    pub rate: u32,
    /// How they are told.
    pub way: CascadeWay,
    /// Connections on which events are delivered.
    pub deliverers: u32,
    /// Connections on which OCSP is asked.
    pub watchers: u32,
    /// The time between two questions about one certificate: the times measured are right to within it.
    pub poll: Duration,
    /// After this a certificate counts as not revoked.
    pub patience: Duration,
}

/// How card events are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CascadeWay {
    /// Delivered to the operators' listener, one in each request.
    Push,
    /// Left in the back office's feed, which the CA role reads at intervals.
    Feed,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct CascadeReport {
    /// When the first event was told.
    pub started_at: DateTime<Utc>,
    /// How they were told.
    pub way: CascadeWay,
    /// Processors of the machine, shared by the generator and, on loopback, by what it measured.
    pub processors: usize,
    /// Card events, each of which ends one certificate.
    pub events: u64,
    /// Events per second that were to be told.
    pub rate_asked: u32,
    /// Events per second that were.
    pub rate_reached: f64,
    /// From sending an event to its acceptance.
    pub acceptance: LatencyReport,
    /// From its acceptance to the first OCSP answer that says revoked.
    pub cascade: LatencyReport,
    /// OCSP answers meanwhile.
    pub ocsp: LatencyReport,
    /// Certificates that were not revoked in time.
    pub not_revoked: u64,
    /// Refusals and failures.
    pub errors: BTreeMap<String, u64>,
}

impl CascadeReport {
    /// The measurement as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The measurement as a table for people.
    pub fn to_table(&self) -> String {
        let mut table =
            format!("{} card events by {:?} at {:.1}/s\n\n{}", self.events, self.way, self.rate_reached, LatencyReport::heading());
        table.push_str(&self.acceptance.line("event sent to event accepted"));
        table.push_str(&self.cascade.line("event accepted to OCSP saying revoked"));
        table.push_str(&self.ocsp.line("OCSP answer"));
        // Writing to a String cannot fail.
        let _ = writeln!(table, "\nnot revoked in time: {}; errors: {:?}", self.not_revoked, self.errors);
        table
    }

    /// Whether every event was accepted and every certificate revoked.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.not_revoked == 0 && self.cascade.count == self.events
    }
}

/// A certificate whose card event was accepted.
struct Waiting<'a> {
    about: &'a Issued,
    accepted: Instant,
    /// When to ask next.
    due: Instant,
}

#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    ocsp: Vec<Duration>,
    not_revoked: u64,
    errors: BTreeMap<String, u64>,
    last: Duration,
}

/// Issues certificates, tells of their cards' revocations at the rate asked for, and watches OCSP.
pub fn run_cascade(settings: &CascadeSettings, progress: &(dyn Fn(Progress) + Sync)) -> Result<CascadeReport, LoadFault> {
    check(&settings.load)?;
    if settings.rate == 0 || settings.holders == 0 || settings.deliverers == 0 || settings.watchers == 0 {
        return Err(LoadFault::Settings("rate, holders and connections are at least 1".to_owned()));
    }
    let issued = issue(&settings.load, settings.holders, settings.clients, progress)?;
    let total = u32::try_from(issued.len()).unwrap_or(u32::MAX);
    let started_at = Utc::now();
    let waiting: Mutex<VecDeque<Waiting<'_>>> = Mutex::default();
    let (next, done, all_told) = (AtomicUsize::new(0), AtomicU32::new(0), AtomicBool::new(false));
    let begin = Instant::now();
    let deliver = || deliver(settings, &issued, &next, begin, &waiting);
    let tell = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(Progress { phase: Phase::Cascading, clients: settings.watchers, done, total });
    };
    let watch = || watch(settings, &waiting, &all_told, &tell);
    let (told, seen) = std::thread::scope(|scope| {
        let watchers: Vec<_> = (0..settings.watchers).map(|_| scope.spawn(watch)).collect();
        let deliverers: Vec<_> = (0..settings.deliverers).map(|_| scope.spawn(deliver)).collect();
        let told = deliverers.into_iter().map(|thread| thread.join().map_err(|_| LoadFault::Thread)?).collect::<Result<Vec<_>, _>>();
        all_told.store(true, Ordering::Release);
        let seen = watchers.into_iter().map(|thread| thread.join().map_err(|_| LoadFault::Thread)?).collect::<Result<Vec<_>, _>>();
        Ok::<_, LoadFault>((told?, seen?))
    })?;
    let seconds = told.iter().map(|seen| seen.last).max().unwrap_or_default().as_secs_f64();
    let mut errors: BTreeMap<String, u64> = BTreeMap::new();
    for (fault, count) in told.iter().chain(&seen).flat_map(|seen| &seen.errors) {
        *errors.entry(fault.clone()).or_default() += count;
    }
    Ok(CascadeReport {
        started_at,
        way: settings.way,
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        events: u64::from(total),
        rate_asked: settings.rate,
        rate_reached: if seconds > 0.0 { f64::from(total) / seconds } else { 0.0 },
        acceptance: LatencyReport::of(told.into_iter().flat_map(|seen| seen.latencies).collect()),
        not_revoked: seen.iter().map(|seen| seen.not_revoked).sum(),
        ocsp: LatencyReport::of(seen.iter().flat_map(|seen| seen.ocsp.iter().copied()).collect()),
        cascade: LatencyReport::of(seen.into_iter().flat_map(|seen| seen.latencies).collect()),
        errors,
    })
}

/// Tells events when their time has come.
fn deliver<'a>(
    settings: &CascadeSettings,
    issued: &'a [Issued],
    next: &AtomicUsize,
    begin: Instant,
    waiting: &Mutex<VecDeque<Waiting<'a>>>,
) -> Result<Seen, LoadFault> {
    let operator = Operator::new(&settings.back_office_at_operators)?;
    let mut seen = Seen::default();
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        let Some(about) = issued.get(place) else { return Ok(seen) };
        let due = begin + Duration::from_secs_f64(place as f64 / f64::from(settings.rate));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        let told = match settings.way {
            CascadeWay::Push => operator.deliver_card_events(&[event(about)?]).map(drop).map_err(LoadFault::from),
            CascadeWay::Feed => {
                let request = RevocationRequest { kinds: vec![about.kind], reason: Reason::AffiliationChanged, at: None };
                settings.load.back_office.revoke(&about.card_id, &request).map(drop).map_err(LoadFault::from)
            }
        };
        let accepted = Instant::now();
        match told {
            Ok(()) => {
                seen.latencies.push(accepted - sent);
                waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(Waiting { about, accepted, due: accepted });
            }
            Err(fault) => *seen.errors.entry(fault.to_string()).or_default() += 1,
        }
        seen.last = begin.elapsed();
    }
}

fn event(about: &Issued) -> Result<CardEvent, LoadFault> {
    let random = crate::keys::random::<12>().map_err(RelyingPartyFault::from)?;
    Ok(CardEvent {
        event_id: format!("cascade-{}", hex::encode(random)),
        issuer_key_id: about.issuer_key_id.clone(),
        serial: about.card_serial.clone(),
        sequence: 1,
        event_type: CardEventType::Revoked.as_str().to_owned(),
        reason: Some(Reason::AffiliationChanged),
        occurred_at: Utc::now().trunc_subsecs(0),
    })
}

/// Asks about the certificates in turn until all are revoked or given up.
fn watch<'a>(
    settings: &CascadeSettings,
    waiting: &Mutex<VecDeque<Waiting<'a>>>,
    all_told: &AtomicBool,
    tell: &(dyn Fn() + Sync),
) -> Result<Seen, LoadFault> {
    let responder = Responder::new(&settings.issuers).map_err(RelyingPartyFault::from)?;
    let mut seen = Seen::default();
    loop {
        // Read before the queue is looked at, so that an empty one stays empty but for what other watchers put back themselves.
        let is_last = all_told.load(Ordering::Acquire);
        let Some(mut one) = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front() else {
            if is_last {
                return Ok(seen);
            }
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        std::thread::sleep(one.due.saturating_duration_since(Instant::now()));
        let asked = Instant::now();
        match responder.ask(one.about) {
            Ok(status) => {
                seen.ocsp.push(asked.elapsed());
                if matches!(status, Status::Revoked { .. }) {
                    seen.latencies.push(one.accepted.elapsed());
                    tell();
                    continue;
                }
            }
            Err(fault) => *seen.errors.entry(fault.to_string()).or_default() += 1,
        }
        if one.accepted.elapsed() >= settings.patience {
            seen.not_revoked += 1;
            tell();
            continue;
        }
        one.due = Instant::now() + settings.poll;
        waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(one);
    }
}
