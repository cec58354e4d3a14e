//! What a relying party makes of answers that say more than good or revoked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::sync::LazyLock;

use chrono::{DateTime, Duration, SubsecRound, Utc};
use common::{back_office, card};
use der::asn1::ObjectIdentifier;
use sandbox::back_office::BackOffice;
use sandbox::card::Card;
use sandbox::card_ca::CardCa;
use sandbox::card_status::{CertIdHash, cert_id, read_question};
use sandbox::kind::Kind;
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspAnswer, RelyingPartyFault, Status, ocsp_request, verify_crl, verify_ocsp};
use sandbox::{asn1, names, oids};

/// What an answer says beside the status, each in DER.
#[derive(Default)]
struct Said {
    next_update: Option<DateTime<Utc>>,
    single: Vec<Vec<u8>>,
    whole: Vec<Vec<u8>>,
}

/// A CertStatus: revoked.
fn revoked(at: DateTime<Utc>, reason: Reason) -> Vec<u8> {
    let reason = asn1::explicit(0, &asn1::enumerated(reason.code()));
    asn1::implicit_constructed(1, &[asn1::generalized_time(at), reason].concat())
}

fn extensions(number: u8, extensions: &[Vec<u8>]) -> Vec<u8> {
    if extensions.is_empty() { Vec::new() } else { asn1::explicit(number, &asn1::sequence(extensions)) }
}

fn time_extension(id: &ObjectIdentifier, at: DateTime<Utc>) -> Vec<u8> {
    asn1::extension(id, false, &asn1::generalized_time(at))
}

fn answer(ca: &CardCa, cert_id: &[u8], status: &[u8], said: &Said) -> Vec<u8> {
    let (responder, now) = (ca.responder(), Utc::now());
    let next_update = said.next_update.map_or_else(Vec::new, |at| asn1::explicit(0, &asn1::generalized_time(at)));
    let single = asn1::sequence(&[cert_id, status, &asn1::generalized_time(now), &next_update, &extensions(1, &said.single)]);
    let tbs = asn1::sequence(&[
        asn1::explicit(2, &asn1::octet_string(&responder.key.key_identifier())),
        asn1::generalized_time(now),
        asn1::sequence(&[single]),
        extensions(1, &said.whole),
    ]);
    let signature = asn1::bit_string(&responder.key.sign(&tbs).unwrap());
    let certificates = asn1::explicit(0, &asn1::sequence(&[&responder.certificate]));
    let basic = asn1::sequence(&[tbs, responder.key.signature_algorithm(), signature, certificates]);
    let bytes = asn1::sequence(&[asn1::oid(&oids::OCSP_BASIC), asn1::octet_string(&basic)]);
    asn1::sequence(&[asn1::enumerated(0), asn1::explicit(0, &bytes)])
}

/// What the relying party makes of such an answer about one certificate.
fn heard(hash: CertIdHash, status: &[u8], said: &Said) -> Result<OcspAnswer, RelyingPartyFault> {
    static ISSUED: LazyLock<(BackOffice, Card)> = LazyLock::new(|| {
        let office = back_office(1);
        let card = card(&office);
        (office, card)
    });
    let (office, card) = &*ISSUED;
    let ca = office.card_ca(Kind::Signature, 1).unwrap();
    let certificate = &card.signature.certificate;
    let request = ocsp_request(certificate, ca.certificate(), hash, None).unwrap();
    let asked = read_question(&request).unwrap().certificates.remove(0);
    assert_eq!(asked.hash, Some(hash));
    assert_eq!(asked.cert_id, cert_id(hash, ca.name(), ca.key().public_key(), &asked.serial));
    verify_ocsp(&answer(ca, &asked.cert_id, status, said), &request, certificate, ca.certificate(), hash, None)
}

#[test]
fn never_issued_is_told_from_on_hold_by_the_extension_the_reason_and_the_date() {
    let epoch = DateTime::UNIX_EPOCH;
    let hold = revoked(epoch, Reason::CertificateHold);
    let extended = || Said { whole: vec![asn1::extension(&oids::OCSP_EXTENDED_REVOKE, false, &asn1::null())], ..Said::default() };
    for hash in CertIdHash::ALL {
        assert_eq!(heard(hash, &hold, &extended()).unwrap().status, Status::NeverIssued);
    }
    let hash = CertIdHash::Sha1;
    let on_hold = |at| Status::Revoked { at, reason: Reason::CertificateHold };
    assert_eq!(heard(hash, &hold, &Said::default()).unwrap().status, on_hold(epoch));
    let later = epoch + Duration::seconds(1);
    assert_eq!(heard(hash, &revoked(later, Reason::CertificateHold), &extended()).unwrap().status, on_hold(later));
    let compromised = heard(hash, &revoked(epoch, Reason::KeyCompromise), &extended()).unwrap().status;
    assert_eq!(compromised, Status::Revoked { at: epoch, reason: Reason::KeyCompromise });
    assert_eq!(heard(hash, &asn1::implicit_primitive(0, &[]), &extended()).unwrap().status, Status::Good);
}

