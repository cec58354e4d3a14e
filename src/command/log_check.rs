//! `tsunagi log check`

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::SettingsArgument;
use crate::failure::Failure;
use crate::installation::open_store;
use crate::log_check::LogCheck;
use crate::log_key::{log_key, tile_directory};
use crate::output::{Output, counted};
use crate::verifier_keys::log_verifier;

/// Hold the store, the log and the tile directory against each other
///
/// Each event is made into its leaf's content again and must be what the leaf commits to; the leaves must make the tree that was signed,
/// and the tiles in the store and in the tile directory. The certificates must be those that were issued by the events, each with its
/// holder, its card, its application and, if this database user may read it, the card-signed message, and must stand as the events tell. The
/// first thing that is not so is named first. Where nothing was signed yet, there is nothing to be held against, and that is said. It ends
/// with exit code 0 if everything is as it should be, with 10 if anything is not. The roles may be running.
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    settings: SettingsArgument,
    /// The log's verifier key, or a file with it: on a machine that does not have the log's key
    #[arg(long, value_name = "VKEY|FILE")]
    log_key: Option<String>,
}

pub(super) fn run(arguments: &Check, output: Output) -> Result<(), Failure> {
    let settings = arguments.settings.load()?;
    let verifier = match &arguments.log_key {
        Some(key) => log_verifier(key)?,
        None => log_key(&settings)?.verifier().clone(),
    };
    let check = LogCheck { reader: open_store(&settings)?.reader(), verifier, directory: tile_directory(&settings) };
    let bar = if output == Output::Text { ProgressBar::new(0) } else { ProgressBar::hidden() };
    let style = ProgressStyle::with_template("{msg:14!} {wide_bar} {human_pos}/{human_len} {per_sec} {eta} left");
    bar.set_style(style.map_err(|error| Failure::other(error.to_string()))?);
    let report = check.run(|what, done, all| {
        bar.set_message(what.to_owned());
        bar.set_length(all);
        bar.set_position(done);
    });
    let report = report.map_err(Failure::store)?;
    bar.finish_and_clear();
    output.print(&report.json(), |_| report.text())?;
    match report.findings().told.first() {
        None => Ok(()),
        Some(first) => {
            let found = counted(report.findings().total, ["finding, at", "findings, the first at"]);
            let message = format!("{found} {}: {}", first.place, first.words);
            Err(Failure::disproved(message).with_code(first.code))
        }
    }
}
