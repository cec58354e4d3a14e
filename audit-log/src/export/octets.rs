//! Hashes in JSON: those of the tree in base64, those of files in hexadecimal digits.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A hash of the tree: base64.
#[derive(Serialize, Deserialize)]
struct TreeHash(#[serde(with = "tree_hash")] [u8; 32]);

mod tree_hash {
    use super::{Deserialize, Deserializer, Engine, STANDARD, Serializer};
    use serde::de::Error as _;

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).ok().and_then(|octets| octets.try_into().ok()).ok_or_else(|| D::Error::custom("not 32 octets in base64"))
    }
}

/// Hashes of the tree, one after the other.
pub(super) mod tree_hashes {
    use super::{Deserialize, Deserializer, Serializer, TreeHash};

    pub(in crate::export) fn serialize<S: Serializer>(hashes: &[[u8; 32]], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(hashes.iter().map(|hash| TreeHash(*hash)))
    }

    pub(in crate::export) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 32]>, D::Error> {
        Ok(Vec::<TreeHash>::deserialize(deserializer)?.into_iter().map(|hash| hash.0).collect())
    }
}

/// A file's SHA-256.
pub(super) mod file_hash {
    use super::{Deserialize, Deserializer, Serializer};
    use serde::de::Error as _;

    pub(in crate::export) fn serialize<S: Serializer>(hash: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(hash))
    }

    pub(in crate::export) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).ok().and_then(|octets| octets.try_into().ok()).ok_or_else(|| D::Error::custom("not 64 hexadecimal digits"))
    }
}

/// Octets of any number: base64.
#[cfg(feature = "evidence")]
pub(super) mod base64_octets {
    use super::{Deserialize, Deserializer, Engine, STANDARD, Serializer};
    use serde::de::Error as _;

    pub(in crate::export) fn serialize<S: Serializer>(octets: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(octets))
    }

    pub(in crate::export) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map_err(|_| D::Error::custom("not base64"))
    }
}

/// Octets that may be missing: base64.
#[cfg(feature = "evidence")]
pub(super) mod optional_octets {
    use super::{Deserialize, Deserializer, Engine, STANDARD, Serializer};
    use serde::de::Error as _;

    pub(in crate::export) fn serialize<S: Serializer>(octets: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match octets {
            Some(octets) => serializer.serialize_str(&STANDARD.encode(octets)),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::export) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        STANDARD.decode(String::deserialize(deserializer)?).map(Some).map_err(|_| D::Error::custom("not base64"))
    }
}

/// A moment in RFC 3339, UTC, milliseconds always.
pub(super) mod moment {
    use chrono::{DateTime, SecondsFormat, Utc};

    use super::{Deserialize, Deserializer, Serializer};
    use serde::de::Error as _;

    pub(in crate::export) fn serialize<S: Serializer>(at: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    pub(in crate::export) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        let text = String::deserialize(deserializer)?;
        DateTime::parse_from_rfc3339(&text).map(|at| at.to_utc()).map_err(|_| D::Error::custom("not a time"))
    }
}
