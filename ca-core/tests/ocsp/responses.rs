//! Answers.

use ca_core::ocsp::{
    ArchiveCutoff, BasicOcspResponse, CertId, CertStatus, ExtendedRevoke, Nonce, OcspResponse, ResponderId, ResponseData, RevokedInfo,
    SingleResponse, Version,
};
use ca_core::revocation::{InvalidityDate, Revocation, RevocationReason};
use ca_core::signer::signature_algorithm;
use ca_core::time::{from_generalized_time, to_generalized_time};
use chrono::{DateTime, Utc};
use der::asn1::Null;
use der::{Decode as _, Encode as _};
use policies::KeyType;
use proptest::collection::vec;
use proptest::prelude::*;
// x509-ocsp is of the der 0.7 generation, which rsa carries.
use rsa::pkcs8::der::{Decode as _, Encode as _};

use crate::values::{cert_id, name, nonce, time};

/// One answer as it is meant.
#[derive(Debug, Clone)]
struct Meant {
    id: CertId,
    status: Status,
    this_update: DateTime<Utc>,
    next_update: Option<DateTime<Utc>>,
    archive_cutoff: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone)]
enum Status {
    Good,
    Revoked(Revocation),
    Unknown,
}

fn status() -> impl Strategy<Value = Status> {
    let revocation = (time(), prop::sample::select(&RevocationReason::ALL[..]), prop::option::of(time()))
        .prop_map(|(at, reason, invalidity)| Status::Revoked(Revocation { at, reason, invalidity }));
    prop_oneof![Just(Status::Good), Just(Status::Unknown), revocation]
}

fn meant() -> impl Strategy<Value = Meant> {
    (cert_id(), status(), time(), prop::option::of(time()), prop::option::of(time()))
        .prop_map(|(id, status, this_update, next_update, archive_cutoff)| Meant { id, status, this_update, next_update, archive_cutoff })
}

fn responder() -> impl Strategy<Value = ResponderId> {
    prop_oneof![vec(any::<u8>(), 0..70).prop_map(|key| ResponderId::by_key(&key).unwrap()), name().prop_map(ResponderId::ByName)]
}

impl Meant {
    fn written(&self) -> SingleResponse {
        let invalidity = match &self.status {
            Status::Revoked(revocation) => revocation.invalidity,
            Status::Good | Status::Unknown => None,
        };
        let extensions = [
            invalidity.map(|at| InvalidityDate(at).to_extension().unwrap()),
            self.archive_cutoff.map(|at| ArchiveCutoff(at).to_extension().unwrap()),
        ];
        let extensions: Vec<_> = extensions.into_iter().flatten().collect();
        SingleResponse {
            cert_id: self.id.clone(),
            cert_status: match &self.status {
                Status::Good => CertStatus::Good(Null),
                Status::Unknown => CertStatus::Unknown(Null),
                Status::Revoked(revocation) => CertStatus::Revoked(RevokedInfo::new(revocation).unwrap()),
            },
            this_update: to_generalized_time(self.this_update).unwrap(),
            next_update: self.next_update.map(|at| to_generalized_time(at).unwrap()),
            single_extensions: Some(extensions).filter(|extensions| !extensions.is_empty()),
        }
    }

    fn of(single: &SingleResponse) -> Self {
        let extensions = single.single_extensions.as_deref().unwrap_or_default();
        let told = |time| from_generalized_time(time).unwrap();
        Self {
            id: single.cert_id.clone(),
            status: match single.cert_status {
                CertStatus::Good(_) => Status::Good,
                CertStatus::Unknown(_) => Status::Unknown,
                CertStatus::Revoked(info) => Status::Revoked(Revocation {
                    at: told(info.revocation_time),
                    reason: info.revocation_reason.map_or(RevocationReason::Unspecified, |reason| reason.to_reason().unwrap()),
                    invalidity: InvalidityDate::among(extensions).unwrap().map(|date| date.0),
                }),
            },
            this_update: told(single.this_update),
            next_update: single.next_update.map(told),
            archive_cutoff: ArchiveCutoff::among(extensions).map(|cutoff| cutoff.0),
        }
    }

