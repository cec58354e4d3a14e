//! What a process needs to take part, in a form that another process can read.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use back_office::{BackOfficeSettings, CardStatusClient, CardStatusSettings, CrlUrlTemplate, HttpBackOffice};
use ca_core::application::challenge::ChallengeKey;
use ca_core::application::verifier::ApplicationVerifier;
use ca_core::card::authority::{CardAuthorities, CardAuthority};
use ca_core::clock::Clock;
use ca_core::device_command::CommandKey;
use ca_core::instruction::InstructionVerifier;
use ca_core::instruction::operator::OperatorAuthorities;
use ca_core::issuer::Issuer;
use ca_core::kind::CertificateKind;
use ca_core::signer::{KeyType, Signer, SignerFault};
use ca_service::CrlLocation;
use chrono::{DateTime, TimeDelta, Utc};
use policies::Policies;
use ra_api::{CardStatusPlaces, EvidencePlan, NetworkEvidence, StatusSource};
use sandbox::back_office::BackOffice;
use sandbox::keys::Key;
use schema::testing::TestDatabase;
use schema::{Database, OpenOptions, Reader};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Ca, CaWish, RA_NAME, Ra};

/// Where everything is that processes share.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Outfit {
    store: String,
    keys: PathBuf,
    back_office: String,
    tls_ca: String,
    token: String,
    card_authorities: Vec<(CertificateKind, String)>,
    /// OCSP URL and CRL URL template: signature, authentication.
    card_status: [(String, String); 2],
    /// The operators' CA, PEM.
    operators: String,
}

/// What is called while a key signs.
pub type Hook = Arc<dyn Fn() + Send + Sync>;

impl Outfit {
    pub fn new(store: &TestDatabase, back_office: &BackOffice, keys: &Path, operators: &str) -> Self {
        let authorities = back_office.card_authorities().into_iter();
        let places = |kind| (back_office.ocsp_url(kind), back_office.crl_url_template(kind));
        Self {
            store: store.url().to_owned(),
            keys: keys.to_owned(),
            back_office: back_office.url().to_owned(),
            tls_ca: back_office.tls_ca_pem().to_owned(),
            token: back_office.token().to_owned(),
            card_authorities: authorities.map(|authority| (authority.kind.as_str().parse().unwrap(), authority.pem)).collect(),
            card_status: sandbox::kind::Kind::ALL.map(places),
            operators: operators.to_owned(),
        }
    }

    /// Opens the store as a process of its own would.
    pub fn open(&self) -> Database {
        Database::open(&self.store, &OpenOptions::default()).unwrap()
    }

    /// Where the processes of the CA, which share a machine, keep their CRLs.
    pub fn shelf(&self) -> PathBuf {
        self.keys.join("crl")
    }

    /// A process of the CA.
    pub fn ca(&self, wish: CaWish) -> Ca {
        Ca::new(self, wish)
    }

    /// A process of the RA.
    pub fn ra(&self) -> Ra {
        let places = |(ocsp_url, crl_url): &(String, String)| CardStatusPlaces {
            ocsp_url: ocsp_url.clone(),
            crl_url: CrlUrlTemplate::parse(crl_url).unwrap(),
        };
        let plan = EvidencePlan {
            signature: places(&self.card_status[0]),
            authentication: places(&self.card_status[1]),
            order: vec![StatusSource::Ocsp],
            crl_refresh: TimeDelta::seconds(60),
        };
        let database = self.open();
        let verifier = self.verifier(&database.reader());
        let evidence = NetworkEvidence::new(Arc::new(self.back_office()), card_status_client(), plan);
        Ra { database, verifier, evidence, challenge_key: ChallengeKey::new(&[0x5a; 32]) }
    }

    pub fn verifier(&self, reader: &Reader) -> ApplicationVerifier {
        let own_key_ids = reader.ca_keys().unwrap().iter().map(|key| key.key_identifier().clone()).collect();
        let policy = Policies::shipped().unwrap().application.as_ref().clone();
        ApplicationVerifier::new(policy, CardAuthorities::new(self.card_authorities()).unwrap(), own_key_ids, RA_NAME.to_owned())
    }

