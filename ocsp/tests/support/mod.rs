//! CA keys with responders, made the way the product makes them, and requests as clients make them.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod house;

use std::convert::Infallible;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ca_core::issuance::{Intent, IntentLedger};
use ca_core::issuer::{CaKey, CaKeyId, CaUrls, Issuer, create_ca_certificate, create_responder_certificate};
use ca_core::kind::CertificateKind;
use ca_core::ocsp::{BasicOcspResponse, CertId, CertIdHash, Nonce, OcspRequest, OcspResponse, Request, TbsRequest, Version};
use ca_core::serial::SerialNumber;
use ca_core::signer::{FileSigner, KeyType, Signer};
use chrono::{DateTime, TimeDelta, Utc};
use der::{Decode, Encode};
use ocsp::{Authority, Responder};
use policies::Policies;

pub struct Unrecorded;

impl IntentLedger for Unrecorded {
    type Fault = Infallible;

    fn record(&mut self, _intents: &[Intent]) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A CA key and a responder key that it certified.
pub struct TestCa {
    pub issuer: Issuer,
    pub responder_key: Arc<dyn Signer>,
    pub responder_der: Vec<u8>,
}

pub fn urls(label: &str) -> CaUrls {
    CaUrls {
        crl: format!("http://status.example/crl/{label}.crl"),
        ocsp: "http://status.example/ocsp".to_owned(),
        certificate: format!("http://status.example/ca/{label}.cer"),
    }
}

pub fn issuer(id: i32, kind: CertificateKind, generation: u32, key_type: KeyType, now: DateTime<Utc>) -> Issuer {
    let policies = Arc::new(Policies::shipped().unwrap());
    let signer = FileSigner::generate(key_type).unwrap();
    let der = create_ca_certificate(&policies, kind, &signer, now).unwrap();
    let ca_key = CaKey::new(CaKeyId(id), kind, generation, der, urls(&format!("{kind}-{generation}"))).unwrap();
    Issuer::new(ca_key, Arc::new(signer), policies).unwrap()
}

impl TestCa {
    pub fn new(id: i32, kind: CertificateKind, generation: u32, now: DateTime<Utc>) -> Self {
        let issuer = issuer(id, kind, generation, KeyType::EcdsaP256, now);
        let responder_key = FileSigner::generate(KeyType::EcdsaP256).unwrap();
        let spki = responder_key.public_key_info();
        let signed = create_responder_certificate(&issuer, spki, TimeDelta::days(7), now, &mut Unrecorded).unwrap();
        let responder_der = signed.der().to_vec();
        Self { issuer, responder_key: Arc::new(responder_key), responder_der }
    }

    pub fn ca_key(&self) -> &CaKey {
        self.issuer.ca_key()
    }

    pub fn authority(&self) -> Authority {
        self.authority_with(false)
    }

    pub fn authority_with(&self, retired: bool) -> Authority {
        let responder = Responder::new(self.ca_key(), self.responder_der.clone(), Arc::clone(&self.responder_key)).unwrap();
        Authority::new(self.ca_key().clone(), vec![Arc::new(responder)], retired).unwrap()
    }

    /// A certificate that makes `key` a responder of this CA key.
    pub fn responder_certificate(&self, key: &Arc<dyn Signer>, from: DateTime<Utc>, life: TimeDelta) -> Vec<u8> {
        let signed = create_responder_certificate(&self.issuer, key.public_key_info(), life, from, &mut Unrecorded);
        signed.unwrap().der().to_vec()
    }

    pub fn id(&self, hash: CertIdHash, serial: &SerialNumber) -> CertId {
        CertId::new(hash, self.ca_key().subject_name_der(), self.ca_key().subject_public_key(), serial).unwrap()
    }

    /// Writes the CA certificate in PEM.
    pub fn write_pem(&self, path: &Path) {
        let der = path.with_extension("der");
        std::fs::write(&der, self.ca_key().certificate_der()).unwrap();
        openssl(&["x509", "-inform", "der", "-in", der.to_str().unwrap(), "-out", path.to_str().unwrap()]);
    }
}

pub fn serial(number: u64) -> SerialNumber {
    SerialNumber::from_magnitude(&number.to_be_bytes()).unwrap()
}

pub fn request(ids: Vec<CertId>, nonce: Option<&Nonce>) -> Vec<u8> {
    let request_list = ids.into_iter().map(|id| Request { req_cert: id, single_request_extensions: None }).collect();
    let request_extensions = nonce.map(|nonce| vec![nonce.to_extension().unwrap()]);
    let tbs_request = TbsRequest { version: Version::V1, requestor_name: None, request_list, request_extensions };
    OcspRequest::unsigned(tbs_request).unwrap().to_der().unwrap()
}

pub fn basic(der: &[u8]) -> BasicOcspResponse {
    OcspResponse::from_der(der).unwrap().basic().unwrap()
}

/// Runs openssl, which must succeed; returns what it said on both streams.
pub fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is needed for this test");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
    said
}

/// A CA of operators, and certificates of a verifier, an auditor and somebody else, made by openssl.
pub struct Verifiers(tempfile::TempDir);

impl Verifiers {
    pub fn new() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        made.certificate("operators", "/O=operators", None);
        made.certificate("stranger", "/OU=verifier/CN=stranger", None);
        for role in ["verifier", "auditor"] {
            made.certificate(role, &format!("/OU={role}/CN=one"), Some("operators"));
        }
        made
    }

    fn certificate(&self, name: &str, subject: &str, issuer: Option<&str>) {
        let extensions = match issuer {
            Some(_) => {
                "-addext basicConstraints=critical,CA:FALSE -addext keyUsage=critical,digitalSignature -addext extendedKeyUsage=clientAuth"
            }
            None => "-addext keyUsage=critical,keyCertSign",
        };
        let issuer = issuer.map(|issuer| format!("-CA {issuer}.pem -CAkey {issuer}.key.pem")).unwrap_or_default();
        self.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {name}.key.pem -out {name}.pem -days 30 -subj {subject} \
             {issuer} {extensions}"
        ));
    }

    pub fn requestors(&self) -> ocsp::Requestors {
        let pem = std::fs::read(self.path("operators.pem")).unwrap();
        ocsp::Requestors::new(ca_core::instruction::operator::OperatorAuthorities::from_pem(&pem).unwrap())
    }

    /// A request about a certificate of `issuer.pem`.
    pub fn request(&self, arguments: &str) -> Vec<u8> {
        self.openssl(&format!("ocsp -no_nonce -issuer issuer.pem -serial 0x123456789abcde {arguments} -reqout request.der"));
        std::fs::read(self.path("request.der")).unwrap()
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").args(arguments.split_whitespace()).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Lets futures go on side by side, and gathers what they give.
pub async fn together<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in &mut running {
            if output.is_none()
                && let std::task::Poll::Ready(given) = future.as_mut().poll(context)
            {
                *output = Some(given);
            }
        }
        if running.iter().all(|(_, output)| output.is_some()) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}
