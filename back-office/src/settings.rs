//! Settings of the two clients.

use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// How connections are made and kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionSettings {
    /// Milliseconds to open a connection. Default 3,000.
    pub connect_timeout_ms: u64,
    /// Milliseconds for a whole exchange, from the call to the last octet of the answer. Default 10,000.
    pub answer_timeout_ms: u64,
    /// Idle connections kept open. At least the number of threads that ask at once, else each beyond it pays for a new
    /// connection (and a TLS handshake) every time. Default 128.
    pub idle_connections: usize,
    /// Seconds after which an idle connection is not used again; less than the other side's own limit. Default 15.
    pub idle_seconds: u64,
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self { connect_timeout_ms: 3_000, answer_timeout_ms: 10_000, idle_connections: 128, idle_seconds: 15 }
    }
}

impl ConnectionSettings {
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn answer_timeout(&self) -> Duration {
        Duration::from_millis(self.answer_timeout_ms)
    }
}

/// Where the back office is and how we prove ourselves to it.
#[derive(Debug, Clone)]
pub struct BackOfficeSettings {
    /// `https://host[:port][/path]`.
    pub url: String,
    /// The one CA that may vouch for the back office's name: PEM. No other root is trusted.
    pub ca_certificate: String,
    /// The bearer token (RFC 6750).
    pub token: SecretString,
    /// Connections.
    pub connection: ConnectionSettings,
    /// Octets of an answer that are read at most. Default 4 MiB.
    pub answer_octets: u64,
}

impl BackOfficeSettings {
    /// Settings with the defaults for everything that has one.
    pub fn new(url: impl Into<String>, ca_certificate: impl Into<String>, token: SecretString) -> Self {
        Self {
            url: url.into(),
            ca_certificate: ca_certificate.into(),
            token,
            connection: ConnectionSettings::default(),
            answer_octets: 4 << 20,
        }
    }
}

/// How the card CA's status service is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CardStatusSettings {
    /// Connections.
    pub connection: ConnectionSettings,
    /// Octets of an OCSP answer that are read at most. Default 16 KiB.
    pub ocsp_octets: u64,
    /// Octets of a CRL that are read at most. Default 16 MiB: a municipality's CRL of 300,000 entries is about 15 MB.
    pub crl_octets: u64,
}

impl Default for CardStatusSettings {
    fn default() -> Self {
        Self { connection: ConnectionSettings::default(), ocsp_octets: 16 << 10, crl_octets: 16 << 20 }
    }
}
