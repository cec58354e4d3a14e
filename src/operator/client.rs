//! The client of the operators' listener.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ca_core::chain::Chain;
use ca_core::instruction::operator::{STATEMENT_TYPE, sign};
use ca_core::signer::FileSigner;
use serde_json::{Value, json};
use ureq::http::Response;
use ureq::tls::{Certificate, ClientCert, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::instruction::Decision;
use crate::failure::Failure;
use crate::installation::read_file;

/// For a whole exchange.
const EXCHANGE: Duration = Duration::from_secs(60);
/// Octets of an answer at most.
const ANSWER_OCTETS: u64 = 16 << 20;
/// Until the CA's decision is asked for again.
const PAUSE: Duration = Duration::from_millis(250);
/// How often a server that has too much to do is asked again.
const PATIENT_ATTEMPTS: u32 = 30;

/// An operator's connection to an installation.
pub(crate) struct OperatorClient {
    agent: Agent,
    url: String,
    audience: Option<String>,
    certificate: Vec<u8>,
    signer: FileSigner,
    patience: Duration,
}

impl OperatorClient {
    /// Reads certificate and key; connects to nothing yet. Without an audience it can ask, and instruct nobody.
    pub(super) fn new(url: &str, credentials: &Path, name: &str, audience: Option<String>, patience: Duration) -> Result<Self, Failure> {
        if !url.starts_with("https://") {
            return Err(Failure::usage("the operators' listener is at https://…"));
        }
        let (certificate, key) = (credentials.join(format!("{name}.pem")), credentials.join(format!("{name}.key.pem")));
        let chain = certificates(&certificate)?;
        let own = chain.first().map(|own| own.der().to_vec()).unwrap_or_default();
        let identity = ClientCert::new_with_certs(&chain, private_key(&key)?);
        let roots = certificates(&credentials.join("server-ca.pem"))?;
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(Some(identity))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .timeout_global(Some(EXCHANGE))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("tsunagi/", env!("CARGO_PKG_VERSION")))
            // Where we connect is said by whoever gives the command, not by the environment of the shell.
            .proxy(None)
            .https_only(true)
            .tls_config(tls)
            .build();
        Ok(Self {
            agent: config.into(),
            url: url.trim_end_matches('/').to_owned(),
            audience,
            certificate: own,
            signer: FileSigner::open_clear(&key).map_err(|fault| Failure::settings(Chain(&fault).to_string()))?,
            patience,
        })
    }

    /// Asks for something. Everything in `path` is of characters that stand in a URL as they are.
    pub(crate) fn look(&self, path: &str) -> Result<Value, Failure> {
        self.answer(|| self.agent.get(self.place(path)).header("Accept", "application/json").call()).map(|answer| answer.body)
    }

    /// Asks a question that is no matter for an address.
    pub(crate) fn ask(&self, path: &str, question: &Value) -> Result<Value, Failure> {
        let body = question.to_string();
        self.send(path, "application/json", body.as_bytes()).map(|answer| answer.body)
    }

    /// As [`Self::ask`], for deliveries one after the other: where the server has too much to do, it is asked again, later.
    pub(crate) fn deliver(&self, path: &str, delivery: &[u8]) -> Result<Value, Failure> {
        for _ in 0..PATIENT_ATTEMPTS {
            let answer = self.exchange(|| self.post(path, "application/json", delivery))?;
            if !matches!(answer.status, 429 | 503) {
                return answer.judge().map(|answer| answer.body);
            }
            thread::sleep(answer.retry_after.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(30)));
        }
        Err(Failure::unreachable("the server has had too much to do for too long"))
    }

    /// Signs an instruction, sends it, and waits for the CA's decision.
    pub(crate) fn instruct(&self, what: &Value) -> Result<Decision, Failure> {
        let sent = self.send_instruction(what)?;
        let seconds = self.patience.as_secs();
        self.await_decision(sent, |id| {
            format!(
                "the instruction was taken, but the CA has not decided in {seconds} seconds: does a CA process run? Ask again with `tsunagi \
                 instruction show {id}`"
            )
        })
    }

    /// Signs an instruction and sends it: most likely it is not decided yet.
    pub(crate) fn send_instruction(&self, what: &Value) -> Result<Decision, Failure> {
        let nobody = || Failure::usage("--ra-name is missing, and there are no settings: an instruction is signed for an RA by its name");
        let audience = self.audience.as_deref().ok_or_else(nobody)?;
        let challenge = self.send("/v1/challenges", "application/json", b"")?.body;
        let challenge = challenge["challenge"].as_str().ok_or_else(|| Failure::other("the server gave no challenge"))?;
        let statement = json!({ "type": STATEMENT_TYPE, "audience": audience, "challenge": challenge, "do": what });
        let message = sign(statement.to_string().as_bytes(), &self.certificate, &self.signer)
            .map_err(|fault| Failure::other(format!("the instruction could not be signed: {}", Chain(&fault))))?;
        Decision::read(&self.send("/v1/instructions", "application/cms", &message)?.body)
    }

    /// Waits for the CA's decision; `undecided` says of an instruction of that name what to do if there is none in time.
    pub(crate) fn await_decision(&self, mut decision: Decision, undecided: impl Fn(&str) -> String) -> Result<Decision, Failure> {
        let begun = Instant::now();
        while decision.is_waiting() {
            if begun.elapsed() >= self.patience {
                return Err(Failure::waiting(undecided(&decision.id)));
            }
            thread::sleep(PAUSE);
            match self.instruction(&decision.id) {
                // What was taken will be decided, whether or not anybody can be asked just now.
                Err(failure) if failure.is_unreachable() => {}
                answer => decision = answer?,
            }
        }
        Ok(decision)
    }

    /// What became of an instruction so far.
    pub(crate) fn instruction(&self, id: &str) -> Result<Decision, Failure> {
        Decision::read(&self.look(&format!("/v1/instructions/{id}"))?)
    }

    /// How long to wait for the CA.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.agent
    }

    pub(super) fn unreachable(&self, error: &ureq::Error) -> Failure {
        Failure::unreachable(format!("{}: {error}", self.url))
    }

    pub(super) fn place(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Response<Body>, ureq::Error> {
        self.agent.post(self.place(path)).header("Accept", "application/json").content_type(content_type).send(body)
    }

    fn send(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Answer, Failure> {
        self.answer(|| self.post(path, content_type, body))
    }

    fn answer(&self, attempt: impl Fn() -> Result<Response<Body>, ureq::Error>) -> Result<Answer, Failure> {
        self.exchange(attempt)?.judge()
    }

    /// One exchange, tried twice: everything that is sent here may be sent again.
    fn exchange(&self, attempt: impl Fn() -> Result<Response<Body>, ureq::Error>) -> Result<Answer, Failure> {
        let once = || attempt().and_then(Answer::read);
        let unreachable = |error: ureq::Error| self.unreachable(&error);
        match once() {
            Err(ureq::Error::Io(_)) => once().map_err(unreachable),
            answer => answer.map_err(unreachable),
        }
    }
}

/// An answer, read to its end.
pub(super) struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: Value,
}

