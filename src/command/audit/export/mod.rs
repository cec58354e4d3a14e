//! `tsunagi audit export`

mod directory;
mod earlier;
mod taking;

use std::path::{Path, PathBuf};

use audit_log::export::{Manifest, Recipient};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use self::directory::ExportDirectory;
use self::earlier::Earlier;
use self::taking::Taking;
use super::moment;
use crate::failure::Failure;
use crate::operator::OperatorArguments;
use crate::output::{Output, pairs};

/// Take the log away, or a stretch of it, with proofs
///
/// Signs an instruction, as an auditor; waits until the CA has checked each record and signed the manifest; and fetches the files. A command that was broken
/// off goes on where it was when it is given again with the same directory. What was taken is verified with `tsunagi audit verify DIR`, without the server.
#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    operator: OperatorArguments,
    /// Where to write it: a directory that is new, empty, or holds what was broken off
    #[arg(long, value_name = "DIR")]
    to_dir: PathBuf,
    /// Only events of this time and later: RFC 3339, or a day [default: from the first one, or where --since ended]
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "from_leaf")]
    from: Option<DateTime<Utc>>,
    /// Only events before this time [default: to the last one under a signed checkpoint]
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "to_leaf")]
    to: Option<DateTime<Utc>>,
    /// Only leaves from this one on
    #[arg(long, value_name = "LEAF")]
    from_leaf: Option<u64>,
    /// Only leaves before this one
    #[arg(long, value_name = "LEAF")]
    to_leaf: Option<u64>,
    /// How records are written
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// What you have already: the directory of an earlier export, or a file with a checkpoint. The export goes on there, and proves that nothing before was
    /// changed
    #[arg(long, value_name = "DIR|FILE")]
    since: Option<PathBuf>,
    /// With what the cards signed, and the card certificates, encrypted to --recipient
    #[arg(long, requires = "recipient")]
    with_evidence: bool,
    /// Your public key, from `age-keygen`
    #[arg(long, value_name = "age1…", requires = "with_evidence", value_parser = recipient)]
    recipient: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A JSON object on each line
    Jsonl,
    /// Comma-separated values, with a header
    Csv,
}

/// Looked at here, for what is wrong would be signed and sent before anybody says so.
fn recipient(text: &str) -> Result<String, String> {
    text.parse::<Recipient>().map(|_| text.to_owned()).map_err(|fault| fault.to_string())
}

pub(super) fn run(arguments: &Export, output: Output) -> Result<(), Failure> {
    let earlier = arguments.since.as_deref().map(Earlier::read).transpose()?;
    let instruction = arguments.instruction(earlier.as_ref());
    let client = arguments.operator.client("auditor")?;
    let directory = ExportDirectory::open(&arguments.to_dir)?;
    let taken = Taking { client: &client, directory: &directory, output }.take(&instruction);
    let manifest = taken.inspect_err(|_| directory.leave())?;
    tell(arguments, &manifest, output)
}

fn tell(arguments: &Export, manifest: &Manifest, output: Output) -> Result<(), Failure> {
    let octets: u64 = manifest.parts.iter().flat_map(|part| part.files()).map(|file| file.octets).sum();
    let files = manifest.parts.iter().map(|part| part.files().count()).sum::<usize>();
    let applications: u64 = manifest.parts.iter().filter_map(|part| part.evidence.as_ref()).map(|file| file.applications).sum();
    let told = json!({
        "export": manifest.export, "directory": arguments.to_dir.display().to_string(), "from_leaf": manifest.from, "to_leaf": manifest.to,
        "records": manifest.records, "purged": manifest.purged, "lost": manifest.lost, "files": files, "octets": octets,
        "evidence_of_applications": manifest.recipient.as_ref().map(|_| applications), "log_key": manifest.key,
    });
    output.print(&told, |told| text(told, arguments))
}

impl Export {
    /// What is asked for. An earlier export is gone on from where it ended, unless another beginning is named.
    fn instruction(&self, earlier: Option<&Earlier>) -> Value {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let from_leaf = self.from_leaf.or_else(|| earlier.filter(|_| self.from.is_none()).map(|earlier| earlier.end));
        let mut asked = json!({
            "action": "audit-export",
            "format": if self.format == Format::Jsonl { "jsonl" } else { "csv" },
        });
        let members = [
            ("from_leaf", from_leaf.map(Value::from)),
            ("to_leaf", self.to_leaf.map(Value::from)),
            ("from", self.from.map(time).map(Value::from)),
            ("to", self.to.map(time).map(Value::from)),
            ("previous_size", earlier.map(|earlier| Value::from(earlier.size))),
            ("recipient", self.recipient.clone().map(Value::from)),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                asked[name] = value;
            }
        }
        asked
    }
}

fn text(told: &Value, arguments: &Export) -> String {
    let number = |name: &str| told[name].to_string();
    let mut facts = vec![
        ("export", told["export"].as_str().unwrap_or_default().to_owned()),
        ("leaves", format!("{} to {}", number("from_leaf"), told["to_leaf"].as_u64().unwrap_or_default().saturating_sub(1))),
        ("records", number("records")),
    ];
    for (name, title) in [("purged", "purged"), ("lost", "lost"), ("evidence_of_applications", "evidence of")] {
        if told[name].as_u64().is_some_and(|count| count > 0) {
            facts.push((title, number(name)));
        }
    }
    facts.push(("written", format!("{} files, {} octets, in {}", number("files"), number("octets"), arguments.to_dir.display())));
    format!("{}\n\nVerify it, with the log's key as you got it from elsewhere:\n\n  {}", pairs(&facts), next_command(arguments))
}

/// What is verified with all that the export was taken with.
fn next_command(arguments: &Export) -> String {
    let place = |path: &Path| {
        let path = path.display().to_string();
        let is_plain = path.chars().all(|char| char.is_alphanumeric() || "/._-+,:@".contains(char));
        if is_plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
    };
    let mut command = format!("tsunagi audit verify {} --log-key KEY", place(&arguments.to_dir));
    if let Some(since) = &arguments.since {
        command.push_str(&format!(" --previous {}", place(since)));
    }
    if arguments.with_evidence {
        command.push_str(" --identity AGE_KEY_FILE --card-ca signature=FILE --card-ca authentication=FILE");
    }
    command
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        export: Export,
    }

    fn next(line: &[&str]) -> String {
        next_command(&Line::parse_from([&["export"], line].concat()).export)
    }

    #[test]
    fn the_next_command_has_what_this_one_had() {
        assert_eq!(next(&["--to-dir", "visit-1"]), "tsunagi audit verify visit-1 --log-key KEY");
        assert_eq!(next(&["--to-dir", "visit 2", "--since", "it's"]), r"tsunagi audit verify 'visit 2' --log-key KEY --previous 'it'\''s'");
        let recipient = age_recipient();
        let with_evidence = next(&["--to-dir", "v", "--with-evidence", "--recipient", &recipient]);
        assert!(with_evidence.ends_with("KEY --identity AGE_KEY_FILE --card-ca signature=FILE --card-ca authentication=FILE"));
    }

    #[test]
    fn a_recipient_that_is_none_is_told_before_anything_is_signed() {
        for wrong in ["age1xx".to_owned(), format!("age1{}", "q".repeat(58)), age_recipient().to_uppercase() + "x"] {
            let refused = Line::try_parse_from(["export", "--to-dir", "v", "--with-evidence", "--recipient", &wrong]).err().unwrap();
            assert!(refused.to_string().contains("--recipient"), "{refused}");
        }
    }

    /// From age's own documentation.
    fn age_recipient() -> String {
        "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".to_owned()
    }
}
