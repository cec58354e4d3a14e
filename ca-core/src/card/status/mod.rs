//! Whether a card certificate still stands: evidence signed by its card CA, either an OCSP answer or a CRL.

mod crl;
mod ocsp;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Duration, Utc};
use policies::EvidencePolicy;

pub use self::crl::CardCrl;
pub use self::ocsp::ocsp_request;
use crate::application::verified::StatusEvidence;
use crate::card::path::ValidCardCertificate;
use crate::digest::Sha256Digest;
use crate::refusal::Refusal;
use crate::revocation::RevocationReason;

/// The most octets of an OCSP answer about a card certificate.
pub const MAX_OCSP_OCTETS: usize = 16_384;
/// The most octets of a card CRL: a municipality's, of some hundred thousand entries.
pub const MAX_CRL_OCTETS: usize = 16 * 1_024 * 1_024;
/// How many verified CRLs are remembered.
const REMEMBERED_CRLS: usize = 64;

/// Why a card certificate's status does not allow what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardStatusRefusal {
    /// Revoked.
    #[error("the card certificate has been revoked")]
    Revoked,
    /// On hold.
    #[error("the card certificate is on hold")]
    OnHold,
    /// The card CA says that it does not know the certificate.
    #[error("the card CA does not know the card certificate")]
    Unknown,
    /// The card CA answers that it cannot answer now.
    #[error("the card CA cannot tell the card certificate's status now")]
    Unavailable,
    /// The evidence cannot be read.
    #[error("the evidence of the card certificate's status is malformed")]
    Malformed,
    /// The card CA did not sign the evidence.
    #[error("the evidence of the card certificate's status is not signed by its card CA")]
    NotSigned,
    /// The evidence is about another certificate, or about another distribution point's certificates.
    #[error("the evidence of the card certificate's status does not cover the certificate")]
    NotCovered,
    /// The evidence is older than policy allows, has been replaced, or is from the future.
    #[error("the evidence of the card certificate's status is too old")]
    Stale,
}

impl Refusal for CardStatusRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Revoked => "card_revoked",
            Self::OnHold => "card_on_hold",
            Self::Unknown => "card_unknown",
            Self::Unavailable => "card_status_unavailable",
            Self::Malformed => "card_status_malformed",
            Self::NotSigned => "card_status_signature",
            Self::NotCovered => "card_status_not_covered",
            Self::Stale => "card_status_stale",
        }
    }
}

impl CardStatusRefusal {
    fn of(reason: Option<RevocationReason>) -> Self {
        if reason == Some(RevocationReason::CertificateHold) { Self::OnHold } else { Self::Revoked }
    }
}

/// Judges evidence of card certificates' status; remembers the CRLs and the responders' certificates whose signature it has
/// checked, because one serves many applications.
#[derive(Default)]
pub struct StatusJudge {
    crls: Mutex<HashMap<Sha256Digest, Arc<CardCrl>>>,
    responders: ocsp::Responders,
}

impl StatusJudge {
    /// Says nothing if `evidence` shows that `card` stands at `now`; else why not.
    pub fn check(
        &self,
        card: &ValidCardCertificate<'_>,
        evidence: &StatusEvidence,
        policy: &EvidencePolicy,
        now: DateTime<Utc>,
    ) -> Result<(), CardStatusRefusal> {
        match evidence {
            StatusEvidence::Ocsp(der) => ocsp::check(card, der, &self.responders, policy, now),
            StatusEvidence::Crl(der) => {
                let crl = self.crl(card, der)?;
                check_age(crl.this_update(), crl.next_update(), policy.crl_max_age(), policy.clock_skew(), now)?;
                crl.check(card)
            }
        }
    }

    fn crl(&self, card: &ValidCardCertificate<'_>, der: &[u8]) -> Result<Arc<CardCrl>, CardStatusRefusal> {
        let digest = Sha256Digest::of(der);
        if let Some(crl) = self.crls.lock().unwrap_or_else(PoisonError::into_inner).get(&digest) {
            return Ok(Arc::clone(crl));
        }
        // Not under the lock: a large CRL takes its time, and others need not wait for it.
        let crl = Arc::new(CardCrl::verify(der, card.authority())?);
        let mut crls = self.crls.lock().unwrap_or_else(PoisonError::into_inner);
        if crls.len() >= REMEMBERED_CRLS {
            crls.clear();
        }
        crls.insert(digest, Arc::clone(&crl));
        Ok(crl)
    }
}

/// Fresh enough: begun, not replaced, not older than `max_age`.
fn check_age(
    this_update: DateTime<Utc>,
    next_update: Option<DateTime<Utc>>,
    max_age: Duration,
    clock_skew: Duration,
    now: DateTime<Utc>,
) -> Result<(), CardStatusRefusal> {
    let fresh = this_update <= now + clock_skew && now - this_update <= max_age && next_update.is_none_or(|next| now <= next);
    fresh.then_some(()).ok_or(CardStatusRefusal::Stale)
}
