//! Both listeners over a throwaway store, and callers that see what is on the wire.
#![allow(dead_code, missing_docs, unreachable_pub)]

pub mod phones;

use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ca_core::application::challenge::{Beacon, ChallengeKey};
use ca_core::application::verified::Evidence;
use ca_core::application::verifier::{ApplicationVerifier, CardSignedApplication};
use ca_core::card::authority::CardAuthorities;
use ca_core::card::identity::CardIdentity;
use ca_core::clock::SystemClock;
use ca_core::instruction::InstructionVerifier;
use ca_core::instruction::operator::OperatorAuthorities;
use ca_core::pseudonym::PseudonymKey;
use chrono::{DateTime, TimeDelta, Utc};
use ra_api::{
    Decisions, EvidenceFailure, EvidenceLimits, EvidenceSource, HolderApi, HolderParts, HolderSettings, OperatorApi, OperatorParts,
    OperatorSettings,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use sandbox::instruction::{Instruction, Signer};
use sandbox::keys::Key;
use schema::log_health::LogHealth;
use schema::{Database, OpenOptions, StoreFault};
use serde_json::Value;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

pub struct Store {
    pub database: Database,
    url: String,
    _directory: tempfile::TempDir,
}

pub fn store() -> Store {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("store.db").display());
    Store { database: Database::create(&url).unwrap(), url, _directory: directory }
}

impl Store {
    /// The same store as another process has it: its commits wake nobody here.
    pub fn elsewhere(&self) -> Database {
        Database::open(&self.url, &OpenOptions::default()).unwrap()
    }

    pub fn draw_beacon(&self) -> Beacon {
        self.draw_beacon_at(5, Utc::now())
    }

    pub fn draw_beacon_at(&self, value: u8, drawn_at: DateTime<Utc>) -> Beacon {
        let beacon = Beacon { value: [value; 32], drawn_at };
        self.database.writer().write(move |transaction| -> Result<(), StoreFault> { transaction.draw_beacon(&beacon) }).unwrap();
        beacon
    }
}

/// A CA with its key, for either side of TLS.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

pub struct Identity {
    pub certificate: String,
    pub key: String,
    pub certificate_der: Vec<u8>,
    /// The same key, for signing.
    pub signing_key: Key,
}

impl Identity {
    /// An operator's instruction, signed: CMS in DER.
    pub fn sign(&self, audience: &str, challenge: &str, action: &Value) -> Vec<u8> {
        let signer = Signer { certificate: &self.certificate_der, key: &self.signing_key };
        Instruction::of_operator(audience, challenge, action).sign(signer).unwrap()
    }
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "a CA");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn server(&self) -> Identity {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    pub fn operator(&self, name: &str, role: &str) -> Identity {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationalUnitName, role);
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            certificate_der: certificate.der().to_vec(),
            signing_key: Key::from_pkcs8(key.serialize_der()).unwrap(),
        }
    }
}

/// No application gets so far in tests without cards.
pub struct NoEvidence;

impl EvidenceSource for NoEvidence {
    fn collect(&self, _: &ApplicationVerifier, _: &CardSignedApplication<'_>, _: DateTime<Utc>) -> Result<Evidence, EvidenceFailure> {
        panic!("evidence was asked for");
    }

    fn holder_id(&self, _: &CardIdentity) -> Result<String, EvidenceFailure> {
        panic!("the back office was asked");
    }
}

pub fn challenge_key() -> ChallengeKey {
    ChallengeKey::new(&[7; 32])
}

/// A challenge on a beacon, as the RA gives it.
pub fn challenge_on(beacon: &Beacon) -> String {
    challenge_key().issue(beacon).unwrap().to_base64()
}

/// Nothing is too old.
pub fn patient() -> EvidenceLimits {
    EvidenceLimits { feed: TimeDelta::days(1), card_crl: TimeDelta::days(1), comparison: TimeDelta::days(1) }
}

/// Whose instructions count: of the card CAs of `verifier`, of the CA keys in the store, and of this operators' CA.
pub fn instructions(store: &Store, verifier: &Arc<ApplicationVerifier>, operators: Option<&Authority>) -> Arc<InstructionVerifier> {
    let operators = operators.map(|authority| OperatorAuthorities::from_pem(authority.pem().as_bytes()).unwrap()).unwrap_or_default();
    let own_keys = store.database.reader().ca_keys().unwrap();
    Arc::new(InstructionVerifier::new(Arc::clone(verifier), own_keys, operators))
}

