//! Firebase Cloud Messaging, HTTP v1: <https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send>

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use ureq::http::{Response, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use crate::error_body::{self, ErrorCode};
use crate::fault::PushFault;
use crate::gateway::{PushGateway, PushMessage, PushOutcome};
use crate::message;
use crate::settings::PushSettings;

/// Octets of an access token's file at most.
const ACCESS_TOKEN_OCTETS: u64 = 8 << 10;
/// Octets of an answer that are read at most; real ones have a few hundred.
const ANSWER_OCTETS: u64 = 64 << 10;
/// The longest that we wait on the push service's word.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// The push service of Google, or one that speaks like it. Shared by all threads: connections are kept in one pool.
pub struct FcmClient {
    agent: Agent,
    endpoint: String,
    token_file: PathBuf,
}

impl FcmClient {
    /// Checks the settings and reads the CA certificates; connects to nothing yet.
    pub fn new(settings: &PushSettings) -> Result<Self, PushFault> {
        let refused = |complaint: &str| PushFault::Settings(complaint.to_owned());
        let project = &settings.project;
        if project.is_empty() || !project.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-') {
            return Err(refused("the push project's id must be letters, digits and hyphens"));
        }
        let url: Uri = settings.url.parse().map_err(|_| refused("the push service's URL cannot be read"))?;
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(settings.timeout_ms)))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("tsunagi/", env!("CARGO_PKG_VERSION")))
            // Where we connect is in the settings, not in the environment.
            .proxy(None);
        let config = match (url.scheme_str(), url.host(), &settings.ca_file) {
            (Some("https"), Some(_), Some(file)) => config.https_only(true).tls_config(tls(file)?),
            (Some("https"), Some(_), None) => return Err(refused("a push service over https:// needs ca_file")),
            (Some("http"), Some(host), _) if is_this_machine(host) => config,
            _ => return Err(refused("the push service's URL must begin with https://, or lead to this machine")),
        };
        Ok(Self {
            agent: config.build().into(),
            endpoint: format!("{}/v1/projects/{project}/messages:send", settings.url.trim_end_matches('/')),
            token_file: settings.token_file.clone(),
        })
    }

    fn access_token(&self) -> Result<SecretString, PushFault> {
        let mut text = String::new();
        let file = File::open(&self.token_file).map_err(|error| PushFault::AccessToken(format!("cannot be read: {error}")))?;
        let read = file.take(ACCESS_TOKEN_OCTETS + 1).read_to_string(&mut text);
        let length = read.map_err(|error| PushFault::AccessToken(format!("cannot be read: {error}")))?;
        let token = text.trim();
        if length as u64 > ACCESS_TOKEN_OCTETS || token.is_empty() || !token.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(PushFault::AccessToken(format!("holds no token of visible ASCII characters within {ACCESS_TOKEN_OCTETS} octets")));
        }
        Ok(token.to_owned().into())
    }

    fn post(&self, authorization: &SecretString, body: &[u8]) -> Result<Answer, ureq::Error> {
        let attempt = || {
            let request = self.agent.post(&self.endpoint).header("Authorization", authorization.expose_secret());
            Answer::read(request.header("Accept", "application/json").content_type("application/json").send(body)?)
        };
        match attempt() {
            // A kept-alive connection that the other side had closed. At worst the phone hears the same command twice.
            Err(ureq::Error::Io(error)) if is_stale_connection(error.kind()) => attempt(),
            answer => answer,
        }
    }
}

impl PushGateway for FcmClient {
    fn send(&self, message: &PushMessage) -> Result<PushOutcome, PushFault> {
        let body = message::encode(message)?;
        let authorization = format!("Bearer {}", self.access_token()?.expose_secret()).into();
        match self.post(&authorization, &body) {
            Ok(answer) => answer.judge(),
            Err(error) => unanswered(&error),
        }
    }
}

struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Answer {
    fn read(mut answer: Response<Body>) -> Result<Self, ureq::Error> {
        let retry_after = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()).and_then(seconds);
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(ANSWER_OCTETS).read_to_vec()?;
        Ok(Self { status, retry_after, body })
    }

    fn judge(self) -> Result<PushOutcome, PushFault> {
        match self.status {
            200 if message::is_taken(&self.body) => Ok(PushOutcome::Sent),
            200 => Err(PushFault::Malformed("a success without the name of a message")),
            429 | 500..=599 => Ok(PushOutcome::TryLater { after: self.retry_after }),
            status => match error_body::decode(&self.body, status) {
                Some(refusal) if status == 404 && refusal.code == ErrorCode::Unregistered => Ok(PushOutcome::DeadToken),
                // Where FCM means another member of the message, it names it in a BadRequest.
                Some(refusal) if status == 400 && refusal.code == ErrorCode::InvalidArgument && !refusal.blames_others => {
                    Ok(PushOutcome::DeadToken)
                }
                refusal => Err(PushFault::Refused { status, code: refusal.map(|refusal| refusal.code) }),
            },
        }
    }
}

/// No answer: a fault only where no later attempt can bring one.
fn unanswered(error: &ureq::Error) -> Result<PushOutcome, PushFault> {
    match error {
        ureq::Error::BodyExceedsLimit(_) => Err(PushFault::Malformed("an answer of more than 64 KiB")),
        ureq::Error::Protocol(_) | ureq::Error::Http(_) | ureq::Error::LargeResponseHeader(..) => Err(PushFault::Malformed("not HTTP")),
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => Err(PushFault::Settings("the URL cannot be used".into())),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => Err(not_vouched_for()),
        // This is how a handshake that failed comes back.
        ureq::Error::Io(error) if error.kind() == ErrorKind::InvalidData => Err(not_vouched_for()),
        _ => Ok(PushOutcome::TryLater { after: None }),
    }
}

fn not_vouched_for() -> PushFault {
    PushFault::Settings("the push service's certificate is not vouched for by ca_file".into())
}

/// Retry-After in seconds (RFC 9110 section 10.2.3). A date is passed over: the caller has a rhythm of its own.
fn seconds(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs).map(|wait| wait.min(LONGEST_WAIT))
}

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_stale_connection(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
}

fn tls(ca_file: &Path) -> Result<TlsConfig, PushFault> {
    let pem = std::fs::read(ca_file).map_err(|error| PushFault::Settings(format!("the push service's ca_file cannot be read: {error}")))?;
    let mut roots: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
            _ => return Err(PushFault::Settings("the push service's ca_file holds something else than certificates in PEM".into())),
        }
    }
    if roots.is_empty() {
        return Err(PushFault::Settings("the push service's ca_file holds no certificate".into()));
    }
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}