impl Answer {
    pub(super) fn read(mut answer: Response<Body>) -> Result<Self, ureq::Error> {
        let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
        let octets = answer.body_mut().with_config().limit(ANSWER_OCTETS).read_to_vec()?;
        let body = serde_json::from_slice(&octets).unwrap_or_default();
        Ok(Self { status: answer.status().as_u16(), retry_after, body })
    }

    /// The answer if it is a success; else what is wrong, under the server's own code (RFC 9457).
    pub(super) fn judge(self) -> Result<Self, Failure> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        let code = self.body["code"].as_str().unwrap_or("refused").to_owned();
        let detail = self.body["detail"].as_str().map_or_else(|| format!("the server answered {}", self.status), str::to_owned);
        let failure = match self.status {
            404 => Failure::not_found(detail),
            429 | 500..=599 => Failure::unreachable(detail),
            _ => Failure::refused(format!("{detail} ({code})")),
        };
        Err(failure.with_code(code))
    }
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let complaint = || Failure::settings(format!("{}: no certificates in PEM", path.display()));
    let pem = read_file(path)?;
    let items = parse_pem(&pem).map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Ok(certificate),
        _ => Err(complaint()),
    });
    let certificates = items.collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() { Err(complaint()) } else { Ok(certificates) }
}

fn private_key(path: &Path) -> Result<ureq::tls::PrivateKey<'static>, Failure> {
    let complaint = |_| Failure::settings(format!("{}: no private key in PEM", path.display()));
    ureq::tls::PrivateKey::from_pem(&read_file(path)?).map_err(complaint)
}
