//! CA keys made the way the product makes them, and OpenSSL.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ca_core::issuer::{CaKey, CaKeyId, CaUrls, Issuer, create_ca_certificate};
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use ca_core::signer::{FileSigner, KeyType};
use chrono::{DateTime, Utc};
use policies::Policies;

pub fn urls(label: &str) -> CaUrls {
    CaUrls {
        crl: format!("http://status.example/crl/{label}.crl"),
        ocsp: "http://status.example/ocsp".to_owned(),
        certificate: format!("http://status.example/ca/{label}.cer"),
    }
}

pub fn issuer(id: i32, kind: CertificateKind, generation: u32, key_type: KeyType, now: DateTime<Utc>) -> Issuer {
    issuer_with_key(id, kind, generation, FileSigner::generate(key_type).unwrap(), now)
}

pub fn issuer_with_key(id: i32, kind: CertificateKind, generation: u32, signer: FileSigner, now: DateTime<Utc>) -> Issuer {
    let policies = Arc::new(Policies::shipped().unwrap());
    let der = create_ca_certificate(&policies, kind, &signer, now).unwrap();
    let ca_key = CaKey::new(CaKeyId(id), kind, generation, der, urls(&format!("{kind}-{generation}"))).unwrap();
    Issuer::new(ca_key, Arc::new(signer), policies).unwrap()
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub fn serial(hex: &str) -> SerialNumber {
    SerialNumber::from_hex(hex).unwrap()
}

/// Runs openssl, which must succeed; returns what it said on both streams.
pub fn openssl(arguments: &[&str]) -> String {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is needed for this test");
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "openssl {arguments:?}: {said}");
    said
}

/// What OpenSSL says of a list, having verified it with the CA certificate.
pub fn openssl_crl(crl: &[u8], ca_certificate: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("list.crl"), crl).unwrap();
    write_pem(ca_certificate, &directory.path().join("ca.pem"));
    let said = openssl(&["crl", "-inform", "der", "-in", &path("list.crl"), "-CAfile", &path("ca.pem"), "-verify", "-noout", "-text"]);
    assert!(said.contains("verify OK"), "{said}");
    said
}

pub fn write_pem(certificate: &[u8], path: &Path) {
    let der = path.with_extension("der");
    std::fs::write(&der, certificate).unwrap();
    openssl(&["x509", "-inform", "der", "-in", der.to_str().unwrap(), "-out", path.to_str().unwrap()]);
}
