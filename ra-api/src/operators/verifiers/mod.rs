//! The service to verifiers: what belongs together, and what to call a person. Each question has a purpose and goes on record
//! before it is answered; what is not ours is not told apart from what does not exist.

mod lookups;
mod pseudonyms;

use ca_core::instruction::operator::OperatorIdentity;
use ca_core::serial::SerialNumber;
use schema::StoreFault;
use schema::lookup::NewLookup;
use serde_json::Value;

pub(crate) use lookups::{__path_look_up, About, FoundCertificate, LookupAnswer, LookupsAnswer, LookupsQuestion, look_up};
pub(crate) use pseudonyms::{__path_give_pseudonyms, PseudonymAnswer, PseudonymsAnswer, PseudonymsQuestion, give_pseudonyms};

use super::OperatorState;
use crate::problem::Problem;
use crate::store;

/// Serial numbers in one question at most.
const SERIALS: usize = 100;
/// Characters of a purpose at most.
const PURPOSE_CHARACTERS: usize = 256;

fn check_purpose(purpose: &str) -> Result<(), Problem> {
    if (1..=PURPOSE_CHARACTERS).contains(&purpose.chars().count()) && !purpose.chars().any(char::is_control) {
        return Ok(());
    }
    let detail = format!("purpose must be 1 to {PURPOSE_CHARACTERS} characters, without control characters.");
    Err(Problem::new("question_invalid", detail))
}

fn read_serials(serials: &[String]) -> Result<Vec<SerialNumber>, Problem> {
    if !(1..=SERIALS).contains(&serials.len()) {
        return Err(Problem::new("question_invalid", format!("serials must be 1 to {SERIALS}.")));
    }
    let read = |(index, serial): (usize, &String)| {
        SerialNumber::from_hex(serial).map_err(|error| Problem::new("question_invalid", format!("serials[{index}]: {error}.")))
    };
    serials.iter().enumerate().map(read).collect()
}

/// Puts a question on record: on disk when this returns.
async fn record(state: &OperatorState, verifier: &OperatorIdentity, purpose: String, question: Value, found: usize) -> Result<(), Problem> {
    let lookup = NewLookup {
        verifier: verifier.name.clone(),
        purpose,
        question: question.to_string(),
        found: u32::try_from(found).unwrap_or(u32::MAX),
    };
    let now = state.clock.now();
    let written = state.writer.submit(move |transaction| -> Result<(), StoreFault> { transaction.record_lookup(&lookup, now) });
    written.await.map_err(|fault| store::problem("recording a lookup", &fault))
}
