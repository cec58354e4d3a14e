//! `tsunagi certificate`

mod change;
mod history;

use ca_core::card::identity::KeyIdentifier;
use ca_core::kind::CertificateKind;
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use ca_core::signed_object::certificate_to_pem;
use clap::{Args, Subcommand};
use schema::certificate::{CertificateDetail, CertificateFilter, CertificateId, CertificateState, CertificateSummary};
use serde_json::{Value, json};

use super::SettingsArgument;
use crate::failure::Failure;
use crate::installation::open_store;
use crate::output::{Output, pairs, table, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List certificates, oldest first
    List(List),
    /// Show one certificate: what it is linked to, its status, and what happened to it
    Show(Show),
    Hold(change::Hold),
    Lift(change::Lift),
    Revoke(change::Revoke),
    History(history::History),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    settings: SettingsArgument,
    /// Only this kind: signature or authentication
    #[arg(long)]
    kind: Option<CertificateKind>,
    /// Only this state: live, held, revoked or expired
    #[arg(long)]
    state: Option<CertificateState>,
    /// Only this holder's
    #[arg(long, value_name = "HOLDER_ID")]
    holder: Option<String>,
    /// Only those linked to the card certificate with this serial number (hexadecimal); needs --card-issuer
    #[arg(long, value_name = "SERIAL", requires = "card_issuer")]
    card: Option<String>,
    /// The key identifier (hexadecimal) of the card certificate's issuer
    #[arg(long, value_name = "KEY_ID", requires = "card")]
    card_issuer: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only those after this one of the `id` column: for the next page
    #[arg(long, value_name = "ID")]
    after: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    settings: SettingsArgument,
    /// The serial number, in hexadecimal
    serial: String,
    /// Its kind, should both CAs have used that number
    #[arg(long)]
    kind: Option<CertificateKind>,
    /// Print the certificate itself, in PEM, and nothing else
    #[arg(long)]
    pem: bool,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list(arguments, output),
        Command::Show(arguments) => show(arguments, output),
        Command::Hold(arguments) => change::hold(arguments, output),
        Command::Lift(arguments) => change::lift(arguments, output),
        Command::Revoke(arguments) => change::revoke(arguments, output),
        Command::History(arguments) => history::run(arguments, output),
    }
}

fn list(arguments: &List, output: Output) -> Result<(), Failure> {
    let reader = open_store(&arguments.settings.load()?)?.reader();
    let card = match (&arguments.card_issuer, &arguments.card) {
        (Some(issuer), Some(serial)) => Some((key_identifier(issuer)?, serial_number(serial)?)),
        _ => None,
    };
    let filter = CertificateFilter { kind: arguments.kind, state: arguments.state, holder_id: arguments.holder.clone(), card };
    let found = reader.list_certificates(&filter, arguments.after.map(CertificateId), arguments.limit).map_err(Failure::store)?;
    let result: Vec<Value> = found.iter().map(summary).collect();
    output.print(&result, |_| {
        let rows: Vec<Vec<String>> = found
            .iter()
            .map(|one| {
                vec![
                    one.id.0.to_string(),
                    one.kind.to_string(),
                    one.serial.to_string(),
                    if one.is_test { format!("{} (test)", one.state.as_str()) } else { one.state.as_str().to_owned() },
                    time(one.not_before),
                    time(one.not_after),
                    one.holder_id.clone(),
                ]
            })
            .collect();
        table(&["id", "kind", "serial", "state", "from", "until", "holder"], &rows)
    })
}

