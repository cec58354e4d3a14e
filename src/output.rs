//! Printing results: for people or for programs.

use std::io::Write as _;

use clap::ValueEnum;
use serde::Serialize;

use crate::failure::Failure;

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// One JSON value.
    Json,
}

impl Output {
    /// The environment variable that says it where the command line does not.
    pub(crate) const VARIABLE: &'static str = "TSUNAGI_OUTPUT";

    /// What was asked for, where the command line as a whole could not be read.
    pub(crate) fn asked_for() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let value = arguments.iter().enumerate().find_map(|(at, argument)| match argument.strip_prefix("--output") {
            Some("") => arguments.get(at + 1).cloned(),
            Some(rest) => rest.strip_prefix('=').map(str::to_owned),
            None => None,
        });
        let value = value.or_else(|| std::env::var(Self::VARIABLE).ok());
        if value.as_deref() == Some("json") { Self::Json } else { Self::Text }
    }

    /// Prints `result` as JSON, or what `text` makes of it.
    pub(crate) fn print<T: Serialize>(self, result: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        let printed = match self {
            Self::Text => text(result),
            Self::Json => serde_json::to_string_pretty(result).map_err(|error| Failure::other(error.to_string()))?,
        };
        let mut out = std::io::stdout().lock();
        // A reader that has seen enough (`| head`) is no failure.
        let _ = writeln!(out, "{}", printed.trim_end_matches('\n'));
        Ok(())
    }
}

/// A table with aligned columns; the last column is not padded.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([header[column].chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<String> = cells.zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&mut header.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines.join("\n")
}

/// `name  value` lines, aligned.
pub(crate) fn pairs(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let lines: Vec<String> = pairs.iter().map(|(name, value)| format!("{name:<width$}  {value}")).collect();
    lines.join("\n")
}

/// How many there are of something: `words` of one, and of any other number.
pub(crate) fn counted(count: u64, words: [&str; 2]) -> String {
    format!("{count} {}", words[usize::from(count != 1)])
}

/// A moment as RFC 3339 in UTC, to the second.
pub(crate) fn time(at: chrono::DateTime<chrono::Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
