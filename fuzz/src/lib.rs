//! What the fuzz targets are held against: a responder over a real store, whose keys are always the same, so that an input found
//! yesterday means the same today.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use actix_http::body::to_bytes;
use actix_http::{Request, StatusCode};
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use bytes::Bytes;
use ca_core::clock::Clock;
use ca_core::instruction::operator::OperatorAuthorities;
use ca_core::issuance::{Intent, IntentLedger};
use ca_core::issuer::{CaKey, CaKeyId, CaUrls, Issuer, create_ca_certificate, create_responder_certificate};
use ca_core::kind::CertificateKind;
use ca_core::ocsp::{CertStatus, OcspRequest, OcspResponse, OcspResponseStatus};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;
use ca_core::signer::{FileSigner, Signer};
use chrono::{DateTime, TimeDelta, Utc};
use der::{Decode, Encode};
use ocsp::http::Front;
use ocsp::ticks::Ticks;
use ocsp::{OcspService, OcspSettings, Requestors};
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use policies::Policies;
use schema::authority::NewResponder;
use schema::testing::TestDatabase;

/// The moment at which everything happens.
pub fn now() -> DateTime<Utc> {
    "2026-12-01T12:00:00Z".parse().unwrap()
}

/// Where what is known beforehand lies: for each target a directory of inputs, and the CA of verifiers.
pub fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds")
}

/// Time that stands still.
struct StandingStill;

impl Clock for StandingStill {
    fn now(&self) -> DateTime<Utc> {
        now()
    }
}

impl Ticks for StandingStill {
    fn now(&self) -> u64 {
        1
    }
}

struct Unrecorded;

impl IntentLedger for Unrecorded {
    type Fault = Infallible;

    fn record(&mut self, _: &[Intent]) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A key that is the same every time, and protects nothing.
fn key(number: u8) -> FileSigner {
    let pem = p256::SecretKey::from_slice(&[number; 32]).unwrap().to_pkcs8_pem(LineEnding::LF).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pem");
    std::fs::write(&path, pem.as_bytes()).unwrap();
    // Keys that others may read are not opened.
    #[cfg(unix)]
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    FileSigner::open_clear(&path).unwrap()
}

/// The CA key that is asked about.
pub fn issuer() -> Issuer {
    issuer_of(key(1))
}

/// A CA key of that key.
pub fn issuer_of(signer: FileSigner) -> Issuer {
    let policies = Arc::new(Policies::shipped().unwrap());
    let begin = now() - TimeDelta::days(1);
    let der = create_ca_certificate(&policies, CertificateKind::Signature, &signer, begin).unwrap();
    let urls = CaUrls {
        crl: "http://status.example/crl/signature-1.crl".to_owned(),
        ocsp: "http://status.example/ocsp".to_owned(),
        certificate: "http://status.example/ca/signature-1.cer".to_owned(),
    };
    let ca_key = CaKey::new(CaKeyId(1), CertificateKind::Signature, 1, der, urls).unwrap();
    Issuer::new(ca_key, Arc::new(signer), policies).unwrap()
}

/// What there is to be told of a certificate that was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// `good`, in force or past its end.
    Good,
    /// `revoked`.
    Revoked(RevocationReason),
}

/// Requests over HTTP, and what comes back.
pub type Http = Box<dyn Fn(Request) -> (StatusCode, Bytes)>;

/// A responder that answers everybody, and one that answers verifiers only, over the same store.
pub struct Stage {
    known: BTreeMap<SerialNumber, Known>,
    everybody: Arc<OcspService>,
    verifiers: Arc<OcspService>,
    store: TestDatabase,
}

