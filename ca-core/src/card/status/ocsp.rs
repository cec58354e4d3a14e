//! OCSP answers about card certificates (RFC 6960).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use der::{Decode, Encode};
use policies::EvidencePolicy;
use x509_cert::Certificate;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use super::{CardStatusRefusal, MAX_OCSP_OCTETS, check_age};
use crate::card::authority::CardAuthority;
use crate::card::identity::KeyIdentifier;
use crate::card::path::ValidCardCertificate;
use crate::digest::Sha256Digest;
use crate::key::PublicKey;
use crate::ocsp::{BasicOcspResponse, CertId, CertIdHash, CertStatus, OcspRequest, OcspResponse, OcspResponseStatus, oid};
use crate::revocation::CrlReason;
use crate::signed_object::SignedParts;
use crate::time::{self, from_generalized_time};

/// The request, in DER, that asks the card CA for `card`'s status. Its CertID is made with SHA-1, which every responder
/// understands and which is no question of security here.
pub fn ocsp_request(card: &ValidCardCertificate<'_>) -> Result<Vec<u8>, der::Error> {
    OcspRequest::for_certificate(cert_id(card, CertIdHash::Sha1)?, None)?.to_der()
}

fn cert_id(card: &ValidCardCertificate<'_>, hash: CertIdHash) -> Result<CertId, der::Error> {
    let authority = card.authority();
    CertId::new(hash, authority.name(), authority.key_octets(), &card.identity().serial)
}

pub(super) fn check(
    card: &ValidCardCertificate<'_>,
    der: &[u8],
    responders: &Responders,
    policy: &EvidencePolicy,
    now: DateTime<Utc>,
) -> Result<(), CardStatusRefusal> {
    use CardStatusRefusal as Refused;

    if der.len() > MAX_OCSP_OCTETS {
        return Err(Refused::Malformed);
    }
    let response = OcspResponse::from_der(der).map_err(|_| Refused::Malformed)?;
    if response.response_status != OcspResponseStatus::Successful {
        return Err(Refused::Unavailable);
    }
    let answer = response.basic().map_err(|_| Refused::Malformed)?;
    check_signature(&answer, card.authority(), responders, now)?;

    let data = answer.response_data();
    let ids = [CertIdHash::Sha1, CertIdHash::Sha256].map(|hash| cert_id(card, hash));
    let single = ids.iter().filter_map(|id| id.as_ref().ok()).find_map(|id| data.response_for(id)).ok_or(Refused::NotCovered)?;
    let this_update = from_generalized_time(single.this_update).ok_or(Refused::Malformed)?;
    let next_update = match single.next_update {
        Some(time) => Some(from_generalized_time(time).ok_or(Refused::Malformed)?),
        None => None,
    };
    check_age(this_update, next_update, policy.ocsp_max_age(), policy.clock_skew(), now)?;
    match &single.cert_status {
        CertStatus::Good(_) => Ok(()),
        CertStatus::Unknown(_) => Err(Refused::Unknown),
        CertStatus::Revoked(info) => Err(Refused::of(info.revocation_reason.and_then(CrlReason::to_reason))),
    }
}

/// The answer is signed by the card CA's key itself, or by a responder that this key certified directly for the purpose
/// (RFC 6960 section 4.2.2.2).
fn check_signature(
    answer: &BasicOcspResponse,
    authority: &CardAuthority,
    responders: &Responders,
    now: DateTime<Utc>,
) -> Result<(), CardStatusRefusal> {
    let signature = answer.signature().ok_or(CardStatusRefusal::Malformed)?;
    let signed_with = |key: &PublicKey| key.verify(answer.signature_algorithm(), answer.response_data_der(), signature).is_ok();
    let delegated = answer
        .certificates()
        .filter_map(|der| responders.find(der, authority))
        .any(|responder| responder.not_before <= now && now <= responder.not_after && signed_with(&responder.key));
    let signed = delegated || signed_with(authority.public_key());
    signed.then_some(()).ok_or(CardStatusRefusal::NotSigned)
}

/// How many responders' certificates are remembered.
const REMEMBERED_RESPONDERS: usize = 64;

/// Responders' certificates of which it is known that a card CA's key issued them for the purpose.
#[derive(Default)]
pub(super) struct Responders(Mutex<HashMap<(Sha256Digest, KeyIdentifier), Arc<Responder>>>);

/// A responder that a card CA appointed; within its validity it speaks for the card CA.
struct Responder {
    key: PublicKey,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
}

impl Responders {
    /// The responder whose certificate `der` is, if `authority` issued it for the purpose.
    fn find(&self, der: &[u8], authority: &CardAuthority) -> Option<Arc<Responder>> {
        let name = (Sha256Digest::of(der), authority.key_id().clone());
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if known.is_some() {
            return known;
        }
        let responder = Arc::new(Responder::appointed(der, authority)?);
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= REMEMBERED_RESPONDERS {
            remembered.clear();
        }
        remembered.insert(name, Arc::clone(&responder));
        Some(responder)
    }
}

impl Responder {
    fn appointed(der: &[u8], authority: &CardAuthority) -> Option<Self> {
        let certificate = Certificate::from_der(der).ok()?;
        let tbs = certificate.tbs_certificate();
        let (_, purposes) = tbs.get_extension::<ExtendedKeyUsage>().ok()??;
        if !purposes.0.contains(&oid::OCSP_SIGNING) || tbs.issuer().to_der().ok()? != authority.name() {
            return None;
        }
        SignedParts::from_der(der).ok()?.verify(authority.public_key()).ok()?;
        Some(Self {
            key: PublicKey::from_info(tbs.subject_public_key_info()).ok()?,
            not_before: time::from_time(&tbs.validity().not_before)?,
            not_after: time::from_time(&tbs.validity().not_after)?,
        })
    }
}
