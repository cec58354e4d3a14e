//! `tsunagi card-event`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use ca_core::card::identity::KeyIdentifier;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use schema::card_event::{CardChange, CardChangeKind};
use serde_json::json;

use crate::failure::Failure;
use crate::operator::OperatorArguments;
use crate::output::{Output, pairs};

/// Card events in one delivery at most, and octets: below what the operators' listener takes by default.
const DELIVERY_EVENTS: usize = 500;
const DELIVERY_OCTETS: usize = 512 << 10;
/// Octets of a line at most: an event has about 250.
const LINE_OCTETS: u64 = 16 << 10;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Import(Import),
}

/// Bring in card events from a file, one JSON object a line
///
/// The lines are as the members of `events` in POST /v1/card-events: event_id, issuer_key_id, serial, sequence, type, reason,
/// occurred_at. The whole file is read first, and nothing is sent if a line is wrong. An event that is known by its event_id
/// changes nothing, so a file may be brought in again; after a break, --resume-from with the line that was told goes on from there.
#[derive(Debug, Args)]
#[command(
    after_help = "Example of a line: {\"event_id\":\"e-1\",\"issuer_key_id\":\"5f9c\",\"serial\":\"01a4\",\"sequence\":3,\"type\":\"held\",\
                        \"occurred_at\":\"2026-11-21T09:00:00+09:00\"}"
)]
pub(crate) struct Import {
    #[command(flatten)]
    operator: OperatorArguments,
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only read and count
    #[arg(long)]
    dry_run: bool,
    /// Leave out the lines before this one, counted from 1
    #[arg(long, value_name = "LINE", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    resume_from: u64,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    let Command::Import(arguments) = command;
    let bar = if output == Output::Text { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg:10} {wide_bar} {pos}/{len} {per_sec} {eta}");
    bar.set_style(style.map_err(|error| Failure::other(error.to_string()))?);
    let counted = count(&arguments.file, arguments.resume_from)?;
    let events: u64 = counted.values().sum();
    if arguments.dry_run {
        let result = json!({ "events": events, "types": counted, "sent": false });
        return output.print(&result, |_| {
            let mut lines = vec![("card events", events.to_string())];
            lines.extend(counted.iter().map(|(kind, count)| (kind.as_str(), count.to_string())));
            format!("{}\n\nNothing was sent.", pairs(&lines))
        });
    }
    bar.set_length(events);
    bar.set_message("delivering");
    let known = deliver(arguments, &bar)?;
    bar.finish_and_clear();
    let result = json!({ "events": events, "known": known, "new": events - known.min(events), "sent": true });
    output.print(&result, |_| format!("{events} card events are in the store; {known} of them were known before."))
}

/// Reads every line as a card event; gives how many there are of each type.
fn count(file: &Path, from: u64) -> Result<BTreeMap<String, u64>, Failure> {
    let mut counted = BTreeMap::new();
    for line in Lines::open(file, from)? {
        let (number, text) = line?;
        let kind = read_event(&text)
            .map_err(|complaint| Failure::other(format!("{}, line {number}: {complaint}", file.display())).with_code("line_malformed"))?;
        *counted.entry(kind.to_string()).or_default() += 1;
    }
    if counted.is_empty() && from > 1 {
        return Err(Failure::usage(format!("{} has nothing from line {from} on", file.display())));
    }
    Ok(counted)
}

/// Reads an event as the server will: what it would refuse for its form is found before anything is sent.
fn read_event(text: &str) -> Result<CardChangeKind, String> {
    let event: ra_api::CardEventBody = serde_json::from_str(text)
        .map_err(|error| format!("no card event: {}", error.to_string().replace(" at line 1 column ", " at column ")))?;
    if !(1..=128).contains(&event.event_id.len()) || !event.event_id.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err("event_id: 1 to 128 visible ASCII characters".to_owned());
    }
    let issuer_key_id = KeyIdentifier::from_hex(&event.issuer_key_id);
    issuer_key_id.ok_or("issuer_key_id: 1 to 64 octets in hexadecimal")?;
    SerialNumber::from_hex(&event.serial).map_err(|error| format!("serial: {error}"))?;
    if event.sequence < 0 {
        return Err("sequence: must not be negative".to_owned());
    }
    let kind: CardChangeKind = event.kind.parse().map_err(|error| format!("type: {error}"))?;
    let reason = event.reason.as_deref().map(str::parse::<RevocationReason>).transpose().map_err(|error| format!("reason: {error}"))?;
    CardChange::new(kind, reason, event.occurred_at)
        .ok_or("reason: there is one with revoked and with nothing else, and certificateHold is no revocation")?;
    Ok(kind)
}

/// Sends them; gives how many were known. A failure says where to go on.
fn deliver(arguments: &Import, bar: &ProgressBar) -> Result<u64, Failure> {
    let client = arguments.operator.client("back-office")?;
    let mut known = 0;
    let mut delivery = Delivery::default();
    let mut send = |delivery: &mut Delivery| -> Result<(), Failure> {
        let Some(first) = delivery.first else { return Ok(()) };
        let answer =
            client.deliver("/v1/card-events", &delivery.body()).map_err(|failure| failure.and(&broken(first, arguments.resume_from)))?;
        known += answer["known"].as_u64().unwrap_or(0);
        bar.inc(delivery.count as u64);
        *delivery = Delivery::default();
        Ok(())
    };
    for line in Lines::open(&arguments.file, arguments.resume_from)? {
        let (number, text) = line?;
        if delivery.is_full_with(&text) {
            send(&mut delivery)?;
        }
        delivery.push(number, &text);
    }
    send(&mut delivery)?;
    Ok(known)
}

