//! As much of DER as a list has (X.690 sections 8.1 and 10.1), taken from octets at hand.

use chrono::{DateTime, NaiveDate, Utc};

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0A;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
/// [0], constructed and primitive.
pub(super) const CONTEXT_0: u8 = 0xA0;
pub(super) const CONTEXT_0_PRIMITIVE: u8 = 0x80;

/// The length in the octets that follow an identifier octet, and how many octets say so; `None` unless it is definite and minimal, or if it is not
/// there as a whole.
pub(super) fn length(octets: &[u8]) -> Option<(u64, usize)> {
    let (&first, rest) = octets.split_first()?;
    match first {
        0..=0x7F => Some((first.into(), 1)),
        0x81..=0x88 => {
            let count = usize::from(first - 0x80);
            let length = rest.get(..count)?.iter().fold(0, |length, octet| length << 8 | u64::from(*octet));
            let minimal = rest[0] != 0 && length >= 0x80;
            minimal.then_some((length, 1 + count))
        }
        _ => None,
    }
}

/// The values that stand one after another in `octets`.
#[derive(Clone, Copy)]
pub(super) struct Values<'a>(pub(super) &'a [u8]);

impl<'a> Values<'a> {
    /// The content of the next, which must have that tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&found, rest) = self.0.split_first()?;
        let (length, octets) = length(rest)?;
        let content = rest[octets..].get(..usize::try_from(length).ok()?)?;
        if found != tag {
            return None;
        }
        self.0 = &rest[octets + content.len()..];
        Some(content)
    }

    /// The same, if the next has that tag.
    pub(super) fn take_if(&mut self, tag: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&tag) { self.take(tag).map(Some) } else { Some(None) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// There must be nothing left.
    pub(super) fn end(&self) -> Option<()> {
        self.is_empty().then_some(())
    }
}

/// The content of the one value that `octets` are.
pub(super) fn only(octets: &[u8], tag: u8) -> Option<&[u8]> {
    let mut values = Values(octets);
    let content = values.take(tag)?;
    values.end()?;
    Some(content)
}

/// The magnitude of an INTEGER's content; `None` if it is negative or not minimal.
pub(super) fn magnitude(content: &[u8]) -> Option<&[u8]> {
    match content {
        [] | [0x80..=0xFF, ..] => None,
        [0, rest @ ..] if !rest.is_empty() => (rest[0] & 0x80 != 0).then_some(rest),
        _ => Some(content),
    }
}

/// A Time: UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 section 5.1.2.4), neither in the place of the other.
pub(super) fn time(values: &mut Values<'_>) -> Option<DateTime<Utc>> {
    match values.take_if(UTC_TIME)? {
        Some(content) => {
            let (year, rest) = pair(content)?;
            // From 50 on it is the last century (RFC 5280 section 4.1.2.5.1).
            let year = if year < 50 { 2000 + year } else { 1900 + year };
            moment(year, rest)
        }
        None => generalized_time(values.take(GENERALIZED_TIME)?, 2050),
    }
}

/// The content of a GeneralizedTime in Zulu, with seconds and no fraction, from the beginning of a year on.
pub(super) fn generalized_time(content: &[u8], from: u32) -> Option<DateTime<Utc>> {
    let (century, rest) = pair(content)?;
    let (year, rest) = pair(rest)?;
    let year = century * 100 + year;
    if year < from { None } else { moment(year, rest) }
}

fn moment(year: u32, rest: &[u8]) -> Option<DateTime<Utc>> {
    let (month, rest) = pair(rest)?;
    let (day, rest) = pair(rest)?;
    let (hour, rest) = pair(rest)?;
    let (minute, rest) = pair(rest)?;
    let (second, rest) = pair(rest)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    // Nothing of ours is older.
    (rest == b"Z" && year >= 1970).then_some(date.and_hms_opt(hour, minute, second)?.and_utc())
}

fn pair(octets: &[u8]) -> Option<(u32, &[u8])> {
    match octets {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] => Some((u32::from(tens - b'0') * 10 + u32::from(ones - b'0'), rest)),
        _ => None,
    }
}
