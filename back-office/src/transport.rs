//! Exchanges over HTTP: kept-alive connections, bounded in time and size.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ureq::Agent;
use ureq::Body;
use ureq::config::Config;
use ureq::http::Response;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::DefaultConnector;

use crate::fault::BackOfficeFault;
use crate::resolver::RememberingResolver;
use crate::settings::ConnectionSettings;

/// An agent for plain HTTP.
pub(crate) fn plain_agent(connection: &ConnectionSettings) -> Agent {
    agent(config(connection).build())
}

/// An agent that speaks HTTPS only and trusts only the CA certificates in `ca_certificate` (PEM).
pub(crate) fn pinned_agent(connection: &ConnectionSettings, ca_certificate: &str) -> Result<Agent, BackOfficeFault> {
    let mut roots: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(ca_certificate.as_bytes()) {
        match item.map_err(|_| BackOfficeFault::Settings("the CA certificate is not PEM".into()))? {
            PemItem::Certificate(certificate) => roots.push(certificate),
            _ => return Err(BackOfficeFault::Settings("the CA certificate's file holds something else than certificates".into())),
        }
    }
    if roots.is_empty() {
        return Err(BackOfficeFault::Settings("no CA certificate".into()));
    }
    let mut store = rustls::RootCertStore::empty();
    for root in &roots {
        store
            .add(rustls_pki_types::CertificateDer::from(root.der().to_vec()))
            .map_err(|_| BackOfficeFault::Settings("the CA certificate cannot be read".into()))?;
    }
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Ok(agent(config(connection).https_only(true).tls_config(tls).build()))
}

/// Runs one idempotent exchange and reads its answer, of at most `limit` octets. Repeated once, at once, where a kept-alive
/// connection turned out to be closed by the other side.
pub(crate) fn exchange(limit: u64, mut attempt: impl FnMut() -> Result<Response<Body>, ureq::Error>) -> Result<Vec<u8>, BackOfficeFault> {
    match attempt_once(limit, &mut attempt) {
        Err(ureq::Error::Io(error)) if is_stale_connection(error.kind()) => attempt_once(limit, &mut attempt),
        answer => answer,
    }
    .map_err(|error| fault(&error, limit))
}

/// The time of an answer, by the clock of who gave it: its `Date` (RFC 9110 section 6.6.1). One that somebody kept for
/// us (`Age`, RFC 9111 section 5.1) says nothing of now.
pub(crate) fn date(mut attempt: impl FnMut() -> Result<Response<Body>, ureq::Error>) -> Result<DateTime<Utc>, BackOfficeFault> {
    let answer = match attempt() {
        Err(ureq::Error::Io(error)) if is_stale_connection(error.kind()) => attempt(),
        answer => answer,
    };
    let answer = answer.map_err(|error| fault(&error, 0))?;
    if answer.headers().contains_key("age") {
        return Err(BackOfficeFault::Malformed("an answer out of a cache"));
    }
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    let date = date.ok_or(BackOfficeFault::Malformed("an answer without a date"))?;
    // IMF-fixdate is a case of the date of RFC 5322, as RFC 2822 had it.
    DateTime::parse_from_rfc2822(date).map(|date| date.to_utc()).map_err(|_| BackOfficeFault::Malformed("a date that is none"))
}

fn agent(config: Config) -> Agent {
    Agent::with_parts(config, DefaultConnector::default(), RememberingResolver::default())
}

fn config(connection: &ConnectionSettings) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    Agent::config_builder()
        .timeout_connect(Some(connection.connect_timeout()))
        .timeout_global(Some(connection.answer_timeout()))
        .max_idle_connections(connection.idle_connections)
        .max_idle_connections_per_host(connection.idle_connections)
        .max_idle_age(Duration::from_secs(connection.idle_seconds))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("tsunagi/", env!("CARGO_PKG_VERSION")))
        // Where we connect is in the settings, not in the environment.
        .proxy(None)
}

fn attempt_once(limit: u64, attempt: &mut impl FnMut() -> Result<Response<Body>, ureq::Error>) -> Result<Vec<u8>, ureq::Error> {
    let mut answer = attempt()?;
    let status = answer.status();
    if !status.is_success() {
        return Err(ureq::Error::StatusCode(status.as_u16()));
    }
    answer.body_mut().with_config().limit(limit).read_to_vec()
}

fn is_stale_connection(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
}

fn fault(error: &ureq::Error, limit: u64) -> BackOfficeFault {
    match error {
        ureq::Error::StatusCode(status) => BackOfficeFault::Refused { status: *status },
        ureq::Error::Timeout(_) => BackOfficeFault::TimedOut,
        ureq::Error::BodyExceedsLimit(_) => BackOfficeFault::TooLarge { limit },
        ureq::Error::Io(error) if error.kind() == ErrorKind::TimedOut => BackOfficeFault::TimedOut,
        ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::LargeResponseHeader(..) => BackOfficeFault::Malformed("not HTTP"),
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => BackOfficeFault::Settings("the URL cannot be used".into()),
        other => BackOfficeFault::Unreachable(other.to_string()),
    }
}
