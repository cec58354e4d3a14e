//! The log: a leaf for each event, in the order of positions, in a tree that only grows.
//!
//! A leaf is a commitment to its event under a salt of its own; what the tree is made of lies here, what its hashes mean does not. Which
//! leaf an event has does not follow from its position: a restored store gives positions out again, the log never gives out a
//! leaf again. Nothing here is ever changed or removed, but that purging takes events and salts away; the database sees to that itself.

mod append;
mod head;
mod leaves;
mod records;
mod renewal;

use ca_core::application::ApplicationId;
use chrono::{DateTime, Utc};

use crate::certificate::CertificateId;
use crate::event::EventPosition;
use crate::fault::StoreFault;

pub use append::{LeafBatch, LogTile, LostLeaves, NewLeaf};
pub use head::{LogHead, LogIdentity, LogNote};
pub use records::PAGE_LEAVES;

/// So many octets have a salt, a commitment and a hash.
pub const HASH_OCTETS: usize = 32;

/// An event as it is stored, for those who make its leaf's content of it. Borrowed: it is gone when the next one is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventRow<'a> {
    /// Its place.
    pub position: EventPosition,
    /// When it happened; whole milliseconds.
    pub at: DateTime<Utc>,
    /// What happened, as the word stored.
    pub kind: &'a str,
    /// The certificate it is about.
    pub certificate: Option<CertificateId>,
    /// The application it is about.
    pub application: Option<ApplicationId>,
    /// More of it: a JSON object as it was written, without white space, its keys sorted.
    pub data: &'a str,
}

/// A leaf with what it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Its index, from 0 on.
    pub leaf: u64,
    /// The log's entry: SHA-256 of salt and content.
    pub commitment: [u8; HASH_OCTETS],
    /// What is there of it.
    pub content: LeafContent<'a>,
}

/// What is there of a leaf besides its commitment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeafContent<'a> {
    /// All of it.
    Present {
        /// The event.
        event: EventRow<'a>,
        /// The salt of the commitment.
        salt: [u8; HASH_OCTETS],
    },
    /// Nothing: its event and salt were purged.
    Purged,
    /// Nothing: the store was restored and has forgotten them.
    Lost,
}

/// A column of 32 octets.
fn hash(octets: &[u8]) -> Result<[u8; HASH_OCTETS], StoreFault> {
    octets.try_into().map_err(|_| StoreFault::Corrupt("a hash's length"))
}