fn show(arguments: &Show, output: Output) -> Result<(), Failure> {
    let reader = open_store(&arguments.settings.load()?)?.reader();
    let serial = serial_number(&arguments.serial)?;
    let detail = reader.certificate_detail(arguments.kind, &serial).map_err(Failure::store)?;
    let detail = detail.ok_or_else(|| Failure::not_found(format!("no certificate has the serial number {serial}")))?;
    let pem = certificate_to_pem(&detail.der).map_err(|error| Failure::other(error.to_string()))?;
    if arguments.pem {
        print!("{pem}");
        return Ok(());
    }
    let mut result = summary(&detail.summary);
    if let Value::Object(members) = &mut result {
        members.insert("application_id".into(), json!(detail.application_digest.to_string()));
        members.insert("policy_sha256".into(), json!(detail.policy_sha256.to_string()));
        members.insert("link".into(), link(&detail));
        members.insert("events".into(), detail.events.iter().map(event).collect());
        members.insert("certificate".into(), json!(pem));
    }
    output.print(&result, |_| story(&detail))
}

fn summary(one: &CertificateSummary) -> Value {
    json!({
        "id": one.id.0.to_string(),
        "kind": one.kind,
        "serial": one.serial.to_string(),
        "holder_id": one.holder_id,
        "state": one.state.as_str(),
        "revocation": one.revocation.map(revocation),
        "not_before": time(one.not_before),
        "not_after": time(one.not_after),
        "test": one.is_test,
    })
}

fn revocation(revocation: Revocation) -> Value {
    let mut told = json!({ "at": time(revocation.at), "reason": revocation.reason });
    if let Some(since) = revocation.invalidity {
        told["invalid_since"] = json!(time(since));
    }
    told
}

fn link(detail: &CertificateDetail) -> Value {
    let card = &detail.link.card;
    json!({
        "card_issuer_key_id": card.issuer_key_id.to_string(),
        "card_serial": card.serial.to_string(),
        "card_sha256": card.sha256.to_string(),
        "card_revocation": detail.link.card_revocation.map(revocation),
    })
}

fn event(event: &schema::Event) -> Value {
    json!({ "position": event.position.0.to_string(), "at": time(event.at), "kind": event.kind.as_str(), "data": event.data })
}

fn story(detail: &CertificateDetail) -> String {
    let one = &detail.summary;
    let ended = |revocation: Option<Revocation>| match revocation {
        Some(Revocation { at, reason, invalidity: None }) => format!("revoked at {}, {reason}", time(at)),
        Some(Revocation { at, reason, invalidity: Some(since) }) => {
            format!("revoked at {}, {reason}; invalid since {}", time(at), time(since))
        }
        None => "not revoked".to_owned(),
    };
    let card = &detail.link.card;
    let facts = pairs(&[
        ("kind", one.kind.to_string()),
        ("serial", one.serial.to_string()),
        ("state", one.state.as_str().to_owned()),
        ("revocation", ended(one.revocation)),
        ("valid", format!("{} to {}", time(one.not_before), time(one.not_after))),
        ("holder", one.holder_id.clone()),
        ("linked card certificate", format!("{} of issuer key {}", card.serial, card.issuer_key_id)),
        ("its SHA-256", card.sha256.to_string()),
        ("its status", ended(detail.link.card_revocation)),
        ("application", detail.application_digest.to_string()),
        ("policy SHA-256", detail.policy_sha256.to_string()),
    ]);
    let events: Vec<String> =
        detail.events.iter().map(|event| format!("  {}  {}  {}", time(event.at), event.kind.as_str(), event.data)).collect();
    format!("{facts}\n\nWhat happened:\n{}", events.join("\n"))
}

/// For clap: a serial number of the command line.
fn serial_argument(text: &str) -> Result<SerialNumber, String> {
    serial_number(text).map_err(|failure| failure.to_string())
}

fn serial_number(text: &str) -> Result<SerialNumber, Failure> {
    // As openssl prints them, with or without colons.
    SerialNumber::from_hex(&text.replace(':', "")).map_err(|error| Failure::not_found(format!("{text:?}: {error}")))
}

fn key_identifier(text: &str) -> Result<KeyIdentifier, Failure> {
    let octets = hex::decode(text.replace(':', "")).ok().and_then(KeyIdentifier::new);
    octets.ok_or_else(|| Failure::not_found(format!("{text:?}: not a key identifier in hexadecimal")))
}
