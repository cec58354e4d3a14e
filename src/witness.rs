//! What relying parties are told, asked over HTTP from where they ask: the client behind [`StatusWitness`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ca_core::chain::Chain;
use ca_core::issuer::CaKey;
use ca_core::ocsp::{Inquiry, StatusWitness, ToldStatus, WitnessFault};
use ca_core::serial::SerialNumber;
use ca_core::signer::FileSigner;
use chrono::Utc;
use ureq::tls::Certificate;
use ureq::{Agent, Body};

use crate::failure::Failure;
use crate::installation::read_file;

/// How long a connection may take to come about, and an answer to be there as a whole: a responder that is slower than this is no use
/// to relying parties either.
const CONNECT: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(2);
/// The most octets of an answer: sixteen statuses and a responder's certificate take about 4,000.
const ANSWER_OCTETS: u64 = 65_536;
/// Connections that are kept open: for the gate of the CRLs and for the measurement of latency.
const CONNECTIONS: usize = 4;

/// Asks a responder over HTTP (RFC 6960 appendix A.1), with a nonce, and believes what [`Inquiry`] believes.
pub(crate) struct HttpWitness {
    agent: Agent,
    /// Where; without it, at the address in each CA key's certificates.
    url: Option<String>,
    at_once: usize,
    asker: Option<Asker>,
}

/// Whose name and signature questions bear, where only verifiers may ask.
pub(crate) struct Asker {
    certificate: Vec<u8>,
    signer: FileSigner,
}

impl Asker {
    /// From a verifier's certificate, in PEM, and its key, in PEM and in clear, as the keys of TLS certificates are.
    pub(crate) fn read(certificate: &Path, key: &Path) -> Result<Self, Failure> {
        let unreadable = |error| Failure::settings(format!("{}: {error}", certificate.display()));
        let read = Certificate::from_pem(&read_file(certificate)?).map_err(unreadable)?;
        Ok(Self {
            certificate: read.der().to_vec(),
            signer: FileSigner::open_clear(key).map_err(|fault| Failure::settings(Chain(&fault).to_string()))?,
        })
    }
}

impl HttpWitness {
    /// Asks about `at_once` certificates in a request at most, at `url` or, without it, where relying parties ask.
    pub(crate) fn new(url: Option<String>, at_once: usize) -> Self {
        let config = Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            .max_idle_connections(CONNECTIONS)
            .max_idle_connections_per_host(CONNECTIONS)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("tsunagi/", env!("CARGO_PKG_VERSION")))
            // Where we connect is in the settings, not in the environment.
            .proxy(None)
            .build();
        Self { agent: Agent::new_with_config(config), url, at_once: at_once.clamp(1, Inquiry::MOST), asker: None }
    }

    /// The same, signing what it asks.
    pub(crate) fn asking_as(self, asker: Option<Asker>) -> Self {
        Self { asker, ..self }
    }

    /// The address of a responder that listens at `address` in this process.
    pub(crate) fn own(mut address: SocketAddr) -> String {
        // What listens everywhere is reached at the loopback address.
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        format!("http://{address}/ocsp")
    }

    fn ask(&self, ca_key: &CaKey, serials: &[SerialNumber]) -> Result<Vec<ToldStatus>, WitnessFault> {
        let inquiry = Inquiry::new(ca_key, serials).and_then(|inquiry| match &self.asker {
            Some(asker) => inquiry.signed_by(&asker.certificate, &asker.signer),
            None => Ok(inquiry),
        });
        let inquiry = inquiry.map_err(|fault| WitnessFault::Unreachable(Chain(&fault).to_string()))?;
        let url = self.url.as_deref().unwrap_or(&ca_key.urls().ocsp);
        let post = || self.agent.post(url).content_type("application/ocsp-request").send(inquiry.request_der());
        let answer = match post().and_then(read) {
            // A connection that was kept open was closed by the other side: once more, with a new one.
            Err(ureq::Error::Io(_)) => post().and_then(read),
            answer => answer,
        };
        match answer {
            Ok(octets) => inquiry.judge(&octets, Utc::now()),
            Err(ureq::Error::BodyExceedsLimit(_)) => Err(WitnessFault::Unbelievable(format!("it has more than {ANSWER_OCTETS} octets"))),
            Err(error) => Err(WitnessFault::Unreachable(error.to_string())),
        }
    }
}

