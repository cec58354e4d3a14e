//! What was measured, as JSON and as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::keys::KeyAlgorithm;
use crate::kind::Kind;

/// A measurement.
#[derive(Debug, Clone, Serialize)]
pub struct LoadReport {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Applications in each step.
    pub applications: u32,
    /// What each asked for.
    pub kinds: Vec<Kind>,
    /// The phones' keys.
    pub key_algorithm: KeyAlgorithm,
    /// Processors of the machine, shared by the generator and, on loopback, by what it measured.
    pub processors: usize,
    /// The steps.
    pub steps: Vec<StepReport>,
}

/// A step: one number of clients.
#[derive(Debug, Clone, Serialize)]
pub struct StepReport {
    /// Clients at once, each with a kept-alive TLS connection.
    pub clients: u32,
    /// Applications prepared.
    pub prepared: u64,
    /// Applications whose certificates came back: acknowledged, hence durable.
    pub issued: u64,
    /// Certificates that came back.
    pub certificates: u64,
    /// Applications that were answered 202 first and asked about again.
    pub waited: u64,
    /// Applications not sent before the time was up.
    pub not_sent: u64,
    /// Refusals by code, and failures.
    pub errors: BTreeMap<String, u64>,
    /// From the first application sent to the last answer.
    pub seconds: f64,
    /// Issued applications per second.
    pub applications_per_second: f64,
    /// Certificates per second.
    pub certificates_per_second: f64,
    /// Median of the time from sending an application to having its certificates, milliseconds.
    pub p50_ms: f64,
    /// 90th percentile of it.
    pub p90_ms: f64,
    /// 99th percentile of it.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl LoadReport {
    /// The measurement as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The measurement as a table for people.
    pub fn to_table(&self) -> String {
        let mut table =
            String::from("clients  issued  seconds  applications/s  certificates/s   p50 ms   p90 ms   p99 ms   max ms  errors\n");
        for step in &self.steps {
            let errors: Vec<String> = step.errors.iter().map(|(code, count)| format!("{code}: {count}")).collect();
            let mut errors = if errors.is_empty() { "none".to_owned() } else { errors.join(", ") };
            if step.not_sent > 0 {
                errors.push_str(&format!(", not sent: {}", step.not_sent));
            }
            // Writing to a String cannot fail.
            let _ = writeln!(
                table,
                "{:>7}  {:>6}  {:>7.2}  {:>14.1}  {:>14.1}  {:>7.2}  {:>7.2}  {:>7.2}  {:>7.2}  {errors}",
                step.clients,
                step.issued,
                step.seconds,
                step.applications_per_second,
                step.certificates_per_second,
                step.p50_ms,
                step.p90_ms,
                step.p99_ms,
                step.max_ms,
            );
        }
        table
    }

    /// Whether every application of every step came back with its certificates.
    pub fn is_clean(&self) -> bool {
        self.steps.iter().all(|step| step.errors.is_empty() && step.not_sent == 0)
    }
}
