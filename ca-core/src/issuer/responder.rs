//! Making an OCSP responder's certificate.

use chrono::{DateTime, Duration, Utc};

use super::Issuer;
use crate::issuance::{IntentLedger, LintFailure, RandomnessFault, SignedCertificate, Template, TemplateFault, record_one};
use crate::signer::SignerFault;

/// A responder's certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ResponderFault<F> {
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessFault),
    /// It could not be drawn up.
    #[error(transparent)]
    Template(#[from] TemplateFault),
    /// It would break a rule.
    #[error(transparent)]
    Lint(#[from] LintFailure),
    /// The key does not sign.
    #[error(transparent)]
    Signer(#[from] SignerFault),
    /// The intent could not be recorded.
    #[error("the intent to sign could not be recorded")]
    Ledger(F),
}

/// Certifies a responder's key (SubjectPublicKeyInfo in DER) for `life`, with the CA key for which it will answer: the same
/// way as any certificate, linted and recorded before it is signed.
pub fn create_responder_certificate<L: IntentLedger>(
    issuer: &Issuer,
    public_key_info: &[u8],
    life: Duration,
    now: DateTime<Utc>,
    ledger: &mut L,
) -> Result<SignedCertificate, ResponderFault<L::Fault>> {
    let serial = crate::serial::SerialNumber::random(issuer.policies().responder.serial_octets)?;
    let linted = Template::for_responder(public_key_info, issuer, serial, now, life)?.lint()?;
    let recorded = record_one(linted, ledger).map_err(ResponderFault::Ledger)?;
    Ok(recorded.sign()?)
}
