use std::sync::Arc;

use der::asn1::{Null, OctetString};

use super::*;
use crate::issuer::{Issuer, create_responder_certificate};
use crate::kind::CertificateKind;
use crate::ocsp::ResponseData;
use crate::signer::{FileSigner, KeyType, Signer, signature_algorithm};
use crate::time::to_generalized_time;
use crate::workshop::{Unrecorded, issuer};

/// A CA key with the responder that it appointed.
struct Office {
    issuer: Issuer,
    key: Arc<FileSigner>,
    certificate: Vec<u8>,
    now: DateTime<Utc>,
}

impl Office {
    fn new() -> Self {
        let now = DateTime::from_timestamp(Utc::now().timestamp(), 0).unwrap();
        let issuer = issuer(CertificateKind::Signature, 1);
        let key = Arc::new(FileSigner::generate(KeyType::EcdsaP256).unwrap());
        let life = TimeDelta::days(1);
        let certificate = create_responder_certificate(&issuer, key.public_key_info(), life, now, &mut Unrecorded).unwrap();
        Self { issuer, key, certificate: certificate.der().to_vec(), now }
    }

    fn ask(&self, serials: &[SerialNumber]) -> Inquiry<'_> {
        Inquiry::new(self.issuer.ca_key(), serials).unwrap()
    }

    /// What is said of each certificate asked about, as the responder would say it.
    fn data(&self, inquiry: &Inquiry<'_>, statuses: &[CertStatus]) -> ResponseData {
        let public_key = Certificate::from_der(&self.certificate).unwrap();
        let public_key = public_key.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes().to_vec();
        let time = |at| to_generalized_time(at).unwrap();
        let single = |(id, status): (&CertId, &CertStatus)| SingleResponse {
            cert_id: id.clone(),
            cert_status: *status,
            this_update: time(self.now),
            next_update: Some(time(self.now + TimeDelta::seconds(60))),
            single_extensions: None,
        };
        ResponseData {
            version: Version::V1,
            responder_id: ResponderId::by_key(&public_key).unwrap(),
            produced_at: time(self.now),
            responses: inquiry.ids.iter().zip(statuses).map(single).collect(),
            response_extensions: Some(vec![inquiry.nonce.to_extension().unwrap(), ExtendedRevoke.to_extension().unwrap()]),
        }
    }

    fn sign(&self, data: ResponseData) -> Vec<u8> {
        response(data, &self.key, vec![self.certificate.clone()])
    }
}

fn response(data: ResponseData, key: &FileSigner, certificates: Vec<Vec<u8>>) -> Vec<u8> {
    let answer = BasicOcspResponse::sign::<der::Error>(data, signature_algorithm(key.key_type()), certificates, |octets| {
        Ok(key.sign(octets).unwrap())
    });
    OcspResponse::successful(&answer.unwrap()).unwrap().to_der().unwrap()
}

fn serial(hex: &str) -> SerialNumber {
    SerialNumber::from_hex(hex).unwrap()
}

fn why(fault: Result<Vec<ToldStatus>, WitnessFault>) -> String {
    match fault {
        Err(WitnessFault::Unbelievable(why)) => why,
        other => panic!("{other:?}"),
    }
}

const GOOD: CertStatus = CertStatus::Good(Null);

#[test]
fn each_certificate_is_told_as_it_was_asked_about() {
    let office = Office::new();
    let serials = [serial("01"), serial("02"), serial("03"), serial("04")];
    let inquiry = office.ask(&serials);
    let revoked = Revocation {
        invalidity: Some(office.now - TimeDelta::days(2)),
        ..Revocation::new(office.now - TimeDelta::hours(1), RevocationReason::KeyCompromise)
    };
    let never = Revocation::new(DateTime::UNIX_EPOCH, RevocationReason::CertificateHold);
    let statuses = [
        GOOD,
        CertStatus::Revoked(RevokedInfo::new(&revoked).unwrap()),
        CertStatus::Revoked(RevokedInfo::new(&never).unwrap()),
        CertStatus::Unknown(Null),
    ];
    let mut data = office.data(&inquiry, &statuses);
    data.responses[1].single_extensions = Some(vec![InvalidityDate(revoked.invalidity.unwrap()).to_extension().unwrap()]);
    // In what order the answers come does not matter.
    data.responses.reverse();
    let told = inquiry.judge(&office.sign(data), office.now).unwrap();
    assert_eq!(told, [ToldStatus::Good, ToldStatus::Revoked(revoked), ToldStatus::NeverIssued, ToldStatus::Unknown]);
}

