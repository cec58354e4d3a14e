//! What a card signed, judged offline by the same verifier that the CA role has, as of the moment when the application was accepted.

use audit_log::export::Evidence;
use audit_log::verify::{AskedKey, EvidenceJudge};
use ca_core::application::verified::StatusEvidence;
use ca_core::application::verifier::{ApplicationVerifier, UnverifiedApplication};
use ca_core::card::status::StatusJudge;
use ca_core::kind::CertificateKind;
use chrono::{DateTime, Utc};

/// Judges with the card CAs that an auditor trusts.
pub(crate) struct CardJudge {
    verifier: ApplicationVerifier,
    statuses: StatusJudge,
}

impl CardJudge {
    pub(crate) fn new(verifier: ApplicationVerifier) -> Self {
        Self { verifier, statuses: StatusJudge::default() }
    }
}

impl EvidenceJudge for CardJudge {
    /// The card's signature over the message, the path of its certificate to a card CA, the statement, and each request's proof of possession; the
    /// card's authentication certificate, where one is asked for; and the card CA's OCSP answer, where there is one.
    fn judge(&self, evidence: &Evidence, accepted_at: DateTime<Utc>) -> Result<Vec<AskedKey>, String> {
        let message = UnverifiedApplication::from_bytes(evidence.cms.clone()).map_err(|refusal| refusal.to_string())?;
        let signed = self.verifier.verify_signature(message, accepted_at).map_err(|refusal| refusal.to_string())?;
        if let Some(answer) = &evidence.signature_ocsp {
            let (answer, policy) = (StatusEvidence::Ocsp(answer.clone()), &self.verifier.policy().evidence);
            self.statuses.check(signed.card(), &answer, policy, accepted_at).map_err(|refusal| refusal.to_string())?;
        }
        if signed.asks_for(CertificateKind::Authentication) {
            let certificate = evidence.authentication_certificate.as_deref();
            let certificate = certificate.ok_or("the card's authentication certificate is not with it")?;
            self.verifier.validate_authentication_card(certificate, accepted_at).map_err(|refusal| refusal.to_string())?;
        }
        let asked = signed
            .asked_keys()
            .map(|(kind, sha256)| AskedKey { is_authentication: kind == CertificateKind::Authentication, public_key_sha256: sha256.0 });
        Ok(asked.collect())
    }
}
