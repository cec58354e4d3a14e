//! `tsunagi restore`: what is done when the store was restored from a backup.

mod begin;
mod lists;
mod log;
mod reconcile;
mod report;
mod status;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SettingsArgument;
use crate::failure::Failure;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Status(Status),
    Begin(Begin),
    Reconcile(Reconcile),
}

/// Show how far the store has come, what the high-water files say, and whether it is reconciled
#[derive(Debug, Args)]
pub(crate) struct Status {
    #[command(flatten)]
    settings: SettingsArgument,
}

/// Say that the store was restored from a backup
///
/// For restores that no high-water file could notice, because all of them came from the same backup. A new epoch begins: OCSP answers
/// tryLater and nothing is issued until `tsunagi restore reconcile`. A CA role that leads stops leading. Nothing is undone by it, and a
/// store that was not restored is reconciled in the same way.
#[derive(Debug, Args)]
pub(crate) struct Begin {
    #[command(flatten)]
    settings: SettingsArgument,
    /// A high-water file from elsewhere, such as a status machine's, which tells how far the store had come; may be given more than once
    #[arg(long = "high-water", value_name = "FILE")]
    high_water: Vec<PathBuf>,
}

/// Put back what a restored store has forgotten, and let it be served again
///
/// Takes up what was published of the issuance log and the store has forgotten: those leaves stay in the log, and their content is lost.
/// The witnesses of the settings are asked whether they know more.
/// Reads the published CRLs (those on the shelf, crl.directory, and those given), puts their revocations and holds back with the dates
/// and reasons that were told, remembers those of certificates that the store does not know, hears the back office's feed again from its
/// beginning, reads the card CRLs, asks how every linked card stands, and ends the reconciliation. Nothing is ever un-revoked. It may be
/// run again at any time; one that was killed is simply run again.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    #[command(flatten)]
    settings: SettingsArgument,
    /// A published CRL: a file, an http:// address, or a directory of them; may be given more than once
    #[arg(long = "crl", value_name = "FILE|URL|DIRECTORY")]
    crls: Vec<String>,
    /// Only look and count; the store need not be restored
    #[arg(long)]
    dry_run: bool,
    /// The lists that were found are all that there are: end the reconciliation although later ones were published or may have been.
    /// What only those told will be told as good
    #[arg(long)]
    accept_lists: bool,
    /// A copy of the log's tile directory, such as a status machine's or a mirror's; may be given more than once
    #[arg(long = "log-tiles", value_name = "DIRECTORY")]
    log_tiles: Vec<PathBuf>,
    /// The leaves of the log that were found are all that were ever signed: end the reconciliation although nothing tells so, or a witness
    /// says that it knows more, which nobody has signed. Were there more, the log's key will have signed two trees, and auditors and witnesses will see that
    #[arg(long)]
    accept_log: bool,
    /// Leaves were signed that nobody has any more: let another log go on with those that are there, under the name that log.origin has been
    /// given for it. The former log ends; auditors and witnesses are to be told
    #[arg(long, conflicts_with_all = ["log_tiles", "accept_log"])]
    new_log: bool,
    /// Leave feed, card CRLs and comparison out, because the back office is out of reach and status cannot wait. What happened to cards
    /// since the backup is found only when they are heard again
    #[arg(long)]
    without_card_feed: bool,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Status(arguments) => status::run(arguments, output),
        Command::Begin(arguments) => begin::run(arguments, output),
        Command::Reconcile(arguments) => reconcile::run(arguments, output),
    }
}
