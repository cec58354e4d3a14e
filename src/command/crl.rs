//! `tsunagi crl`

use std::path::PathBuf;

use ca_core::kind::CertificateKind;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use crl_publisher::before::read_back::ReadBack;
use serde_json::{Value, json};

use super::SettingsArgument;
use crate::failure::Failure;
use crate::installation::{open_store, read_named};
use crate::output::{Output, pairs, table, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show the CRLs in force, or one in a file
    Show(Show),
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    settings: SettingsArgument,
    /// Only the CRLs for this kind: signature or authentication
    #[arg(long, conflicts_with = "file")]
    kind: Option<CertificateKind>,
    /// List the entries, too
    #[arg(long)]
    entries: bool,
    /// A CRL in DER, instead of the store's; its signature is not checked
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    let Command::Show(arguments) = command;
    let crls = match &arguments.file {
        Some(path) => vec![(path.display().to_string(), read_named(path)?)],
        None => stored(arguments)?,
    };
    let shown = crls.iter().map(|(label, der)| Shown::read(label, der)).collect::<Result<Vec<_>, _>>()?;
    let result: Vec<Value> = shown.iter().map(|crl| crl.json(arguments.entries)).collect();
    output.print(&result, |_| {
        let texts: Vec<String> = shown.iter().map(|crl| crl.text(arguments.entries)).collect();
        if texts.is_empty() { "No CRL has been published yet.".to_owned() } else { texts.join("\n\n") }
    })
}

fn stored(arguments: &Show) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let reader = open_store(&arguments.settings.load()?)?.reader();
    let mut crls = Vec::new();
    for ca_key in reader.ca_keys().map_err(Failure::store)? {
        if arguments.kind.is_some_and(|kind| kind != ca_key.kind()) {
            continue;
        }
        if let Some(crl) = reader.latest_crl(ca_key.id()).map_err(Failure::store)? {
            crls.push((ca_key.label(), crl.der));
        }
    }
    Ok(crls)
}

/// What is shown of a CRL.
struct Shown {
    label: String,
    number: String,
    this_update: DateTime<Utc>,
    next_update: DateTime<Utc>,
    octets: usize,
    entries: Vec<(String, DateTime<Utc>, String)>,
}

impl Shown {
    fn read(label: &str, der: &[u8]) -> Result<Self, Failure> {
        let unreadable = || Failure::refused(format!("{label}: not a CRL in DER"));
        let crl = ReadBack::from_der(der).map_err(|_| unreadable())?;
        let mut entries = Vec::new();
        for entry in crl.entries() {
            let entry = entry.map_err(|_| unreadable())?;
            let (Some(serial), Some(revocation)) = (entry.serial(), entry.revocation()) else { return Err(unreadable()) };
            entries.push((serial.to_string(), revocation.at, revocation.reason.to_string()));
        }
        let number = crl.number().map_or_else(|| "none".to_owned(), |number| number.to_string());
        Ok(Self { label: label.to_owned(), number, this_update: crl.this_update, next_update: crl.next_update, octets: der.len(), entries })
    }

    fn json(&self, with_entries: bool) -> Value {
        let mut value = json!({
            "crl": self.label,
            "number": self.number,
            "this_update": time(self.this_update),
            "next_update": time(self.next_update),
            "octets": self.octets,
            "count": self.entries.len(),
        });
        if with_entries && let Value::Object(members) = &mut value {
            let entry = |(serial, at, reason): &(String, DateTime<Utc>, String)| json!({"serial": serial, "revoked_at": time(*at), "reason": reason});
            members.insert("entries".into(), self.entries.iter().map(entry).collect());
        }
        value
    }

    fn text(&self, with_entries: bool) -> String {
        let facts = pairs(&[
            ("CRL", self.label.clone()),
            ("number", self.number.clone()),
            ("this update", time(self.this_update)),
            ("next update", time(self.next_update)),
            ("octets", self.octets.to_string()),
            ("entries", self.entries.len().to_string()),
        ]);
        if !with_entries || self.entries.is_empty() {
            return facts;
        }
        let rows: Vec<Vec<String>> =
            self.entries.iter().map(|(serial, at, reason)| vec![serial.clone(), time(*at), reason.clone()]).collect();
        format!("{facts}\n\n{}", table(&["serial", "revoked at", "reason"], &rows))
    }
}
