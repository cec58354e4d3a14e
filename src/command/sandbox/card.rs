//! `tsunagi sandbox card`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use sandbox::back_office::{CardOrder, NewCard, OrderDetail, RevocationRequest};
use sandbox::card::Card;
use sandbox::kind::Kind;
use sandbox::reason::Reason;
use serde_json::json;

use super::{failed, load_card, told};
use crate::failure::Failure;
use crate::output::{Output, pairs};
use crate::sandbox_files::SandboxFiles;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Hand out a card: keys and certificates, in a new directory
    New {
        /// The back office's directory
        #[arg(long, value_name = "DIR", default_value = "sandbox")]
        sandbox: PathBuf,
        /// An existing or new holder; invented if not said
        #[arg(long, value_name = "HOLDER_ID")]
        holder: Option<String>,
        /// The card's directory; made if it does not exist
        #[arg(value_name = "DIR", default_value = "card")]
        card: PathBuf,
    },
    /// Revoke a card's certificates at the back office
    Revoke {
        /// The back office's directory
        #[arg(long, value_name = "DIR", default_value = "sandbox")]
        sandbox: PathBuf,
        /// Only this one of the card's two certificates
        #[arg(long)]
        kind: Option<Kind>,
        /// Why, as RFC 5280 calls it
        #[arg(long, default_value = "affiliationChanged")]
        reason: Reason,
        /// The card's directory
        #[arg(value_name = "DIR", default_value = "card")]
        card: PathBuf,
    },
    /// Have something else happen to a card or its holder at the back office
    ///
    /// A renewed card, and the one that takes another's place, is written into the directory of the old one.
    Change {
        /// The back office's directory
        #[arg(long, value_name = "DIR", default_value = "sandbox")]
        sandbox: PathBuf,
        /// With hold, release and expire: only this one of the card's two certificates
        #[arg(long)]
        kind: Option<Kind>,
        /// hold, release, renew, expire, record-change, death, emigration, record-error or transfer
        #[arg(value_name = "WHAT")]
        what: CardOrder,
        /// The card's directory
        #[arg(value_name = "DIR", default_value = "card")]
        card: PathBuf,
    },
}

pub(super) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::New { sandbox, holder, card } => new(sandbox, holder.as_ref(), card, output),
        Command::Revoke { sandbox, kind, reason, card } => revoke(sandbox, *kind, *reason, card, output),
        Command::Change { sandbox, kind, what, card } => change(sandbox, *kind, *what, card, output),
    }
}

fn new(sandbox: &Path, holder: Option<&String>, directory: &Path, output: Output) -> Result<(), Failure> {
    let client = SandboxFiles::read(sandbox)?.client()?;
    if directory.join("card.json").exists() {
        return Err(Failure::exists(format!("{} has a card already", directory.display())));
    }
    let file = client.new_card(&NewCard { holder_id: holder.cloned(), ..NewCard::default() }).map_err(told)?;
    std::fs::create_dir_all(directory).map_err(failed)?;
    Card::from_file(&file).map_err(failed)?.save(directory).map_err(failed)?;
    let result = json!({ "card_id": file.card_id, "holder_id": file.holder_id, "directory": directory });
    output.print(&result, |_| {
        pairs(&[("card", file.card_id.clone()), ("holder", file.holder_id.clone()), ("files", directory.display().to_string())])
    })
}

fn revoke(sandbox: &Path, kind: Option<Kind>, reason: Reason, directory: &Path, output: Output) -> Result<(), Failure> {
    let client = SandboxFiles::read(sandbox)?.client()?;
    let card = load_card(directory)?;
    let kinds = kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
    let events = client.revoke(card_id(&card)?, &RevocationRequest { kinds, reason, at: None }).map_err(told)?;
    output.print(&events, |events| match events.len() {
        0 => "Nothing to revoke: it was revoked before.".to_owned(),
        count => format!("{count} card certificates revoked."),
    })
}

fn change(sandbox: &Path, kind: Option<Kind>, what: CardOrder, directory: &Path, output: Output) -> Result<(), Failure> {
    let client = SandboxFiles::read(sandbox)?.client()?;
    let card = load_card(directory)?;
    let card_id = card_id(&card)?;
    let detail = OrderDetail { kinds: kind.map(|kind| vec![kind]), ..OrderDetail::default() };
    let changed = client.order(card_id, what, &detail).map_err(told)?;
    if let Some(file) = &changed.card {
        card.renewed(file).and_then(|card| card.save(directory)).map_err(failed)?;
    }
    output.print(&changed.events, |events| format!("{} card certificates: {what}.", events.len()))
}

fn card_id(card: &Card) -> Result<&str, Failure> {
    card.card_id.as_deref().ok_or_else(|| Failure::not_found("the card's directory does not say which card it is (card.json)"))
}
