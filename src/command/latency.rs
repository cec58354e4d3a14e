//! `tsunagi latency`

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::command::view::list;
use crate::failure::Failure;
use crate::operator::OperatorArguments;
use crate::output::{Output, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Show(Show),
}

/// Tell how long revocations took, from their commit until relying parties could learn of them
///
/// By OCSP: until an answer of the status service said so, asked as relying parties ask. By CRL: until a published list had it. Percentiles
/// are upper bounds, and count those that were given up. Test certificates are not counted.
#[derive(Debug, Args)]
#[command(after_help = "Example: tsunagi latency show --since 7d")]
pub(crate) struct Show {
    #[command(flatten)]
    operator: OperatorArguments,
    /// From when on: a time as RFC 3339 writes it, or so many hours (12h) or days (7d) ago
    #[arg(long, value_name = "WHEN", default_value = "24h", value_parser = since)]
    since: Since,
}

#[derive(Debug, Clone, Copy)]
enum Since {
    Ago(TimeDelta),
    Time(DateTime<Utc>),
}

fn since(text: &str) -> Result<Since, String> {
    let number = |digits: &str| digits.parse::<u16>().ok().filter(|number| *number > 0).map(i64::from);
    if let Some(hours) = text.strip_suffix('h').and_then(number) {
        return Ok(Since::Ago(TimeDelta::hours(hours)));
    }
    if let Some(days) = text.strip_suffix('d').and_then(number) {
        return Ok(Since::Ago(TimeDelta::days(days)));
    }
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|time| Since::Time(time.to_utc())).map_err(|_| "a time such as 2026-11-21T09:00:00Z, or 12h, or 7d".to_owned())
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    let Command::Show(arguments) = command;
    let from = match arguments.since {
        Since::Ago(ago) => Utc::now() - ago,
        Since::Time(time) => time,
    };
    let client = arguments.operator.client("administrator")?;
    let figures = client.look(&format!("/v1/latency?from={}", from.to_rfc3339_opts(SecondsFormat::Secs, true)))?;
    output.print(&figures, told)
}

fn told(figures: &Value) -> String {
    let mut rows = Vec::new();
    for stage in list(&figures["stages"]) {
        let name = stage["stage"].as_str().unwrap_or_default();
        rows.extend(list(&stage["hours"]).map(|hour| row(name, hour["hour"].as_str().unwrap_or_default(), hour)));
        rows.push(row(name, "in all", &stage["all"]));
    }
    table(&["by", "hour (UTC)", "count", "lost", "half within", "90 % within", "99 % within", "longest"], &rows)
}

fn row(stage: &str, hour: &str, figures: &Value) -> Vec<String> {
    let number = |member: &str| figures[member].as_u64().unwrap_or_default().to_string();
    let time = |member: &str| figures[member].as_u64().map_or_else(|| "-".to_owned(), duration);
    let times = ["p50_ms", "p90_ms", "p99_ms", "max_ms"].map(time);
    [stage.to_owned(), hour.to_owned(), number("count"), number("lost")].into_iter().chain(times).collect()
}

/// Milliseconds in words that are short and tell no more than is known.
fn duration(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..120_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!("{} min", milliseconds / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_or_so_long_ago() {
        assert!(matches!(since("12h"), Ok(Since::Ago(ago)) if ago == TimeDelta::hours(12)));
        assert!(matches!(since("7d"), Ok(Since::Ago(ago)) if ago == TimeDelta::days(7)));
        assert!(matches!(since("2026-11-21T09:00:00+09:00"), Ok(Since::Time(time)) if time.timestamp() == 1_795_219_200));
        for wrong in ["", "0h", "-1d", "12", "h", "yesterday"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let all = json!({"count": 3, "lost": 1, "p50_ms": 50, "p90_ms": 2_500, "max_ms": 180_000});
        let told = told(&json!({"stages": [{"stage": "ocsp", "all": all, "hours": []}]}));
        let last: Vec<&str> = told.lines().last().unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(last, ["ocsp", "in all", "3", "1", "50 ms", "2.5 s", "-", "3 min"]);
    }
}