#[test]
fn invalidity_archive_cutoff_and_an_answer_for_ever_are_understood() {
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    let (since, cutoff, forever) = (at("2026-01-02T03:04:05Z"), at("2020-01-01T00:00:00Z"), at("9999-12-31T23:59:59Z"));
    let said = Said {
        next_update: Some(forever),
        single: vec![time_extension(&oids::INVALIDITY_DATE, since), time_extension(&oids::OCSP_ARCHIVE_CUTOFF, cutoff)],
        whole: Vec::new(),
    };
    let answer = heard(CertIdHash::Sha512, &revoked(since + Duration::days(1), Reason::KeyCompromise), &said).unwrap();
    assert_eq!((answer.invalid_since, answer.archive_cutoff, answer.next_update), (Some(since), Some(cutoff), Some(forever)));
    let nothing = heard(CertIdHash::Sha384, &asn1::implicit_primitive(0, &[]), &Said::default()).unwrap();
    assert_eq!((nothing.invalid_since, nothing.archive_cutoff, nothing.next_update), (None, None, None));
}

#[test]
fn critical_extensions_that_are_not_known_are_not_believed() {
    let critical = || vec![asn1::extension(&oids::CRL_NUMBER, true, &asn1::null())];
    let good = asn1::implicit_primitive(0, &[]);
    for said in [Said { single: critical(), ..Said::default() }, Said { whole: critical(), ..Said::default() }] {
        assert!(heard(CertIdHash::Sha1, &good, &said).is_err());
    }
    let no_time = Said { single: vec![asn1::extension(&oids::INVALIDITY_DATE, false, &asn1::null())], ..Said::default() };
    assert!(heard(CertIdHash::Sha1, &good, &no_time).is_err());
}

#[test]
fn a_list_tells_since_when_an_entry_was_invalid_and_may_be_the_last() {
    let office = back_office(1);
    let (ca, card) = (office.card_ca(Kind::Signature, 1).unwrap(), card(&office));
    let certificate = x509_certificate(&card.signature.certificate);
    let now = Utc::now().trunc_subsecs(0);
    let since = now - Duration::days(3);
    let list = |entry_extensions: &[Vec<u8>]| {
        let serial = asn1::unsigned(certificate.tbs_certificate().serial_number().as_bytes());
        let entry = asn1::sequence(&[serial, asn1::time(now), asn1::sequence(entry_extensions)]);
        let idp = asn1::sequence(&[asn1::explicit(0, &asn1::explicit(0, &names::directory_name(&point(&certificate))))]);
        let tbs = asn1::sequence(&[
            asn1::integer(1),
            ca.key().signature_algorithm(),
            ca.name().to_vec(),
            asn1::time(now),
            asn1::generalized_time("9999-12-31T23:59:59Z".parse().unwrap()),
            asn1::sequence(&[entry]),
            asn1::explicit(
                0,
                &asn1::sequence(&[
                    asn1::extension(&oids::CRL_NUMBER, false, &asn1::integer(7)),
                    asn1::extension(&oids::ISSUING_DISTRIBUTION_POINT, true, &idp),
                ]),
            ),
        ]);
        verify_crl(&ca.key().seal(&tbs).unwrap(), &card.signature.certificate, ca.certificate())
    };
    let reason = asn1::extension(&oids::REASON_CODE, false, &asn1::enumerated(Reason::KeyCompromise.code()));
    let answer = list(&[reason.clone(), time_extension(&oids::INVALIDITY_DATE, since)]).unwrap();
    let entry = answer.entry.unwrap();
    assert_eq!((entry.at, entry.reason, entry.invalid_since), (now, Reason::KeyCompromise, Some(since)));
    assert_eq!(answer.next_update.to_rfc3339(), "9999-12-31T23:59:59+00:00");
    assert_eq!(list(std::slice::from_ref(&reason)).unwrap().entry.unwrap().invalid_since, None);
    assert!(list(&[reason, asn1::extension(&oids::INVALIDITY_DATE, true, &asn1::generalized_time(since))]).is_err(), "critical");
}

fn x509_certificate(der: &[u8]) -> x509_cert::Certificate {
    der::Decode::from_der(der).unwrap()
}

/// The directoryName of the certificate's distribution point, DER.
fn point(certificate: &x509_cert::Certificate) -> Vec<u8> {
    use x509_cert::ext::pkix::CrlDistributionPoints;
    use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};

    let points = certificate.tbs_certificate().get_extension::<CrlDistributionPoints>().unwrap().unwrap().1;
    match &points.0[0].distribution_point {
        Some(DistributionPointName::FullName(names)) => match &names[0] {
            GeneralName::DirectoryName(name) => der::Encode::to_der(name).unwrap(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}
