//! Signed answers: from what is known of some certificates to octets.

pub mod encoding;

use std::sync::Arc;

use actix_web::http::header::{HeaderValue, HttpDate};
use bytes::Bytes;
use ca_core::digest::Sha256Digest;
use ca_core::ocsp::{CertStatus, ExtendedRevoke, RevokedInfo};
use ca_core::revocation::{InvalidityDate, Revocation, RevocationReason};
use ca_core::time::to_generalized_time;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use der::Encode;
use der::asn1::Null;

use crate::authority::Authority;
use crate::fault::AnswerFault;
use crate::question::Question;
use crate::settings::NeverIssued;
use crate::status::{Status, StatusEntry, Told};

/// A signed answer.
#[derive(Debug)]
pub struct Answer {
    /// The OCSPResponse.
    pub der: Bytes,
    /// When the status was known to be right; whole seconds.
    pub this_update: DateTime<Utc>,
    /// When newer information will be there at the latest; whole seconds.
    pub next_update: DateTime<Utc>,
    /// How many certificates are good, revoked, never issued.
    pub counts: [u64; 3],
    /// How it may be given to others too; `None` if it is for one asker alone.
    pub repeat: Option<Repeat>,
}

/// For how long, and with which headers, an answer is given again.
#[derive(Debug)]
pub struct Repeat {
    /// The statuses that it tells: it is good while all of them are alive.
    entries: Vec<Arc<StatusEntry>>,
    /// Ticks.
    until: u64,
    /// Its entity tag for HTTP.
    pub tag: HeaderValue,
    /// Its thisUpdate in HTTP's form.
    pub last_modified: HeaderValue,
}

/// When an answer is made, and for when.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The present moment.
    pub now: DateTime<Utc>,
    /// When the statuses were known to be right.
    pub as_of: DateTime<Utc>,
    /// From thisUpdate to nextUpdate at most.
    pub life: TimeDelta,
}

/// Answers a question about certificates of `authority`, whose statuses are given in the question's order.
///
/// A serial number that the key never issued is `revoked` with the reason certificateHold since 1970, and the answer says by the
/// extension id-pkix-ocsp-extended-revoke that it answers so (RFC 6960 sections 2.2 and 4.4.8); or `unknown`, as the settings say. It is
/// never `good`.
///
/// The answer never outlives the responder's own certificate: with nocheck that date is all that limits a stolen key. The one exception
/// is an answer for a CA key that is retired: all its certificates have ended, nothing about them will change, and ETSI EN 319 411-1
/// wants the last answers to hold for ever.
///
/// # Errors
/// See [`AnswerFault`].
pub fn answer(
    question: &Question,
    authority: &Authority,
    statuses: &[Status],
    times: &Times,
    never_issued: NeverIssued,
) -> Result<Answer, AnswerFault> {
    let asked = question.certificates();
    if statuses.len() != asked.len() {
        return Err(AnswerFault::SourceMiscounted { asked: asked.len(), given: statuses.len() });
    }
    let responder = authority.responder(times.now).ok_or(AnswerFault::NoResponder)?;
    let this_update = times.as_of.trunc_subsecs(0);
    let next_update =
        if authority.is_retired() { end_of_time() } else { (this_update + times.life).min(responder.not_after()).trunc_subsecs(0) };
    if next_update <= times.now {
        return Err(AnswerFault::TooOld);
    }
    let this_update_der = to_generalized_time(this_update)?.to_der()?;
    let next_update_der = to_generalized_time(next_update)?.to_der()?;
    let mut counts = [0; 3];
    let mut responses = Vec::with_capacity(192 * asked.len());
    let mut extended = false;
    for (certificate, status) in asked.iter().zip(statuses) {
        let (place, told) = match status.told {
            Told::Good => (0, CertStatus::Good(Null)),
            Told::Revoked(revocation) => (1, CertStatus::Revoked(RevokedInfo::new(&revocation)?)),
            Told::NeverIssued => match never_issued {
                NeverIssued::Unknown => (2, CertStatus::Unknown(Null)),
                NeverIssued::Revoked => {
                    extended = true;
                    (2, CertStatus::Revoked(RevokedInfo::new(&NEVER_ISSUED)?))
                }
            },
        };
        counts[place] += 1;
        let extensions = single_extensions(status, authority, times.now)?;
        responses.extend_from_slice(&encoding::single_response(
            // As it was asked: clients compare it octet for octet.
            &certificate.to_der()?,
            &told.to_der()?,
            &this_update_der,
            &next_update_der,
            &extensions,
        ));
    }
    let mut extensions = Vec::new();
    if let Some(nonce) = question.nonce() {
        extensions.extend_from_slice(&nonce.to_extension()?.to_der()?);
    }
    if extended {
        extensions.extend_from_slice(&ExtendedRevoke.to_extension()?.to_der()?);
    }
    let produced_at = to_generalized_time(times.now)?.to_der()?;
    let data = encoding::response_data(responder.frame(), &produced_at, &responses, &extensions);
    let der = encoding::response(responder.frame(), &data, &responder.sign(&data)?).into();
    Ok(Answer { der, this_update, next_update, counts, repeat: None })
}

