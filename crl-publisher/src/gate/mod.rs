//! What stands between a list and the public.

mod asking;
mod comparison;
mod fault;
mod sample;
mod tally;

use std::fs::File;
use std::path::Path;

use ca_core::digest::Sha256Digest;
use ca_core::issuer::{CaKey, Issuer};
use ca_core::ocsp::StatusWitness;
use ca_core::serial::SerialNumber;
use schema::crl::{GateCount, ListedRevocation};
use schema::{EventPosition, StoreFault};

use self::comparison::Comparison;
use self::sample::Sample;
use self::tally::Tally;
use crate::list::Heading;
use crate::read_back::{Ending, Head, ReadBack};

pub use asking::Asked;
pub use comparison::Compared;
pub use fault::{Certificates, GateFault};

/// Asks the store how certificates stand.
pub type AskStore<'a> = &'a mut dyn FnMut(&[SerialNumber]) -> Result<Vec<Standing>, StoreFault>;

/// What the gate needs to know of a list.
pub struct GateInput<'a> {
    /// The file with the new list.
    pub path: &'a Path,
    /// Whose list it is.
    pub issuer: &'a Issuer,
    /// Of which shard.
    pub shard: u16,
    /// What it is to say besides its entries.
    pub heading: &'a Heading,
    /// The list before, unless this is the first.
    pub previous: Option<PreviousList<'a>>,
    /// What the store has that belongs on the list, and what changed since the position that was read before the list was made:
    /// see [`schema::Reader::gate_count`].
    pub count: &'a mut dyn FnMut() -> Result<GateCount, StoreFault>,
    /// How certificates of this shard stand in the store at the moment of asking, in the order asked; some hundreds at a time.
    pub standing: AskStore<'a>,
    /// Who asks the status service what it says; `None` if nobody is to.
    pub witness: Option<&'a dyn StatusWitness>,
    /// How many entries, taken at random, the witness is asked for. As many come in at most of those that are new on this list, and
    /// of those that left it because a hold was lifted, and the first and the last entry.
    pub sample: usize,
}

/// The list that was published last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreviousList<'a> {
    /// A file with it.
    pub path: &'a Path,
    /// Its number, as the store says.
    pub number: u64,
}

/// How a certificate stands that the list before has and the new one has not, or that the status service tells otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It expired so long ago that no entry is needed, whatever became of it.
    LongExpired,
    /// It is neither revoked nor on hold.
    Free,
    /// It belongs on the list: it is revoked or on hold, or was never issued as far as the store knows.
    Listed,
}

/// A list that may be published, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateReport {
    /// How many certificates it lists.
    pub entries: u64,
    /// The length of the file.
    pub octets: u64,
    /// The SHA-256 of the file, of the octets that were read and found good.
    pub sha256: Sha256Digest,
    /// The position at which the store had the same number of them.
    pub position: EventPosition,
    /// How many certificates' status changed while the list was made: these were not counted.
    pub changed_meanwhile: u64,
    /// What differs from the list before, unless this is the first.
    pub compared: Option<Compared>,
    /// What came of asking the status service.
    pub asked: Asked,
}

/// Reads a list back from its file and holds it against what it should say, entry by entry against the list before, against the
/// store, and in samples against what the status service tells. Both files are read side by side, once, in constant memory.
///
/// The numbers of entries are compared for the certificates whose status did not change between the position that was read before
/// the list was made and the moment of counting: of these the list has all that the store has, and none besides. Of the others, it
/// may have either.
///
/// # Errors
/// See [`GateFault`].
pub fn check(input: GateInput<'_>) -> Result<GateReport, GateFault> {
    let GateInput { path, issuer, shard, heading, previous, count, standing, witness, sample } = input;
    let ca_key = issuer.ca_key();
    let mut list = ReadBack::begin(open(path)?).map_err(GateFault::Unreadable)?;
    check_head(list.head(), issuer, heading)?;
    let mut comparison = previous.map(|previous| Comparison::begin(&previous, ca_key, shard, heading)).transpose()?;
    let counted = count()?;
    let mut tally = Tally::new(&counted);
    let mut sample = Sample::new(sample);
    let mut last: Option<ListedRevocation> = None;
    while let Some(entry) = list.next_entry().map_err(GateFault::Unreadable)? {
        if last.as_ref().is_some_and(|last| last.serial >= entry.serial) {
            return Err(GateFault::Order(entry.serial));
        }
        tally.count(&entry.serial);
        sample.offer(&entry);
        if let Some(comparison) = &mut comparison {
            comparison.with(&entry, &mut sample, standing)?;
        }
        last = Some(entry);
    }
    sample.offer_last(last);
    let ending = list.finish().map_err(GateFault::Unreadable)?;
    check_ending(&ending, ca_key, shard, heading)?;
    let compared = comparison.map(|comparison| comparison.end(&mut sample, standing)).transpose()?;
    tally.check(&counted)?;
    let asked = match witness {
        Some(witness) => asking::ask(witness, ca_key, &sample, standing)?,
        None => Asked::Nobody,
    };
    Ok(GateReport {
        entries: ending.entries,
        octets: ending.octets,
        sha256: ending.sha256,
        position: counted.position,
        changed_meanwhile: counted.changed.len() as u64,
        compared,
        asked,
    })
}

fn open(path: &Path) -> Result<File, GateFault> {
    File::open(path).map_err(|source| GateFault::File { path: path.display().to_string(), source })
}

fn expect(right: bool, field: &'static str) -> Result<(), GateFault> {
    if right { Ok(()) } else { Err(GateFault::Field(field)) }
}

fn check_head(head: &Head, issuer: &Issuer, heading: &Heading) -> Result<(), GateFault> {
    expect(head.algorithm.key_types().contains(&issuer.signer().key_type()), "signature algorithm")?;
    expect(head.issuer == issuer.ca_key().subject_name_der(), "issuer")?;
    expect(head.this_update == heading.this_update, "thisUpdate")?;
    expect(head.next_update == heading.next_update && head.this_update < head.next_update, "nextUpdate")
}

/// The signature last but for the extensions: what it does not cover was not to be believed in the first place.
fn check_ending(ending: &Ending, ca_key: &CaKey, shard: u16, heading: &Heading) -> Result<(), GateFault> {
    if !ending.is_signed_by(ca_key.subject_public_key()) {
        return Err(GateFault::Signature);
    }
    expect(ending.has_the_extensions_of_a_full_list(), "set of extensions")?;
    expect(ending.key_identifier() == Some(ca_key.key_identifier().as_bytes()), "authorityKeyIdentifier")?;
    expect(ending.number() == Some(heading.number), "cRLNumber")?;
    expect(ending.distribution_point() == Some(ca_key.distribution_point(shard).name_der.as_slice()), "issuingDistributionPoint")
}
