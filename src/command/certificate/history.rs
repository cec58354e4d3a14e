//! `tsunagi certificate history`

use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use clap::Args;
use serde_json::Value;

use super::serial_argument;
use crate::command::view::{command_rows, list, word};
use crate::failure::Failure;
use crate::operator::OperatorArguments;
use crate::output::{Output, pairs, table};

/// Tell a certificate's life: what happened, when, by whom, why, and on what evidence
///
/// Asks the running server, as an administrator or auditor. What operators wrote comes out of the instructions that they signed.
#[derive(Debug, Args)]
pub(crate) struct History {
    #[command(flatten)]
    operator: OperatorArguments,
    /// The serial number, in hexadecimal
    #[arg(value_name = "SERIAL", value_parser = serial_argument)]
    serial: SerialNumber,
    /// Its kind, should both CAs have used that number
    #[arg(long)]
    kind: Option<CertificateKind>,
}

pub(super) fn run(arguments: &History, output: Output) -> Result<(), Failure> {
    let client = arguments.operator.client("administrator")?;
    let kind = arguments.kind.map_or_else(String::new, |kind| format!("?kind={kind}"));
    let history = client.look(&format!("/v1/certificates/{}/history{kind}", arguments.serial))?;
    output.print(&history, story)
}

fn story(history: &Value) -> String {
    let certificate = &history["certificate"];
    let mut facts = vec![
        ("certificate", format!("{} {}", word(&certificate["kind"]), word(&certificate["serial"]))),
        ("state", standing(certificate)),
        ("valid", format!("{} to {}", word(&certificate["not_before"]), word(&certificate["not_after"]))),
    ];
    if !history["device"].is_null() {
        let device = &history["device"];
        facts.push(("phone", format!("{}: {}, {}", word(&device["device"]), word(&device["model"]), word(&device["platform"]))));
    }
    for hold in list(&history["holds"]) {
        facts.push(("hold that stands", format!("{} since {}", word(&hold["cause"]), word(&hold["since"]))));
    }
    facts.extend([
        ("linked card certificate", format!("SHA-256 {}", word(&history["card"]))),
        ("application", word(&history["application"])),
        ("profile", format!("SHA-256 {}", word(&history["policy"]))),
    ]);
    let chapters: Vec<String> = list(&history["story"]).map(chapter).collect();
    let mut text = format!("{}\n\n{}", pairs(&facts), chapters.join("\n"));
    if let (header, rows @ [_, ..]) = (command_rows(&history["commands"]).0, &command_rows(&history["commands"]).1[..]) {
        text.push_str(&format!("\n\nWhat the phones were told:\n{}", table(&header, rows)));
    }
    text
}

fn standing(certificate: &Value) -> String {
    let state = word(&certificate["state"]);
    if certificate["revoked_at"].is_null() {
        return state;
    }
    format!("{state} since {}, {}{}", word(&certificate["revoked_at"]), word(&certificate["reason"]), invalid_since(certificate))
}

/// With what somebody said of it, if so.
fn invalid_since(told: &Value) -> String {
    told["invalid_since"].as_str().map_or_else(String::new, |since| format!("; invalid since {since}"))
}

/// One thing that happened: when, what, by whom and why; below it what was written and what it rests on.
fn chapter(entry: &Value) -> String {
    let at = word(&entry["at"]);
    let mut sentence = what(entry["what"].as_str().unwrap_or_default());
    if let Some(by) = by(entry) {
        sentence.push_str(&format!(", {by}"));
    }
    if let Some(why) = entry["why"].as_str() {
        sentence.push_str(&format!(": {why}"));
    }
    sentence.push_str(&invalid_since(entry));
    let mut lines = vec![format!("{at}  {sentence}")];
    let indent = " ".repeat(at.chars().count() + 2);
    if let Some(ticket) = entry["ticket"].as_str() {
        lines.push(format!("{indent}“{ticket}”"));
    }
    for (kind, id) in entry["evidence"].as_object().into_iter().flatten() {
        lines.push(format!("{indent}{} {}", kind.replace('_', " "), word(id)));
    }
    lines.join("\n")
}

fn what(kind: &str) -> String {
    match kind {
        "application.accepted" => "The application was accepted",
        "application.issued" => "The application was decided: issued",
        "certificate.issued" => "Issued",
        "certificate.held" => "Put on hold",
        "certificate.hold_added" => "Held for one more cause",
        "certificate.hold_lifted" => "One cause of its hold was lifted; others stand",
        "certificate.released" => "Released from hold: live again",
        "certificate.revoked" => "Revoked",
        "certificate.expired" => "Found to have come to its end",
        "device.added" => "The phone was added",
        "device_command.created" => "The phone was commanded",
        "device_command.sent" => "The command was handed to the push service",
        "device_command.confirmed" => "The phone confirmed the command, with its own key",
        "device_command.claimed" => "Somebody says that the phone carried out the command",
        "device_command.failed" => "The command failed",
        "device_command.expired" => "The command came to its end with nobody heard",
        other => other,
    }
    .to_owned()
}

fn by(entry: &Value) -> Option<String> {
    let by = &entry["by"];
    Some(match by["who"].as_str()? {
        "operator" => format!("by {} ({})", word(&by["name"]), word(&by["role"])),
        "holder-phone" => "by the holder, with the phone".to_owned(),
        "holder-card" => "by the holder, with the card".to_owned(),
        "card" => because(entry["card_change"].as_str().unwrap_or_default()).to_owned(),
        "schedule" => format!("by the schedule {}", word(&by["name"])),
        "key-report" => "by somebody who proved to have the private key".to_owned(),
        "issuance" => "because another certificate takes its place".to_owned(),
        "reconciliation" => "because a published CRL told it, after the store had been restored".to_owned(),
        other => format!("by {other}"),
    })
}

fn because(card_change: &str) -> &'static str {
    match card_change {
        "revoked" => "because the card certificate was revoked",
        "held" => "because the card certificate was put on hold",
        "released" => "because the card certificate was released from hold",
        "renewed" => "because the card certificate was renewed",
        "expired" => "because the card certificate expired",
        "record_changed" => "because the holder's record changed",
        "died" => "because the holder died",
        "emigrated" => "because the holder emigrated",
        "record_error" => "because of an error in the holder's record",
        _ => "because of what happened to the card certificate",
    }
}
