//! The beginning of a list's file: enough to say when it was made and how long it is good, without the store.

use ca_core::time::from_time;
use chrono::{DateTime, Utc};
use der::{Decode, Reader, SliceReader, Tag};
use spki::AlgorithmIdentifierOwned;
use x509_cert::time::Time;

/// So many octets are enough: version, algorithm, a name, and two times.
pub(super) const OCTETS: usize = 8_192;

/// What is told before the entries.
pub(super) struct Head {
    /// How long the whole CertificateList is.
    pub(super) octets: u64,
    /// thisUpdate
    pub(super) this_update: DateTime<Utc>,
    /// nextUpdate
    pub(super) next_update: DateTime<Utc>,
}

/// Reads CertificateList (RFC 5280 section 5.1) up to nextUpdate.
pub(super) fn read(octets: &[u8]) -> der::Result<Head> {
    let (length, list) = open_sequence(octets)?;
    let (_, tbs) = open_sequence(list)?;
    let mut reader = SliceReader::new(tbs)?;
    if u8::decode(&mut reader)? != 1 {
        return Err(Tag::Integer.value_error().into());
    }
    AlgorithmIdentifierOwned::decode(&mut reader)?;
    reader.tlv_bytes()?;
    let moment = |time: Time| from_time(&time).ok_or_else(|| der::Error::from(der::ErrorKind::DateTime));
    let this_update = moment(Time::decode(&mut reader)?)?;
    let next_update = moment(Time::decode(&mut reader)?)?;
    Ok(Head { octets: length, this_update, next_update })
}

/// A SEQUENCE that goes on beyond what is here: its whole length, and what is here of its content.
fn open_sequence(octets: &[u8]) -> der::Result<(u64, &[u8])> {
    let malformed = || der::Error::from(Tag::Sequence.length_error());
    let (0x30, rest) = octets.split_first().map(|(tag, rest)| (*tag, rest)).ok_or_else(malformed)? else { return Err(malformed()) };
    let (first, rest) = rest.split_first().ok_or_else(malformed)?;
    let following = match first {
        0..=0x7f => return Ok((u64::from(*first) + 2, rest)),
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return Err(malformed()),
    };
    let (length, content) = rest.split_at_checked(following).ok_or_else(malformed)?;
    let length = length.iter().fold(0_u64, |length, octet| (length << 8) | u64::from(*octet));
    Ok((length + 2 + following as u64, content))
}
