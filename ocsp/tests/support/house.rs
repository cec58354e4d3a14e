//! A responder over a real store, whose time stands still until it is told to go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use ca_core::clock::Clock;
use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use ca_core::ocsp::{CertIdHash, CertStatus, OcspResponse, OcspResponseStatus};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use ca_core::signer::Signer;
use chrono::{DateTime, TimeDelta, Utc};
use der::Decode;
use ocsp::ticks::Ticks;
use ocsp::{OcspService, OcspSettings, Reply};
use schema::authority::NewResponder;
use schema::testing::TestDatabase;

use super::{TestCa, Unrecorded, basic, request, serial};

/// The clock on the wall, and the ticks beside it.
#[derive(Clone)]
pub struct TestTime {
    wall: Arc<AtomicI64>,
    ticks: Arc<AtomicU64>,
}

impl Clock for TestTime {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.wall.load(Ordering::SeqCst)).unwrap()
    }
}

impl Ticks for TestTime {
    fn now(&self) -> u64 {
        self.ticks.load(Ordering::SeqCst)
    }
}

impl TestTime {
    pub fn starting(at: DateTime<Utc>) -> Self {
        Self { wall: Arc::new(AtomicI64::new(at.timestamp_millis())), ticks: Arc::new(AtomicU64::new(1)) }
    }

    /// Time goes by.
    pub fn pass(&self, by: TimeDelta) {
        self.set_wall(by);
        self.ticks.fetch_add(u64::try_from(by.num_milliseconds()).unwrap(), Ordering::SeqCst);
    }

    /// Somebody changes the clock on the wall.
    pub fn set_wall(&self, by: TimeDelta) {
        self.wall.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }

    pub fn wall(&self) -> DateTime<Utc> {
        Clock::now(self)
    }
}

pub struct House {
    pub store: TestDatabase,
    pub time: TestTime,
    pub ca: TestCa,
    pub service: Arc<OcspService>,
}

pub fn start() -> DateTime<Utc> {
    "2026-03-01T12:00:00.5Z".parse().unwrap()
}

impl House {
    /// A CA key in the store, and a service that holds its responder's key; the responder's certificate is not in the store yet.
    pub fn without_responder(store: TestDatabase, settings: OcspSettings) -> Self {
        Self::with(store, settings, |service| service)
    }

    pub fn with(store: TestDatabase, settings: OcspSettings, change: impl FnOnce(OcspService) -> OcspService) -> Self {
        let time = TestTime::starting(start());
        let ca = TestCa::new(1, CertificateKind::Signature, 1, start());
        store.add_ca_key(ca.ca_key(), start());
        let keys = vec![Arc::clone(&ca.responder_key)];
        let service = OcspService::new(settings, store.reader(), keys, Arc::new(time.clone())).unwrap();
        let service = Arc::new(change(service.by_ticks(Arc::new(time.clone()))));
        Self { store, time, ca, service }
    }

    /// One that answers, and has looked at its store once.
    pub fn new(settings: OcspSettings) -> Self {
        Self::on(TestDatabase::sqlite(), settings)
    }

    pub fn on(store: TestDatabase, settings: OcspSettings) -> Self {
        let house = Self::without_responder(store, settings);
        house.certify(&house.ca.responder_key, start(), TimeDelta::days(7));
        house.service.look().unwrap();
        house
    }

    /// Puts a responder certificate into the store, good from `from` for `life`.
    pub fn certify(&self, key: &Arc<dyn Signer>, from: DateTime<Utc>, life: TimeDelta) {
        let signed = ca_core::issuer::create_responder_certificate(&self.ca.issuer, key.public_key_info(), life, from, &mut Unrecorded);
        let new = NewResponder::from(&signed.unwrap());
        assert_eq!(new.public_key_sha256, Sha256Digest::of(key.public_key_info()));
        self.store.writer().write(move |tx| tx.add_responder(&new, from)).unwrap();
    }

    /// The question about one certificate.
    pub fn ask(&self, number: u64) -> Vec<u8> {
        request(vec![self.ca.id(CertIdHash::Sha256, &serial(number))], None)
    }

    pub fn reply(&self, number: u64) -> Reply {
        self.service.reply(&self.ask(number))
    }

    /// What is told of a certificate.
    pub fn told(&self, number: u64) -> Told {
        told(&self.reply(number).der)
    }

    pub fn issue(&self, number: u64) {
        self.store.issue_certificate(self.ca.ca_key().id(), &serial(number), start() + TimeDelta::days(100), self.time.wall());
    }

    pub fn revoke(&self, number: u64) {
        self.revoke_for(number, RevocationReason::KeyCompromise);
    }

    pub fn hold(&self, number: u64) {
        self.revoke_for(number, RevocationReason::CertificateHold);
    }

    fn revoke_for(&self, number: u64, reason: RevocationReason) {
        self.store.revoke(self.ca.ca_key().id(), &serial(number), Revocation::new(self.time.wall(), reason));
    }

    pub fn lift(&self, number: u64) {
        self.store.lift(self.ca.ca_key().id(), &serial(number), self.time.wall());
    }

    /// The serial number as the store has it.
    pub fn serial(number: u64) -> SerialNumber {
        serial(number)
    }
}

/// An answer in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Good,
    Revoked(RevocationReason),
    /// Revoked on hold since 1970.
    NeverIssued,
    Unknown,
    /// No answer.
    Nothing(OcspResponseStatus),
}

pub const LATER: Told = Told::Nothing(OcspResponseStatus::TryLater);
pub const COMPROMISED: Told = Told::Revoked(RevocationReason::KeyCompromise);
pub const HELD: Told = Told::Revoked(RevocationReason::CertificateHold);

pub fn told(der: &[u8]) -> Told {
    let status = OcspResponse::from_der(der).unwrap().response_status;
    if status != OcspResponseStatus::Successful {
        return Told::Nothing(status);
    }
    match basic(der).response_data().responses[0].cert_status {
        CertStatus::Good(_) => Told::Good,
        CertStatus::Unknown(_) => Told::Unknown,
        CertStatus::Revoked(info) => {
            let reason = info.revocation_reason.map_or(RevocationReason::Unspecified, |reason| reason.to_reason().unwrap());
            if info.revocation_time.to_unix_duration().is_zero() {
                assert_eq!(reason, RevocationReason::CertificateHold);
                Told::NeverIssued
            } else {
                Told::Revoked(reason)
            }
        }
    }
}
