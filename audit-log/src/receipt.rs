//! What a holder gets with each certificate: proof that the log has its application and its issuance.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::canonical::{Content, canonical_text, has_integers_only};
use crate::hash::sha256;
use crate::note::{LogVerifier, NoteRefusal, SignedCheckpoint, WitnessVerifier};
use crate::tlog_proof::{TlogProof, TlogProofRefusal};
use crate::{Commitment, Salt};

/// The receipt's `type`.
pub const RECEIPT_TYPE: &str = "tsunagi.receipt.v1";

/// Longer receipts are refused unread: octets.
pub const MAX_RECEIPT: usize = 256 * 1024;

const ACCEPTED: &str = "application.accepted";
const ISSUED: &str = "certificate.issued";

/// A receipt as it was written; nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// [`RECEIPT_TYPE`].
    #[serde(rename = "type")]
    pub type_: String,
    /// Whose receipt it is.
    pub certificate: ReceiptCertificate,
    /// Upon what it was issued.
    pub application: ReceiptApplication,
    /// The acceptance of the application, then the issuance.
    pub entries: Vec<ReceiptEntry>,
}

/// The certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptCertificate {
    /// `signature` or `authentication`.
    pub kind: String,
    /// The serial number as in the log: hexadecimal.
    pub serial: String,
    /// SHA-256 of its DER, hexadecimal.
    pub sha256: String,
}

/// The application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptApplication {
    /// SHA-256 of the CMS that was sent, hexadecimal.
    pub sha256: String,
}

/// One leaf, opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptEntry {
    /// The content, as a JSON object that has no member twice; its canonical text is what the log commits to.
    #[serde(deserialize_with = "crate::strict::value")]
    pub content: Value,
    /// Base64.
    pub salt: String,
    /// [`TlogProof`] as text.
    pub proof: String,
}

/// What a receipt proves.
#[derive(Debug, Clone)]
pub struct VerifiedReceipt {
    /// `signature` or `authentication`.
    pub kind: String,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 of the certificate, hexadecimal.
    pub certificate_sha256: String,
    /// SHA-256 of the application, hexadecimal.
    pub application_sha256: String,
    /// When the application was accepted.
    pub accepted_at: DateTime<Utc>,
    /// When the certificate was issued.
    pub issued_at: DateTime<Utc>,
    /// Leaves of acceptance and issuance.
    pub leaves: [u64; 2],
    /// The checkpoint that the issuance is proved by.
    pub checkpoint: SignedCheckpoint,
    /// Those of the witnesses asked for that cosigned it, and when.
    pub witnesses: Vec<(String, DateTime<Utc>)>,
}

/// A receipt does not prove what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptRefusal {
    /// It is no receipt of this form.
    #[error("this is no receipt of the form {RECEIPT_TYPE}: {0}")]
    Malformed(String),
    /// The proof of an entry does not hold.
    #[error("the proof of the entry {kind} does not hold: {refusal}")]
    Proof {
        /// What the entry says happened.
        kind: &'static str,
        /// Why.
        refusal: TlogProofRefusal,
    },
    /// A witness that was asked for did not cosign, or its cosignature does not hold.
    #[error("the checkpoint of the entry {kind}: {refusal}")]
    Witness {
        /// What the entry says happened.
        kind: &'static str,
        /// Why.
        refusal: NoteRefusal,
    },
    /// The parts of the receipt, or what it is held against, do not agree.
    #[error("{0} is not what the log says")]
    Mismatch(&'static str),
}

/// What was said of the two events, as far as a receipt needs it.
#[derive(Deserialize)]
struct AcceptedData {
    digest: String,
}

#[derive(Deserialize)]
struct IssuedData {
    kind: String,
    serial: String,
    sha256: String,
    application_sha256: String,
}

struct Opened<'a> {
    content: Content<'a>,
    leaf: u64,
    checkpoint: SignedCheckpoint,
    witnesses: Vec<(String, DateTime<Utc>)>,
}

impl ReceiptEntry {
    /// An entry of a leaf's canonical content; `None` if the content is no JSON.
    pub fn new(content: &str, salt: &Salt, proof: &TlogProof) -> Option<Self> {
        let content = serde_json::from_str(content).ok()?;
        Some(Self { content, salt: STANDARD.encode(salt.0), proof: proof.text() })
    }

