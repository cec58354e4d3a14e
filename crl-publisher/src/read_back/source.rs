//! The octets of a list as they come, with their digests.

use std::io::{self, Read};

use ca_core::digest::Sha256Digest;
use ca_core::signer::{DigestAlgorithm, MessageDigest, StreamingDigest};

use super::{ReadFault, octets};

/// Octets held at a time; nothing that is looked at as a whole may be longer.
const BUFFER: usize = 128 * 1024;

/// The longest value that is read as a whole: an issuer's name, the extensions.
const LONGEST: usize = 16 * 1024;

/// A stream of octets, of which some lie ready.
pub(super) struct Source<R> {
    from: R,
    buffer: Box<[u8]>,
    /// In the buffer: what was digested, what was consumed, what is there.
    digested: usize,
    consumed: usize,
    filled: usize,
    /// The position in the stream of the buffer's first octet.
    before: u64,
    whole: StreamingDigest,
    signed: Option<StreamingDigest>,
}

impl<R: Read> Source<R> {
    pub(super) fn new(from: R) -> Self {
        let whole = StreamingDigest::new(DigestAlgorithm::Sha256);
        Self { from, buffer: vec![0; BUFFER].into(), digested: 0, consumed: 0, filled: 0, before: 0, whole, signed: None }
    }

    /// How many octets were consumed.
    pub(super) fn position(&self) -> u64 {
        self.before + self.consumed as u64
    }

    /// The next `count` octets, `LONGEST` and a few at most, without consuming them.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], ReadFault> {
        while self.filled - self.consumed < count {
            if self.refill()? == 0 {
                return Err(ReadFault::Truncated);
            }
        }
        Ok(&self.buffer[self.consumed..][..count])
    }

    /// Goes on beyond octets that were looked at.
    pub(super) fn consume(&mut self, count: usize) {
        self.consumed += count;
    }

    /// Consumes a value's identifier and length octets; gives the length, and them.
    pub(super) fn header(&mut self, tag: u8, field: &'static str) -> Result<(u64, Vec<u8>), ReadFault> {
        let (length, octets) = self.peek_header(tag)?.ok_or(ReadFault::Malformed(field))?;
        let header = self.peek(octets)?.to_vec();
        self.consume(octets);
        Ok((length, header))
    }

    /// Whether the next value has that tag.
    pub(super) fn next_is(&mut self, tag: u8) -> Result<bool, ReadFault> {
        Ok(self.peek(1)? == [tag])
    }

    /// Consumes a whole value that ends no later than `end`; gives it with its header.
    pub(super) fn value(&mut self, tag: u8, end: u64, field: &'static str) -> Result<Vec<u8>, ReadFault> {
        let malformed = ReadFault::Malformed(field);
        let Some((length, header)) = self.peek_header(tag)? else { return Err(malformed) };
        let Some(length) = usize::try_from(length).ok().filter(|length| *length <= LONGEST) else { return Err(malformed) };
        let whole = header + length;
        if self.position() + whole as u64 > end {
            return Err(malformed);
        }
        let value = self.peek(whole)?.to_vec();
        self.consume(value.len());
        Ok(value)
    }

    /// From here on it is signed.
    pub(super) fn begin_signed(&mut self, digest: StreamingDigest) {
        self.digest_consumed();
        self.signed = Some(digest);
    }

    /// Up to here it was signed.
    pub(super) fn end_signed(&mut self) -> Option<MessageDigest> {
        self.digest_consumed();
        self.signed.take().map(StreamingDigest::finish)
    }

    /// There must be nothing left; gives the SHA-256 of all.
    pub(super) fn end(mut self) -> Result<Sha256Digest, ReadFault> {
        if self.filled > self.consumed || self.refill()? > 0 {
            return Err(ReadFault::Malformed("end"));
        }
        self.digest_consumed();
        Sha256Digest::from_slice(self.whole.finish().as_bytes()).ok_or(ReadFault::Malformed("end"))
    }

    /// The length of the next value, and how long its header is; `None` if it has another tag, or no proper length.
    fn peek_header(&mut self, tag: u8) -> Result<Option<(u64, usize)>, ReadFault> {
        let &[found, first] = self.peek(2)? else { return Ok(None) };
        let more = if first < 0x80 { 0 } else { usize::from(first & 0x7F).min(8) };
        let read = octets::length(&self.peek(2 + more)?[1..]);
        Ok(read.filter(|_| found == tag).map(|(length, octets)| (length, 1 + octets)))
    }

    fn digest_consumed(&mut self) {
        let fresh = &self.buffer[self.digested..self.consumed];
        self.whole.update(fresh);
        if let Some(signed) = &mut self.signed {
            signed.update(fresh);
        }
        self.digested = self.consumed;
    }

    /// Moves what is not consumed to the front, and fills up; gives how many octets came.
    fn refill(&mut self) -> Result<usize, ReadFault> {
        self.digest_consumed();
        self.buffer.copy_within(self.consumed..self.filled, 0);
        self.before += self.consumed as u64;
        self.filled -= self.consumed;
        (self.digested, self.consumed) = (0, 0);
        loop {
            match self.from.read(&mut self.buffer[self.filled..]) {
                Ok(count) => {
                    self.filled += count;
                    return Ok(count);
                }
                Err(interrupted) if interrupted.kind() == io::ErrorKind::Interrupted => {}
                Err(fault) => return Err(fault.into()),
            }
        }
    }
}

impl<R> std::fmt::Debug for Source<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source").field("before", &self.before).field("consumed", &self.consumed).finish_non_exhaustive()
    }
}
