//! Reading a list: strictly, as a stream, in constant memory.
//!
//! Nothing here is shared with [`crate::list`], which writes lists: what one gets wrong, the other does not repeat.

mod entry;
mod fields;
mod octets;
mod source;

use std::io::{self, Read};

use ca_core::digest::Sha256Digest;
use ca_core::signer::{MessageDigest, verify_digest};
use chrono::{DateTime, Utc};

use self::source::Source;
use schema::crl::ListedRevocation;

pub use fields::{ListExtension, SignatureAlgorithm};

/// A list being read (CertificateList, RFC 5280 section 5.1): its fields first, then its entries one at a time, then the end. What it
/// says is known to be true only when [`ReadBack::finish`] gave an [`Ending`] whose signature verifies.
#[derive(Debug)]
pub struct ReadBack<R> {
    source: Source<R>,
    head: Head,
    /// Where the list, its signed part and its entries end, counted from the list's first octet.
    end: u64,
    signed_end: u64,
    entries_end: u64,
    entries: u64,
}

/// What stands before the entries of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The algorithm of the signature.
    pub algorithm: SignatureAlgorithm,
    /// The issuer: Name in DER.
    pub issuer: Vec<u8>,
    /// When it was made.
    pub this_update: DateTime<Utc>,
    /// By when there will be another.
    pub next_update: DateTime<Utc>,
}

/// What stands after the entries of a list, and what came of reading all of it.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Its extensions, in order.
    pub extensions: Vec<ListExtension>,
    /// How many entries were read.
    pub entries: u64,
    /// The length of the list.
    pub octets: u64,
    /// The SHA-256 of the list.
    pub sha256: Sha256Digest,
    algorithm: SignatureAlgorithm,
    signed: MessageDigest,
    signature: Vec<u8>,
}

/// It is no list of the kind that is written here.
#[derive(Debug, thiserror::Error)]
pub enum ReadFault {
    /// It could not be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It ends too early.
    #[error("it ends in its middle")]
    Truncated,
    /// Not as RFC 5280, DER or our own profile would have it; where.
    #[error("its {0} is malformed")]
    Malformed(&'static str),
    /// The same for the entry of that place, counted from 1.
    #[error("entry {0} is malformed")]
    Entry(u64),
    /// An algorithm that no CA key here signs with, or two that differ.
    #[error("its signature algorithm is none of ours, or not the same twice")]
    Algorithm,
}

impl<R: Read> ReadBack<R> {
    /// Begins: reads up to the entries of a v2 list with nextUpdate.
    ///
    /// # Errors
    /// See [`ReadFault`].
    pub fn begin(from: R) -> Result<Self, ReadFault> {
        fields::read_head(Source::new(from))
    }

    /// What stands before the entries.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The next entry; `None` after the last.
    ///
    /// # Errors
    /// See [`ReadFault`].
    pub fn next_entry(&mut self) -> Result<Option<ListedRevocation>, ReadFault> {
        let left = self.entries_end - self.source.position();
        if left == 0 {
            return Ok(None);
        }
        self.entries += 1;
        let malformed = ReadFault::Entry(self.entries);
        // Each that can be written has a length of one octet.
        let &[octets::SEQUENCE, length @ ..0x80] = self.source.peek(2)? else { return Err(malformed) };
        let whole = 2 + usize::from(length);
        if whole as u64 > left {
            return Err(malformed);
        }
        let read = entry::read(&self.source.peek(whole)?[2..]);
        self.source.consume(whole);
        read.map(Some).ok_or(malformed)
    }

    /// Reads what is left, entries too if there are.
    ///
    /// # Errors
    /// See [`ReadFault`].
    pub fn finish(mut self) -> Result<Ending, ReadFault> {
        while self.next_entry()?.is_some() {}
        fields::read_ending(self)
    }
}

impl Ending {
    /// Whether that public key (the content of the BIT STRING subjectPublicKey) signed what was read.
    pub fn is_signed_by(&self, public_key: &[u8]) -> bool {
        self.algorithm.key_types().iter().any(|key_type| verify_digest(*key_type, public_key, &self.signed, &self.signature))
    }
}