    /// What x509-ocsp read, held against what was meant.
    fn is_what_another_read(&self, theirs: &x509_ocsp::SingleResponse) -> bool {
        let seconds = |time: &x509_ocsp::OcspGeneralizedTime| i64::try_from(time.0.to_unix_duration().as_secs()).unwrap();
        let status = match (&self.status, &theirs.cert_status) {
            (Status::Good, x509_ocsp::CertStatus::Good(_)) | (Status::Unknown, x509_ocsp::CertStatus::Unknown(_)) => true,
            (Status::Revoked(own), x509_ocsp::CertStatus::Revoked(theirs)) => {
                let reason = theirs.revocation_reason.map_or(0, |reason| reason as u8);
                own.at.timestamp() == seconds(&theirs.revocation_time) && own.reason.code() == reason
            }
            _ => false,
        };
        status
            && self.this_update.timestamp() == seconds(&theirs.this_update)
            && self.next_update.map(|at| at.timestamp()) == theirs.next_update.as_ref().map(seconds)
            && theirs.cert_id.to_der().unwrap() == der::Encode::to_der(&self.id).unwrap()
    }
}

fn answer(meant: &[Meant], responder: ResponderId, at: DateTime<Utc>, nonce: Option<&Nonce>, extended: bool) -> BasicOcspResponse {
    let extensions = [nonce.map(|nonce| nonce.to_extension().unwrap()), extended.then(|| ExtendedRevoke.to_extension().unwrap())];
    let extensions: Vec<_> = extensions.into_iter().flatten().collect();
    let data = ResponseData {
        version: Version::V1,
        responder_id: responder,
        produced_at: to_generalized_time(at).unwrap(),
        responses: meant.iter().map(Meant::written).collect(),
        response_extensions: Some(extensions).filter(|extensions| !extensions.is_empty()),
    };
    let certificate = include_bytes!("../../src/ocsp/fixtures/responder.der").to_vec();
    let signed = BasicOcspResponse::sign(data, signature_algorithm(KeyType::EcdsaP256), vec![certificate], |octets| {
        Ok::<_, der::Error>(octets.iter().rev().take(70).copied().collect())
    });
    signed.unwrap()
}

proptest! {
    #[test]
    fn what_is_answered_is_read_again_by_us_and_by_x509_ocsp(
        meant in vec(meant(), 0..6),
        responder in responder(),
        at in time(),
        nonce in prop::option::of(nonce()),
        extended in any::<bool>(),
    ) {
        let basic = answer(&meant, responder, at, nonce.as_ref(), extended);
        let octets = OcspResponse::successful(&basic).unwrap().to_der().unwrap();

        let ours = OcspResponse::from_der(&octets).unwrap().basic().unwrap();
        prop_assert_eq!(&ours, &basic);
        let data = ours.response_data();
        prop_assert_eq!(data.nonce().unwrap(), nonce.clone());
        prop_assert_eq!(ExtendedRevoke::is_among(data.response_extensions.as_deref().unwrap_or_default()), extended);
        let read: Vec<_> = data.responses.iter().map(Meant::of).collect();
        prop_assert_eq!(format!("{read:?}"), format!("{meant:?}"));

        let response = x509_ocsp::OcspResponse::from_der(&octets).unwrap();
        prop_assert_eq!(response.to_der().unwrap(), octets);
        let theirs = x509_ocsp::BasicOcspResponse::from_der(response.response_bytes.unwrap().response.as_bytes()).unwrap();
        prop_assert_eq!(theirs.nonce().map(|nonce| nonce.0.as_bytes().to_vec()), nonce.map(|nonce| nonce.as_bytes().to_vec()));
        prop_assert_eq!(theirs.tbs_response_data.responses.len(), meant.len());
        for (own, theirs) in meant.iter().zip(&theirs.tbs_response_data.responses) {
            prop_assert!(own.is_what_another_read(theirs), "{:?} {:?}", own, theirs);
        }
    }
}
