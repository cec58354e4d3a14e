//! `tsunagi sandbox phone`

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use sandbox::instruction::{Decision, Signer};
use sandbox::keys::KeyAlgorithm;
use sandbox::kind::Kind;
use sandbox::phone::{
    ApplyWish, CertificatesToEnd, HolderAction, Phone, PhoneFault, RaClient, Replaces, Reply, enrol_file_names, instruct, receipt_file_name,
};
use sandbox::reason::Reason;
use serde_json::{Value, json};

use super::{failed, key_algorithm, load_card, load_settings, ra_settings};
use crate::command::view::{list, word};
use crate::failure::Failure;
use crate::output::{Output, pairs, table};
use crate::settings::Settings;

/// So long the RA may hold its answer for the receipts.
const RECEIPT_SECONDS: u32 = 10;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply for smartphone certificates with a card
    Apply {
        /// The installation's directory: says where the RA is, how it is called and which TLS CA it has
        #[arg(long, value_name = "DIR", default_value = ".")]
        installation: PathBuf,
        /// The card's directory
        #[arg(long, value_name = "DIR", default_value = "card")]
        card: PathBuf,
        /// Only this kind
        #[arg(long)]
        kind: Option<Kind>,
        /// The phone's keys: p256, p384 or rsa2048
        #[arg(long, default_value = "p256", value_parser = key_algorithm)]
        key: KeyAlgorithm,
        /// Say that there is no earlier phone, instead of ending whatever there is
        #[arg(long)]
        first_phone: bool,
        /// Write over the keys and certificates that the phone's directory has
        #[arg(long)]
        force: bool,
        /// Where push messages reach this phone
        #[arg(long, value_name = "TOKEN")]
        push_token: Option<String>,
        /// The phone's directory, for keys and certificates; made if it does not exist
        #[arg(value_name = "DIR", default_value = "phone")]
        phone: PathBuf,
    },
    /// End certificates: this phone's, or with the card all that the holder has
    End {
        #[command(flatten)]
        who: Who,
        /// Why: cessationOfOperation, keyCompromise or unspecified
        #[arg(long, default_value = "cessationOfOperation")]
        reason: Reason,
    },
    /// List the holder's certificates and what happened to them
    List {
        #[command(flatten)]
        who: Who,
    },
    /// Ask whether there are commands, and carry them out
    Commands {
        /// The installation's directory
        #[arg(long, value_name = "DIR", default_value = ".")]
        installation: PathBuf,
        /// Only look: carry nothing out, answer nothing
        #[arg(long)]
        look: bool,
        /// Answer without the signature of the phone's own key
        #[arg(long, conflicts_with = "look")]
        unsigned: bool,
        /// The phone's directory
        #[arg(value_name = "DIR", default_value = "phone")]
        phone: PathBuf,
    },
    /// Fetch the receipts of the certificates: that their issuance is in the log
    Receipts {
        /// The installation's directory
        #[arg(long, value_name = "DIR", default_value = ".")]
        installation: PathBuf,
        /// The phone's directory
        #[arg(value_name = "DIR", default_value = "phone")]
        phone: PathBuf,
    },
    /// Report a key as compromised, by a request that it signs itself
    ReportKey {
        /// The installation's directory
        #[arg(long, value_name = "DIR", default_value = ".")]
        installation: PathBuf,
        /// Which key
        #[arg(long, default_value = "signature")]
        kind: Kind,
        /// The phone's directory
        #[arg(value_name = "DIR", default_value = "phone")]
        phone: PathBuf,
    },
}

/// Who signs: the phone with one of its keys, or the card.
#[derive(Debug, Args)]
pub(crate) struct Who {
    /// The installation's directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    installation: PathBuf,
    /// Sign with this card instead of the phone
    #[arg(long, value_name = "DIR", conflicts_with_all = ["with", "phone"])]
    card: Option<PathBuf>,
    /// Sign with the phone's key of this kind: either will do
    #[arg(long, value_name = "KIND", default_value = "authentication")]
    with: Kind,
    /// The phone's directory
    #[arg(value_name = "DIR", default_value = "phone")]
    phone: PathBuf,
}

