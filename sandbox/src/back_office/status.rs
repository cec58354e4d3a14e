//! The card CA's status service: answers are signed once and kept while they are fresh and true.

use chrono::{Duration, SubsecRound as _, Utc};

use super::desk::Desk;
use super::registry::{IssuedCertificate, SignedAnswer};
use crate::card_ca::CardCa;
use crate::card_status::{
    AskedCertificate, CardStatus, CertIdHash, INTERNAL_ERROR, MALFORMED_REQUEST, UNAUTHORIZED, answer, cert_id, crl, error_answer,
    read_question,
};
use crate::keys::KeyFault;
use crate::kind::Kind;

/// How long an OCSP answer is valid.
const ANSWER_VALIDITY: Duration = Duration::minutes(15);
/// How long it is handed out again.
const ANSWER_REUSE: Duration = Duration::minutes(5);
/// How long a CRL is valid: JPKI issues one a day.
const CRL_VALIDITY: Duration = Duration::hours(24);
/// How long it is handed out again if nothing changes.
const CRL_REUSE: Duration = Duration::minutes(5);

impl Desk {
    /// Answers an OCSPRequest; always with an OCSPResponse.
    pub(crate) fn ocsp(&self, kind: Kind, question: &[u8]) -> Vec<u8> {
        let Ok(question) = read_question(question) else { return error_answer(MALFORMED_REQUEST) };
        let mut issuers = question.certificates.iter().map(|asked| self.issuer(kind, asked));
        let Some(Some(ca)) = issuers.next() else { return error_answer(UNAUTHORIZED) };
        if issuers.any(|other| other.is_none_or(|other| other.generation() != ca.generation())) {
            return error_answer(UNAUTHORIZED);
        }
        let signed = match (question.certificates.as_slice(), &question.nonce) {
            ([asked], None) => self.kept_answer(ca, asked),
            (all, nonce) => {
                let statuses: Vec<_> = all.iter().map(|asked| (asked.cert_id.clone(), self.status(ca, &asked.serial))).collect();
                answer(ca, &statuses, nonce.as_deref(), Utc::now().trunc_subsecs(0), ANSWER_VALIDITY)
            }
        };
        signed.unwrap_or_else(|_| error_answer(INTERNAL_ERROR))
    }

    /// The CRL of a distribution point, given as the hex SHA-256 of its Name. `None`: no card certificate has that point.
    pub(crate) fn crl(&self, kind: Kind, distribution_point: &str) -> Option<Result<Vec<u8>, KeyFault>> {
        let now = Utc::now().trunc_subsecs(0);
        let mut registry = self.registry();
        let key = (kind, distribution_point.to_owned());
        let partition = registry.partitions.get(&key)?;
        if let Some((at, der)) = &partition.signed
            && now - *at < CRL_REUSE
        {
            return Some(Ok(der.clone()));
        }
        let number = registry.next_crl_number(Utc::now());
        let partition = registry.partitions.get_mut(&key)?;
        let ca = self.authority(partition.kind, Some(partition.generation))?;
        let entries: Vec<_> = partition.revoked.values().cloned().collect();
        let signed = crl(ca, &partition.name, number, now, now + CRL_VALIDITY, &entries);
        if let Ok(der) = &signed {
            partition.signed = Some((now, der.clone()));
        }
        Some(signed)
    }

    fn issuer(&self, kind: Kind, asked: &AskedCertificate) -> Option<&CardCa> {
        let hash = asked.hash?;
        self.authorities
            .iter()
            .filter(|ca| ca.kind() == kind)
            .find(|ca| hash.digest(ca.name()) == asked.issuer_name_hash && hash.digest(ca.key().public_key()) == asked.issuer_key_hash)
    }

    fn status(&self, ca: &CardCa, serial: &[u8]) -> CardStatus {
        let registry = self.registry();
        registry.certificate(&ca.key_identifier(), serial).map_or(CardStatus::Unknown, |(_, certificate)| certificate.status())
    }

    fn kept_answer(&self, ca: &CardCa, asked: &AskedCertificate) -> Result<Vec<u8>, KeyFault> {
        let now = Utc::now().trunc_subsecs(0);
        let status = {
            let registry = self.registry();
            let known = registry.certificate(&ca.key_identifier(), &asked.serial);
            let fresh = known.and_then(|(_, certificate)| {
                certificate.answers.iter().find(|kept| kept.cert_id == asked.cert_id && now - kept.produced_at < ANSWER_REUSE)
            });
            if let Some(kept) = fresh {
                return Ok(kept.der.clone());
            }
            known.map_or(CardStatus::Unknown, |(_, certificate)| certificate.status())
        };
        let der = answer(ca, &[(asked.cert_id.clone(), status)], None, now, ANSWER_VALIDITY)?;
        // Revoked while this was being signed: the answer is not kept, for it would outlive the change.
        if let Some(certificate) = self.registry().certificate_mut(&ca.key_identifier(), &asked.serial)
            && certificate.status() == status
        {
            certificate.answers.retain(|kept| kept.cert_id != asked.cert_id);
            certificate.answers.truncate(3);
            certificate.answers.push(SignedAnswer { cert_id: asked.cert_id.clone(), produced_at: now, der: der.clone() });
        }
        Ok(der)
    }
}

/// Signs answers beforehand, so that a load test measures the product and not this.
pub(crate) fn presign(authorities: &[CardCa], certificate: &mut IssuedCertificate, hashes: &[CertIdHash]) -> Result<(), KeyFault> {
    let now = Utc::now().trunc_subsecs(0);
    let Some(ca) = authorities.iter().find(|ca| ca.key_identifier() == certificate.issuer_key_id) else { return Ok(()) };
    for hash in hashes {
        let cert_id = cert_id(*hash, ca.name(), ca.key().public_key(), &certificate.serial);
        let der = answer(ca, &[(cert_id.clone(), certificate.status())], None, now, ANSWER_VALIDITY)?;
        certificate.answers.push(SignedAnswer { cert_id, produced_at: now, der });
    }
    Ok(())
}
