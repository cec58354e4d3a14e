//! Which card certificate is meant.

use std::fmt;

use crate::digest::Sha256Digest;
use crate::serial::SerialNumber;

/// A subjectKeyIdentifier or authorityKeyIdentifier's keyIdentifier: 1 to 64 octets, compared octet by octet.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyIdentifier(Vec<u8>);

impl KeyIdentifier {
    /// `None` if there are no octets or more than 64.
    pub fn new(octets: impl Into<Vec<u8>>) -> Option<Self> {
        let octets = octets.into();
        (1..=64).contains(&octets.len()).then_some(Self(octets))
    }

    /// The octets of `digits`, hexadecimal in either case; `None` if they are no such octets.
    pub fn from_hex(digits: &str) -> Option<Self> {
        hex::decode(digits).ok().and_then(Self::new)
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Lower-case hexadecimal digits.
impl fmt::Display for KeyIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for KeyIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyIdentifier({self})")
    }
}

/// Identifies one card certificate: by the *key* that issued it, its serial number and its SHA-256.
///
/// Never by issuer name and serial number: all key generations of a card CA bear the same name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardIdentity {
    /// The key identifier of the card CA's key.
    pub issuer_key_id: KeyIdentifier,
    /// The serial number: restricted data, never in the smartphone's certificate or in a log.
    pub serial: SerialNumber,
    /// The digest of the whole certificate in DER.
    pub sha256: Sha256Digest,
}