pub(super) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Apply { installation, card, kind, key, first_phone, force, push_token, phone } => {
            let settings = load_settings(installation)?;
            let mut wish = ApplyWish::new(&settings.ra.name);
            wish.kinds = kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
            wish.key_algorithm = *key;
            wish.replaces = if *first_phone { Replaces::None } else { Replaces::Any };
            wish.device.push_token.clone_from(push_token);
            if !force {
                // Before anything is asked for: the certificates would be issued, and the keys of the others gone.
                require_unused(phone)?;
            }
            apply(&settings, card, &wish, phone, output)
        }
        Command::End { who, reason } => {
            let certificates = if who.card.is_some() { CertificatesToEnd::All } else { CertificatesToEnd::ThisPhone };
            let decision = who.instruct(&HolderAction::End { certificates, reason: *reason })?;
            output.print(&decision.answer.json, |_| {
                table(&["kind", "serial", "change"], &rows(&decision.outcome, &["kind", "serial", "change"]))
            })
        }
        Command::List { who } => {
            let decision = who.instruct(&HolderAction::List)?;
            output.print(&decision.outcome, own_certificates)
        }
        Command::Commands { installation, look, unsigned, phone } => {
            let reply = if *unsigned { Reply::Unsigned } else { Reply::Signed };
            commands(&load_settings(installation)?, phone, (!look).then_some(reply), output)
        }
        Command::Receipts { installation, phone: directory } => {
            let ra = ra(&load_settings(installation)?)?;
            let mut phone = load_phone(directory)?;
            phone.fetch_receipts(&ra, RECEIPT_SECONDS).map_err(told)?;
            let files = receipts(&phone, directory);
            output.print(&json!({ "receipts": files }), |_| {
                files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join("\n")
            })
        }
        Command::ReportKey { installation, kind, phone } => {
            let ra = ra(&load_settings(installation)?)?;
            let decision = load_phone(phone)?.report_key_compromise(&ra, *kind).map_err(told)?;
            output.print(&decision.answer.json, |_| {
                table(&["kind", "serial", "change"], &rows(&decision.outcome, &["kind", "serial", "change"]))
            })
        }
    }
}

impl Who {
    fn instruct(&self, action: &HolderAction) -> Result<Decision, Failure> {
        let settings = load_settings(&self.installation)?;
        let ra = ra(&settings)?;
        match &self.card {
            Some(card) => {
                let card = load_card(card)?;
                instruct(&ra, &settings.ra.name, Signer::from(&card.signature), action).map_err(told)
            }
            None => load_phone(&self.phone)?.instruct(&ra, self.with, action).map_err(told),
        }
    }
}

/// Refuses a directory that has a phone's keys.
fn require_unused(phone: &Path) -> Result<(), Failure> {
    let keys = Kind::ALL.map(|kind| phone.join(enrol_file_names(kind).1));
    match keys.iter().find(|key| key.exists()) {
        Some(key) => Err(Failure::exists(format!(
            "{} is there already: name another directory for the new phone, or say --force to lose the old one's keys",
            key.display()
        ))),
        None => Ok(()),
    }
}

/// The files of the receipts that a phone has.
fn receipts(phone: &Phone, directory: &Path) -> Vec<PathBuf> {
    let with_receipt = Kind::ALL.into_iter().filter(|kind| phone.of(*kind).is_some_and(|enrolled| enrolled.receipt.is_some()));
    with_receipt.map(|kind| directory.join(receipt_file_name(kind))).collect()
}

