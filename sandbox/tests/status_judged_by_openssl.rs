//! The card CA's OCSP and CRLs, judged by openssl over the wire.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{back_office, card, openssl, pooled};
use der::Decode as _;
use der::Encode as _;
use sandbox::back_office::{BackOffice, BulkRequest, NewCard, RevocationRequest};
use sandbox::card::Card;
use sandbox::card_status::CertIdHash;
use sandbox::http::{HttpClient, HttpSettings};
use sandbox::keys::sha256;
use sandbox::kind::Kind;
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspMethod, OcspWish, Status, ask_ocsp, ocsp_request, verify_crl, verify_ocsp};
use x509_cert::Certificate;
use x509_cert::ext::pkix::CrlDistributionPoints;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

fn ca(office: &BackOffice, kind: Kind, generation: u32) -> Vec<u8> {
    office.card_ca(kind, generation).unwrap().certificate().to_vec()
}

fn revocation(kinds: &[Kind], reason: Reason) -> RevocationRequest {
    RevocationRequest { kinds: kinds.to_vec(), reason, at: None }
}

/// The CRL URL by the template of the settings: the distribution point is the hash of the Name in the certificate.
fn crl_url(office: &BackOffice, kind: Kind, certificate: &[u8]) -> String {
    let certificate = Certificate::from_der(certificate).unwrap();
    let points = certificate.tbs_certificate().get_extension::<CrlDistributionPoints>().unwrap().unwrap().1;
    let Some(DistributionPointName::FullName(names)) = &points.0[0].distribution_point else { panic!("no full name") };
    let GeneralName::DirectoryName(name) = &names[0] else { panic!("no directory name") };
    let point = hex::encode(sha256(&name.to_der().unwrap()));
    office.crl_url_template(kind).replace("{distribution_point}", &point)
}

#[test]
fn openssl_hears_good_then_revoked_with_reason_and_time() {
    let office = back_office(2);
    let directory = tempfile::tempdir().unwrap();
    office.write_files(directory.path()).unwrap();
    let card = card(&office);
    card.save(directory.path()).unwrap();
    let ask = |hash: &str, nonce: &str| {
        let url = office.ocsp_url(Kind::Signature);
        let arguments = ["ocsp", "-issuer", "card-ca-signature-2.pem", hash, "-cert", "card-signature.pem", "-url", &url];
        openssl(directory.path(), &[&arguments[..], &["-CAfile", "card-ca-signature-2.pem", "-resp_text", nonce]].concat())
    };
    for hash in ["-sha1", "-sha256"] {
        for nonce in ["-nonce", "-no_nonce"] {
            let said = ask(hash, nonce);
            assert!(said.contains("Response verify OK"), "{said}");
            assert!(said.contains("card-signature.pem: good"), "{said}");
            assert!(!said.contains("WARNING"), "{said}");
        }
    }
    office.revoke(card.card_id.as_ref().unwrap(), &revocation(&[Kind::Signature], Reason::AffiliationChanged)).unwrap();
    for nonce in ["-nonce", "-no_nonce"] {
        let said = ask("-sha1", nonce);
        assert!(said.contains("Response verify OK") && said.contains("card-signature.pem: revoked"), "{said}");
        assert!(said.contains("Reason: affiliationChanged"), "{said}");
    }
}

#[test]
fn the_relying_party_agrees_with_openssl_and_notices_forgery() {
    let office = back_office(1);
    let card = card(&office);
    let issuer = ca(&office, Kind::Authentication, 1);
    let certificate = &card.authentication.as_ref().unwrap().certificate;
    for hash in CertIdHash::ALL {
        for nonce in [true, false] {
            for method in [OcspMethod::Post, OcspMethod::Get] {
                let wish = OcspWish { hash, nonce, method, ..OcspWish::default() };
                let answer = ask_ocsp(certificate, &issuer, &wish).unwrap();
                assert_eq!(answer.status, Status::Good);
                assert_eq!((answer.next_update.unwrap() - answer.this_update).num_minutes(), 15);
            }
        }
    }
    let answer = ask_ocsp(certificate, &issuer, &OcspWish::default()).unwrap();
    let again = ask_ocsp(certificate, &issuer, &OcspWish::default()).unwrap();
    assert_eq!(answer.der, again.der, "an answer without nonce is kept");
    let check = |der: &[u8], hash: CertIdHash, nonce: Option<&[u8]>| verify_ocsp(der, &answer.request, certificate, &issuer, hash, nonce);
    assert!(check(&answer.der, CertIdHash::Sha1, None).is_ok());
    assert!(check(&answer.der, CertIdHash::Sha256, None).is_err(), "answered by another hash than asked");
    assert!(check(&answer.der, CertIdHash::Sha1, Some(&[7; 32])).is_err(), "no nonce");
    for place in [answer.der.len() / 4, answer.der.len() / 2, answer.der.len() - 5] {
        let mut forged = answer.der.clone();
        forged[place] ^= 1;
        assert!(check(&forged, CertIdHash::Sha1, None).is_err(), "octet {place} changed");
    }
    let other = back_office(1);
    let other_issuer = ca(&other, Kind::Authentication, 1);
    assert!(verify_ocsp(&answer.der, &answer.request, certificate, &other_issuer, CertIdHash::Sha1, None).is_err());
}

