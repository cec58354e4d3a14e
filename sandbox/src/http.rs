//! The one way in which the sandbox speaks HTTP: blocking, bounded, with pinned certificates.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use ureq::tls::{ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::transport::DefaultConnector;

/// No answer is larger than this.
const LARGEST_ANSWER: u64 = 64 << 20;

/// One provider for all, so that pooled connections of one agent are recognised as alike.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

use crate::resolver::RememberingResolver;

/// rustls with ring.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// PEM of the certificates the server's must lead to; needed for `https`.
    pub ca_certificate_pem: Option<String>,
    /// Who we are, for mutual TLS.
    pub identity: Option<ClientIdentity>,
    /// For a whole exchange, connecting included.
    pub timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { ca_certificate_pem: None, identity: None, timeout: Duration::from_secs(20) }
    }
}

/// A TLS client certificate and its key.
#[derive(Clone)]
pub struct ClientIdentity {
    /// PEM of the certificate, intermediate ones after it.
    pub certificate_pem: String,
    /// PEM of the key.
    pub key_pem: String,
}

impl std::fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientIdentity")
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpFault {
    /// The PEM of the settings cannot be used.
    #[error("{0} is not PEM of what it should be")]
    Pem(&'static str),
    /// The server was not reached or did not speak properly.
    #[error("{url}: {reason}")]
    Exchange {
        /// What was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
}

/// Keeps connections alive; cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpClient {
    agent: ureq::Agent,
}

/// An answer of any status.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// Content-Type, empty if absent.
    pub content_type: String,
    /// Body.
    pub body: Vec<u8>,
}

impl HttpClient {
    /// A client with its own connections. Proxies of the environment are not used.
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpFault> {
        let mut tls = TlsConfig::builder().provider(TlsProvider::Rustls).unversioned_rustls_crypto_provider(provider());
        let roots = match &settings.ca_certificate_pem {
            Some(pem) => certificates(pem, "the server's CA certificate")?,
            None => Vec::new(),
        };
        tls = tls.root_certs(RootCerts::new_with_certs(&roots));
        if let Some(identity) = &settings.identity {
            let chain = certificates(&identity.certificate_pem, "the client certificate")?;
            let key = PrivateKey::from_pem(identity.key_pem.as_bytes()).map_err(|_| HttpFault::Pem("the client key"))?;
            tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        let config = ureq::Agent::config_builder()
            .tls_config(tls.build())
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(settings.timeout))
            .user_agent("tsunagi-sandbox")
            .build();
        Ok(Self { agent: ureq::Agent::with_parts(config, DefaultConnector::default(), RememberingResolver::default()) })
    }

    /// GET.
    pub fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<HttpAnswer, HttpFault> {
        let mut request = self.agent.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(url, request.call())
    }

    /// POST.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], content_type: &str, body: &[u8]) -> Result<HttpAnswer, HttpFault> {
        let mut request = self.agent.post(url).content_type(content_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(url, request.send(body))
    }
}

fn read(url: &str, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<HttpAnswer, HttpFault> {
    let exchange = |error: ureq::Error| HttpFault::Exchange { url: url.to_owned(), reason: error.to_string() };
    let mut response = response.map_err(exchange)?;
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let body = response.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec().map_err(exchange)?;
    Ok(HttpAnswer { status: response.status().as_u16(), content_type, body })
}

fn certificates(pem: &str, what: &'static str) -> Result<Vec<ureq::tls::Certificate<'static>>, HttpFault> {
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(pem.as_bytes()) {
        if let PemItem::Certificate(certificate) = item.map_err(|_| HttpFault::Pem(what))? {
            found.push(certificate);
        }
    }
    if found.is_empty() { Err(HttpFault::Pem(what)) } else { Ok(found) }
}
