//! A little of everything beside what is measured: shows whether the rest stays alive.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::drive::name;
use super::issued::{Issued, issue_to};
use super::latencies::LatencyReport;
use super::responder::Responder;
use super::{LoadFault, LoadSettings};
use crate::back_office::NewCard;
use crate::card::Card;
use crate::kind::Kind;
use crate::phone::RaClient;

/// How much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trickle {
    /// Applications per second, for both kinds each.
    pub(super) applications: u32,
    /// OCSP requests per second.
    pub(super) ocsp: u32,
}

/// What became of it.
#[derive(Debug, Clone, Serialize)]
pub struct TrickleReport {
    /// How long it went on.
    pub seconds: f64,
    /// From asking for a challenge until the certificates were there.
    pub applications: LatencyReport,
    /// Answers of the OCSP responder.
    pub ocsp: LatencyReport,
    /// Refusals by code, and failures.
    pub errors: BTreeMap<String, u64>,
}

impl TrickleReport {
    /// As lines of a table.
    pub(super) fn lines(&self, when: &str) -> String {
        let mut lines = self.applications.line(&format!("{when}: application to certificates"));
        lines.push_str(&self.ocsp.line(&format!("{when}: OCSP answer")));
        if !self.errors.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{when}: errors {:?}", self.errors);
        }
        lines
    }
}

#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    errors: BTreeMap<String, u64>,
}

/// Runs `work` with a trickle beside it.
///
/// The trickle's cards are of the card CA's oldest key generation: a batch of the newest leaves them alone.
pub(super) fn beside<T: Send>(
    trickle: Trickle,
    settings: &LoadSettings,
    issuers: &HashMap<Kind, Vec<u8>>,
    known: &[Issued],
    work: impl FnOnce() -> Result<T, LoadFault>,
) -> Result<(T, TrickleReport), LoadFault> {
    let stop = AtomicBool::new(false);
    let begin = Instant::now();
    let next = AtomicUsize::new(0);
    let apply = || {
        let ra = RaClient::new(&settings.ra)?;
        // Cards are made while the clock runs, with two keys for all of them: that costs the back office little.
        paced(trickle.applications, &stop, |seen| {
            let wish = NewCard { generation: Some(1), pooled_keys: true, ..NewCard::default() };
            let card = Card::from_file(&settings.back_office.new_card(&wish)?)?;
            let begin = Instant::now();
            match issue_to(settings, &ra, &card) {
                Ok(_) => seen.latencies.push(begin.elapsed()),
                Err(LoadFault::Phone(fault)) => *seen.errors.entry(name(&fault)).or_default() += 1,
                Err(fault) => return Err(fault),
            }
            Ok(())
        })
    };
    let ask = || {
        let responder = Responder::new(issuers).map_err(crate::relying_party::RelyingPartyFault::from)?;
        paced(trickle.ocsp, &stop, |seen| {
            let Some(about) = known.get(next.fetch_add(7919, Ordering::Relaxed) % known.len().max(1)) else { return Ok(()) };
            let begin = Instant::now();
            match responder.ask(about) {
                Ok(_) => seen.latencies.push(begin.elapsed()),
                Err(fault) => *seen.errors.entry(format!("ocsp: {fault}")).or_default() += 1,
            }
            Ok(())
        })
    };
    std::thread::scope(|scope| {
        let (apply, ask) = (scope.spawn(apply), scope.spawn(ask));
        let done = work();
        stop.store(true, Ordering::Relaxed);
        let apply = apply.join().map_err(|_| LoadFault::Thread)??;
        let ask = ask.join().map_err(|_| LoadFault::Thread)??;
        let mut errors = apply.errors;
        errors.extend(ask.errors);
        let report = TrickleReport {
            seconds: begin.elapsed().as_secs_f64(),
            applications: LatencyReport::of(apply.latencies),
            ocsp: LatencyReport::of(ask.latencies),
            errors,
        };
        Ok((done?, report))
    })
}

/// Does `work` so often a second until `stop`; less often where it takes longer.
fn paced(per_second: u32, stop: &AtomicBool, mut work: impl FnMut(&mut Seen) -> Result<(), LoadFault>) -> Result<Seen, LoadFault> {
    let mut seen = Seen::default();
    let begin = Instant::now();
    for turn in 0_u32.. {
        if per_second == 0 || stop.load(Ordering::Relaxed) {
            break;
        }
        let due = begin + Duration::from_secs(1) * turn / per_second;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        work(&mut seen)?;
    }
    Ok(seen)
}
