//! `tsunagi sandbox phone`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use sandbox::keys::KeyAlgorithm;
use sandbox::kind::Kind;
use sandbox::phone::{ApplyWish, PhoneFault, RaClient, Replaces, enrol_file_names};
use serde_json::json;

use super::{failed, key_algorithm, load_card, load_settings, ra_settings};
use crate::failure::Failure;
use crate::output::{Output, pairs};
use crate::settings::Settings;

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
        /// The phone's directory, for keys and certificates; made if it does not exist
        #[arg(value_name = "DIR", default_value = "phone")]
        phone: PathBuf,
    },
}

pub(super) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    match command {
        Command::Apply { installation, card, kind, key, first_phone, force, phone } => {
            let settings = load_settings(installation)?;
            let mut wish = ApplyWish::new(&settings.ra.name);
            wish.kinds = kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
            wish.key_algorithm = *key;
            wish.replaces = if *first_phone { Replaces::None } else { Replaces::Any };
            if !force {
                // Before anything is asked for: the certificates would be issued, and the keys of the others gone.
                require_unused(phone)?;
            }
            apply(&settings, card, &wish, phone, output)
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

fn apply(settings: &Settings, card: &Path, wish: &ApplyWish, directory: &Path, output: Output) -> Result<(), Failure> {
    let ra = RaClient::new(&ra_settings(settings)?).map_err(failed)?;
    let card = load_card(card)?;
    let enrolment = sandbox::phone::apply(&ra, &card, wish).map_err(told)?;
    std::fs::create_dir_all(directory).map_err(failed)?;
    enrolment.save(directory).map_err(failed)?;
    let certificates: Vec<_> = enrolment.certificates.iter().map(|one| json!({ "kind": one.kind, "serial": one.serial })).collect();
    let result = json!({ "application_id": enrolment.application_id, "certificates": certificates, "directory": directory });
    output.print(&result, |_| {
        let mut lines = vec![("application", enrolment.application_id.clone())];
        lines.extend(enrolment.certificates.iter().map(|one| (one.kind.as_str(), one.serial.clone())));
        lines.push(("files", directory.display().to_string()));
        pairs(&lines)
    })
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