#[test]
fn without_extended_revoke_such_a_hold_is_a_hold() {
    let office = Office::new();
    let inquiry = office.ask(&[serial("01")]);
    let hold = Revocation::new(DateTime::UNIX_EPOCH, RevocationReason::CertificateHold);
    let mut data = office.data(&inquiry, &[CertStatus::Revoked(RevokedInfo::new(&hold).unwrap())]);
    data.response_extensions.as_mut().unwrap().truncate(1);
    assert_eq!(inquiry.judge(&office.sign(data), office.now), Ok(vec![ToldStatus::Revoked(hold)]));
}

#[test]
fn an_answer_by_the_ca_key_itself_counts_and_one_by_a_stranger_or_another_generation_does_not() {
    let office = Office::new();
    let inquiry = office.ask(&[serial("01")]);
    let mut data = office.data(&inquiry, &[GOOD]);
    let ca_key = office.issuer.ca_key();
    data.responder_id = ResponderId::by_key(ca_key.subject_public_key()).unwrap();
    let octets = BasicOcspResponse::sign::<der::Error>(data, signature_algorithm(KeyType::EcdsaP256), Vec::new(), |octets| {
        Ok(office.issuer.signer().sign(octets).unwrap())
    });
    let octets = OcspResponse::successful(&octets.unwrap()).unwrap().to_der().unwrap();
    assert_eq!(inquiry.judge(&octets, office.now), Ok(vec![ToldStatus::Good]));

    let stranger = FileSigner::generate(KeyType::EcdsaP256).unwrap();
    let octets = response(office.data(&inquiry, &[GOOD]), &stranger, vec![office.certificate.clone()]);
    assert!(why(inquiry.judge(&octets, office.now)).contains("appointed"));

    // Of the same name, with another key: what it appointed speaks for itself alone.
    let other = Office::new();
    let octets = other.sign(other.data(&inquiry, &[GOOD]));
    assert!(why(inquiry.judge(&octets, office.now)).contains("appointed"));
}

#[test]
fn a_responder_whose_certificate_has_ended_or_is_for_no_responder_is_not_believed() {
    let office = Office::new();
    let inquiry = office.ask(&[serial("01")]);
    let octets = office.sign(office.data(&inquiry, &[GOOD]));
    assert!(why(inquiry.judge(&octets, office.now + TimeDelta::days(2))).contains("appointed"));

    let data = office.data(&inquiry, &[GOOD]);
    let octets = response(data, &office.key, vec![office.issuer.ca_key().certificate_der().to_vec()]);
    assert!(why(inquiry.judge(&octets, office.now)).contains("appointed"));
}

#[test]
fn old_answers_and_answers_to_others_are_not_believed() {
    let office = Office::new();
    let inquiry = office.ask(&[serial("01")]);
    let octets = office.sign(office.data(&inquiry, &[GOOD]));
    assert!(why(inquiry.judge(&octets, office.now + TimeDelta::seconds(71))).contains("run out"));
    assert!(why(inquiry.judge(&octets, office.now - TimeDelta::seconds(11))).contains("future"));
    // The same question asked by another has another nonce.
    let other = office.ask(&[serial("01")]);
    assert!(why(other.judge(&octets, office.now)).contains("nonce"));
    // Of another certificate, and twice of the same.
    let mut data = office.data(&inquiry, &[GOOD]);
    data.responses = office.data(&office.ask(&[serial("02")]), &[GOOD]).responses;
    assert!(why(inquiry.judge(&office.sign(data), office.now)).contains("nothing"));
    let mut data = office.data(&inquiry, &[GOOD]);
    data.responses.push(data.responses[0].clone());
    assert!(why(inquiry.judge(&office.sign(data), office.now)).contains("two things"));
}

#[test]
fn critical_extensions_and_what_is_no_answer_are_not_believed_and_try_later_is_told_apart() {
    let office = Office::new();
    let inquiry = office.ask(&[serial("01")]);
    let mut data = office.data(&inquiry, &[GOOD]);
    let strange = Extension { extn_id: oid::NOCHECK, critical: true, extn_value: OctetString::new([5, 0]).unwrap() };
    data.response_extensions.as_mut().unwrap().push(strange.clone());
    assert!(why(inquiry.judge(&office.sign(data), office.now)).contains("critical"));
    let mut data = office.data(&inquiry, &[GOOD]);
    data.responses[0].single_extensions = Some(vec![strange]);
    assert!(why(inquiry.judge(&office.sign(data), office.now)).contains("critical"));

    let later = OcspResponse::unsuccessful_der(OcspResponseStatus::TryLater);
    assert_eq!(inquiry.judge(&later, office.now), Err(WitnessFault::Later));
    let broken = OcspResponse::unsuccessful_der(OcspResponseStatus::InternalError);
    assert!(why(inquiry.judge(&broken, office.now)).contains("internalError"));
    assert!(why(inquiry.judge(b"<html>", office.now)).contains("no OCSPResponse"));
}
