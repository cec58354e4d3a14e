//! `tsunagi mass`

use std::io::{IsTerminal as _, Write as _};

use ca_core::revocation::RevocationReason;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::command::instruction::asked;
use crate::command::view::word;
use crate::command::{Ticket, digest, permanent_reason};
use crate::failure::Failure;
use crate::operator::{OperatorArguments, OperatorClient, told};
use crate::output::{Output, pairs};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Revoke(Revoke),
    Hold(Hold),
    Approve(Approve),
    /// Show how far one has come
    Show(Show),
}

/// Which cards are meant, and whether it is meant.
#[derive(Debug, Args)]
pub(crate) struct Scope {
    #[command(flatten)]
    operator: OperatorArguments,
    #[command(flatten)]
    ticket: Ticket,
    /// The key identifier (hexadecimal) of the card CA's key
    #[arg(long, value_name = "KEY_ID", value_parser = hexadecimal)]
    card_issuer: String,
    /// Only the cards of one CRL distribution point: the SHA-256 (hexadecimal) of its directoryName in DER
    #[arg(long, value_name = "SHA256", value_parser = digest)]
    distribution_point: Option<String>,
    /// Only count
    #[arg(long, conflicts_with = "expected")]
    dry_run: bool,
    /// Go ahead without asking, if this is how many certificates there are
    #[arg(long, value_name = "COUNT")]
    expected: Option<u64>,
}

/// Revoke all certificates that hang on certain cards
///
/// The cards are all of one key of a card CA, or those of one municipality. First the certificates are counted, and you are asked. If there is another number of them when the CA begins, nothing is done.
/// Above a number in the settings (ca.mass.second_person_above) nothing is done either before another administrator approves.
/// What is revoked stays revoked.
///
/// No card is closed by this: if a card CA's key is out, first trust it no more, or new applications with its cards are accepted
/// afterwards. docs/operators.md says what to do, step by step.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: tsunagi mass revoke --card-issuer 5f9c… --reason cACompromise --ticket \"The card CA's key is out\" --dry-run"
)]
pub(crate) struct Revoke {
    #[command(flatten)]
    scope: Scope,
    /// Why, as RFC 5280 calls it
    #[arg(long, value_parser = permanent_reason)]
    reason: RevocationReason,
}

/// Place a hold on all certificates that hang on certain cards
///
/// The cards are all of one key of a card CA, or those of one municipality. Counted, confirmed and approved as `mass revoke`.
#[derive(Debug, Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    scope: Scope,
}

/// Approve another administrator's mass command
///
/// The two must be two persons: with different names and different keys.
#[derive(Debug, Args)]
pub(crate) struct Approve {
    #[command(flatten)]
    operator: OperatorArguments,
    /// What the instruction is called: 64 hexadecimal digits
    #[arg(value_name = "INSTRUCTION", value_parser = digest)]
    instruction: String,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    operator: OperatorArguments,
    /// What the batch is called
    #[arg(value_name = "BATCH")]
    batch: u64,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Revoke(arguments) => change(&arguments.scope, &json!({ "change": "revoke", "reason": arguments.reason.as_str() }), output),
        Command::Hold(arguments) => change(&arguments.scope, &json!({ "change": "hold" }), output),
        Command::Approve(arguments) => {
            let client = arguments.operator.client("administrator-2")?;
            // What is signed is shown first, as the server reads it in the first one's signed message.
            let first = client.look(&format!("/v1/instructions/{}", arguments.instruction))?;
            if first["mass"].is_null() {
                return Err(Failure::refused("this is no mass command, or one that the server cannot show any more: nothing was approved"));
            }
            if matches!(output, Output::Text) {
                eprint!("{}", asked(&first));
            }
            client.instruct(&json!({ "action": "approve", "instruction": arguments.instruction }))?.print(output, told)
        }
        Command::Show(arguments) => {
            let found = arguments.operator.client("administrator")?.look(&format!("/v1/batches/{}", arguments.batch))?;
            output.print(&found, progress)
        }
    }
}

fn change(arguments: &Scope, change: &Value, output: Output) -> Result<(), Failure> {
    let client = arguments.operator.client("administrator")?;
    let mut scope = json!({ "issuer_key_id": arguments.card_issuer });
    if let Some(point) = &arguments.distribution_point {
        scope["distribution_point_sha256"] = json!(point);
    }
    if arguments.dry_run {
        let counted = client.ask("/v1/mass/dry-run", &json!({ "scope": scope }))?;
        return output.print(&counted, |counted| format!("{} certificates live or are held on these cards.", counted["count"]));
    }
    let expected = match arguments.expected {
        Some(expected) => expected,
        None => confirm(&client, &scope, change)?,
    };
    let mut what = json!({ "action": "mass", "scope": scope, "expected": expected, "ticket": arguments.ticket.text });
    for member in ["change", "reason"] {
        if !change[member].is_null() {
            what[member] = change[member].clone();
        }
    }
    let decision = client.instruct(&what)?;
    decision.print(output, told)?;
    if decision.awaits_approval() {
        return Err(Failure::waiting("nothing is changed before another administrator approves"));
    }
    Ok(())
}

/// Counts, and asks whoever sits there to type the number.
fn confirm(client: &OperatorClient, scope: &Value, change: &Value) -> Result<u64, Failure> {
    let counted = client.ask("/v1/mass/dry-run", &json!({ "scope": scope }))?;
    let count = counted["count"].as_u64().ok_or_else(|| Failure::other("the server did not say how many certificates there are"))?;
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{count} certificates would be changed: confirm it with --expected {count}")));
    }
    eprint!("{} {count} certificates? Type the number to go ahead: ", if change["change"] == "revoke" { "Revoke" } else { "Hold" });
    let mut line = String::new();
    let answered = std::io::stderr().flush().and_then(|()| std::io::stdin().read_line(&mut line));
    answered.map_err(|error| Failure::other(error.to_string()))?;
    if line.trim() == count.to_string() { Ok(count) } else { Err(Failure::usage("not confirmed: nothing was done")) }
}

fn progress(batch: &Value) -> String {
    let members = [
        ("batch", "id"),
        ("state", "state"),
        ("change", "change"),
        ("reason", "reason"),
        ("cards done", "cards"),
        ("certificates changed", "changed"),
        ("began", "started_at"),
        ("ended", "finished_at"),
    ];
    let lines: Vec<_> =
        members.into_iter().filter(|(_, member)| !batch[*member].is_null()).map(|(name, member)| (name, word(&batch[member]))).collect();
    pairs(&lines)
}

fn hexadecimal(text: &str) -> Result<String, String> {
    let bare = text.replace(':', "").to_lowercase();
    match hex::decode(&bare) {
        Ok(octets) if (1..=64).contains(&octets.len()) => Ok(bare),
        _ => Err("1 to 64 octets in hexadecimal".to_owned()),
    }
}
