//! The application statement: what the card signs, in JSON.

use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// The statement; field names are the wire.
#[derive(Debug, Clone, Serialize)]
pub struct Statement {
    /// `tsunagi.application.v1`
    #[serde(rename = "type")]
    pub statement_type: String,
    /// The name of the registration authority it is meant for.
    pub audience: String,
    /// The challenge, as the RA gave it.
    pub challenge: String,
    /// The phone.
    pub device: Device,
    /// Whether an old phone's certificates end.
    pub replaces: Replaces,
    /// What is asked for.
    pub requests: Vec<StatedRequest>,
}

/// The phone as it describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// `android`, `ios` or `other`.
    pub platform: String,
    /// Free text.
    pub model: String,
    /// `strongbox`, `tee`, `secure-enclave`, `gp-se` or `software`.
    pub key_storage: String,
    /// Where push messages reach it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push_token: Option<String>,
    /// SubjectPublicKeyInfo, base64 DER, of the P-256 key that confirms commands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_key: Option<String>,
    /// Certificates of an earlier owner that the phone found in itself; at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<NamedCertificate>,
}

/// A smartphone certificate, by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedCertificate {
    /// Its kind.
    pub kind: Kind,
    /// Its serial number, hex.
    pub serial: String,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            platform: "other".to_owned(),
            model: "Sandbox phone".to_owned(),
            key_storage: "software".to_owned(),
            push_token: None,
            command_key: None,
            left_behind: Vec::new(),
        }
    }
}

/// Whether an old phone's certificates end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Replaces {
    /// They end.
    Any,
    /// There are none; if there are, the application is refused.
    #[default]
    None,
}

/// One certification request.
#[derive(Debug, Clone, Serialize)]
pub struct StatedRequest {
    /// For which kind.
    pub kind: Kind,
    /// PKCS#10, base64 DER.
    pub pkcs10: String,
}

impl NamedCertificate {
    /// Whether both name the same certificate; digits of either case.
    pub fn is(&self, other: &Self) -> bool {
        self.kind == other.kind && self.serial.eq_ignore_ascii_case(&other.serial)
    }
}

impl Statement {
    /// As the wire has it.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings and enums only: this cannot fail, and an empty statement would be refused.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
