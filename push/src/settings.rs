//! Settings of the client.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where Firebase Cloud Messaging is and how we prove ourselves to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushSettings {
    /// `https://host[:port]`; `http://` only to this machine itself. Default `https://fcm.googleapis.com`.
    #[serde(default = "default_url")]
    pub url: String,
    /// The project's id, as in Firebase's console: letters, digits and `-`.
    pub project: String,
    /// The file with the OAuth 2.0 access token, which somebody else keeps fresh (Google's live for an hour): read again for
    /// each message, at most 8 KiB.
    pub token_file: PathBuf,
    /// The CA certificates that may vouch for the push service's name, in PEM; no others are trusted. Needed for `https://`.
    pub ca_file: Option<PathBuf>,
    /// Milliseconds for a whole exchange, connecting included. Default 10,000.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

impl PushSettings {
    /// Settings with the defaults for everything that has one.
    pub fn new(project: impl Into<String>, token_file: impl Into<PathBuf>) -> Self {
        Self { url: default_url(), project: project.into(), token_file: token_file.into(), ca_file: None, timeout_ms: default_timeout_ms() }
    }
}

fn default_url() -> String {
    "https://fcm.googleapis.com".into()
}

fn default_timeout_ms() -> u64 {
    10_000
}
