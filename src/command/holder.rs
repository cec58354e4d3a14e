//! `tsunagi holder`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::command::view::{certificate_rows, device_rows};
use crate::failure::Failure;
use crate::operator::OperatorArguments;
use crate::output::{Output, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Show(Show),
}

/// Show a holder's certificates and phones
///
/// Asks the running server, as an administrator or auditor. Whom the server does not know has none of either.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    operator: OperatorArguments,
    /// The back office's name for the holder
    #[arg(value_name = "HOLDER_ID")]
    holder: String,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    let Command::Show(arguments) = command;
    let client = arguments.operator.client("administrator")?;
    let found = client.ask("/v1/holders/show", &json!({ "holder_id": arguments.holder }))?;
    output.print(&found, text)
}

fn text(found: &Value) -> String {
    let certificates = certificate_rows(&found["certificates"]);
    if certificates.is_empty() {
        return "Nothing was ever issued to this holder.".to_owned();
    }
    let (header, rows) = device_rows(&found["devices"]);
    format!("{}\n\n{}", table(&["kind", "serial", "state", "since", "reason", "until"], &certificates), table(&header, &rows))
}
