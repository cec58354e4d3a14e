//! The load generator: prepares applications beforehand, then drives a running registration authority with them and measures.
//!
//! What is timed is the product: cards, keys, challenges and signatures are made before the clock starts, and the card CA's OCSP
//! answers are signed before they are asked for. The generator shares the machine with what it measures; say so with the figures.

mod card_events;
mod cascade;
mod drive;
mod flood;
mod issued;
mod latencies;
mod prepare;
mod report;
mod responder;
mod trickle;

use std::net::IpAddr;
use std::time::Duration;

use ureq::http::Uri;

pub use card_events::CardEventLines;
pub use cascade::{CascadeReport, CascadeSettings, CascadeWay, run_cascade};
pub use flood::{FloodReport, FloodSettings, run_flood};
pub use latencies::LatencyReport;
pub use report::{LoadReport, StepReport};
pub use trickle::TrickleReport;

use crate::back_office::{BackOfficeClient, BackOfficeFault};
use crate::card::CardFault;
use crate::keys::KeyAlgorithm;
use crate::kind::Kind;
use crate::operator::OperatorFault;
use crate::phone::{ApplyWish, PhoneFault, RaSettings, Replaces};
use crate::relying_party::RelyingPartyFault;

/// Most applications in one step.
pub const MOST_APPLICATIONS: u32 = 100_000;
/// Most clients at once.
pub const MOST_CLIENTS: u32 = 512;
/// Longest step.
pub const LONGEST_STEP: Duration = Duration::from_secs(3600);

/// What to measure.
#[derive(Debug, Clone)]
pub struct LoadSettings {
    /// The registration authority.
    pub ra: RaSettings,
    /// Its name, as statements address it.
    pub audience: String,
    /// Where cards come from.
    pub back_office: BackOfficeClient,
    /// Applications in each step.
    pub applications: u32,
    /// The steps: how many clients at once.
    pub clients: Vec<u32>,
    /// Which certificates each application asks for.
    pub kinds: Vec<Kind>,
    /// The phones' keys.
    pub key_algorithm: KeyAlgorithm,
    /// After this, a step sends nothing new.
    pub step_limit: Duration,
    /// Whether another host than this may be loaded.
    pub allow_remote: bool,
    /// CertID hashes for which OCSP answers are signed beforehand: `sha1`, `sha256`.
    pub presign: Vec<String>,
}

impl LoadSettings {
    /// 2,000 applications for both kinds with each of 1, 4, 16 and 64 clients.
    pub fn new(ra: RaSettings, audience: &str, back_office: BackOfficeClient) -> Self {
        Self {
            ra,
            audience: audience.to_owned(),
            back_office,
            applications: 2000,
            clients: vec![1, 4, 16, 64],
            kinds: Kind::ALL.to_vec(),
            key_algorithm: KeyAlgorithm::P256,
            step_limit: Duration::from_secs(120),
            allow_remote: false,
            presign: vec!["sha1".to_owned()],
        }
    }

    fn wish(&self) -> ApplyWish {
        ApplyWish {
            kinds: self.kinds.clone(),
            key_algorithm: self.key_algorithm,
            replaces: Replaces::None,
            patience: Duration::from_secs(60),
            ..ApplyWish::new(&self.audience)
        }
    }
}

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is going on.
    pub phase: Phase,
    /// Clients of the step.
    pub clients: u32,
    /// Applications done in this phase.
    pub done: u32,
    /// Of so many.
    pub total: u32,
}

/// What is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Cards are made.
    Cards,
    /// Challenges are fetched, applications signed.
    Signing,
    /// Applications are sent; the clock runs.
    Driving,
    /// Certificates are issued that are to be revoked.
    Issuing,
    /// Card events are told, and their consequences waited for; the clock runs.
    Cascading,
}

/// The measurement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadFault {
    /// The settings ask for too much.
    #[error("{0}")]
    Settings(String),
    /// No cards.
    #[error("making cards: {0}")]
    BackOffice(#[from] BackOfficeFault),
    /// Cards that cannot be used.
    #[error("making cards: {0}")]
    Card(#[from] CardFault),
    /// No applications.
    #[error("preparing applications: {0}")]
    Phone(#[from] PhoneFault),
    /// No statuses.
    #[error("asking for a status: {0}")]
    Status(#[from] RelyingPartyFault),
    /// The operators' listener.
    #[error("the operators' listener: {0}")]
    Operator(#[from] OperatorFault),
    /// A file failed.
    #[error("the file of card events: {0}")]
    File(#[from] std::io::Error),
    /// The card events were not taken.
    #[error("delivering card events: {0}")]
    Delivery(String),
    /// What should have followed did not.
    #[error("{0}")]
    Late(String),
    /// A thread failed.
    #[error("a client thread failed")]
    Thread,
}

/// Runs every step and reports. The callback is told how far it is, from several threads.
pub fn run(settings: &LoadSettings, progress: &(dyn Fn(Progress) + Sync)) -> Result<LoadReport, LoadFault> {
    check(settings)?;
    let started_at = chrono::Utc::now();
    let mut steps = Vec::with_capacity(settings.clients.len());
    for clients in &settings.clients {
        let prepared = prepare::prepare(settings, *clients, progress)?;
        steps.push(drive::drive(settings, *clients, &prepared, progress)?);
    }
    Ok(LoadReport {
        started_at,
        applications: settings.applications,
        kinds: settings.kinds.clone(),
        key_algorithm: settings.key_algorithm,
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        steps,
    })
}

fn check(settings: &LoadSettings) -> Result<(), LoadFault> {
    let wrong = |reason: String| Err(LoadFault::Settings(reason));
    if settings.applications == 0 || settings.applications > MOST_APPLICATIONS {
        return wrong(format!("a step has 1 to {MOST_APPLICATIONS} applications"));
    }
    if settings.clients.is_empty() || settings.clients.iter().any(|clients| *clients == 0 || *clients > MOST_CLIENTS) {
        return wrong(format!("a step has 1 to {MOST_CLIENTS} clients"));
    }
    if settings.kinds.is_empty() {
        return wrong("an application asks for something".to_owned());
    }
    if settings.step_limit > LONGEST_STEP {
        return wrong(format!("a step lasts at most {} seconds", LONGEST_STEP.as_secs()));
    }
    if !settings.allow_remote && !is_loopback(&settings.ra.url) {
        return wrong("only this host may be loaded, unless another is allowed explicitly".to_owned());
    }
    Ok(())
}

/// Whether a URL leads to this host by a loopback address or `localhost`.
fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_loopback() {
        assert!(is_loopback("https://127.0.0.1:8443"));
        assert!(is_loopback("https://[::1]:8443"));
        assert!(is_loopback("https://localhost"));
        assert!(!is_loopback("https://127.0.0.1.example.com"));
        assert!(!is_loopback("https://192.0.2.1"));
        assert!(!is_loopback("localhost@192.0.2.1"));
        assert!(!is_loopback("https://localhost@192.0.2.1/"));
    }
}