impl Stage {
    /// Certificates 0x8001 good, 0x8002 revoked, 0x8003 on hold, 0x8004 past its end; every other number was never issued.
    ///
    /// # Panics
    /// If anything about it fails.
    pub fn set() -> Self {
        let (store, issuer) = (TestDatabase::sqlite(), issuer());
        let ca_key = issuer.ca_key();
        store.add_ca_key(ca_key, now());
        let (later, earlier) = (now() + TimeDelta::days(100), now() - TimeDelta::hours(1));
        let mut known = BTreeMap::new();
        for (number, not_after, told) in [
            (0x8001_u16, later, Known::Good),
            (0x8002, later, Known::Revoked(RevocationReason::KeyCompromise)),
            (0x8003, later, Known::Revoked(RevocationReason::CertificateHold)),
            (0x8004, earlier, Known::Good),
        ] {
            let serial = SerialNumber::from_magnitude(&number.to_be_bytes()).unwrap();
            store.issue_certificate(ca_key.id(), &serial, not_after, now() - TimeDelta::hours(2));
            if let Known::Revoked(reason) = told {
                store.revoke(ca_key.id(), &serial, Revocation::new(earlier, reason));
            }
            known.insert(serial, told);
        }
        let responder: Arc<dyn Signer> = Arc::new(key(2));
        let signed = create_responder_certificate(&issuer, responder.public_key_info(), TimeDelta::days(7), now(), &mut Unrecorded);
        let certificate = NewResponder::from(&signed.unwrap());
        store.writer().write(move |transaction| transaction.add_responder(&certificate, now())).unwrap();

        let settings = OcspSettings { cache_megabytes: 16, ..OcspSettings::default() };
        let service = || {
            let keys = vec![Arc::clone(&responder)];
            let service = OcspService::new(settings.clone(), store.reader(), keys, Arc::new(StandingStill)).unwrap();
            service.by_ticks(Arc::new(StandingStill))
        };
        let pem = std::fs::read(seeds().join("operators.pem")).unwrap();
        let requestors = Requestors::new(OperatorAuthorities::from_pem(&pem).unwrap());
        let (everybody, verifiers) = (Arc::new(service()), Arc::new(service().for_requestors(requestors)));
        for service in [&everybody, &verifiers] {
            service.look().unwrap();
        }
        Self { known, everybody, verifiers, store }
    }

    /// Asks both responders in the body of a POST, and holds their answers to what they may say. Whether there is an answer for
    /// everybody, and one for verifiers.
    pub fn ask(&self, octets: &[u8]) -> (bool, bool) {
        let everybody = self.check(octets, &self.everybody.reply(octets).der);
        let personal = self.verifiers.reply(octets).der;
        let verifiers = self.check(octets, &personal);
        if verifiers {
            let request = OcspRequest::from_der(octets).unwrap();
            assert!(request.verify_signature().is_ok(), "answered without a signature that holds");
        }
        (everybody, verifiers)
    }

    /// Whether there is an answer. It is about what was asked, in order, with the nonce that was asked for or none, and nothing is
    /// told but what is known.
    pub fn check(&self, asked: &[u8], answered: &[u8]) -> bool {
        let response = OcspResponse::from_der(answered).unwrap();
        assert_eq!(response.to_der().unwrap(), answered);
        if response.response_status != OcspResponseStatus::Successful {
            assert_ne!(response.response_status, OcspResponseStatus::InternalError, "a fault of ours");
            return false;
        }
        let basic = response.basic().unwrap();
        let request = OcspRequest::from_der(asked).unwrap();
        let (data, tbs) = (basic.response_data(), request.tbs_request());
        if let Some(nonce) = data.nonce().unwrap() {
            let extensions = tbs.request_extensions.as_deref().unwrap();
            assert!(extensions.iter().any(|one| one.extn_value == nonce.to_extension().unwrap().extn_value), "another nonce");
        }
        assert_eq!(data.responses.len(), tbs.request_list.len());
        for (asked, told) in tbs.request_list.iter().zip(&data.responses) {
            assert_eq!(asked.req_cert, told.cert_id);
            let serial = told.cert_id.serial_number.as_bytes();
            let serial = SerialNumber::from_magnitude(serial).ok().filter(|_| serial.first().is_some_and(|first| *first < 0x80));
            let known = serial.as_ref().and_then(|serial| self.known.get(serial).copied());
            let told = match told.cert_status {
                CertStatus::Good(_) => Some(Known::Good),
                CertStatus::Unknown(_) => panic!("never issued is told as revoked here"),
                CertStatus::Revoked(info) if info.revocation_time.to_unix_duration().is_zero() => None,
                CertStatus::Revoked(info) => Some(Known::Revoked(info.revocation_reason.unwrap().to_reason().unwrap())),
            };
            assert_eq!(told, known, "of {serial:?}");
        }
        true
    }

    /// The responder over HTTP, on this thread.
    ///
    /// # Panics
    /// If it does not start.
    pub fn http(&self) -> Http {
        let system = actix_web::rt::System::new();
        let never = Arc::new(AtomicBool::new(false));
        // The threads end with the process.
        drop(self.everybody.start(self.store.database().wake(), &never).unwrap());
        let front = Front::new(Arc::clone(&self.everybody), map_config(App::new(), |()| AppConfig::default()));
        let service = system.block_on(front.new_service(())).unwrap();
        Box::new(move |request| {
            system.block_on(async {
                let (head, body) = service.call(request).await.unwrap().into_parts();
                (head.status(), to_bytes(body).await.unwrap())
            })
        })
    }
}
