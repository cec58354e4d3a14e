//! From an application's octets to its acceptance in the store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use ca_core::application::challenge::{Challenge, ChallengeRefusal};
use ca_core::application::refusal::ApplicationRefusal;
use ca_core::application::verified::VerifiedApplication;
use ca_core::application::verifier::{ApplicationVerifier, CardSignedApplication, UnverifiedApplication};
use ca_core::clock::Clock;
use ca_core::device_command::NamedCertificate;
use ca_core::digest::Sha256Digest;
use ca_core::refusal::Refusal;
use chrono::{DateTime, Utc};
use schema::application::ApplicationRecord;
use schema::{Reader, StoreFault, Writer};

use super::evidence::{EvidenceFailure, EvidenceSource};
use super::freshness::Freshness;
use crate::challenges::{ChallengeDesk, ChallengeFault};
use crate::problem::Problem;
use crate::recent::Recent;
use crate::store;

/// Refusals remembered, so that sending a refused application again and again leaves one event.
const REMEMBERED_REFUSALS: usize = 4_096;

/// Receives applications: verifies them, collects their evidence, verifies that.
pub(crate) struct Reception {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) verifier: Arc<ApplicationVerifier>,
    pub(crate) challenges: Arc<ChallengeDesk>,
    pub(crate) evidence: Arc<dyn EvidenceSource>,
    pub(crate) freshness: Freshness,
    pub(crate) refusals: RecentRefusals,
}

/// An application that passed, and the certificates of an earlier owner that it names.
pub(crate) struct Received {
    pub(crate) application: ReceivedApplication,
    pub(crate) left_behind: Vec<NamedCertificate>,
}

/// An application that passed.
pub(crate) enum ReceivedApplication {
    /// It was received before: what has become of it.
    Known(Sha256Digest, ApplicationRecord),
    /// Everything about it is verified; it is not in the store yet.
    Verified(Box<VerifiedApplication>),
}

impl Reception {
    /// Receives an application. Blocks: computes, asks the store, the back office and the card CA.
    pub(crate) fn receive(&self, octets: Vec<u8>) -> Result<Received, Problem> {
        let now = self.clock.now();
        let begin = Instant::now();
        let application = UnverifiedApplication::from_bytes(octets).map_err(|refusal| Problem::refusal(&refusal))?;
        let digest = application.digest();
        let signed = self.verifier.verify_signature(application, now).map_err(|refusal| self.refused(digest, &refusal, now))?;
        let ours = self.challenges.check_ours(signed.challenge());
        ours.map_err(|refusal| self.refused_challenge(signed.challenge(), digest, &refusal, now))?;
        time("signature", begin);

        let left_behind = signed.device().left_behind.clone();
        // Before anything that passes with time: whoever asks again hears the same.
        if let Some(record) =
            self.reader.application_by_digest(&digest).map_err(|fault| store::problem("looking for an application", &fault))?
        {
            return Ok(Received { application: ReceivedApplication::Known(digest, record), left_behind });
        }
        // Before anybody is asked anything: an old application costs nobody else's time.
        let challenge = *signed.challenge();
        let beacons = self.challenges.check_fresh(&challenge, now).map_err(|fault| match fault {
            ChallengeFault::Refused(refusal) => self.refused_challenge(&challenge, digest, &refusal, now),
            ChallengeFault::Store(fault) => store::problem("reading the beacons", &fault),
        })?;
        self.freshness.check(&self.reader, now)?;

        let begin = Instant::now();
        let evidence =
            self.evidence.collect(&self.verifier, &signed, now).map_err(|failure| self.without_evidence(&signed, failure, now))?;
        time("evidence", begin);

        let begin = Instant::now();
        let now = self.clock.now();
        let verified = self.verifier.verify(signed, evidence, &beacons, now).map_err(|refusal| self.refused(digest, &refusal, now))?;
        time("verification", begin);
        Ok(Received { application: ReceivedApplication::Verified(Box::new(verified)), left_behind })
    }

    /// Makes the problem of a refusal; one after a valid card signature leaves an event.
    fn refused(&self, digest: Sha256Digest, refusal: &ApplicationRefusal, now: DateTime<Utc>) -> Problem {
        if refusal.is_after_card_signature() {
            self.leave_event(digest, refusal.code(), now);
        }
        Problem::refusal(refusal)
    }

    /// The same for a challenge. Whoever has an old application can change what its signature does not cover and so name it
    /// anew as often as he likes, but not its challenge: there is one event for each challenge.
    fn refused_challenge(&self, challenge: &Challenge, digest: Sha256Digest, refusal: &ChallengeRefusal, now: DateTime<Utc>) -> Problem {
        if self.refusals.is_new(Sha256Digest::of(challenge.as_bytes()), refusal.code()) {
            self.leave_event(digest, refusal.code(), now);
        }
        Problem::refusal(refusal)
    }

    /// Leaves the event of a refusal: its code and the application's digest, nothing about the person.
    pub(crate) fn leave_event(&self, digest: Sha256Digest, code: &'static str, now: DateTime<Utc>) {
        if !self.refusals.is_new(digest, code) {
            return;
        }
        // Not waited for: the refusal is told whether or not it can be recorded.
        drop(self.writer.submit(move |transaction| -> Result<(), StoreFault> { transaction.leave_rejection(&digest, code, now) }));
    }

    fn without_evidence(&self, signed: &CardSignedApplication<'_>, failure: EvidenceFailure, now: DateTime<Utc>) -> Problem {
        match failure {
            EvidenceFailure::Refused(refusal) => self.refused(signed.digest(), &refusal, now),
            EvidenceFailure::BackOffice(fault) => {
                tracing::error!(%fault, "the back office gives no answer");
                Problem::new(
                    "back_office_unavailable",
                    "The back office cannot be asked about the card now. The same application may be sent again.",
                )
                .retry_after(5)
            }
            EvidenceFailure::CardStatus { kind, fault } => {
                tracing::error!(%kind, %fault, "the card CA gives no status");
                Problem::new(
                    "card_status_unavailable",
                    format!("The status of the card's {kind} certificate cannot be had now. The same application may be sent again."),
                )
                .retry_after(5)
            }
        }
    }
}

/// Which applications were refused lately, and for what.
pub(crate) struct RecentRefusals(Mutex<Recent<(Sha256Digest, &'static str)>>);

impl Default for RecentRefusals {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(REMEMBERED_REFUSALS)))
    }
}

impl RecentRefusals {
    fn is_new(&self, digest: Sha256Digest, code: &'static str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((digest, code))
    }
}

fn time(step: &'static str, begin: Instant) {
    metrics::histogram!("tsunagi_application_step_seconds", "step" => step).record(begin.elapsed().as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_of_the_same_application_is_new_once() {
        let refusals = RecentRefusals::default();
        let digest = Sha256Digest::of(b"application");
        assert!(refusals.is_new(digest, "card_revoked"));
        assert!(!refusals.is_new(digest, "card_revoked"));
        assert!(refusals.is_new(digest, "card_expired"));
        for number in 0..REMEMBERED_REFUSALS as u64 {
            refusals.is_new(Sha256Digest::of(&number.to_be_bytes()), "card_revoked");
        }
        assert!(refusals.is_new(digest, "card_revoked"), "the oldest were not forgotten");
    }
}