pub struct Listener {
    pub url: String,
    handle: actix_web::dev::ServerHandle,
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

fn run(serve: impl FnOnce(TcpListener) -> std::io::Result<actix_web::dev::Server> + Send + 'static) -> Listener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let server = serve(listener).unwrap();
            tell.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    Listener { url, handle: told.recv().unwrap() }
}

pub const AUDIENCE: &str = "ra.test";

pub fn verifier(authorities: CardAuthorities) -> Arc<ApplicationVerifier> {
    let policy = policies::shipped().unwrap().application.as_ref().clone();
    Arc::new(ApplicationVerifier::new(policy, authorities, Vec::new(), AUDIENCE.to_owned()))
}

/// Nobody writes a log here, and nobody waits for one.
pub const NO_LOG: TimeDelta = TimeDelta::days(36_500);

pub fn serve_holders(store: &Store, tls: &Authority, settings: HolderSettings) -> Listener {
    serve_holders_with(store, tls, settings, verifier(CardAuthorities::default()), Arc::new(NoEvidence), patient(), NO_LOG)
}

pub fn serve_holders_with(
    store: &Store,
    tls: &Authority,
    mut settings: HolderSettings,
    verifier: Arc<ApplicationVerifier>,
    evidence: Arc<dyn EvidenceSource>,
    evidence_limits: EvidenceLimits,
    log_limit: TimeDelta,
) -> Listener {
    settings.listener.workers = 1;
    let database = &store.database;
    let api = HolderApi::new(HolderParts {
        settings,
        clock: Arc::new(SystemClock),
        reader: database.reader(),
        writer: database.writer(),
        instructions: instructions(store, &verifier, None),
        verifier,
        challenge_key: Arc::new(challenge_key()),
        evidence,
        evidence_limits,
        log: LogHealth::new(database.reader(), log_limit),
        decisions: Decisions::follow(database.reader(), database.wake()).unwrap(),
    })
    .unwrap();
    let identity = tls.server();
    run(move |listener| {
        let tls = ra_api::holder_tls(identity.certificate.as_bytes(), identity.key.as_bytes()).unwrap();
        ra_api::serve_holders(&api, listener, tls)
    })
}

pub fn serve_operators(store: &Store, tls: &Authority, operators: &Authority) -> Listener {
    let database = &store.database;
    let mut settings = OperatorSettings::default();
    settings.listener.workers = 1;
    settings.decision_wait_ms = 300;
    let api = OperatorApi::new(OperatorParts {
        settings,
        clock: Arc::new(SystemClock),
        reader: database.reader(),
        log: LogHealth::new(database.reader(), NO_LOG),
        writer: database.writer(),
        instructions: instructions(store, &verifier(CardAuthorities::default()), Some(operators)),
        challenge_key: Arc::new(challenge_key()),
        pseudonym_key: PseudonymKey::new(&[9; 32]),
        decisions: Decisions::follow(database.reader(), database.wake()).unwrap(),
    })
    .unwrap();
    let (identity, operator_ca) = (tls.server(), operators.pem());
    run(move |listener| {
        let tls = ra_api::operator_tls(identity.certificate.as_bytes(), identity.key.as_bytes(), operator_ca.as_bytes()).unwrap();
        ra_api::serve_operators(&api, listener, tls)
    })
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: ureq::http::HeaderMap,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a problem, after checking that it is a whole one.
    pub fn problem(&self) -> &str {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let text = |member: &str| self.body[member].as_str().unwrap_or_else(|| panic!("{member} in {self:?}"));
        assert_eq!(self.body["status"], self.status);
        assert_eq!(text("type"), format!("urn:tsunagi:problem:{}", text("code")));
        assert_eq!(text("correlation_id"), self.header("tsunagi-correlation-id"));
        assert_eq!(text("correlation_id").len(), 32);
        assert!(!text("title").is_empty() && !text("detail").is_empty());
        text("code")
    }
}

pub struct Caller {
    agent: ureq::Agent,
    url: String,
}

impl Caller {
    pub fn new(listener: &Listener, authority: &Authority, identity: Option<&Identity>) -> Self {
        let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
        let client = identity.map(|identity| {
            let certificate = Certificate::from_pem(identity.certificate.as_bytes()).unwrap();
            ClientCert::new_with_certs(&[certificate], PrivateKey::from_pem(identity.key.as_bytes()).unwrap())
        });
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&[root]))
            .client_cert(client)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config =
            ureq::Agent::config_builder().tls_config(tls).http_status_as_error(false).timeout_global(Some(Duration::from_secs(30)));
        Self { agent: config.build().new_agent(), url: listener.url.clone() }
    }

    pub fn try_get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Answer, ureq::Error> {
        let mut request = self.agent.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.call().map(read)
    }

    pub fn get(&self, path: &str) -> Answer {
        self.try_get(path, &[]).unwrap()
    }

    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        read(self.agent.post(format!("{}{path}", self.url)).content_type(content_type).send(body).unwrap())
    }

    /// Without a length: chunk by chunk.
    pub fn post_chunked(&self, path: &str, content_type: &str, body: &[u8]) -> Answer {
        let mut reader = body;
        let body = ureq::SendBody::from_reader(&mut reader);
        read(self.agent.post(format!("{}{path}", self.url)).content_type(content_type).send(body).unwrap())
    }

    pub fn try_post_reader(&self, path: &str, content_type: &str, mut body: impl std::io::Read) -> Result<Answer, ureq::Error> {
        let body = ureq::SendBody::from_reader(&mut body);
        self.agent.post(format!("{}{path}", self.url)).content_type(content_type).send(body).map(read)
    }

    pub fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.post(path, "application/json", body.to_string().as_bytes())
    }

    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let request = self.agent.post(format!("{}{path}", self.url)).content_type("application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        read(request.send(body.to_string().as_bytes()).unwrap())
    }

    pub fn delete(&self, path: &str) -> Answer {
        read(self.agent.delete(format!("{}{path}", self.url)).call().unwrap())
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Answer {
    let text = answer.body_mut().read_to_string().unwrap();
    Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body: serde_json::from_str(&text).unwrap_or(Value::Null) }
}

/// Fails unless the description knows this status for this operation.
pub fn assert_described(method: &str, path: &str, answer: &Answer) {
    let document = serde_json::to_value(ra_api::openapi()).unwrap();
    let operation = &document["paths"][path][method];
    assert!(
        operation["responses"][answer.status.to_string()].is_object(),
        "{method} {path} is not described with status {}",
        answer.status
    );
}
