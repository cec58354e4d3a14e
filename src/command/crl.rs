//! `tsunagi crl`

use std::io::Write as _;
use std::path::PathBuf;

use ca_core::chain::Chain;
use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKey;
use ca_core::kind::CertificateKind;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use crl_publisher::read_back::ReadBack;
use crl_publisher::shelf::label;
use schema::crl::{CrlFailure, PublishedCrl};
use schema::{Reader, StoreFault};
use serde_json::{Value, json};

use super::SettingsArgument;
use crate::failure::Failure;
use crate::installation::{open_store, read_named};
use crate::output::{Output, pairs, table, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the CRLs in force, or one in a file, and why the next one is late if it is
    Show(Show),
    /// List the CRLs that are kept for download, in force and earlier ones
    List(List),
    /// Write a CRL to a file, in DER
    Get(Get),
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    settings: SettingsArgument,
    /// Only the CRLs for this kind: signature or authentication
    #[arg(long, conflicts_with = "file")]
    kind: Option<CertificateKind>,
    /// Only this CRL, named as in its address: signature-1, or signature-1-17 for a shard
    #[arg(value_name = "CRL", conflicts_with = "file")]
    label: Option<String>,
    /// List the entries, too
    #[arg(long)]
    entries: bool,
    /// A CRL in DER, instead of the store's; its signature is not checked
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    settings: SettingsArgument,
    /// Only the CRLs for this kind: signature or authentication
    #[arg(long)]
    kind: Option<CertificateKind>,
    /// Only this CRL, named as in its address: signature-1, or signature-1-17 for a shard
    #[arg(value_name = "CRL")]
    label: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    settings: SettingsArgument,
    /// Which one, named as in its address: signature-1, or signature-1-17 for a shard
    #[arg(value_name = "CRL")]
    label: String,
    /// An earlier one; without it, the one in force
    #[arg(long, value_name = "NUMBER")]
    number: Option<u64>,
    /// Where to write it; - is the standard output
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Show(arguments) => show(arguments, output),
        Command::List(arguments) => list(arguments, output),
        Command::Get(arguments) => get(arguments, output),
    }
}

fn show(arguments: &Show, output: Output) -> Result<(), Failure> {
    let shown = match &arguments.file {
        Some(path) => vec![Shown::read(&path.display().to_string(), &read_named(path)?, arguments.entries)?],
        None => {
            let reader = open_store(&arguments.settings.load()?)?.reader();
            let scopes = scopes(&reader, arguments.kind, arguments.label.as_deref())?;
            scopes.iter().map(|scope| Shown::of(&reader, scope, arguments.entries)).collect::<Result<Vec<_>, _>>()?
        }
    };
    let result: Vec<Value> = shown.iter().map(Shown::json).collect();
    output.print(&result, |_| {
        let texts: Vec<String> = shown.iter().map(Shown::text).collect();
        if texts.is_empty() { "No CRL has been published yet.".to_owned() } else { texts.join("\n\n") }
    })
}

fn list(arguments: &List, output: Output) -> Result<(), Failure> {
    let reader = open_store(&arguments.settings.load()?)?.reader();
    let (mut rows, mut result) = (Vec::new(), Vec::new());
    for scope in scopes(&reader, arguments.kind, arguments.label.as_deref())? {
        for list in reader.crls_kept(scope.ca_key.id(), scope.shard).map_err(Failure::store)? {
            rows.push(vec![
                scope.label.clone(),
                list.number.to_string(),
                time(list.this_update),
                time(list.next_update),
                list.entries.to_string(),
                list.octets.to_string(),
                list.cause.as_str().to_owned(),
            ]);
            result.push(facts(&scope.label, &list));
        }
    }
    output.print(&result, |_| {
        if rows.is_empty() {
            return "No CRL has been published yet.".to_owned();
        }
        table(&["CRL", "number", "this update", "next update", "entries", "octets", "made for"], &rows)
    })
}

