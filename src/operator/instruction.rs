//! What became of an instruction.

use serde_json::Value;

use crate::failure::Failure;
use crate::output::{Output, table};

/// What became of an instruction that was not refused.
pub(crate) struct Decision {
    /// What the instruction is called: the SHA-256 of its octets, in hexadecimal.
    pub(crate) id: String,
    state: String,
    outcome: Value,
    answer: Value,
}

impl Decision {
    /// Reads an answer about an instruction.
    pub(crate) fn read(answer: &Value) -> Result<Self, Failure> {
        match (answer["id"].as_str(), answer["state"].as_str()) {
            (Some(id), Some(state)) if id.len() == 64 && id.bytes().all(|octet| octet.is_ascii_hexdigit()) => {
                Ok(Self { id: id.to_owned(), state: state.to_owned(), outcome: answer["outcome"].clone(), answer: answer.clone() })
            }
            _ => Err(Failure::other("the server did not say what became of the instruction")),
        }
    }

    /// Whether the CA is still to decide.
    pub(crate) fn is_waiting(&self) -> bool {
        self.state == "waiting"
    }

    /// Whether another administrator is still to approve.
    pub(crate) fn awaits_approval(&self) -> bool {
        self.state == "awaiting-approval"
    }

    /// A member of the outcome.
    pub(crate) fn outcome(&self, member: &str) -> &Value {
        &self.outcome[member]
    }

    /// Prints it: `text` is for people.
    pub(crate) fn print(&self, output: Output, text: impl FnOnce(&Self) -> String) -> Result<(), Failure> {
        output.print(&self.answer, |_| text(self))
    }
}

/// What an instruction did, in words.
pub(crate) fn told(decision: &Decision) -> String {
    if decision.is_waiting() {
        return format!("The CA has not decided on instruction {} yet.", decision.id);
    }
    if decision.awaits_approval() {
        return format!(
            "{} certificates would be changed: that needs a second administrator, who says within the time set\n\n  tsunagi mass approve {} \
             --as ANOTHER",
            decision.outcome("count"),
            decision.id
        );
    }
    if let Some(batch) = decision.outcome("batch").as_str() {
        return format!("Batch {batch} has begun: {} certificates. Follow it with  tsunagi mass show {batch}", decision.outcome("count"));
    }
    if let Some(command) = decision.outcome("command").as_str() {
        return format!("Command {command} is on its way to the phone; `tsunagi device show` tells what becomes of it.");
    }
    if let Some(schedule) = decision.outcome("schedule").as_str() {
        return format!("Schedule {schedule} will run at once.");
    }
    let changed: Vec<&Value> = decision.outcome("certificates").as_array().into_iter().flatten().collect();
    if changed.is_empty() {
        return format!("Done; nothing had to be changed.\n\ninstruction {}", decision.id);
    }
    let rows: Vec<Vec<String>> = changed
        .into_iter()
        .map(|one| ["kind", "serial", "change"].map(|member| one[member].as_str().unwrap_or_default().replace('-', " ")).to_vec())
        .collect();
    format!("{}\n\ninstruction {}", table(&["kind", "serial", "change"], &rows), decision.id)
}
