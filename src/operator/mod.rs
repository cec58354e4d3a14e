//! Speaking to an installation as an operator: over the operators' listener, with a client certificate, in signed instructions.

mod client;
mod download;
mod instruction;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

pub(crate) use self::client::OperatorClient;
pub(crate) use self::instruction::{Decision, told};
use crate::command::SettingsArgument;
use crate::failure::Failure;

/// Who speaks to which installation.
#[derive(Debug, Clone, Args)]
pub(crate) struct OperatorArguments {
    #[command(flatten)]
    settings: SettingsArgument,
    /// As which operator: the name of the certificate and key (NAME.pem, NAME.key.pem) among the credentials [default: the one of
    /// `tsunagi init` who usually does this, such as call-centre for holds]
    #[arg(long = "as", value_name = "NAME", env = "TSUNAGI_OPERATOR")]
    name: Option<String>,
    /// The directory of operators' certificates and keys, and of server-ca.pem [default: operators/ beside the settings]
    #[arg(long, value_name = "DIR", env = "TSUNAGI_CREDENTIALS")]
    credentials: Option<PathBuf>,
    /// Where operators connect [default: https:// and operators.listen of the settings]
    #[arg(long, value_name = "URL", env = "TSUNAGI_OPERATORS_URL")]
    operators_url: Option<String>,
    /// For whom instructions are signed: what the RA is called, which the operator of the installation tells you [default: ra.name of
    /// the settings]. With this, --credentials and --operators-url no settings are needed
    #[arg(long, value_name = "NAME", env = "TSUNAGI_RA_NAME")]
    ra_name: Option<String>,
    /// How many seconds to wait for the CA's decision, where it is to decide
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u64,
}

impl OperatorArguments {
    /// A client; `usual` is the operator who does such things where none is named.
    pub(crate) fn client(&self, usual: &str) -> Result<OperatorClient, Failure> {
        let name = self.name.as_deref().unwrap_or(usual);
        if name.is_empty() || name.contains(['/', '\\']) {
            return Err(Failure::usage(format!("{name:?} is no operator's name: it is the name of a file among the credentials")));
        }
        let (credentials, url, audience) = match (&self.credentials, &self.operators_url) {
            // Whoever only looks names nobody.
            (Some(credentials), Some(url)) if self.ra_name.is_some() || !self.settings.are_there() => {
                (credentials.clone(), url.clone(), self.ra_name.clone())
            }
            (credentials, url) => {
                let settings = self.settings.load()?;
                let credentials = credentials.clone().unwrap_or_else(|| settings.directory.join("operators"));
                let url = url.clone().unwrap_or_else(|| format!("https://{}", settings.operators.listen));
                (credentials, url, Some(self.ra_name.clone().unwrap_or(settings.ra.name)))
            }
        };
        OperatorClient::new(&url, &credentials, name, audience, Duration::from_secs(self.patience))
    }
}