fn get(arguments: &Get, output: Output) -> Result<(), Failure> {
    let reader = open_store(&arguments.settings.load()?)?.reader();
    let found = scopes(&reader, None, Some(&arguments.label))?.into_iter().next();
    let scope = found.ok_or_else(|| Failure::not_found(format!("{}: there is no such CRL", arguments.label)))?;
    let list = match arguments.number {
        Some(number) => reader.crl_in(scope.ca_key.id(), scope.shard, number),
        None => reader.latest_crl_in(scope.ca_key.id(), scope.shard),
    };
    let missing = || Failure::not_found(format!("{}: there is no such list, or it is no longer kept", arguments.label));
    let list = list.map_err(Failure::store)?.ok_or_else(missing)?;
    let der = octets(&reader, &list)?;
    if der.is_empty() {
        return Err(missing());
    }
    if arguments.out.as_os_str() == "-" {
        return std::io::stdout().write_all(&der).map_err(|error| Failure::other(error.to_string()));
    }
    let path = arguments.out.display().to_string();
    std::fs::write(&arguments.out, &der).map_err(|error| Failure::other(format!("{path}: {error}")))?;
    let result = facts(&scope.label, &list);
    output.print(&result, |_| format!("{path}: number {} of {}, {} octets", list.number, scope.label, list.octets))
}

/// What a CRL covers, and its name.
struct Scope {
    ca_key: CaKey,
    shard: u16,
    label: String,
}

fn scopes(reader: &Reader, kind: Option<CertificateKind>, asked: Option<&str>) -> Result<Vec<Scope>, Failure> {
    let ca_keys = reader.ca_keys().map_err(Failure::store)?;
    let mut scopes = Vec::new();
    for scope in reader.crl_scopes().map_err(Failure::store)? {
        let Some(ca_key) = ca_keys.iter().find(|ca_key| ca_key.id() == scope.ca_key) else { continue };
        let label = label(ca_key, scope.shard);
        if kind.is_none_or(|kind| kind == ca_key.kind()) && asked.is_none_or(|asked| asked == label) {
            scopes.push(Scope { ca_key: ca_key.clone(), shard: scope.shard, label });
        }
    }
    match asked {
        Some(asked) if scopes.is_empty() => Err(Failure::not_found(format!("{asked}: there is no such CRL"))),
        _ => Ok(scopes),
    }
}

/// The whole list, checked.
fn octets(reader: &Reader, list: &PublishedCrl) -> Result<Vec<u8>, Failure> {
    let mut der = Vec::new();
    let take = |chunk: &[u8]| -> Result<(), StoreFault> {
        der.extend_from_slice(chunk);
        Ok(())
    };
    reader.crl_chunks(list.ca_key, list.number, take).map_err(Failure::store)?;
    if !der.is_empty() && Sha256Digest::of(&der) != list.sha256 {
        return Err(Failure::other(format!("number {} is not in the store as it was published", list.number)));
    }
    Ok(der)
}

fn facts(label: &str, list: &PublishedCrl) -> Value {
    json!({
        "crl": label,
        "number": list.number.to_string(),
        "this_update": time(list.this_update),
        "next_update": time(list.next_update),
        "octets": list.octets,
        "count": list.entries,
        "sha256": list.sha256.to_string(),
        "cause": list.cause.as_str(),
        "position": list.event_position.0,
    })
}

