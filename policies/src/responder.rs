//! The profile of OCSP responders' certificates.

use serde::Deserialize;

use crate::document::{self, PolicyFault, distinct, require};
use crate::key::KeyType;
use crate::profile::{check_backdating, check_serial_octets};

/// What a delegated responder's certificate looks like (RFC 6960 section 4.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponderProfile {
    /// The profile's own name.
    pub name: String,
    /// Content octets of the serial number: 16 to 20.
    pub serial_octets: u8,
    /// The common name begins with this; a space and 26 random characters of [`crate::OPAQUE_ALPHABET`] follow.
    pub common_name_prefix: String,
    /// The longest life in hours; at most 90 days, for nobody checks whether it was revoked (nocheck).
    pub max_life_hours: u32,
    /// How long before the moment of issue it begins, in seconds; at most an hour.
    pub backdating_seconds: u32,
    /// The kinds of keys that may be used.
    pub key_types: Vec<KeyType>,
    /// The SHA-256 of the document's text.
    #[serde(skip)]
    pub sha256: [u8; 32],
}

impl ResponderProfile {
    /// How many random characters end the common name.
    pub const COMMON_NAME_CHARACTERS: u8 = 26;

    /// Reads and checks a profile; `document` is what it is called in messages.
    pub fn parse(document: &str, text: &str) -> Result<Self, PolicyFault> {
        let (mut profile, sha256): (Self, _) = document::parse(document, text)?;
        profile.sha256 = sha256;
        check_serial_octets(document, profile.serial_octets)?;
        check_backdating(document, profile.backdating_seconds)?;
        let prefix = &profile.common_name_prefix;
        let printable = prefix.bytes().all(|octet| octet == b' ' || octet.is_ascii_alphanumeric());
        require(document, printable && (1..=37).contains(&prefix.len()), "common_name_prefix is not 1 to 37 letters, digits and spaces")?;
        require(document, prefix.trim() == prefix, "common_name_prefix begins or ends with a space")?;
        require(document, (1..=2160).contains(&profile.max_life_hours), "max_life_hours is not from 1 to 2160 (90 days)")?;
        require(document, distinct(&profile.key_types), "key_types has a type twice")?;
        require(document, !profile.key_types.is_empty(), "key_types is empty")?;
        Ok(profile)
    }
}
