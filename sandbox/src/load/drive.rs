//! While the clock runs.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::latencies::percentile;
use super::report::StepReport;
use super::{LoadFault, LoadSettings, Phase, Progress};
use crate::phone::{PhoneFault, RaClient, submit_and_wait};

/// What one client has seen.
#[derive(Debug, Default)]
struct Seen {
    latencies: Vec<Duration>,
    waited: u64,
    errors: BTreeMap<String, u64>,
    last: Duration,
}

/// Sends every prepared application once, by so many clients, each with a connection of its own.
pub(super) fn drive(
    settings: &LoadSettings,
    clients: u32,
    prepared: &[Vec<u8>],
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<StepReport, LoadFault> {
    let next = AtomicUsize::new(0);
    let finished = AtomicUsize::new(0);
    let barrier = Barrier::new(clients as usize);
    let total = u32::try_from(prepared.len()).unwrap_or(u32::MAX);
    let client = || {
        let ra = RaClient::new(&settings.ra);
        if let Ok(ra) = &ra {
            // The TLS handshake is not what is measured.
            ra.knock();
        }
        barrier.wait();
        let start = Instant::now();
        let ra = ra?;
        let patience = settings.wish().patience;
        let mut seen = Seen::default();
        while start.elapsed() < settings.step_limit {
            let Some(cms) = prepared.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            let begin = Instant::now();
            match submit_and_wait(&ra, cms, patience) {
                Ok(answers) => {
                    seen.latencies.push(begin.elapsed());
                    seen.waited += u64::from(answers.len() > 1);
                }
                Err(fault) => *seen.errors.entry(name(&fault)).or_default() += 1,
            }
            seen.last = start.elapsed();
            let done = finished.fetch_add(1, Ordering::Relaxed) + 1;
            progress(Progress { phase: Phase::Driving, clients, done: u32::try_from(done).unwrap_or(total), total });
        }
        Ok::<_, LoadFault>(seen)
    };
    let seen = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| LoadFault::Thread)?).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(summary(settings, clients, prepared.len(), seen))
}

fn summary(settings: &LoadSettings, clients: u32, prepared: usize, seen: Vec<Seen>) -> StepReport {
    let seconds = seen.iter().map(|seen| seen.last).max().unwrap_or_default().as_secs_f64();
    let waited = seen.iter().map(|seen| seen.waited).sum();
    let mut latencies = Vec::new();
    let mut errors: BTreeMap<String, u64> = BTreeMap::new();
    for one in seen {
        latencies.extend(one.latencies);
        for (code, count) in one.errors {
            *errors.entry(code).or_default() += count;
        }
    }
    latencies.sort_unstable();
    let issued = latencies.len() as u64;
    let failed: u64 = errors.values().sum();
    let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    let certificates = issued * settings.kinds.len() as u64;
    StepReport {
        clients,
        prepared: prepared as u64,
        issued,
        certificates,
        waited,
        not_sent: (prepared as u64).saturating_sub(issued + failed),
        errors,
        seconds,
        applications_per_second: rate(issued),
        certificates_per_second: rate(certificates),
        p50_ms: percentile(&latencies, 50),
        p90_ms: percentile(&latencies, 90),
        p99_ms: percentile(&latencies, 99),
        max_ms: percentile(&latencies, 100),
    }
}

pub(super) fn name(fault: &PhoneFault) -> String {
    match fault {
        PhoneFault::Refused { status, code, .. } if code.is_empty() => format!("http_{status}"),
        PhoneFault::Refused { code, .. } => code.clone(),
        PhoneFault::Http(_) => "connection".to_owned(),
        PhoneFault::Undecided { .. } => "undecided".to_owned(),
        _ => "answer_not_as_agreed".to_owned(),
    }
}