    pub fn instruction_verifier(&self, reader: &Reader) -> InstructionVerifier {
        let operators = OperatorAuthorities::from_pem(self.operators.as_bytes()).unwrap();
        InstructionVerifier::new(Arc::new(self.verifier(reader)), reader.ca_keys().unwrap(), operators)
    }

    pub fn command_key(&self) -> CommandKey {
        let key = Key::from_pkcs8(std::fs::read(command_key_file(&self.keys)).unwrap()).unwrap();
        CommandKey::new(Arc::new(HookedKey::new(key, None))).unwrap()
    }

    pub fn back_office(&self) -> HttpBackOffice {
        HttpBackOffice::new(&BackOfficeSettings::new(&self.back_office, &self.tls_ca, SecretString::from(self.token.clone()))).unwrap()
    }

    /// The issuers of both kinds; `hook` is called before each signature.
    pub fn issuers(&self, reader: &Reader, hook: Option<&Hook>) -> Vec<Issuer> {
        let policies = Arc::new(Policies::shipped().unwrap());
        let issuer = |ca_key: ca_core::issuer::CaKey| {
            let key = Key::from_pkcs8(std::fs::read(key_file(&self.keys, ca_key.kind())).unwrap()).unwrap();
            Issuer::new(ca_key, Arc::new(HookedKey::new(key, hook.cloned())), Arc::clone(&policies)).unwrap()
        };
        reader.ca_keys().unwrap().into_iter().map(issuer).collect()
    }

    pub fn crl_locations(&self) -> Vec<CrlLocation> {
        let location = |authority: CardAuthority| {
            let place = usize::from(authority.kind() == CertificateKind::Authentication);
            let template = CrlUrlTemplate::parse(&self.card_status[place].1).unwrap();
            CrlLocation { kind: authority.kind(), key_id: authority.key_id().clone(), template }
        };
        self.card_authorities().into_iter().map(location).collect()
    }

    fn card_authorities(&self) -> Vec<CardAuthority> {
        let authorities = self.card_authorities.iter();
        authorities.map(|(kind, pem)| CardAuthority::from_certificate(*kind, pem.as_bytes()).unwrap()).collect()
    }
}

pub fn card_status_client() -> CardStatusClient {
    CardStatusClient::new(&CardStatusSettings::default())
}

pub(super) fn key_file(directory: &Path, kind: CertificateKind) -> PathBuf {
    directory.join(format!("ca-{kind}.pkcs8"))
}

pub(super) fn command_key_file(directory: &Path) -> PathBuf {
    directory.join("device-command.pkcs8")
}

/// A CA key that lies about openly, as no real one does: to stretch a passphrase in each process would take too long.
pub(super) struct HookedKey {
    key: Key,
    hook: Option<Hook>,
}

impl HookedKey {
    pub(super) fn new(key: Key, hook: Option<Hook>) -> Self {
        Self { key, hook }
    }
}

impl Signer for HookedKey {
    fn key_type(&self) -> KeyType {
        KeyType::EcdsaP256
    }

    fn public_key_info(&self) -> &[u8] {
        self.key.public_key_info()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerFault> {
        if let Some(hook) = &self.hook {
            hook();
        }
        self.key.sign(message).map_err(|_| SignerFault::Refused)
    }
}

/// The machine's clock, so many milliseconds ahead; or one that goes on a millisecond with each look, and else stands.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    ahead: AtomicI64,
    /// 0 while it goes with the machine's.
    stopped_at: AtomicI64,
}

impl ShiftedClock {
    pub fn ahead(seconds: i64) -> Self {
        Self { ahead: AtomicI64::new(seconds * 1_000), stopped_at: AtomicI64::new(0) }
    }

    pub fn set_ahead(&self, seconds: i64) {
        self.ahead.store(seconds * 1_000, Ordering::SeqCst);
    }

    /// From now on it tells this moment, and a millisecond more each time: so dates are known before, and no two are the same.
    pub fn stop_at(&self, moment: DateTime<Utc>) {
        self.stopped_at.store(moment.timestamp_millis(), Ordering::SeqCst);
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> DateTime<Utc> {
        if self.stopped_at.load(Ordering::SeqCst) != 0 {
            return DateTime::from_timestamp_millis(self.stopped_at.fetch_add(1, Ordering::SeqCst)).unwrap();
        }
        Utc::now() + TimeDelta::milliseconds(self.ahead.load(Ordering::SeqCst))
    }
}
