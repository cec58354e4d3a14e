//! Logs and metrics of a serving process.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use schema::latency::LATENCY_BOUNDS_MILLISECONDS;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// The bounds of the histograms' buckets, in seconds.
const BUCKETS: [f64; 14] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Those of the histograms of how long revocations take to be told, which may be hours.
const LATENCY: &str = "tsunagi_revocation_to_";

/// Sends logs to standard error: text, or JSON lines. `RUST_LOG` chooses; otherwise informational and above.
pub(crate) fn start_logs(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,actix_server=warn"));
    // Colours are for terminals: in a file or a journal they would stand between every name and its value.
    let colours = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).with_ansi(colours);
    // A second start in one process (tests, the demonstration) keeps the first.
    let _ = if json { builder.json().try_init() } else { builder.compact().try_init() };
}

/// Collects metrics from now on.
pub(crate) fn start_metrics() -> Result<PrometheusHandle, Failure> {
    let fault = |error| Failure::other(format!("metrics: {error}"));
    let latency = LATENCY_BOUNDS_MILLISECONDS.map(|milliseconds| milliseconds as f64 / 1_000.0);
    let builder = PrometheusBuilder::new().set_buckets(&BUCKETS).map_err(fault)?;
    let builder = builder.set_buckets_for_metric(Matcher::Prefix(LATENCY.to_owned()), &latency).map_err(fault)?;
    builder.install_recorder().map_err(fault)
}

/// Looks after the metrics every ten seconds until `stop`: folds what has gathered into the histograms, which would grow
/// without bound where nobody reads them, and writes all to `file` as a whole, if there is one.
pub(crate) fn tend_metrics(handle: PrometheusHandle, file: Option<PathBuf>, stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            handle.run_upkeep();
            if let Some(file) = &file {
                let partial = file.with_extension("partial");
                let written = std::fs::write(&partial, handle.render()).and_then(|()| std::fs::rename(&partial, file));
                if let Err(error) = written {
                    tracing::warn!(%error, "the metrics could not be written");
                }
            }
            for _ in 0..100 {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                thread::sleep(Duration::from_millis(100));
            }
        }
    })
}