/// What RFC 6960 section 2.2 has a responder say of a serial number that was never issued.
const NEVER_ISSUED: Revocation =
    Revocation { at: DateTime::<Utc>::UNIX_EPOCH, reason: RevocationReason::CertificateHold, invalidity: None };

/// 9999-12-31T23:59:59Z
fn end_of_time() -> DateTime<Utc> {
    DateTime::from_timestamp(253_402_300_799, 0).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// The extensions of a single answer, one after another in DER: the invalidity date where one is known (RFC 6960 section 4.4.5), and after
/// a certificate's end how far back the responder's knowledge reaches (section 4.4.4): to the beginning of the CA key's certificate
/// (ETSI EN 319 411-2 CSS-6.3.10-08), since nothing is ever forgotten.
fn single_extensions(status: &Status, authority: &Authority, now: DateTime<Utc>) -> der::Result<Vec<u8>> {
    let mut extensions = Vec::new();
    if let Told::Revoked(Revocation { invalidity: Some(since), .. }) = status.told {
        extensions.extend_from_slice(&InvalidityDate(since).to_extension()?.to_der()?);
    }
    if status.not_after.is_some_and(|end| end < now) {
        extensions.extend_from_slice(authority.archive_cutoff());
    }
    Ok(extensions)
}

impl Answer {
    /// The same, to be given again until `until` (ticks) while `entries` are alive.
    pub fn to_be_repeated(mut self, entries: Vec<Arc<StatusEntry>>, until: u64) -> Self {
        let tag = format!("\"{}\"", Sha256Digest::of(&self.der));
        let last_modified = HttpDate::from(std::time::SystemTime::from(self.this_update)).to_string();
        // Quotes, hexadecimal digits and a date are allowed in headers.
        if let (Ok(tag), Ok(last_modified)) = (header(tag), header(last_modified)) {
            self.repeat = Some(Repeat { entries, until, tag, last_modified });
        }
        self
    }

    /// Whether everything that it tells is still so, as far as is known.
    pub fn is_alive(&self) -> bool {
        self.repeat.as_ref().is_some_and(|repeat| repeat.entries.iter().all(|entry| entry.is_alive()))
    }

    /// Whether it may be given again at `tick`, which is `now` on the wall: ticks stand still while the machine sleeps.
    pub fn may_be_repeated(&self, tick: u64, now: DateTime<Utc>) -> bool {
        self.repeat.as_ref().is_some_and(|repeat| tick < repeat.until) && now < self.next_update && self.is_alive()
    }

    /// What it takes beside itself.
    pub fn octets_beside(&self) -> usize {
        let more = self.repeat.as_ref().map_or(0, |repeat| repeat.entries.len() * size_of::<Arc<StatusEntry>>());
        self.der.len() + more
    }
}

fn header(text: String) -> Result<HeaderValue, actix_web::http::header::InvalidHeaderValue> {
    HeaderValue::from_maybe_shared(Bytes::from(text))
}
