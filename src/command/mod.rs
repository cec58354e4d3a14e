//! The commands, one file each.

pub(crate) mod audit;
pub(crate) mod ca_key;
pub(crate) mod card_event;
pub(crate) mod certificate;
pub(crate) mod crl;
pub(crate) mod demo;
pub(crate) mod device;
pub(crate) mod holder;
pub(crate) mod init;
pub(crate) mod instruction;
pub(crate) mod latency;
pub(crate) mod log;
mod log_check;
pub(crate) mod mass;
pub(crate) mod receipt;
pub(crate) mod restore;
pub(crate) mod sandbox;
pub(crate) mod schedule;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod store;
mod store_copy;
mod view;

use std::path::PathBuf;

use ca_core::revocation::RevocationReason;
use clap::Args;

use crate::failure::Failure;
use crate::settings::Settings;

/// Which installation is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct SettingsArgument {
    /// The settings file, or the directory of `settings.toml`.
    #[arg(long = "settings", value_name = "PATH", default_value = ".", env = "TSUNAGI_SETTINGS")]
    path: PathBuf,
}

impl SettingsArgument {
    /// Whether there are any.
    pub(crate) fn are_there(&self) -> bool {
        Settings::file(&self.path).is_file()
    }

    /// Reads and checks them.
    pub(crate) fn load(&self) -> Result<Settings, Failure> {
        Settings::load(&self.path).map_err(|fault| Failure::settings(fault.to_string()))
    }
}

/// Why an operator does something.
#[derive(Debug, Clone, Args)]
pub(crate) struct Ticket {
    /// What was reported, for whoever reads the history: 1 to 1000 characters. It is kept in the signed instruction and nowhere else
    #[arg(long = "ticket", value_name = "TEXT", value_parser = ticket)]
    pub(crate) text: String,
}

fn ticket(text: &str) -> Result<String, String> {
    let sound = (1..=1_000).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if sound { Ok(text.to_owned()) } else { Err("1 to 1000 characters, no control characters".to_owned()) }
}

/// The name of a phone or of a command to one.
fn public_id(text: &str) -> Result<String, String> {
    hexadecimal(text, 16)
}

/// The name of an instruction, or of a distribution point.
fn digest(text: &str) -> Result<String, String> {
    hexadecimal(text, 32)
}

fn hexadecimal(text: &str, octets: usize) -> Result<String, String> {
    match hex::decode(text) {
        Ok(decoded) if decoded.len() == octets => Ok(text.to_lowercase()),
        _ => Err(format!("{} hexadecimal digits", octets * 2)),
    }
}

/// A reason to end certificates for good.
fn permanent_reason(word: &str) -> Result<RevocationReason, String> {
    match word.parse() {
        Ok(reason) if reason != RevocationReason::CertificateHold => Ok(reason),
        _ => Err("a CRLReason of RFC 5280 section 5.3.1 that ends a certificate, such as keyCompromise or cessationOfOperation".to_owned()),
    }
}
