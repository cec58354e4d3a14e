//! Our CRLs. Each shard of a CA key's certificates has a list of its own, but the numbers of one CA key rise over all its lists.
//!
//! A number is reserved before a list is made; the list's octets are stored under it in chunks; publishing then only says that it
//! is in force. So a list of any size is published at once, and those who offer it for download fetch it chunk by chunk.

mod chunks;
mod entries;
mod kept;
mod lists;
mod scopes;

use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use chrono::{DateTime, Utc};

use crate::event::EventPosition;
use crate::fault::StoreFault;

pub use entries::{GATE_CHANGES, GateCount, ListedRevocation};
pub use kept::CrlFailure;
pub use lists::{CrlRetention, PrunedCrl};
pub use scopes::{CrlScope, RetireRefusal};

/// So many octets are best stored at once: more take more memory at both ends, fewer more statements.
pub const CRL_CHUNK_OCTETS: usize = 1 << 20;

/// What a CRL was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CrlCause {
    /// It is the scope's first.
    First,
    /// Its time had come.
    Regular,
    /// Something changed that is not to wait.
    Revocation,
    /// It is the scope's last: the CA key is retired.
    Final,
}

impl CrlCause {
    /// Every cause.
    pub const ALL: [Self; 4] = [Self::First, Self::Regular, Self::Revocation, Self::Final];

    /// The word stored, and used in JSON and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Regular => "regular",
            Self::Revocation => "revocation",
            Self::Final => "final",
        }
    }

    fn from_word(word: &str) -> Result<Self, StoreFault> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word).ok_or(StoreFault::Corrupt("a CRL's cause"))
    }
}

/// What is known of a CRL that is published, or about to be; its octets lie apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedCrl {
    /// The key that signed it.
    pub ca_key: CaKeyId,
    /// Which of its certificates it covers.
    pub shard: u16,
    /// Its CRLNumber (RFC 5280 section 5.2.3), as reserved.
    pub number: u64,
    /// thisUpdate
    pub this_update: DateTime<Utc>,
    /// nextUpdate
    pub next_update: DateTime<Utc>,
    /// How many certificates it lists.
    pub entries: u64,
    /// The length of its DER.
    pub octets: u64,
    /// The SHA-256 of its DER.
    pub sha256: Sha256Digest,
    /// Every event up to here is in the list.
    pub event_position: EventPosition,
    /// What it was made for.
    pub cause: CrlCause,
}

impl PublishedCrl {
    /// Whether every machine that gives out lists should have it as long as it is kept: lists made at once are soon followed by
    /// others, and those that were not in force when a machine looked are not fetched later.
    pub fn is_for_every_shelf(&self) -> bool {
        self.cause != CrlCause::Revocation
    }
}
