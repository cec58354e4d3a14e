//! From a question to a signed answer.

use ca_core::ocsp::{CertStatus, OcspResponse, ResponseData, RevokedInfo, SingleResponse, Version};
use ca_core::serial::SerialNumber;
use ca_core::time::{from_generalized_time, to_generalized_time};
use chrono::{DateTime, TimeDelta, Utc};
use der::Encode;
use der::asn1::Null;

use crate::authority::Authority;
use crate::fault::AnswerFault;
use crate::question::Question;
use crate::source::{IssuedStatus, StatusSource};

/// A signed answer, and for how long it may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The OCSPResponse.
    pub der: Vec<u8>,
    /// When the status was known to be right; whole seconds.
    pub this_update: DateTime<Utc>,
    /// When newer information will be there at the latest; whole seconds.
    pub next_update: DateTime<Utc>,
    /// Whether it repeats a nonce, and so answers one question only.
    pub has_nonce: bool,
    /// How many certificates are good, revoked, unknown.
    pub counts: [u64; 3],
}

/// Answers a question about certificates of `authority` that was asked at `now`, for the time of `life` at most.
///
/// A serial number that the key never issued is `unknown`, and not `revoked` as RFC 6960 section 2.2 would allow together with the
/// extended-revoke extension (section 4.4.8). Both keep a relying party from accepting a forged certificate; but `revoked` since
/// 1970 is a statement about a certificate that does not exist, it makes clients of RFC 2560 cache a permanent end for a number
/// that may be issued a moment later, and it would have to be repeated in no CRL. `unknown` says what we know.
///
/// The answer never outlives the responder's own certificate: with nocheck that date is all that limits a stolen key.
///
/// # Errors
/// See [`AnswerFault`].
pub fn answer<S: StatusSource>(
    question: &Question,
    authority: &Authority,
    source: &S,
    now: DateTime<Utc>,
    life: TimeDelta,
) -> Result<Answer, AnswerFault> {
    let responder = authority.responder().filter(|responder| responder.is_valid_at(now)).ok_or(AnswerFault::NoResponder)?;
    let statuses = look_up(question, authority, source)?;

    let this_update = to_generalized_time(now)?;
    let next_update = to_generalized_time((now + life).min(responder.not_after()))?;
    let mut counts = [0; 3];
    let mut responses = Vec::with_capacity(statuses.len());
    for (certificate, status) in question.certificates().iter().zip(statuses) {
        let (place, cert_status) = match status {
            Some(IssuedStatus::NotRevoked) => (0, CertStatus::Good(Null)),
            Some(IssuedStatus::Revoked(revocation)) => (1, CertStatus::Revoked(RevokedInfo::new(&revocation)?)),
            None => (2, CertStatus::Unknown(Null)),
        };
        counts[place] += 1;
        responses.push(SingleResponse {
            // As it was asked: clients compare it octet for octet.
            cert_id: certificate.clone(),
            cert_status,
            this_update,
            next_update: Some(next_update),
            single_extensions: None,
        });
    }
    let data = ResponseData {
        version: Version::V1,
        responder_id: responder.id().clone(),
        produced_at: this_update,
        responses,
        response_extensions: question.nonce().map(|nonce| nonce.to_extension().map(|nonce| vec![nonce])).transpose()?,
    };
    Ok(Answer {
        der: OcspResponse::successful(&responder.sign(data)?)?.to_der()?,
        this_update: from_generalized_time(this_update).unwrap_or(now),
        next_update: from_generalized_time(next_update).unwrap_or(now),
        has_nonce: question.nonce().is_some(),
        counts,
    })
}

/// The status of each certificate asked about, in order. Numbers that no certificate can bear are not looked for.
fn look_up<S: StatusSource>(question: &Question, authority: &Authority, source: &S) -> Result<Vec<Option<IssuedStatus>>, AnswerFault> {
    let asked: Vec<Option<SerialNumber>> = question.certificates().iter().map(|certificate| certificate.serial()).collect();
    let serials: Vec<SerialNumber> = asked.iter().flatten().cloned().collect();
    let found = if serials.is_empty() {
        Vec::new()
    } else {
        source.statuses(authority.ca_key(), &serials).map_err(|fault| AnswerFault::Source(Box::new(fault)))?
    };
    if found.len() != serials.len() {
        return Err(AnswerFault::SourceMiscounted { asked: serials.len(), given: found.len() });
    }
    let mut found = found.into_iter();
    Ok(asked.into_iter().map(|serial| serial.and_then(|_| found.next().flatten())).collect())
}
