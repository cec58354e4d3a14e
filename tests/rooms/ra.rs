//! The RA without its listener: it verifies, collects evidence, and accepts.

use ca_core::application::ApplicationId;
use ca_core::application::challenge::{Challenge, ChallengeKey};
use ca_core::application::refusal::ApplicationRefusal;
use ca_core::application::verified::{Evidence, VerifiedApplication};
use ca_core::application::verifier::{ApplicationVerifier, UnverifiedApplication};
use ca_core::digest::Sha256Digest;
use ca_core::refusal::Refusal as _;
use chrono::Utc;
use ra_api::{EvidenceSource as _, NetworkEvidence};
use schema::application::{AcceptRefusal, Acceptance, NewApplication};
use schema::{Database, WriteError, Writer};

pub struct Ra {
    pub database: Database,
    pub(super) verifier: ApplicationVerifier,
    pub(super) evidence: NetworkEvidence,
    pub(super) challenge_key: ChallengeKey,
}

impl Ra {
    /// A challenge on the latest beacon.
    pub fn challenge(&self) -> Challenge {
        let beacon = self.database.reader().latest_beacon().unwrap().expect("a beacon was drawn");
        self.challenge_key.issue(&beacon).unwrap()
    }

    pub fn challenge_key(&self) -> &ChallengeKey {
        &self.challenge_key
    }

    /// The evidence that belongs to an application.
    pub fn evidence_for(&self, cms: &[u8]) -> Evidence {
        let now = Utc::now();
        let signed = self.verifier.verify_signature(UnverifiedApplication::from_bytes(cms.to_vec()).unwrap(), now).unwrap();
        self.evidence.collect(&self.verifier, &signed, now).unwrap()
    }

    /// All that the RA does before it accepts; the refusal's code if it does not pass.
    pub fn verify(&self, cms: &[u8]) -> Result<VerifiedApplication, &'static str> {
        let code = |refusal: ApplicationRefusal| refusal.code();
        let now = Utc::now();
        let signed = self.verifier.verify_signature(UnverifiedApplication::from_bytes(cms.to_vec()).map_err(code)?, now).map_err(code)?;
        self.challenge_key.check(signed.challenge()).map_err(|refusal| refusal.code())?;
        let evidence = self.evidence.collect(&self.verifier, &signed, now).unwrap();
        let beacons = self.database.reader().beacons(now - self.verifier.policy().challenge.lifetime()).unwrap();
        self.verifier.verify(signed, evidence, &beacons, now).map_err(code)
    }

    /// Verifies and accepts an application that is in order.
    #[track_caller]
    pub fn accept(&self, cms: &[u8]) -> ApplicationId {
        match self.submit(cms).unwrap() {
            Acceptance::Accepted(id) => id,
            Acceptance::Existing(_) => panic!("the application was accepted before"),
        }
    }

    /// Verifies an application, which must be in order, and hands it to the store.
    #[track_caller]
    pub fn submit(&self, cms: &[u8]) -> Result<Acceptance, WriteError<AcceptRefusal>> {
        let verified = self.verify(cms).expect("the RA verifies the application");
        store(&self.database.writer(), &verified)
    }
}

/// Hands a verified application to the store, as the RA does.
pub fn store(writer: &Writer, verified: &VerifiedApplication) -> Result<Acceptance, WriteError<AcceptRefusal>> {
    let new = NewApplication::new(verified, Sha256Digest::of(verified.digest().as_bytes()));
    let now = Utc::now();
    writer.write(move |tx| tx.accept_application(&new, now))
}
