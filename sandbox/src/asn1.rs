//! A writer of DER (X.690), small enough to be seen through: every function gives one complete encoding.
//!
//! Deliberately not the encoder the product uses. Nothing here checks that what is written makes sense: the sandbox also has to
//! write what is wrong.

use chrono::{DateTime, Datelike, Utc};
use der::asn1::ObjectIdentifier;

/// Tag, length, value.
pub fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    if content.len() < 0x80 {
        out.push(content.len() as u8);
    } else {
        let length = (content.len() as u64).to_be_bytes();
        let start = length.iter().position(|octet| *octet != 0).unwrap_or(7);
        out.push(0x80 | (8 - start) as u8);
        out.extend_from_slice(&length[start..]);
    }
    out.extend_from_slice(content);
    out
}

/// SEQUENCE of already encoded parts; an empty part is an absent OPTIONAL.
pub fn sequence<T: AsRef<[u8]>>(parts: &[T]) -> Vec<u8> {
    tlv(0x30, &concatenated(parts))
}

/// SET OF already encoded values, in the order DER wants.
pub fn set_of(mut values: Vec<Vec<u8>>) -> Vec<u8> {
    values.sort();
    tlv(0x31, &concatenated(&values))
}

/// `[number] EXPLICIT`.
pub fn explicit(number: u8, inner: &[u8]) -> Vec<u8> {
    tlv(0xA0 | number, inner)
}

/// `[number] IMPLICIT` of a constructed type; `content` is without the tag it replaces.
pub fn implicit_constructed(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0xA0 | number, content)
}

/// `[number] IMPLICIT` of a primitive type.
pub fn implicit_primitive(number: u8, content: &[u8]) -> Vec<u8> {
    tlv(0x80 | number, content)
}

/// INTEGER of an unsigned big-endian number.
pub fn unsigned(magnitude: &[u8]) -> Vec<u8> {
    tlv(0x02, &unsigned_content(magnitude))
}

/// The content octets of an INTEGER: minimal, and never negative.
pub fn unsigned_content(magnitude: &[u8]) -> Vec<u8> {
    let start = magnitude.iter().position(|octet| *octet != 0).unwrap_or(magnitude.len());
    let digits = &magnitude[start..];
    let mut content = Vec::with_capacity(digits.len() + 1);
    if digits.first().is_none_or(|octet| octet & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(digits);
    content
}

/// INTEGER.
pub fn integer(value: u64) -> Vec<u8> {
    unsigned(&value.to_be_bytes())
}

/// ENUMERATED below 128.
pub fn enumerated(value: u8) -> Vec<u8> {
    tlv(0x0A, &[value])
}

/// BOOLEAN TRUE. FALSE is always a default here and so never written.
pub fn boolean_true() -> Vec<u8> {
    tlv(0x01, &[0xFF])
}

/// NULL.
pub fn null() -> Vec<u8> {
    tlv(0x05, &[])
}

/// OBJECT IDENTIFIER.
pub fn oid(oid: &ObjectIdentifier) -> Vec<u8> {
    tlv(0x06, oid.as_bytes())
}

/// OCTET STRING.
pub fn octet_string(content: &[u8]) -> Vec<u8> {
    tlv(0x04, content)
}

/// BIT STRING of whole octets.
pub fn bit_string(content: &[u8]) -> Vec<u8> {
    let mut octets = vec![0];
    octets.extend_from_slice(content);
    tlv(0x03, &octets)
}

/// BIT STRING with named bits, trailing zeros dropped as DER wants; bit numbers below 16.
pub fn named_bits(bits: &[u8]) -> Vec<u8> {
    let Some(last) = bits.iter().copied().max() else { return tlv(0x03, &[0]) };
    let mut octets = vec![0_u8; usize::from(last) / 8 + 1];
    for bit in bits {
        octets[usize::from(*bit) / 8] |= 0x80 >> (bit % 8);
    }
    octets.insert(0, 7 - last % 8);
    tlv(0x03, &octets)
}

/// UTF8String.
pub fn utf8(text: &str) -> Vec<u8> {
    tlv(0x0C, text.as_bytes())
}

/// PrintableString; the caller keeps to its alphabet.
pub fn printable(text: &str) -> Vec<u8> {
    tlv(0x13, text.as_bytes())
}

/// IA5String's content in an implicit context tag, as GeneralName wants it.
pub fn uniform_resource_identifier(url: &str) -> Vec<u8> {
    implicit_primitive(6, url.as_bytes())
}

/// IA5String.
pub fn ia5(text: &str) -> Vec<u8> {
    tlv(0x16, text.as_bytes())
}

/// Time of RFC 5280: UTCTime through 2049, GeneralizedTime after.
pub fn time(at: DateTime<Utc>) -> Vec<u8> {
    if at.year() < 2050 { tlv(0x17, at.format("%y%m%d%H%M%SZ").to_string().as_bytes()) } else { generalized_time(at) }
}

/// GeneralizedTime in whole seconds.
pub fn generalized_time(at: DateTime<Utc>) -> Vec<u8> {
    tlv(0x18, at.format("%Y%m%d%H%M%SZ").to_string().as_bytes())
}

/// Extension (RFC 5280 section 4.1.2.9) around an encoded value.
pub fn extension(id: &ObjectIdentifier, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical = if critical { boolean_true() } else { Vec::new() };
    sequence(&[oid(id), critical, octet_string(value)])
}

fn concatenated<T: AsRef<[u8]>>(parts: &[T]) -> Vec<u8> {
    let mut content = Vec::with_capacity(parts.iter().map(|part| part.as_ref().len()).sum());
    for part in parts {
        content.extend_from_slice(part.as_ref());
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_as_many_octets_as_they_need() {
        assert_eq!(tlv(4, &[0; 3])[..2], [4, 3]);
        assert_eq!(tlv(4, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(tlv(4, &[0; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn integers_are_minimal_and_positive() {
        assert_eq!(integer(0), [2, 1, 0]);
        assert_eq!(integer(127), [2, 1, 127]);
        assert_eq!(integer(128), [2, 2, 0, 128]);
        assert_eq!(unsigned(&[0, 0, 1]), [2, 1, 1]);
    }

    #[test]
    fn named_bits_drop_trailing_zeros() {
        assert_eq!(named_bits(&[5, 6]), [3, 2, 1, 6]);
        assert_eq!(named_bits(&[0]), [3, 2, 7, 0x80]);
        assert_eq!(named_bits(&[0, 1]), [3, 2, 6, 0xC0]);
    }
}
