//! Reading one policy document strictly.

use const_oid::ObjectIdentifier;
use ring::digest;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

/// A policy document cannot be used. The operator's to put right, at start, before anything is issued.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFault {
    /// The file cannot be read.
    #[error("policy file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The text is no TOML, or a key is unknown, missing or of another type.
    #[error("policy {document}: {source}")]
    Syntax {
        /// The document.
        document: String,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The values are of the right types but make no sense, alone or together.
    #[error("policy {document}: {detail}")]
    Contradiction {
        /// The document.
        document: String,
        /// What is wrong.
        detail: String,
    },
}

/// Longer documents are refused unread.
const MAX_OCTETS: usize = 64 * 1024;

/// Parses `text`; gives the value and the SHA-256 of the text.
pub(crate) fn parse<T: DeserializeOwned>(document: &str, text: &str) -> Result<(T, [u8; 32]), PolicyFault> {
    if text.len() > MAX_OCTETS {
        return Err(contradiction(document, format!("longer than {MAX_OCTETS} octets")));
    }
    let value = toml::from_str(text).map_err(|source| PolicyFault::Syntax { document: document.to_owned(), source: Box::new(source) })?;
    Ok((value, sha256(text.as_bytes())))
}

pub(crate) fn contradiction(document: &str, detail: impl Into<String>) -> PolicyFault {
    PolicyFault::Contradiction { document: document.to_owned(), detail: detail.into() }
}

/// Fails with `detail` unless `holds`.
pub(crate) fn require(document: &str, holds: bool, detail: &str) -> Result<(), PolicyFault> {
    if holds { Ok(()) } else { Err(contradiction(document, detail)) }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut octets = [0; 32];
    octets.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    octets
}

/// For `#[serde(deserialize_with)]`: an object identifier in dotted decimal.
pub(crate) fn oid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectIdentifier, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no object identifier")))
}

/// For `#[serde(deserialize_with)]`: a list of object identifiers in dotted decimal.
pub(crate) fn oids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ObjectIdentifier>, D::Error> {
    Vec::<String>::deserialize(deserializer)?
        .iter()
        .map(|text| text.parse().map_err(|_| D::Error::custom(format!("{text:?} is no object identifier"))))
        .collect()
}

/// Whether no element occurs twice.
pub(crate) fn distinct<T: PartialEq>(elements: &[T]) -> bool {
    elements.iter().enumerate().all(|(at, element)| !elements[..at].contains(element))
}
