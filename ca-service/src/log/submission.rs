//! What a witness is asked over HTTP (C2SP tlog-witness, add-checkpoint).

use std::sync::Arc;
use std::time::{Duration, Instant};

use ca_core::digest::Sha256Digest;
use ureq::http::Response;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::settings::WitnessSettings;

/// The most octets of an answer: a witness may have several keys, an ML-DSA-44 cosignature takes about 3,400.
const ANSWER_OCTETS: u64 = 65_536;

/// What a witness said, unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WitnessAnswer {
    /// Signature lines.
    Cosigned(String),
    /// It last cosigned a tree of this size, and not of the one that was named as old.
    Conflict(u64),
    /// It says that the checkpoint does not follow from what it cosigned.
    Inconsistent,
}

/// A witness gave no answer to go by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SubmissionFault {
    /// No answer in time.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// It refuses: 403 and 404 mean that it does not know the log or its key.
    #[error("it refuses with status {0}")]
    Refused(u16),
    /// An answer that is none.
    #[error("an answer that cannot be read: {0}")]
    Unreadable(&'static str),
}

/// Speaks to one witness.
#[derive(Debug)]
pub(super) struct Submission {
    agent: Agent,
    endpoint: String,
    monitoring: String,
}

impl Submission {
    /// Nothing is asked yet. The error is a sentence about the settings.
    pub(super) fn new(settings: &WitnessSettings) -> Result<Self, String> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("tsunagi/", env!("CARGO_PKG_VERSION")))
            // Where we connect is in the settings, not in the environment.
            .proxy(None);
        let config = match &settings.ca_file {
            Some(file) => {
                let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
                let tls = tls(&pem).ok_or_else(|| format!("{}: holds no CA certificate, or something else", file.display()))?;
                config.https_only(settings.addresses().all(|url| url.starts_with("https://"))).tls_config(tls)
            }
            None => config,
        };
        let endpoint = format!("{}/add-checkpoint", settings.url.trim_end_matches('/'));
        let monitoring = settings.monitoring_url.as_ref().unwrap_or(&settings.url).trim_end_matches('/').to_owned();
        Ok(Self { agent: config.build().into(), endpoint, monitoring })
    }

    /// Submits a checkpoint, with the proof that it extends the tree of size `old` in base64 lines. Everything is over by `deadline`.
    pub(super) fn add_checkpoint(
        &self,
        old: u64,
        proof: &[String],
        checkpoint: &str,
        deadline: Instant,
    ) -> Result<WitnessAnswer, SubmissionFault> {
        let mut body = format!("old {old}\n");
        for line in proof {
            body.push_str(line);
            body.push('\n');
        }
        body.push('\n');
        body.push_str(checkpoint);
        match self.post(&body, deadline) {
            // A connection that was kept open was closed by the other side: once more, with a new one. The same checkpoint twice is none more.
            Err(ureq::Error::Io(_)) => self.post(&body, deadline),
            answer => answer,
        }
        .map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => SubmissionFault::Unreadable("too long"),
            error => SubmissionFault::Unreachable(error.to_string()),
        })
        .and_then(|(status, octets)| understood(status, octets))
    }

    /// The latest checkpoint of the log of that origin that the witness shows to monitors, unverified; `None` if it shows none in time.
    pub(super) fn latest_checkpoint(&self, origin: &str, deadline: Instant) -> Option<String> {
        let url = format!("{}/{}/checkpoint", self.monitoring, Sha256Digest::of(origin.as_bytes()));
        let mut answer = self.agent.get(&url).config().timeout_global(Some(left(deadline))).build().call().ok()?;
        let octets = answer.body_mut().with_config().limit(ANSWER_OCTETS).read_to_vec().ok()?;
        (answer.status().as_u16() == 200).then(|| String::from_utf8(octets).ok())?
    }

    fn post(&self, body: &str, deadline: Instant) -> Result<(u16, Vec<u8>), ureq::Error> {
        let request = self.agent.post(&self.endpoint).config().timeout_global(Some(left(deadline))).build();
        let mut answer: Response<Body> = request.content_type("text/plain; charset=utf-8").send(body)?;
        let status = answer.status().as_u16();
        Ok((status, answer.body_mut().with_config().limit(ANSWER_OCTETS).read_to_vec()?))
    }
}

/// Zero would mean without end.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn understood(status: u16, octets: Vec<u8>) -> Result<WitnessAnswer, SubmissionFault> {
    let text = || String::from_utf8(octets).map_err(|_| SubmissionFault::Unreadable("not UTF-8"));
    match status {
        200 => text().map(WitnessAnswer::Cosigned),
        409 => size(&text()?).map(WitnessAnswer::Conflict).ok_or(SubmissionFault::Unreadable("no size")),
        422 => Ok(WitnessAnswer::Inconsistent),
        other => Err(SubmissionFault::Refused(other)),
    }
}

/// A decimal number without leading zeros, and a line end.
fn size(text: &str) -> Option<u64> {
    let digits = text.strip_suffix('\n')?;
    let is_plain = digits.bytes().all(|octet| octet.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if is_plain { digits.parse().ok() } else { None }
}

fn tls(pem: &[u8]) -> Option<TlsConfig> {
    let mut roots: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
            _ => return None,
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = || TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).unversioned_rustls_crypto_provider(provider).build();
    if roots.is_empty() { None } else { Some(config()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_plain_number_and_a_line_end() {
        assert_eq!(size("0\n"), Some(0));
        assert_eq!(size("20852014\n"), Some(20_852_014));
        for wrong in ["", "\n", "12", "012\n", "+1\n", "-1\n", "1 \n", "1\n\n", "18446744073709551616\n"] {
            assert_eq!(size(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn each_status_means_what_the_protocol_says() {
        assert_eq!(understood(200, b"lines\n".to_vec()), Ok(WitnessAnswer::Cosigned("lines\n".to_owned())));
        assert_eq!(understood(409, b"7\n".to_vec()), Ok(WitnessAnswer::Conflict(7)));
        assert_eq!(understood(409, b"seven\n".to_vec()), Err(SubmissionFault::Unreadable("no size")));
        assert_eq!(understood(422, Vec::new()), Ok(WitnessAnswer::Inconsistent));
        assert_eq!(understood(200, vec![0xff]), Err(SubmissionFault::Unreadable("not UTF-8")));
        for refused in [301, 400, 403, 404, 500] {
            assert_eq!(understood(refused, Vec::new()), Err(SubmissionFault::Refused(refused)));
        }
    }
}
