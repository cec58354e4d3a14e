//! `tsunagi schedule`

use ca_service::ScheduleName;
use clap::{Args, Subcommand};
use serde_json::json;

use crate::command::view::{list, word};
use crate::failure::Failure;
use crate::operator::{OperatorArguments, told};
use crate::output::{Output, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what is done regularly, when it last ran, and what came of it
    List(OperatorArguments),
    Run(Run),
}

/// Have one run now, out of turn
///
/// The CA process that leads runs it as soon as it can; `tsunagi schedule list` tells what came of it.
#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    operator: OperatorArguments,
    /// expire, hold-deadlines, second-looks, compare, retry-notices, retry-commands or test-certificates
    #[arg(value_name = "NAME")]
    schedule: ScheduleName,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::List(operator) => {
            let found = operator.client("administrator")?.look("/v1/schedules")?;
            output.print(&found["schedules"], |schedules| {
                let members = ["name", "expression", "last_started_at", "last_finished_at", "last_outcome", "requested_at"];
                let rows: Vec<_> = list(schedules).map(|one| members.map(|member| word(&one[member])).to_vec()).collect();
                table(&["name", "runs at (UTC)", "last began", "last ended", "what came of it", "asked for"], &rows)
            })
        }
        Command::Run(arguments) => {
            let client = arguments.operator.client("administrator")?;
            client.instruct(&json!({ "action": "run-schedule", "schedule": arguments.schedule.as_str() }))?.print(output, told)
        }
    }
}
