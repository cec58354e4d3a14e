//! What became of an instruction.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::phone::RaAnswer;

/// What became of an instruction that was not refused.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The instruction's name: hex SHA-256 of its octets.
    pub id: String,
    /// `done`, or where it waits for somebody else: `awaiting-approval`.
    pub state: String,
    /// What it did; `null` if nothing is said.
    pub outcome: Value,
    /// The answer as it came.
    pub answer: RaAnswer,
}

impl Decision {
    /// Reads an answer; `None` if it is none of an instruction.
    pub(crate) fn read(answer: RaAnswer) -> Option<Self> {
        let id = answer.text_of("id")?.to_owned();
        let state = answer.text_of("state")?.to_owned();
        let outcome = answer.json.get("outcome").cloned().unwrap_or_default();
        Some(Self { id, state, outcome, answer })
    }
}

/// Whether the answer says that nothing is decided yet.
pub(crate) fn is_undecided(answer: &RaAnswer) -> bool {
    matches!(answer.status, 200 | 202) && answer.text_of("state") == Some("waiting")
}

/// Asks again, by the instruction's name, until it is decided or patience ends; gives the last answer.
pub(crate) fn await_decision<E>(
    first: RaAnswer,
    patience: Duration,
    mut ask: impl FnMut(&str) -> Result<RaAnswer, E>,
) -> Result<RaAnswer, E> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(10);
    let Some(id) = first.text_of("id").map(str::to_owned) else { return Ok(first) };
    let mut answer = first;
    while is_undecided(&answer) && Instant::now() < deadline {
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(500));
        answer = ask(&id)?;
    }
    Ok(answer)
}
