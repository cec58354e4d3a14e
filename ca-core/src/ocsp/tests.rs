#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
//! Held against what OpenSSL wrote (fixtures/README.md).

use chrono::{DateTime, Utc};
use der::{Decode, Encode};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use x509_cert::Certificate;

use super::*;
use crate::revocation::{Revocation, RevocationReason};
use crate::serial::SerialNumber;
use crate::time::from_generalized_time;

const CA: &[u8] = include_bytes!("fixtures/ca.der");
const RESPONDER: &[u8] = include_bytes!("fixtures/responder.der");
const REQUESTS: [&[u8]; 3] = [
    include_bytes!("fixtures/request-sha1-nonce.der"),
    include_bytes!("fixtures/request-sha256-two.der"),
    include_bytes!("fixtures/request-signed.der"),
];
const RESPONSES: [&[u8]; 3] = [
    include_bytes!("fixtures/response-good-by-name.der"),
    include_bytes!("fixtures/response-revoked-by-key.der"),
    include_bytes!("fixtures/response-unknown.der"),
];

fn holder() -> SerialNumber {
    SerialNumber::from_hex("C0FFEE0102030405060708090A0B0C0D").unwrap()
}

fn public_key(certificate: &Certificate) -> &[u8] {
    certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes()
}

fn id(hash: CertIdHash, serial: &SerialNumber) -> CertId {
    let ca = Certificate::from_der(CA).unwrap();
    CertId::new(hash, &ca.tbs_certificate().subject().to_der().unwrap(), public_key(&ca), serial).unwrap()
}

fn basic(octets: &[u8]) -> BasicOcspResponse {
    OcspResponse::from_der(octets).unwrap().basic().unwrap()
}

#[test]
fn what_openssl_wrote_is_written_again_octet_for_octet() {
    for octets in REQUESTS {
        assert_eq!(OcspRequest::from_der(octets).unwrap().to_der().unwrap(), octets);
    }
    for octets in RESPONSES {
        let response = OcspResponse::from_der(octets).unwrap();
        assert_eq!(response.to_der().unwrap(), octets);
        assert_eq!(OcspResponse::successful(&response.basic().unwrap()).unwrap(), response);
    }
}

#[test]
fn a_request_we_build_is_the_one_openssl_builds() {
    let theirs = OcspRequest::from_der(REQUESTS[0]).unwrap();
    let ours = OcspRequest::for_certificate(id(CertIdHash::Sha1, &holder()), theirs.nonce().unwrap().as_ref()).unwrap();
    assert_eq!(ours.to_der().unwrap(), REQUESTS[0]);

    let two = OcspRequest::from_der(REQUESTS[1]).unwrap();
    assert_eq!(two.nonce(), Ok(None));
    let ids: Vec<_> = two.tbs_request().request_list.iter().map(|request| request.req_cert.clone()).collect();
    assert_eq!(ids, [id(CertIdHash::Sha256, &holder()), id(CertIdHash::Sha256, &SerialNumber::from_hex("07").unwrap())]);
    assert!(OcspRequest::from_der(REQUESTS[2]).unwrap().optional_signature().is_some());
}

#[test]
fn the_signature_of_an_answer_is_over_the_octets_kept() {
    let responder = Certificate::from_der(RESPONDER).unwrap();
    for octets in RESPONSES {
        let answer = basic(octets);
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public_key(&responder));
        key.verify(answer.response_data_der(), answer.signature().unwrap()).unwrap();
        let subject = responder.tbs_certificate().subject();
        assert!(answer.response_data().responder_id.names(subject, public_key(&responder)));
        assert!(!answer.response_data().responder_id.names(&x509_cert::name::Name::default(), b"another key"));
    }
    assert_eq!(basic(RESPONSES[0]).certificates().collect::<Vec<_>>(), [RESPONDER]);
    assert_eq!(basic(RESPONSES[2]).certificates().count(), 0);
}

