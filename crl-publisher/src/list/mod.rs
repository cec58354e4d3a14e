//! Writing a list: in constant memory, however many certificates it has.

mod around;
mod der;
mod entry;
mod spool;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use ca_core::issuer::Issuer;
use ca_core::signer::{Signer, SignerFault, StreamingDigest, digest_algorithm};
use chrono::{DateTime, Utc};

use self::around::Around;
use self::spool::{Spool, WrittenEntries};
use schema::crl::ListedRevocation;

/// What a list says besides its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading {
    /// CRLNumber (RFC 5280 section 5.2.3).
    pub number: u64,
    /// When it was made; whole seconds.
    pub this_update: DateTime<Utc>,
    /// By when there will be another; whole seconds. [`Heading::NEVER`] if there will be none.
    pub next_update: DateTime<Utc>,
}

impl Heading {
    /// The nextUpdate of a CA key's last list, which stays true for ever: 99991231235959Z (ETSI EN 319 411-1, after X.509 and
    /// RFC 5280 section 4.1.2.5: no well-defined end).
    pub const NEVER: DateTime<Utc> = match DateTime::from_timestamp(253_402_300_799, 0) {
        Some(at) => at,
        None => DateTime::<Utc>::MAX_UTC,
    };
}

/// A list in a file: written, signed, and on disk. Not yet through the [gate](crate::gate).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenList {
    /// The file: a CertificateList in DER.
    pub path: PathBuf,
    /// What it was to say.
    pub heading: Heading,
    /// How many certificates it lists.
    pub entries: u64,
    /// The file's length.
    pub octets: u64,
}

/// A list could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    /// The file system said no.
    #[error("the list cannot be written to {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A time that no list can say: before 1970, or after 9999.
    #[error("the list's {0} is before 1970 or after 9999")]
    Time(&'static str),
    /// The CA key could not sign.
    #[error("the CA key could not sign")]
    Signer(#[from] SignerFault),
}

/// Writes a full CRL of one shard of one CA key: first the entries to a file of its own, because the lengths before them are not
/// known before the last; then [`ListWriter::finish`] puts the rest around them. Neither holds more than some 100 KiB at a time.
///
/// What is pushed is written: whether it should have been is for the gate to say.
#[derive(Debug)]
pub struct ListWriter {
    spool: Spool,
    entries: u64,
}

impl ListWriter {
    /// Begins, with a new file for the entries, which goes away with the writer.
    ///
    /// # Errors
    /// If the file cannot be made.
    pub fn begin(spool: &Path) -> Result<Self, ListFault> {
        Ok(Self { spool: Spool::create(spool)?, entries: 0 })
    }

    /// Adds an entry at the end.
    ///
    /// # Errors
    /// If the disk is full, or a time is none that a list can say.
    pub fn push(&mut self, revocation: &ListedRevocation) -> Result<(), ListFault> {
        self.spool.append(|octets| entry::append(octets, revocation).ok_or(ListFault::Time("revocationDate or invalidityDate")))?;
        self.entries += 1;
        Ok(())
    }

    /// How many there are so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Puts the list of a shard together at `path`, in place of any file there, and signs it. What is in the file is durable on
    /// return; its name is once the directory was synced. An RSA key in a file does not sign digests: for that one, what is signed
    /// is read into memory.
    ///
    /// # Errors
    /// See [`ListFault`]; what lies at `path` then is no list.
    pub fn finish(self, heading: &Heading, issuer: &Issuer, shard: u16, path: &Path) -> Result<WrittenList, ListFault> {
        let mut entries = self.spool.finish()?;
        let around = Around::new(heading, issuer, shard, entries.octets())?;
        let signature = sign(issuer.signer().as_ref(), &around, &mut entries)?;
        let beginning = around.beginning(&signature);
        let end = around.end(&signature);

        let fault = |source| ListFault::File { path: path.display().to_string(), source };
        let mut file = File::create(path).map_err(fault)?;
        file.write_all(&beginning).map_err(fault)?;
        io::copy(entries.rewound()?, &mut file).map_err(fault)?;
        file.write_all(&end).map_err(fault)?;
        file.sync_all().map_err(fault)?;
        let octets = beginning.len() as u64 + entries.octets() + end.len() as u64;
        Ok(WrittenList { path: path.to_owned(), heading: *heading, entries: self.entries, octets })
    }
}

/// Signs what stands before the entries, they, and what stands after them.
fn sign(signer: &dyn Signer, around: &Around, entries: &mut WrittenEntries) -> Result<Vec<u8>, ListFault> {
    if signer.takes_digests() {
        let mut digest = StreamingDigest::new(digest_algorithm(signer.key_type()));
        digest.update(&around.before_entries);
        entries.each_chunk(|chunk| digest.update(chunk))?;
        digest.update(&around.after_entries);
        return Ok(signer.sign_digest(&digest.finish())?);
    }
    let mut signed = around.before_entries.clone();
    entries.each_chunk(|chunk| signed.extend_from_slice(chunk))?;
    signed.extend_from_slice(&around.after_entries);
    Ok(signer.sign(&signed)?)
}