fn apply(settings: &Settings, card: &Path, wish: &ApplyWish, directory: &Path, output: Output) -> Result<(), Failure> {
    let (ra, card) = (ra(settings)?, load_card(card)?);
    let mut phone = Phone::apply(&ra, &card, wish).map_err(told)?;
    std::fs::create_dir_all(directory).map_err(failed)?;
    phone.save(directory).map_err(failed)?;
    if let Err(fault) = phone.fetch_receipts(&ra, RECEIPT_SECONDS) {
        // The certificates are there all the same.
        eprintln!("tsunagi: no receipts yet ({fault}): `tsunagi sandbox phone receipts` fetches them");
    }
    let certificates: Vec<_> = phone.certificates.iter().map(|one| json!({ "kind": one.kind, "serial": one.serial })).collect();
    let receipts = receipts(&phone, directory);
    let result =
        json!({ "application_id": phone.application_id(), "certificates": certificates, "receipts": receipts, "directory": directory });
    output.print(&result, |_| {
        let mut lines = vec![("application", phone.application_id().to_owned())];
        lines.extend(phone.certificates.iter().map(|one| (one.kind.as_str(), one.serial.clone())));
        lines.push(("receipts", receipts.len().to_string()));
        lines.push(("files", directory.display().to_string()));
        pairs(&lines)
    })
}

/// Shows the commands that wait; with a reply, they are carried out.
fn commands(settings: &Settings, directory: &Path, reply: Option<Reply>, output: Output) -> Result<(), Failure> {
    let (ra, mut phone) = (ra(settings)?, load_phone(directory)?);
    let commands = phone.commands(&ra).map_err(told)?;
    for command in &commands {
        let Some(reply) = reply else { continue };
        let answer = phone.obey(&ra, command, reply).map_err(told)?;
        if let Some(refusal) = answer.filter(|answer| !(200..300).contains(&answer.status)) {
            return Err(told(refusal.refusal()));
        }
    }
    let result: Vec<Value> = commands
        .iter()
        .map(|command| json!({ "command": command.command, "action": command.action, "certificates": command.certificates, "carried_out": reply.is_some() }))
        .collect();
    output.print(&json!(result), |result| match result.as_array().map_or(0, Vec::len) {
        0 => "No command waits.".to_owned(),
        count => {
            let told = if reply.is_some() { "carried out" } else { "waiting" };
            let noun = if count == 1 { "command" } else { "commands" };
            format!(
                "{count} {noun} {told}:\n{}",
                table(&["command", "action"], &rows(&json!({ "certificates": result }), &["command", "action"]))
            )
        }
    })
}

fn own_certificates(outcome: &Value) -> String {
    let mut text =
        table(&["kind", "serial", "state", "reason", "until"], &rows(outcome, &["kind", "serial", "state", "reason", "not_after"]));
    for one in list(&outcome["certificates"]) {
        text.push_str(&format!("\n\n{}", word(&one["serial"])));
        for entry in list(&one["history"]) {
            text.push_str(&format!("\n  {}  {}  {}", word(&entry["at"]), word(&entry["what"]), word(&entry["why"])));
        }
    }
    text
}

fn rows(outcome: &Value, members: &[&str]) -> Vec<Vec<String>> {
    list(&outcome["certificates"]).map(|one| members.iter().map(|member| word(&one[*member])).collect()).collect()
}

fn ra(settings: &Settings) -> Result<RaClient, Failure> {
    RaClient::new(&ra_settings(settings)?).map_err(failed)
}

fn load_phone(directory: &Path) -> Result<Phone, Failure> {
    if !directory.is_dir() {
        return Err(Failure::not_found(format!("no phone at {}: `tsunagi sandbox phone apply` makes one", directory.display())));
    }
    Phone::load(directory).map_err(failed)
}

/// What the phone says, as a failure: a refusal under the RA's own code.
fn told(fault: PhoneFault) -> Failure {
    let (code, message) = (fault.code().map(str::to_owned), fault.to_string());
    match (code, &fault) {
        (Some(code), _) if !code.is_empty() => Failure::refused(message).with_code(code),
        (Some(_), _) => Failure::refused(message),
        (None, PhoneFault::Http(_)) => Failure::unreachable(message),
        (None, PhoneFault::Undecided { .. }) => Failure::waiting(message),
        (None, _) => Failure::other(message),
    }
}
