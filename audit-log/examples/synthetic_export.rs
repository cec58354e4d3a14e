//! Writes an export of so many leaves, of a log that nobody kept, and prints the key to verify it with: to measure how long that takes.

use std::io::{Error, Result, Write as _};
use std::path::Path;

use audit_log::export::ExportFormat;
use audit_log::testing::{Chronicle, Dice, Exporter, Order, SyntheticLog};
use audit_log::{LogKey, Salt};
use chrono::DateTime;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, leaves, more @ ..] = arguments.as_slice() else {
        return Err(Error::other("synthetic_export DIRECTORY LEAVES [csv]"));
    };
    let leaves: u64 = leaves.parse().map_err(Error::other)?;
    let format = if more.first().is_some_and(|word| word == "csv") { ExportFormat::Csv } else { ExportFormat::Jsonl };
    let key = LogKey::generate("ca.example.test/log").map_err(Error::other)?;
    let verifier_key = key.verifier().vkey();
    let taken_at = DateTime::from_timestamp(1_735_689_600, 0).unwrap_or(DateTime::UNIX_EPOCH);
    let order = Order { from: 0, to: leaves, format, taken_at, previous: None, recipient: None };
    let (mut exporter, mut dice) = (Exporter::new(Path::new(directory), order)?, Dice::new(7));
    let events = Chronicle::new(1, key.origin(), &verifier_key).since(1_704_067_200_000);
    for (position, event) in (1..).zip(events).take(usize::try_from(leaves).map_err(Error::other)?) {
        exporter.add(&SyntheticLog::leaf(&event, position, Salt(dice.octets())), None)?;
    }
    exporter.finish(&key, &|_| String::new())?;
    writeln!(std::io::stdout(), "{verifier_key}")
}