/// Where to go on after a break in the delivery that begins with this line.
fn broken(first: u64, from: u64) -> String {
    if first <= from {
        "No line is known to be in the store".to_owned()
    } else {
        format!("Everything before line {first} is in the store: go on with --resume-from {first}")
    }
}

/// Events that go together, and the line of the first.
#[derive(Default)]
struct Delivery {
    first: Option<u64>,
    count: usize,
    events: String,
}

impl Delivery {
    fn is_full_with(&self, text: &str) -> bool {
        self.count >= DELIVERY_EVENTS || self.events.len() + text.len() > DELIVERY_OCTETS
    }

    fn push(&mut self, number: u64, text: &str) {
        self.first.get_or_insert(number);
        if self.count > 0 {
            self.events.push(',');
        }
        self.events.push_str(text);
        self.count += 1;
    }

    fn body(&self) -> Vec<u8> {
        format!(r#"{{"events":[{}]}}"#, self.events).into_bytes()
    }
}

/// The lines of a file that hold something, with their numbers from 1, in bounded memory.
struct Lines {
    file: BufReader<File>,
    name: String,
    number: u64,
    from: u64,
}

impl Lines {
    fn open(path: &Path, from: u64) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| {
            let message = format!("{}: {error}", path.display());
            if error.kind() == std::io::ErrorKind::NotFound { Failure::not_found(message) } else { Failure::other(message) }
        })?;
        Ok(Self { file: BufReader::new(file), name: path.display().to_string(), number: 0, from })
    }

    fn read(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        let failed =
            |number: u64, complaint: &str| Failure::other(format!("{}, line {number}: {complaint}", self.name)).with_code("line_malformed");
        let read =
            self.file.by_ref().take(LINE_OCTETS).read_line(&mut line).map_err(|error| failed(self.number + 1, &error.to_string()))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        if read as u64 == LINE_OCTETS && !line.ends_with('\n') {
            return Err(failed(self.number, "longer than 16 KiB"));
        }
        Ok(Some(line.trim().to_owned()))
    }
}

impl Iterator for Lines {
    type Item = Result<(u64, String), Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.read() {
                Ok(None) => return None,
                Ok(Some(text)) if text.is_empty() || self.number < self.from => {}
                Ok(Some(text)) => return Some(Ok((self.number, text))),
                Err(failure) => return Some(Err(failure)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(content: &str, from: u64) -> Vec<Result<(u64, String), String>> {
        let path = std::env::temp_dir().join(format!("tsunagi-lines-{}-{:p}", std::process::id(), content));
        std::fs::write(&path, content).unwrap();
        let read = Lines::open(&path, from).unwrap().take(10).map(|line| line.map_err(|failure| failure.to_string())).collect();
        std::fs::remove_file(&path).unwrap();
        read
    }

    #[test]
    fn lines_keep_their_numbers_and_empty_ones_are_passed_over() {
        assert_eq!(lines("a\n\n  b \r\nc", 1), [Ok((1, "a".into())), Ok((3, "b".into())), Ok((4, "c".into()))]);
        assert_eq!(lines("a\n\nb\nc\n", 3), [Ok((3, "b".into())), Ok((4, "c".into()))]);
    }

    #[test]
    fn what_the_server_would_refuse_is_found_before_anything_is_sent() {
        let sound = r#"{"event_id":"e","issuer_key_id":"0a","serial":"01","sequence":1,"type":"revoked","reason":"superseded","occurred_at":"2026-11-21T09:00:00Z"}"#;
        assert_eq!(read_event(sound), Ok(CardChangeKind::Revoked));
        for (from, to, expected) in [
            (r#""e""#, r#""a b""#, "event_id"),
            (r#""0a""#, r#""0""#, "issuer_key_id"),
            (r#""01""#, r#""zz""#, "serial"),
            (":1,", ":-1,", "sequence"),
            ("revoked", "flown", "type"),
            (r#""reason":"superseded","#, "", "reason"),
            ("revoked", "held", "reason"),
            ("superseded", "nonsense", "reason"),
            ("2026", "x", "at column"),
        ] {
            let complaint = read_event(&sound.replacen(from, to, 1)).unwrap_err();
            assert!(complaint.contains(expected) && !complaint.contains("line 1"), "{complaint}");
        }
        assert!(broken(7, 7).starts_with("No line"));
        assert!(broken(501, 1).contains("--resume-from 501"));
    }

    #[test]
    fn a_line_without_end_is_not_read_into_memory() {
        let long = format!("a\n{}\n", "x".repeat(40 << 10));
        let read = lines(&long, 1);
        assert!(read[1].as_ref().unwrap_err().contains("line 2: longer than 16 KiB"), "{:?}", read[1]);
    }

    #[test]
    fn deliveries_are_bounded_by_count_and_by_octets() {
        let mut delivery = Delivery::default();
        for number in 7..(7 + DELIVERY_EVENTS as u64) {
            assert!(!delivery.is_full_with("{}"));
            delivery.push(number, "{}");
        }
        assert!(delivery.is_full_with("{}"));
        assert_eq!((delivery.first, &delivery.body()[..16]), (Some(7), &br#"{"events":[{},{}"#[..]));
        let mut heavy = Delivery::default();
        heavy.push(1, &"x".repeat(DELIVERY_OCTETS));
        assert!(heavy.is_full_with("x"));
    }
}
