//! The profile of the CAs' own certificates.

use serde::Deserialize;

use crate::document::{self, PolicyFault, distinct, require};
use crate::key::KeyType;
use crate::profile::{check_backdating, check_serial_octets};

/// What a CA's self-signed certificate looks like. Its name is the issuer name of the kind's [`crate::Profile`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorityProfile {
    /// The profile's own name.
    pub name: String,
    /// Content octets of the serial number: 16 to 20.
    pub serial_octets: u8,
    /// The kind of key made where none is asked for.
    pub default_key_type: KeyType,
    /// The kinds of keys that may be used.
    pub key_types: Vec<KeyType>,
    /// How long the certificate lasts, in days.
    pub life_days: u32,
    /// How long before the moment of issue it begins, in seconds; at most an hour.
    pub backdating_seconds: u32,
    /// The SHA-256 of the document's text.
    #[serde(skip)]
    pub sha256: [u8; 32],
}

impl AuthorityProfile {
    /// Reads and checks a profile; `document` is what it is called in messages.
    pub fn parse(document: &str, text: &str) -> Result<Self, PolicyFault> {
        let (mut profile, sha256): (Self, _) = document::parse(document, text)?;
        profile.sha256 = sha256;
        check_serial_octets(document, profile.serial_octets)?;
        check_backdating(document, profile.backdating_seconds)?;
        require(document, distinct(&profile.key_types), "key_types has a type twice")?;
        require(document, profile.key_types.contains(&profile.default_key_type), "default_key_type is not among key_types")?;
        require(document, (365..=36_525).contains(&profile.life_days), "life_days is not from 365 to 36525")?;
        Ok(profile)
    }
}