fn read(mut answer: ureq::http::Response<Body>) -> Result<Vec<u8>, ureq::Error> {
    let status = answer.status();
    if !status.is_success() {
        return Err(ureq::Error::StatusCode(status.as_u16()));
    }
    answer.body_mut().with_config().limit(ANSWER_OCTETS).read_to_vec()
}

impl StatusWitness for HttpWitness {
    fn told(&self, ca_key: &CaKey, serials: &[SerialNumber]) -> Result<Vec<ToldStatus>, WitnessFault> {
        let mut told = Vec::with_capacity(serials.len());
        for some in serials.chunks(self.at_once) {
            told.extend(self.ask(ca_key, some)?);
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use ca_core::issuer::{CaKeyId, CaUrls, create_ca_certificate};
    use ca_core::kind::CertificateKind;
    use ca_core::signer::{FileSigner, KeyType};

    use super::*;

    fn ca_key(port: u16) -> CaKey {
        let (policies, signer) = (policies::shipped().unwrap(), FileSigner::generate(KeyType::EcdsaP256).unwrap());
        let certificate = create_ca_certificate(&policies, CertificateKind::Signature, &signer, Utc::now()).unwrap();
        let url = |path: &str| format!("http://127.0.0.1:{port}/{path}");
        let urls = CaUrls { crl: url("crl"), ocsp: url("ocsp"), certificate: url("ca") };
        CaKey::new(CaKeyId(1), CertificateKind::Signature, 1, certificate, urls).unwrap()
    }

    /// Answers each connection in turn with what is given, whatever is asked.
    fn answering(answers: Vec<Vec<u8>>) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for answer in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let _ = connection.read(&mut [0; 4096]).unwrap();
                connection.write_all(&answer).unwrap();
            }
        });
        port
    }

    fn http(status: &str, body: &[u8]) -> Vec<u8> {
        let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        answer
    }

    #[test]
    fn where_nobody_answers_or_with_an_error_of_http_it_cannot_be_reached() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let refusing = answering(vec![http("503 Service Unavailable", b"")]);
        for port in [closed, refusing] {
            let ca_key = ca_key(port);
            let told = HttpWitness::new(None, 16).told(&ca_key, &[SerialNumber::from_hex("01").unwrap()]);
            assert!(matches!(told, Err(WitnessFault::Unreachable(_))), "{told:?}");
        }
    }

    #[test]
    fn try_later_is_told_apart_and_what_is_no_answer_is_not_believed() {
        let port = answering(vec![http("200 OK", &[0x30, 3, 0x0a, 1, 3]), http("200 OK", b"hello"), http("200 OK", &[0; 65_537])]);
        // Asked there and not where the certificates say.
        let (ca_key, witness) = (ca_key(1), HttpWitness::new(Some(format!("http://127.0.0.1:{port}/ocsp")), 16));
        let serials = [SerialNumber::from_hex("01").unwrap()];
        assert_eq!(witness.told(&ca_key, &serials), Err(WitnessFault::Later));
        assert!(matches!(witness.told(&ca_key, &serials), Err(WitnessFault::Unbelievable(_))));
        assert!(matches!(witness.told(&ca_key, &serials), Err(WitnessFault::Unbelievable(_))));
    }

    #[test]
    fn what_listens_everywhere_is_asked_at_the_loopback_address() {
        assert_eq!(HttpWitness::own("0.0.0.0:8080".parse().unwrap()), "http://127.0.0.1:8080/ocsp");
        assert_eq!(HttpWitness::own("[::]:8080".parse().unwrap()), "http://[::1]:8080/ocsp");
        assert_eq!(HttpWitness::own("10.1.2.3:80".parse().unwrap()), "http://10.1.2.3:80/ocsp");
    }
}
