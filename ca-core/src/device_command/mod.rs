//! Commands to phones, which we sign, and their results, which phones sign: JSON Web Signatures (RFC 7515) in the compact
//! form, with ES256 (RFC 7518 section 3.4) and nothing else.

mod jws;
mod key;
mod result;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use key::{CommandKey, CommandKeyFault, PublicJwk};
pub use result::{CommandOutcome, CommandResult, CommandResultRefusal};

use crate::kind::CertificateKind;
use crate::serial::SerialNumber;

/// The `typ` in the header of a command.
const COMMAND_HEADER_TYPE: &str = "tsunagi-device-command+jwt";

/// The `type` of a command.
const COMMAND_TYPE: &str = "tsunagi.device-command.v1";

/// What a phone shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceAction {
    /// Erase the keys of the named certificates.
    Erase,
    /// Lock them: they stay, and sign nothing.
    Lock,
    /// Unlock them.
    Unlock,
}

impl DeviceAction {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Erase, Self::Lock, Self::Unlock];

    /// The number by which the store knows it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Erase => 1,
            Self::Lock => 2,
            Self::Unlock => 3,
        }
    }

    /// The action of a number; `None` if it is none's.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.code() == code)
    }

    /// The word in commands, JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Erase => "erase",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
        }
    }
}

/// A smartphone certificate as phones name it: serial numbers are unique for each kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedCertificate {
    /// Its kind.
    pub kind: CertificateKind,
    /// Its serial number, in JSON hexadecimal digits.
    #[serde(serialize_with = "serial_to_hex", deserialize_with = "serial_from_hex")]
    pub serial: SerialNumber,
}

fn serial_to_hex<S: Serializer>(serial: &SerialNumber, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(serial)
}

fn serial_from_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SerialNumber, D::Error> {
    SerialNumber::from_hex(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// A command to one phone, about certificates that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCommand {
    /// Its public identifier: 32 lower-case hexadecimal digits.
    pub command: String,
    /// The phone's public identifier: the same.
    pub device: String,
    /// What the phone shall do.
    pub action: DeviceAction,
    /// With which certificates' keys.
    pub certificates: Vec<NamedCertificate>,
    /// When it was made.
    pub issued_at: DateTime<Utc>,
    /// Until when it is to be obeyed.
    pub expires_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests;