#[test]
fn what_is_not_asked_properly_gets_an_unsigned_error() {
    let office = back_office(2);
    let http = HttpClient::new(&HttpSettings::default()).unwrap();
    let ask = |kind: Kind, body: &[u8]| http.post(&office.ocsp_url(kind), &[], "application/ocsp-request", body).unwrap().body;
    assert_eq!(ask(Kind::Signature, b"nonsense"), [0x30, 3, 0x0A, 1, 1]);
    let card = card(&office);
    let question = |generation: u32| {
        ocsp_request(&card.signature.certificate, &ca(&office, Kind::Signature, generation), CertIdHash::Sha1, None).unwrap()
    };
    assert_eq!(ask(Kind::Authentication, &question(2)), [0x30, 3, 0x0A, 1, 6], "another kind's responder is not authorised");
    let unknown = ask(Kind::Signature, &question(1));
    let issuer = ca(&office, Kind::Signature, 1);
    let answer = verify_ocsp(&unknown, &[], &card.signature.certificate, &issuer, CertIdHash::Sha1, None).unwrap();
    assert_eq!(answer.status, Status::Unknown, "the other generation has not issued that serial number");
}

#[test]
fn each_municipality_and_generation_has_its_own_crl() {
    let office = back_office(2);
    let directory = tempfile::tempdir().unwrap();
    office.write_files(directory.path()).unwrap();
    let http = HttpClient::new(&HttpSettings::default()).unwrap();
    let new_card = |city: &str, generation: u32| {
        let wish =
            NewCard { prefecture: Some("Tokyo-to".to_owned()), city: Some(city.to_owned()), generation: Some(generation), ..pooled() };
        Card::from_file(&office.new_card(&wish).unwrap()).unwrap()
    };
    let cards = [new_card("Mitaka-shi", 1), new_card("Mitaka-shi", 2), new_card("Chiyoda-ku", 2)];
    let urls: Vec<String> = cards.iter().map(|card| crl_url(&office, Kind::Signature, &card.signature.certificate)).collect();
    assert!(urls[0] != urls[1] && urls[1] != urls[2] && urls[0] != urls[2]);
    let fetch = |place: usize| http.get(&urls[place], &[]).unwrap().body;
    let first = fetch(1);
    let generation = [1, 2, 2];
    let check =
        |place: usize, der: &[u8]| verify_crl(der, &cards[place].signature.certificate, &ca(&office, Kind::Signature, generation[place]));
    assert!(check(1, &first).unwrap().entry.is_none());
    assert!(check(2, &first).is_err(), "another municipality's CRL says nothing about this certificate");
    assert!(check(0, &first).is_err(), "nor does another generation's");
    office.revoke(cards[1].card_id.as_ref().unwrap(), &revocation(&Kind::ALL, Reason::KeyCompromise)).unwrap();
    let second = fetch(1);
    let (before, after) = (check(1, &first).unwrap(), check(1, &second).unwrap());
    assert_eq!(after.entry.unwrap().reason, Reason::KeyCompromise);
    assert_eq!(after.entries, 1);
    assert!(u64::from_str_radix(&after.number, 16).unwrap() > u64::from_str_radix(&before.number, 16).unwrap());
    assert!(check(2, &fetch(2)).unwrap().entry.is_none());
    std::fs::write(directory.path().join("list.crl"), &second).unwrap();
    let arguments = ["crl", "-inform", "DER", "-in", "list.crl", "-noout", "-text", "-CAfile", "card-ca-signature-2.pem"];
    let text = openssl(directory.path(), &arguments);
    assert!(text.contains("verify OK"), "{text}");
    assert!(text.contains("Issuing Distribution Point: critical") && text.contains("Key Compromise"), "{text}");
    assert_eq!(http.get(&urls[0].replace("/crl/signature/", "/crl/authentication/"), &[]).unwrap().status, 404);
}

#[test]
fn openssl_checks_a_card_against_its_municipal_crl() {
    let office = back_office(1);
    let directory = tempfile::tempdir().unwrap();
    office.write_files(directory.path()).unwrap();
    let card = card(&office);
    card.save(directory.path()).unwrap();
    let http = HttpClient::new(&HttpSettings::default()).unwrap();
    let verify = || {
        let der = http.get(&crl_url(&office, Kind::Signature, &card.signature.certificate), &[]).unwrap().body;
        std::fs::write(directory.path().join("list.pem"), sandbox::pem::encode("X509 CRL", &der)).unwrap();
        let arguments = ["verify", "-x509_strict", "-crl_check", "-extended_crl", "-CRLfile", "list.pem", "-CAfile"];
        common::try_openssl(directory.path(), &[&arguments[..], &["card-ca-signature-1.pem", "card-signature.pem"]].concat())
    };
    let (ok, said) = verify();
    assert!(ok, "{said}");
    office.revoke(card.card_id.as_ref().unwrap(), &revocation(&[Kind::Signature], Reason::Unspecified)).unwrap();
    let (ok, said) = verify();
    assert!(!ok && said.contains("certificate revoked"), "{said}");
}

#[test]
fn bulk_cards_have_their_own_certificates_and_answers_signed_beforehand() {
    let office = back_office(1);
    let bulk = office.client().unwrap().new_cards(&BulkRequest { count: 30, presign: vec!["sha1".to_owned()] }).unwrap();
    assert_eq!(bulk.keys.len(), 8);
    let cards = Card::from_bulk(&bulk).unwrap();
    let serials: std::collections::HashSet<Vec<u8>> = cards.iter().map(|card| card.signature.certificate.clone()).collect();
    assert_eq!((cards.len(), serials.len()), (30, 30));
    let issuer = ca(&office, Kind::Signature, 1);
    let answer = ask_ocsp(&cards[7].signature.certificate, &issuer, &OcspWish::default()).unwrap();
    assert_eq!(answer.status, Status::Good);
    assert!(office.new_cards(&BulkRequest { count: 100_000, presign: vec![] }).is_err());
}