/// What is shown of a CRL.
struct Shown {
    label: String,
    facts: Value,
    lines: Vec<(&'static str, String)>,
    failure: Option<CrlFailure>,
    entries: Option<Vec<(String, DateTime<Utc>, String)>>,
}

impl Shown {
    /// The list in force of a scope.
    fn of(reader: &Reader, scope: &Scope, with_entries: bool) -> Result<Self, Failure> {
        let latest = reader.latest_crl_in(scope.ca_key.id(), scope.shard).map_err(Failure::store)?;
        let failure = reader.crl_failure(scope.ca_key.id(), scope.shard).map_err(Failure::store)?;
        let address = scope.ca_key.distribution_point(scope.shard).url;
        let Some(list) = latest else {
            let facts = json!({ "crl": scope.label, "url": address, "number": null });
            let lines = vec![("address", address), ("number", "none is published yet".to_owned())];
            return Ok(Self { label: scope.label.clone(), facts, lines, failure, entries: None });
        };
        let mut facts = facts(&scope.label, &list);
        facts["url"] = json!(address);
        let lines = vec![
            ("address", address),
            ("number", list.number.to_string()),
            ("this update", time(list.this_update)),
            ("next update", time(list.next_update)),
            ("octets", list.octets.to_string()),
            ("entries", list.entries.to_string()),
            ("made for", list.cause.as_str().to_owned()),
            ("SHA-256", list.sha256.to_string()),
        ];
        let entries = if with_entries { Some(entries(&scope.label, &octets(reader, &list)?)?.1) } else { None };
        Ok(Self { label: scope.label.clone(), facts, lines, failure, entries })
    }

    /// A list in a file.
    fn read(label: &str, der: &[u8], with_entries: bool) -> Result<Self, Failure> {
        let (mut facts, entries) = entries(label, der)?;
        facts["octets"] = json!(der.len());
        facts["count"] = json!(entries.len());
        let text = |key: &str| facts[key].as_str().unwrap_or_default().to_owned();
        let lines = vec![
            ("number", text("number")),
            ("this update", text("this_update")),
            ("next update", text("next_update")),
            ("octets", der.len().to_string()),
            ("entries", entries.len().to_string()),
        ];
        Ok(Self { label: label.to_owned(), lines, facts, failure: None, entries: Some(entries).filter(|_| with_entries) })
    }

    fn json(&self) -> Value {
        let mut value = self.facts.clone();
        if let Some(CrlFailure { number, at, reason }) = &self.failure {
            value["failure"] = json!({ "number": number.to_string(), "at": time(*at), "reason": reason });
        }
        if let Some(entries) = &self.entries {
            let entry = |(serial, at, reason): &(String, DateTime<Utc>, String)| json!({"serial": serial, "revoked_at": time(*at), "reason": reason});
            value["entries"] = entries.iter().map(entry).collect();
        }
        value
    }

    fn text(&self) -> String {
        let mut lines = vec![("CRL", self.label.clone())];
        lines.extend(self.lines.iter().cloned());
        if let Some(CrlFailure { number, at, reason }) = &self.failure {
            lines.push(("failed", format!("number {number}, at {}: {reason}", time(*at))));
        }
        let facts = pairs(&lines);
        let Some(entries) = self.entries.as_ref().filter(|entries| !entries.is_empty()) else { return facts };
        let rows: Vec<Vec<String>> = entries.iter().map(|(serial, at, reason)| vec![serial.clone(), time(*at), reason.clone()]).collect();
        format!("{facts}\n\n{}", table(&["serial", "revoked at", "reason"], &rows))
    }
}

type Entries = Vec<(String, DateTime<Utc>, String)>;

/// What a list says, and its entries.
fn entries(label: &str, der: &[u8]) -> Result<(Value, Entries), Failure> {
    let unreadable = |fault| Failure::refused(format!("{label}: not a CRL in DER: {}", Chain(&fault)));
    let mut list = ReadBack::begin(der).map_err(unreadable)?;
    let (this_update, next_update) = (list.head().this_update, list.head().next_update);
    let mut entries = Vec::new();
    while let Some(entry) = list.next_entry().map_err(unreadable)? {
        entries.push((entry.serial.to_string(), entry.revocation.at, entry.revocation.reason.to_string()));
    }
    let number = list.finish().map_err(unreadable)?.number().map_or_else(|| "none".to_owned(), |number| number.to_string());
    let facts = json!({ "crl": label, "number": number, "this_update": time(this_update), "next_update": time(next_update) });
    Ok((facts, entries))
}
