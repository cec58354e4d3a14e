//! What a holder tells the registration authority, signed by the phone or with the card.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PhoneFault;
use super::pkcs10::{Pkcs10, pkcs10};
use super::ra_client::{RaAnswer, RaClient};
use crate::instruction::{Decision, Instruction, Signer, await_decision, is_undecided};
use crate::keys::Key;
use crate::reason::Reason;

/// How long to wait for a decision.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a holder may want.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum HolderAction {
    /// Certificates end.
    End {
        /// Which.
        certificates: CertificatesToEnd,
        /// Why: cessationOfOperation, keyCompromise or unspecified.
        reason: Reason,
    },
    /// Tell me of my certificates.
    List,
    /// Push messages reach this phone by another token now.
    PushToken {
        /// The new one.
        push_token: String,
    },
}

/// Which certificates end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificatesToEnd {
    /// Both of the phone that signs.
    ThisPhone,
    /// Every one of the holder whose card signs.
    All,
}

/// Asks for a challenge, signs, sends and waits. A refusal is an error.
pub fn instruct(ra: &RaClient, audience: &str, signer: Signer<'_>, action: &HolderAction) -> Result<Decision, PhoneFault> {
    let cms = build_instruction(audience, &ra.challenge()?.challenge, signer, action)?;
    decide(ra, ra.instruct(&cms)?)
}

/// Signs an instruction: CMS, DER.
pub fn build_instruction(audience: &str, challenge: &str, signer: Signer<'_>, action: &HolderAction) -> Result<Vec<u8>, PhoneFault> {
    Ok(Instruction::of_holder(audience, challenge, action).sign(signer)?)
}

/// A report that a key is compromised, PKCS#10 in DER: signed by the key itself.
pub fn build_key_compromise_report(key: &Key) -> Result<Vec<u8>, PhoneFault> {
    Ok(pkcs10(&Pkcs10::key_compromise(key))?)
}

/// Reports a compromised key and waits.
pub fn report_key_compromise(ra: &RaClient, key: &Key) -> Result<Decision, PhoneFault> {
    decide(ra, ra.report_key_compromise(&build_key_compromise_report(key)?)?)
}

fn decide(ra: &RaClient, first: RaAnswer) -> Result<Decision, PhoneFault> {
    let answer = await_decision(first, PATIENCE, |id| ra.instruction(id))?;
    match answer.status {
        _ if is_undecided(&answer) => Err(PhoneFault::Undecided { seconds: PATIENCE.as_secs() }),
        200..=299 => Decision::read(answer).ok_or_else(|| PhoneFault::Answer("an instruction has an id and a state".to_owned())),
        _ => Err(answer.refusal()),
    }
}