    fn open<'a>(
        &self,
        kind: &'static str,
        text: &'a mut String,
        log: &LogVerifier,
        witnesses: &[WitnessVerifier],
    ) -> Result<Opened<'a>, ReceiptRefusal> {
        let malformed = |what: &str| ReceiptRefusal::Malformed(format!("{what} of the entry {kind}"));
        *text = canonical_text(&self.content).ok_or_else(|| malformed("the content"))?;
        let salt = STANDARD.decode(&self.salt).ok().and_then(|salt| Salt::from_slice(&salt)).ok_or_else(|| malformed("the salt"))?;
        let commitment = Commitment::of(&salt, text);
        let content = Content::parse(text).map_err(|_| malformed("the content"))?;
        if content.kind != kind {
            return Err(ReceiptRefusal::Malformed(format!("{} where {kind} is expected", content.kind)));
        }
        let proof = TlogProof::parse(&self.proof).map_err(|refusal| ReceiptRefusal::Proof { kind, refusal })?;
        let checkpoint = proof.verify(&commitment, log).map_err(|refusal| ReceiptRefusal::Proof { kind, refusal })?;
        let refused = |refusal| ReceiptRefusal::Witness { kind, refusal };
        let mut seen = Vec::with_capacity(witnesses.len());
        for witness in witnesses {
            let unsigned = || NoteRefusal::Unsigned(witness.name().to_owned());
            let cosignature = checkpoint.cosigned_by(witness).map_err(refused)?.ok_or_else(unsigned).map_err(refused)?;
            seen.push((witness.name().to_owned(), cosignature.at()));
        }
        Ok(Opened { content, leaf: proof.leaf, checkpoint, witnesses: seen })
    }
}

impl Receipt {
    /// A receipt of two entries: the acceptance and the issuance.
    pub fn new(certificate: ReceiptCertificate, application: ReceiptApplication, accepted: ReceiptEntry, issued: ReceiptEntry) -> Self {
        Self { type_: RECEIPT_TYPE.to_owned(), certificate, application, entries: vec![accepted, issued] }
    }

    /// Reads a receipt. Nothing of it is verified but its form.
    pub fn parse(text: &str) -> Result<Self, ReceiptRefusal> {
        if text.len() > MAX_RECEIPT {
            return Err(ReceiptRefusal::Malformed(format!("longer than {MAX_RECEIPT} octets")));
        }
        let receipt: Self = serde_json::from_str(text).map_err(|error| ReceiptRefusal::Malformed(error.to_string()))?;
        if receipt.type_ != RECEIPT_TYPE {
            return Err(ReceiptRefusal::Malformed("another type".to_owned()));
        }
        if !receipt.entries.iter().all(|entry| has_integers_only(&entry.content)) {
            return Err(ReceiptRefusal::Malformed("a number that is no integer".to_owned()));
        }
        Ok(receipt)
    }

    /// Verifies it against the log's public key: that both entries are in its tree, that they belong together and are about what the
    /// receipt names, and every one of these witnesses' cosignatures. A certificate (DER) and an application (the CMS as it was
    /// sent) are compared with it if given.
    pub fn verify(
        &self,
        log: &LogVerifier,
        witnesses: &[WitnessVerifier],
        certificate: Option<&[u8]>,
        application: Option<&[u8]>,
    ) -> Result<VerifiedReceipt, ReceiptRefusal> {
        let [accepted, issued] = self.entries.as_slice() else {
            return Err(ReceiptRefusal::Malformed("not two entries".to_owned()));
        };
        let (mut accepted_text, mut issued_text) = (String::new(), String::new());
        let accepted = accepted.open(ACCEPTED, &mut accepted_text, log, witnesses)?;
        let issued = issued.open(ISSUED, &mut issued_text, log, witnesses)?;
        let malformed = |error: serde_json::Error| ReceiptRefusal::Malformed(error.to_string());
        let acceptance: AcceptedData = serde_json::from_str(accepted.content.data).map_err(malformed)?;
        let issuance: IssuedData = serde_json::from_str(issued.content.data).map_err(malformed)?;

        let same = |agree: bool, what: &'static str| if agree { Ok(()) } else { Err(ReceiptRefusal::Mismatch(what)) };
        let about = accepted.content.application;
        same(about.is_some() && about == issued.content.application, "that the two entries are about one application")?;
        same(accepted.leaf < issued.leaf, "the order of acceptance and issuance")?;
        same(acceptance.digest == issuance.application_sha256, "the application that the certificate was issued upon")?;
        same(self.application.sha256 == issuance.application_sha256, "the application's digest")?;
        same(self.certificate.sha256 == issuance.sha256, "the certificate's digest")?;
        same(self.certificate.serial == issuance.serial, "the certificate's serial number")?;
        same(self.certificate.kind == issuance.kind, "the certificate's kind")?;
        let is = |octets: Option<&[u8]>, digest: &str| octets.is_none_or(|octets| hex::encode(sha256(octets)) == digest);
        same(is(certificate, &issuance.sha256), "the certificate that was given")?;
        same(is(application, &issuance.application_sha256), "the application that was given")?;

        Ok(VerifiedReceipt {
            kind: issuance.kind,
            serial: issuance.serial,
            certificate_sha256: issuance.sha256,
            application_sha256: issuance.application_sha256,
            accepted_at: accepted.content.at,
            issued_at: issued.content.at,
            leaves: [accepted.leaf, issued.leaf],
            checkpoint: issued.checkpoint,
            witnesses: issued.witnesses,
        })
    }
}

#[cfg(test)]
mod tests;