#[test]
fn good_revoked_and_unknown_are_told_apart() {
    let good = basic(RESPONSES[0]);
    let response = good.response_data().response_for(&id(CertIdHash::Sha1, &holder())).unwrap();
    assert_eq!(response.cert_status, CertStatus::Good(der::asn1::Null));
    assert!(from_generalized_time(response.this_update) < from_generalized_time(response.next_update.unwrap()));
    assert_eq!(good.response_data().nonce(), OcspRequest::from_der(REQUESTS[0]).unwrap().nonce());
    assert!(good.response_data().response_for(&id(CertIdHash::Sha256, &holder())).is_none());

    let at: DateTime<Utc> = "2026-01-02T03:04:05Z".parse().unwrap();
    let revoked = basic(RESPONSES[1]);
    let status = |serial: &SerialNumber| revoked.response_data().response_for(&id(CertIdHash::Sha256, serial)).unwrap().cert_status;
    let told = |reason| CertStatus::Revoked(RevokedInfo::new(&Revocation::new(at, reason)).unwrap());
    assert_eq!(status(&holder()), told(RevocationReason::KeyCompromise));
    assert_eq!(status(&SerialNumber::from_hex("07").unwrap()), told(RevocationReason::Unspecified));

    let unknown = basic(RESPONSES[2]);
    let seven = unknown.response_data().response_for(&id(CertIdHash::Sha256, &SerialNumber::from_hex("07").unwrap())).unwrap();
    assert_eq!(seven.cert_status, CertStatus::Unknown(der::asn1::Null));
}

#[test]
fn an_unsuccessful_response_has_no_answer() {
    for status in [
        OcspResponseStatus::MalformedRequest,
        OcspResponseStatus::InternalError,
        OcspResponseStatus::TryLater,
        OcspResponseStatus::SigRequired,
        OcspResponseStatus::Unauthorized,
    ] {
        let octets = OcspResponse::unsuccessful_der(status);
        let response = OcspResponse::from_der(&octets).unwrap();
        assert_eq!(response.to_der().unwrap(), octets);
        assert_eq!(response.basic(), Err(NotBasic::Status(status)));
    }
    assert_eq!(OcspResponse::from_der(&[0x30, 3, 0x0a, 1, 0]).unwrap().basic(), Err(NotBasic::NoBytes));
    assert!(OcspResponse::from_der(&[0x30, 3, 0x0a, 1, 4]).is_err());
}

#[test]
fn every_truncation_trailing_octet_and_changed_octet_is_an_error_or_another_value_but_no_panic() {
    for octets in REQUESTS.into_iter().chain(RESPONSES) {
        for end in 0..octets.len() {
            assert!(OcspRequest::from_der(&octets[..end]).is_err());
            assert!(OcspResponse::from_der(&octets[..end]).is_err());
        }
        let mut changed = octets.to_vec();
        changed.push(0);
        assert!(OcspRequest::from_der(&changed).is_err());
        assert!(OcspResponse::from_der(&changed).is_err());
        for position in 0..octets.len() {
            for value in [0x00, 0x30, 0x7f, 0x80, 0xff] {
                let mut changed = octets.to_vec();
                changed[position] = value;
                if let Ok(request) = OcspRequest::from_der(&changed) {
                    assert!(request.nonce().is_ok() || request.nonce().is_err());
                    assert!(request.to_der().is_ok());
                }
                if let Ok(Ok(answer)) = OcspResponse::from_der(&changed).map(|response| response.basic()) {
                    assert!(answer.to_der().is_ok());
                }
            }
        }
    }
}

#[test]
fn more_certificates_than_a_responder_has_reason_to_send_are_refused() {
    let answer = basic(RESPONSES[0]);
    let with = |count| {
        let signature = answer.signature().unwrap().to_vec();
        let (data, algorithm) = (answer.response_data().clone(), answer.signature_algorithm().clone());
        let many = BasicOcspResponse::sign(data, algorithm, vec![RESPONDER.to_vec(); count], |octets| {
            assert_eq!(octets, answer.response_data_der());
            Ok::<_, der::Error>(signature)
        });
        let many = many.unwrap();
        BasicOcspResponse::from_der(&many.to_der().unwrap())
    };
    assert_eq!(with(BasicOcspResponse::MAX_CERTIFICATES).unwrap().certificates().count(), BasicOcspResponse::MAX_CERTIFICATES);
    assert!(with(BasicOcspResponse::MAX_CERTIFICATES + 1).is_err());
}
