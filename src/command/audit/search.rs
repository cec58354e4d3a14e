//! `tsunagi audit search`

use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use super::moment;
use crate::command::view::{list, word};
use crate::failure::Failure;
use crate::operator::OperatorArguments;
use crate::output::{Output, table};

/// Events asked for in one exchange at most.
const PAGE: usize = 1_000;

/// Search the log: by certificate, holder, operator, time and kind of event, as far as they are given
///
/// The server puts the question on record before it answers. What is asked for together must hold together.
#[derive(Debug, Args)]
pub(crate) struct Search {
    #[command(flatten)]
    operator: OperatorArguments,
    /// About the certificate of this serial number (hexadecimal), its application, and the instructions that changed it
    #[arg(long, value_name = "SERIAL", value_parser = serial)]
    certificate: Option<SerialNumber>,
    /// The certificate's kind, should both CAs have used that number
    #[arg(long, value_name = "KIND", requires = "certificate")]
    certificate_kind: Option<CertificateKind>,
    /// About all certificates of this holder, by the back office's name for the holder
    #[arg(long, value_name = "HOLDER")]
    holder: Option<String>,
    /// That this operator is behind
    #[arg(long = "operator", value_name = "NAME")]
    by_operator: Option<String>,
    /// Of this time and later: RFC 3339, or a day
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<DateTime<Utc>>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<DateTime<Utc>>,
    /// Of this kind, such as certificate.issued; may be given several times
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Why it is asked, for the record
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// How many at most
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Go on where an earlier answer said
    #[arg(long, value_name = "POSITION")]
    after: Option<i64>,
    /// How it is printed; --output json prints JSON
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// Comma-separated values, with a header
    Csv,
}

fn serial(text: &str) -> Result<SerialNumber, String> {
    SerialNumber::from_hex(text).map_err(|error| error.to_string())
}

pub(super) fn run(arguments: &Search, output: Output) -> Result<(), Failure> {
    let client = arguments.operator.client("auditor")?;
    let limit = usize::try_from(arguments.limit).unwrap_or(usize::MAX);
    let (mut events, mut after) = (Vec::new(), arguments.after);
    loop {
        let page = client.ask("/v1/audit/search", &arguments.question(after, PAGE.min(limit - events.len())))?;
        events.extend(list(&page["events"]).cloned());
        after = page["next"].as_i64();
        if after.is_none() || events.len() >= limit {
            break;
        }
    }
    let found = json!({"events": events, "next": after});
    output.print(&found, |found| match arguments.format {
        Format::Table => text(found),
        Format::Csv => csv(found),
    })?;
    // The rows alone would look like everything there is.
    if let (Some(next), Format::Csv, Output::Text) = (after, arguments.format, output) {
        eprintln!("tsunagi: there is more: --after {next}, or a larger --limit");
    }
    Ok(())
}

impl Search {
    fn question(&self, after: Option<i64>, limit: usize) -> Value {
        let time = |time: DateTime<Utc>| Value::from(time.to_rfc3339_opts(SecondsFormat::Millis, true));
        let certificate = self.certificate.as_ref().map(|serial| match self.certificate_kind {
            Some(kind) => json!({"serial": serial.to_string(), "kind": kind}),
            None => json!({"serial": serial.to_string()}),
        });
        let members = [
            ("certificate", certificate),
            ("holder_id", self.holder.clone().map(Value::from)),
            ("operator", self.by_operator.clone().map(Value::from)),
            ("from", self.from.map(time)),
            ("to", self.to.map(time)),
            ("kinds", (!self.kinds.is_empty()).then(|| json!(self.kinds))),
            ("purpose", self.purpose.clone().map(Value::from)),
            ("after", after.map(Value::from)),
            ("limit", Some(json!(limit))),
        ];
        Value::Object(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect::<Map<_, _>>())
    }
}

fn text(found: &Value) -> String {
    let rows: Vec<Vec<String>> = list(&found["events"]).map(row).collect();
    if rows.is_empty() {
        return "Nothing was found.".to_owned();
    }
    let mut text = table(&["at", "leaf", "kind", "certificate", "application", "by", "data"], &rows);
    if let Some(next) = found["next"].as_i64() {
        text.push_str(&format!("\n\nThere is more: --after {next}"));
    }
    text
}

fn row(event: &Value) -> Vec<String> {
    let mut data = event["data"].clone();
    let by = data.as_object_mut().and_then(|data| data.remove("by")).unwrap_or_default();
    let by =
        by["operator"].as_str().map_or_else(|| by.as_object().and_then(|by| by.keys().next().cloned()).unwrap_or_default(), str::to_owned);
    let facts: Vec<String> = data.as_object().into_iter().flatten().map(|(name, value)| format!("{name}={}", word(value))).collect();
    let number = |name: &str| event[name].as_i64().map_or_else(|| "-".to_owned(), |number| number.to_string());
    vec![word(&event["at"]), number("leaf"), word(&event["kind"]), number("certificate"), number("application"), by, facts.join(" ")]
}

/// RFC 4180; the data, which alone may hold commas, quoted.
fn csv(found: &Value) -> String {
    let mut text = "leaf,position,at,kind,certificate,application,data\r\n".to_owned();
    for event in list(&found["events"]) {
        let number = |name: &str| event[name].as_i64().map_or_else(String::new, |number| number.to_string());
        let data = event["data"].to_string().replace('"', "\"\"");
        let (at, kind) = (event["at"].as_str().unwrap_or_default().to_owned(), word(&event["kind"]));
        let columns = [number("leaf"), number("position"), at, kind, number("certificate"), number("application"), format!("\"{data}\"")];
        text.push_str(&columns.join(","));
        text.push_str("\r\n");
    }
    text
}
