//! `tsunagi instruction`

use clap::{Args, Subcommand};

use crate::command::digest;
use crate::failure::Failure;
use crate::operator::{Decision, OperatorArguments, told};
use crate::output::Output;

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
    Decision::read(&answer)?.print(output, told)
}
