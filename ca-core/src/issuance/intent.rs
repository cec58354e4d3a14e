//! The intent to sign, on record before the signature exists.

use super::Linted;
use super::template::Facts;
use crate::application::ApplicationId;
use crate::digest::Sha256Digest;
use crate::issuer::CaKeyId;
use crate::kind::CertificateKind;
use crate::serial::SerialNumber;

/// What is about to be signed. With it on record, a certificate that appears anywhere can be traced, and a serial number is
/// never used twice, even if the process dies right after signing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The issuer; serial numbers are unique within it.
    pub kind: CertificateKind,
    /// Its key.
    pub ca_key: CaKeyId,
    /// The serial number.
    pub serial: SerialNumber,
    /// The SHA-256 of the TBSCertificate in DER.
    pub tbs_sha256: Sha256Digest,
    /// The application it is for; none for a responder's certificate.
    pub application: Option<ApplicationId>,
}

/// Where intents are recorded.
pub trait IntentLedger {
    /// What can go wrong.
    type Fault;

    /// Records all of them or none; durable on return. A serial number that the issuer used before is a fault.
    fn record(&mut self, intents: &[Intent]) -> Result<(), Self::Fault>;
}

/// A certificate whose intent is on record; may be signed, once.
#[derive(Debug)]
pub struct Recorded {
    pub(super) tbs: Vec<u8>,
    pub(super) facts: Facts,
}

/// Records the intent of one certificate.
pub fn record_one<L: IntentLedger>(linted: Linted, ledger: &mut L) -> Result<Recorded, L::Fault> {
    ledger.record(&[intent(&linted)])?;
    Ok(Recorded { tbs: linted.tbs, facts: linted.facts })
}

/// Records the intents of many certificates at one go, in order.
pub fn record<L: IntentLedger>(linted: Vec<Linted>, ledger: &mut L) -> Result<Vec<Recorded>, L::Fault> {
    let intents: Vec<Intent> = linted.iter().map(intent).collect();
    ledger.record(&intents)?;
    Ok(linted.into_iter().map(|Linted { tbs, facts }| Recorded { tbs, facts }).collect())
}

fn intent(linted: &Linted) -> Intent {
    let ca_key = linted.facts.issuer.ca_key();
    Intent {
        kind: ca_key.kind(),
        ca_key: ca_key.id(),
        serial: linted.facts.serial.clone(),
        tbs_sha256: Sha256Digest::of(&linted.tbs),
        application: linted.facts.application,
    }
}
