//! Why an instruction is refused, and how that is stored.

use ca_core::digest::Sha256Digest;
use ca_core::refusal::Refusal;
use chrono::{DateTime, Utc};
use schema::instruction::{Asked, Decision};
use schema::{Transaction, WriteError};

use super::work::Signed;

/// A refusal: a stable code and a sentence without personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) detail: String,
}

impl Refusal for Refused {
    fn code(&self) -> &'static str {
        self.code
    }
}

impl Refused {
    pub(super) fn new(code: &'static str, detail: &str) -> Self {
        Self { code, detail: detail.to_owned() }
    }

    pub(super) fn of(refusal: &impl Refusal) -> Self {
        Self { code: refusal.code(), detail: refusal.to_string() }
    }

    /// What has ended asks for nothing any more.
    pub(super) fn certificate_ended() -> Self {
        Self::new("certificate_ended", "the certificate that signed has ended")
    }

    pub(super) fn is_already_decided(&self) -> bool {
        self.code == "already_decided"
    }
}

/// The store's answer in our words.
pub(super) fn refused<R: Refusal>(error: WriteError<R>) -> WriteError<Refused> {
    match error {
        WriteError::Refused(refusal) => WriteError::Refused(Refused::of(&refusal)),
        WriteError::Fault(fault) => WriteError::Fault(fault),
    }
}

/// A refused instruction.
#[derive(Debug, Clone)]
pub(super) struct RefusedInstruction {
    pub(super) digest: Sha256Digest,
    /// By whom, if somebody signed it who may. The challenge is spent, so that nobody makes the same instruction, signed once, count at
    /// a better time by changing what the signature leaves open of the message.
    pub(super) signed: Option<Signed>,
    pub(super) refusal: Refused,
}

impl RefusedInstruction {
    /// Decides it against the instruction.
    pub(super) fn store(&self, tx: &mut Transaction<'_>, now: DateTime<Utc>) -> Result<(), WriteError<Refused>> {
        if let Some(challenge) = self.signed.as_ref().and_then(|signed| signed.challenge.as_ref()) {
            // Spent by another message before: then that is the reason of the refusal, and there is nothing to spend.
            match tx.redeem_challenge(challenge, now) {
                Ok(()) | Err(WriteError::Refused(_)) => {}
                Err(WriteError::Fault(fault)) => return Err(WriteError::Fault(fault)),
            }
        }
        let decision = Decision::Refused { code: self.refusal.code.to_owned(), detail: self.refusal.detail.clone() };
        let asked = self.signed.as_ref().map_or(Asked { by: None, action: None }, Signed::asked);
        tx.decide_instruction(&self.digest, &decision, asked, now).map_err(refused)
    }
}
