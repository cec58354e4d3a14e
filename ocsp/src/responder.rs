//! A responder that a CA key appointed.

use std::sync::Arc;

use ca_core::issuer::CaKey;
use ca_core::key::PublicKey;
use ca_core::ocsp::{ResponderId, oid};
use ca_core::signed_object::SignedParts;
use ca_core::signer::{Signer, signature_algorithm};
use ca_core::time::from_time;
use chrono::{DateTime, Utc};
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::ext::pkix::ExtendedKeyUsage;

use crate::answers::encoding::Frame;
use crate::fault::AnswerFault;

/// A key with a certificate for it, issued directly by the CA key that it answers for, with id-kp-OCSPSigning and
/// id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2).
pub struct Responder {
    certificate_der: Vec<u8>,
    frame: Frame,
    signer: Arc<dyn Signer>,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
}

/// A certificate does not make this key a responder of that CA key. It came from our own store: something is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAResponder {
    /// Not a certificate in DER.
    #[error("not a certificate")]
    Malformed,
    /// For another key.
    #[error("the certificate is for another key")]
    OtherKey,
    /// The CA key did not issue it.
    #[error("the CA key did not issue the certificate")]
    OtherIssuer,
    /// Without id-kp-OCSPSigning or id-pkix-ocsp-nocheck.
    #[error("the certificate lacks id-kp-OCSPSigning or id-pkix-ocsp-nocheck")]
    NotDelegated,
}

impl Responder {
    /// Checks that `certificate_der` makes `signer`'s key a responder of `ca_key`. When it is valid is another question.
    ///
    /// # Errors
    /// See [`NotAResponder`].
    pub fn new(ca_key: &CaKey, certificate_der: Vec<u8>, signer: Arc<dyn Signer>) -> Result<Self, NotAResponder> {
        let certificate = Certificate::from_der(&certificate_der).map_err(|_| NotAResponder::Malformed)?;
        let tbs = certificate.tbs_certificate();
        let malformed = |_| NotAResponder::Malformed;
        if tbs.subject_public_key_info().to_der().map_err(malformed)? != signer.public_key_info() {
            return Err(NotAResponder::OtherKey);
        }
        if tbs.issuer().to_der().map_err(malformed)? != ca_key.subject_name_der() || !signed_by(&certificate_der, ca_key) {
            return Err(NotAResponder::OtherIssuer);
        }
        let (_, usage) =
            tbs.get_extension::<ExtendedKeyUsage>().map_err(|_| NotAResponder::Malformed)?.ok_or(NotAResponder::NotDelegated)?;
        let nocheck = tbs.extensions().is_some_and(|all| all.iter().any(|extension| extension.extn_id == oid::NOCHECK));
        if !usage.0.contains(&oid::OCSP_SIGNING) || !nocheck {
            return Err(NotAResponder::NotDelegated);
        }
        let key = tbs.subject_public_key_info().subject_public_key.as_bytes().ok_or(NotAResponder::Malformed)?;
        // It is named by the hash of its key.
        let id = ResponderId::by_key(key).and_then(|id| id.to_der()).map_err(malformed)?;
        let algorithm = signature_algorithm(signer.key_type()).to_der().map_err(malformed)?;
        Ok(Self {
            frame: Frame::new(id, algorithm, &certificate_der),
            not_before: from_time(&tbs.validity().not_before).ok_or(NotAResponder::Malformed)?,
            not_after: from_time(&tbs.validity().not_after).ok_or(NotAResponder::Malformed)?,
            certificate_der,
            signer,
        })
    }

    /// Whether the certificate is valid at `now`.
    pub fn is_valid_at(&self, now: DateTime<Utc>) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// When the certificate becomes valid.
    pub fn not_before(&self) -> DateTime<Utc> {
        self.not_before
    }

    /// The last moment at which the certificate is valid.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// The certificate in DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    /// What all its answers have in common.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Signs a ResponseData in DER.
    ///
    /// # Errors
    /// [`AnswerFault::Signer`]
    pub fn sign(&self, response_data: &[u8]) -> Result<Vec<u8>, AnswerFault> {
        Ok(self.signer.sign(response_data)?)
    }
}

fn signed_by(certificate: &[u8], ca_key: &CaKey) -> bool {
    let Ok(key) = PublicKey::from_der(ca_key.public_key_info()) else { return false };
    SignedParts::from_der(certificate).is_ok_and(|parts| parts.verify(&key).is_ok())
}
