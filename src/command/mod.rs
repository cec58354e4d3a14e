//! The commands, one file each.

pub(crate) mod certificate;
pub(crate) mod crl;
pub(crate) mod demo;
pub(crate) mod init;
pub(crate) mod sandbox;
pub(crate) mod serve;
pub(crate) mod settings;
#[cfg(feature = "postgres")]
pub(crate) mod store;

use std::path::PathBuf;

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
    /// Reads and checks them.
    pub(crate) fn load(&self) -> Result<Settings, Failure> {
        Settings::load(&self.path).map_err(|fault| Failure::settings(fault.to_string()))
    }
}
