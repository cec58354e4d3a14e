//! `tsunagi audit`

mod export;
mod lifecycle;
mod list;
mod report;
mod search;
mod verify;

use chrono::{DateTime, NaiveDate, Utc};
use clap::Subcommand;

use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Export(export::Export),
    List(list::List),
    Report(report::Report),
    Search(search::Search),
    Verify(Box<verify::Verify>),
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Export(arguments) => export::run(arguments, output),
        Command::List(arguments) => list::run(arguments, output),
        Command::Report(arguments) => report::run(arguments, output),
        Command::Search(arguments) => search::run(arguments, output),
        Command::Verify(arguments) => verify::run(arguments, output),
    }
}

/// A moment in RFC 3339, or a day, which begins at midnight in UTC.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0).map(|midnight| midnight.and_utc());
    let moment = DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc());
    moment.or_else(day).ok_or_else(|| "a moment such as 2026-11-21T09:30:00Z, or a day such as 2026-11-21".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_days_or_rfc_3339() {
        let midnight = Ok("2026-11-21T00:00:00Z".parse().unwrap());
        assert_eq!(moment("2026-11-21"), midnight);
        assert_eq!(moment("2026-11-21T09:00:00+09:00"), midnight);
        assert!(moment("21.11.2026").is_err() && moment("2026-11-31").is_err());
    }
}
