//! As much of DER as a list needs (X.690 sections 8.1 and 10.1), written into a growing vector.

use chrono::{DateTime, Datelike, Timelike, Utc};

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const ENUMERATED: u8 = 0x0A;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;
/// [0], constructed.
pub(super) const CONTEXT_0: u8 = 0xA0;
/// [0], primitive.
pub(super) const CONTEXT_0_PRIMITIVE: u8 = 0x80;

/// Appends identifier and length octets of a value of `length` octets.
pub(super) fn append_header(to: &mut Vec<u8>, tag: u8, length: u64) {
    to.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => to.push(short),
        _ => {
            let octets = length.to_be_bytes();
            let octets = &octets[length.leading_zeros() as usize / 8..];
            to.push(0x80 | octets.len() as u8);
            to.extend_from_slice(octets);
        }
    }
}

/// Appends a whole value.
pub(super) fn append(to: &mut Vec<u8>, tag: u8, content: &[u8]) {
    append_header(to, tag, content.len() as u64);
    to.extend_from_slice(content);
}

/// A whole value.
pub(super) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(content.len() + 4);
    append(&mut whole, tag, content);
    whole
}

/// Appends a non-negative INTEGER, given by its minimal magnitude, big-endian.
pub(super) fn append_unsigned(to: &mut Vec<u8>, magnitude: &[u8]) {
    let sign = magnitude.first().is_none_or(|octet| octet & 0x80 != 0);
    append_header(to, INTEGER, (magnitude.len() + usize::from(sign)) as u64);
    if sign {
        to.push(0);
    }
    to.extend_from_slice(magnitude);
}

/// Appends a Time: UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 section 5.1.2.4); a fraction of a second is cut off.
/// `None` before 1970 and after 9999.
pub(super) fn append_time(to: &mut Vec<u8>, at: DateTime<Utc>) -> Option<()> {
    match at.year() {
        // Before 1970 nothing of ours was revoked, and UTCTime would mean another century before 1950.
        1970..2050 => {
            to.extend_from_slice(&[UTC_TIME, 13]);
            append_from_year(to, &[at.year() as u32 % 100], at);
            Some(())
        }
        2050..=9999 => append_generalized_time(to, at),
        _ => None,
    }
}

/// Appends a GeneralizedTime (RFC 5280 section 4.1.2.5.2: Zulu, seconds always, no fraction). `None` before 1970 and after 9999.
pub(super) fn append_generalized_time(to: &mut Vec<u8>, at: DateTime<Utc>) -> Option<()> {
    let year = u32::try_from(at.year()).ok().filter(|year| (1970..=9999).contains(year))?;
    to.extend_from_slice(&[GENERALIZED_TIME, 15]);
    append_from_year(to, &[year / 100, year % 100], at);
    Some(())
}

fn append_from_year(to: &mut Vec<u8>, year: &[u32], at: DateTime<Utc>) {
    let digits = |pair: u32| [b'0' + (pair / 10) as u8, b'0' + (pair % 10) as u8];
    for pair in year.iter().copied().chain([at.month(), at.day(), at.hour(), at.minute(), at.second()]) {
        to.extend_from_slice(&digits(pair));
    }
    to.push(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_as_few_octets_as_they_can() {
        for (length, octets) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[0x81, 128]),
            (255, &[0x81, 255]),
            (256, &[0x82, 1, 0]),
            (0xFFFF, &[0x82, 0xFF, 0xFF]),
            (0x1_0000, &[0x83, 1, 0, 0]),
            (0xFFFF_FFFF, &[0x84, 0xFF, 0xFF, 0xFF, 0xFF]),
            (0x1_0000_0000, &[0x85, 1, 0, 0, 0, 0]),
        ] {
            let mut header = Vec::new();
            append_header(&mut header, SEQUENCE, length);
            assert_eq!(header[1..], *octets, "{length}");
        }
    }

    #[test]
    fn nothing_is_written_before_1970_or_after_9999() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let mut octets = Vec::new();
        for text in ["1969-12-31T23:59:59Z", "+10000-01-01T00:00:00Z"] {
            assert_eq!(append_time(&mut octets, at(text)), None);
            assert_eq!(append_generalized_time(&mut octets, at(text)), None);
        }
        assert!(octets.is_empty());
        append_time(&mut octets, at("2049-12-31T23:59:59.999Z")).unwrap();
        append_time(&mut octets, at("2050-01-01T00:00:00Z")).unwrap();
        append_time(&mut octets, at("9999-12-31T23:59:59Z")).unwrap();
        append_generalized_time(&mut octets, at("1970-01-01T00:00:00Z")).unwrap();
        assert_eq!(octets, b"\x17\x0D491231235959Z\x18\x0F20500101000000Z\x18\x0F99991231235959Z\x18\x0F19700101000000Z");
    }
}
