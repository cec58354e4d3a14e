//! Asking the status service whether it says the same.

use std::thread;
use std::time::Duration;

use ca_core::issuer::CaKey;
use ca_core::ocsp::{StatusWitness, ToldStatus, WitnessFault};
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::serial::SerialNumber;

use super::sample::{Question, Sample};
use super::{AskStore, GateFault, Standing};

/// What came of asking the status service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Nobody was to ask.
    Nobody,
    /// It says the same of that many certificates, or the store explains what changed since.
    Agreed(u64),
    /// There was no answer to go by, and why. The list may be published all the same: where the status service is down, lists are
    /// all that relying parties have.
    Unchecked(WitnessFault),
}

/// So long after a change the status service may still say what was before.
const LAG: Duration = Duration::from_secs(1);

/// Asks about a sample; about those told otherwise once more after a second.
pub(super) fn ask(witness: &dyn StatusWitness, ca_key: &CaKey, sample: &Sample, standing: AskStore<'_>) -> Result<Asked, GateFault> {
    let questions = sample.questions();
    let asked = questions.len() as u64;
    let otherwise = match told_otherwise(witness, ca_key, questions) {
        Ok(otherwise) if otherwise.is_empty() => return Ok(Asked::Agreed(asked)),
        Ok(otherwise) => otherwise,
        Err(fault) => return Ok(Asked::Unchecked(fault)),
    };
    thread::sleep(LAG);
    let otherwise = match told_otherwise(witness, ca_key, otherwise.into_iter().map(|(question, _)| question).collect()) {
        Ok(otherwise) if otherwise.is_empty() => return Ok(Asked::Agreed(asked)),
        Ok(otherwise) => otherwise,
        Err(fault) => return Ok(Asked::Unchecked(fault)),
    };
    let serials: Vec<SerialNumber> = otherwise.iter().map(|(question, _)| question.serial.clone()).collect();
    let standings = standing(&serials)?;
    for (place, (Question { serial, listed }, told)) in otherwise.into_iter().enumerate() {
        if !standings.get(place).is_some_and(|now| is_later(listed.as_ref(), &told, *now)) {
            return Err(GateFault::Contradicted { serial, listed, told });
        }
    }
    Ok(Asked::Agreed(asked))
}

/// The questions that are answered otherwise than by the list, with the answers.
fn told_otherwise(
    witness: &dyn StatusWitness,
    ca_key: &CaKey,
    questions: Vec<Question>,
) -> Result<Vec<(Question, ToldStatus)>, WitnessFault> {
    if questions.is_empty() {
        return Ok(Vec::new());
    }
    let serials: Vec<SerialNumber> = questions.iter().map(|question| question.serial.clone()).collect();
    let told = witness.told(ca_key, &serials)?;
    if told.len() != questions.len() {
        return Err(WitnessFault::Unbelievable(format!("{} answers to {} questions", told.len(), questions.len())));
    }
    Ok(questions.into_iter().zip(told).filter(|(question, told)| !says_the_same(question, told)).collect())
}

/// The date of invalidity need not be told; if it is, it must be the same.
fn says_the_same(question: &Question, told: &ToldStatus) -> bool {
    match (&question.listed, told) {
        (Some(listed), ToldStatus::Revoked(told)) => {
            let invalidity = told.invalidity.is_none() || told.invalidity == listed.invalidity;
            (listed.at, listed.reason) == (told.at, told.reason) && invalidity
        }
        (None, ToldStatus::Good) => true,
        _ => false,
    }
}

/// Whether what is told came after the list was made, and is what the store has now: a hold may be lifted or become permanent, and
/// whoever is free may be held or revoked. A permanent revocation stays what it was.
fn is_later(listed: Option<&Revocation>, told: &ToldStatus, now: Standing) -> bool {
    match (listed, told, now) {
        (Some(hold), _, _) if hold.reason != RevocationReason::CertificateHold => false,
        (Some(_), ToldStatus::Good, Standing::Free | Standing::LongExpired) => true,
        (Some(hold), ToldStatus::Revoked(told), Standing::Listed) => hold.at <= told.at,
        (None, ToldStatus::Revoked(_), Standing::Listed) => true,
        _ => false,
    }
}
