//! `tsunagi log`

use clap::Subcommand;
use serde_json::json;

use super::{SettingsArgument, log_check};
use crate::failure::Failure;
use crate::installation::open_store;
use crate::log_key::{begin_log, log_key_file};
use crate::log_standing::LogStanding;
use crate::output::{Output, pairs, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the key of the issuance log, and let the log begin
    ///
    /// For installations that were set up before there was a log; `tsunagi init` does it for new ones. To be run with every process stopped,
    /// after `tsunagi store upgrade`. The log begins with the first event of the store. Run again, it changes nothing.
    CreateKey(SettingsArgument),
    /// Tell what the log is called, by which key it is verified, how large it is, its last checkpoint, and whether anybody disputes it
    ///
    /// The tile directory, the witnesses and the high-water files are asked whether they know a tree that the store's does not extend.
    Show(SettingsArgument),
    Check(log_check::Check),
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::CreateKey(settings) => create_key(settings, output),
        Command::Show(settings) => show(settings, output),
        Command::Check(arguments) => log_check::run(arguments, output),
    }
}

fn create_key(settings: &SettingsArgument, output: Output) -> Result<(), Failure> {
    let settings = settings.load()?;
    let database = open_store(&settings)?;
    let (key, is_new) = begin_log(&settings, &database)?;
    let (file, verifier_key) = (log_key_file(&settings), key.verifier().vkey());
    let result = json!({ "origin": key.origin(), "verifier_key": verifier_key, "key_file": file, "newly_made": is_new });
    output.print(&result, |_| {
        let lines = pairs(&[
            ("log", key.origin().to_owned()),
            ("key", file.display().to_string()),
            ("verifier key", verifier_key.clone()),
        ]);
        let said = if is_new { "The key is made." } else { "The key was there." };
        format!(
            "{lines}\n\n{said} Give the verifier key to auditors, witnesses and whoever checks receipts, and back the key file up: a log whose \
             key is lost cannot go on."
        )
    })
}

fn show(settings: &SettingsArgument, output: Output) -> Result<(), Failure> {
    let settings = settings.load()?;
    let database = open_store(&settings)?;
    let head = database.reader().log_head().map_err(Failure::store)?;
    let Some(identity) = head.identity else {
        return Err(Failure::not_found("the log has not begun: `tsunagi log create-key` lets it begin"));
    };
    let standing = LogStanding::look(&settings, &database)?;
    let root = hex::encode(head.root);
    let result = json!({
        "origin": identity.origin,
        "verifier_key": identity.verifier_key,
        "size": head.size,
        "root": root,
        "position": head.position.0,
        "sequenced_at": head.sequenced_at.map(time),
        "note": head.note.as_ref().map(|note| json!({ "size": note.size, "at": time(note.at), "text": note.text })),
        "disputes": standing.disputes,
        "not_known": standing.unknown,
    });
    output.print(&result, |_| {
        let never = || "never".to_owned();
        let lines = pairs(&[
            ("log", identity.origin.clone()),
            ("verifier key", identity.verifier_key.clone()),
            ("leaves", head.size.to_string()),
            ("root (SHA-256)", root.clone()),
            ("last event with a leaf", head.position.0.to_string()),
            ("leaves last appended", head.sequenced_at.map_or_else(never, time)),
            ("last signed", head.note.as_ref().map_or_else(never, |note| format!("{} ({} leaves)", time(note.at), note.size))),
        ]);
        let paragraphs = [Some(lines), head.note.as_ref().map(|note| note.text.clone()), standing.text()];
        paragraphs.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    })
}
