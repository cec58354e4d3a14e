//! `tsunagi device`

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::command::view::{certificate_rows, command_rows, device_rows, list};
use crate::command::{Ticket, public_id};
use crate::failure::Failure;
use crate::operator::{OperatorArguments, told};
use crate::output::{Output, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    List(List),
    /// Show a phone, its certificates and the commands to it
    Show(Show),
    /// Have a phone erase the keys of its certificates that have ended
    ///
    /// The command is signed, goes out by push, and is repeated until the phone confirms it or its time is up. It may never
    /// arrive. It changes no certificate: revoke them as well if that is what you want.
    Erase(Order),
    /// Have a phone lock its keys
    ///
    /// As with `device erase`, it may never arrive, and it changes no certificate: place a hold as well if that is what you want.
    Lock(Order),
}

/// List phones, oldest first
///
/// With --unerased only those that should have erased a key and have not confirmed it: off, out of reach, wiped by hand, or in
/// the wrong hands. Their certificates are revoked all the same.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    operator: OperatorArguments,
    /// Only those revoked but never erased
    #[arg(long)]
    unerased: bool,
    /// How many at most
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    operator: OperatorArguments,
    /// What the phone is called here: 32 hexadecimal digits
    #[arg(value_name = "DEVICE", value_parser = public_id)]
    device: String,
}

#[derive(Debug, Args)]
pub(crate) struct Order {
    #[command(flatten)]
    operator: OperatorArguments,
    #[command(flatten)]
    ticket: Ticket,
    /// What the phone is called here: 32 hexadecimal digits
    #[arg(value_name = "DEVICE", value_parser = public_id)]
    device: String,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list_devices(arguments, output),
        Command::Show(arguments) => {
            let found = arguments.operator.client("administrator")?.look(&format!("/v1/devices/{}", arguments.device))?;
            output.print(&found, text)
        }
        Command::Erase(order) => command_device("erase", order, output),
        Command::Lock(order) => command_device("lock", order, output),
    }
}

fn list_devices(arguments: &List, output: Output) -> Result<(), Failure> {
    let client = arguments.operator.client("administrator")?;
    let (mut devices, mut after) = (Vec::new(), String::new());
    while devices.len() < arguments.limit {
        let page = client.look(&format!("/v1/devices?unerased={}{after}", arguments.unerased))?;
        devices.extend(list(&page["devices"]).cloned());
        match page["next"].as_i64() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    devices.truncate(arguments.limit);
    output.print(&Value::Array(devices), |devices| match device_rows(devices) {
        (_, rows) if rows.is_empty() => "No phone.".to_owned(),
        (header, rows) => table(&header, &rows),
    })
}

fn text(found: &Value) -> String {
    let (header, device) = device_rows(&Value::Array(vec![found.clone()]));
    let mut text = table(&header, &device);
    let certificates = certificate_rows(&found["certificates"]);
    text.push_str(&format!("\n\n{}", table(&["kind", "serial", "state", "since", "reason", "until"], &certificates)));
    match command_rows(&found["commands"]) {
        (_, rows) if rows.is_empty() => text.push_str("\n\nIt was never commanded to do anything."),
        (header, rows) => text.push_str(&format!("\n\n{}", table(&header, &rows))),
    }
    text
}

fn command_device(action: &str, order: &Order, output: Output) -> Result<(), Failure> {
    let client = order.operator.client("administrator")?;
    let decision = client.instruct(&json!({ "action": action, "device": order.device, "ticket": order.ticket.text }))?;
    decision.print(output, told)
}
