//! `tsunagi instruction`

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::command::digest;
use crate::command::view::word;
use crate::failure::Failure;
use crate::operator::{Decision, OperatorArguments, told};
use crate::output::{Output, pairs};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Show(Show),
}

/// Show what became of a signed instruction
///
/// For one on which the CA had not decided in time, or which waits for a second administrator. One that was refused ends this
/// command with its refusal.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    operator: OperatorArguments,
    /// What the instruction is called: 64 hexadecimal digits
    #[arg(value_name = "INSTRUCTION", value_parser = digest)]
    id: String,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    let Command::Show(arguments) = command;
    let answer = arguments.operator.client("administrator")?.look(&format!("/v1/instructions/{}", arguments.id))?;
    Decision::read(&answer)?.print(output, |decision| format!("{}{}", asked(&answer), told(decision)))
}

/// Who asked for what, and who approved it.
pub(crate) fn asked(answer: &Value) -> String {
    let signer = |by: &Value| by["name"].as_str().map(|name| format!("{name} ({})", word(&by["role"])));
    let mut lines: Vec<(&str, String)> = signer(&answer["signed_by"]).map(|by| ("signed by", by)).into_iter().collect();
    let members = [
        ("change", "change"),
        ("reason", "reason"),
        ("card CA's key", "issuer_key_id"),
        ("distribution point", "distribution_point_sha256"),
        ("certificates expected", "expected"),
        ("ticket", "ticket"),
    ];
    let mass = &answer["mass"];
    lines.extend(members.into_iter().filter(|(_, member)| !mass[*member].is_null()).map(|(name, member)| (name, word(&mass[member]))));
    lines.extend(signer(&answer["approved_by"]).map(|by| ("approved by", by)));
    if lines.is_empty() {
        String::new()
    } else {
        format!(
            "{}

",
            pairs(&lines)
        )
    }
}
