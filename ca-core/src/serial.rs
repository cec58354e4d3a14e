//! Certificate serial numbers.

use std::fmt;

/// A certificate's serial number as RFC 5280 section 4.1.2.2 allows it to be read: a non-negative integer of at most 20
/// content octets, kept as its minimal big-endian magnitude (no leading zero octets; zero is one zero octet).
///
/// Two numbers are equal if and only if their DER encodings are. They are ordered as their octets are, as the store orders them, not
/// by value. It lies in place, for lists of millions.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SerialNumber {
    /// Zero beyond `length`, so that comparing them and then the lengths compares the magnitudes' octets.
    octets: [u8; 20],
    length: u8,
}

/// The octets are no serial number that RFC 5280 allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SerialNumberError {
    /// No octets at all.
    #[error("a serial number has at least one octet")]
    Empty,
    /// More than 20 octets of content (RFC 5280 section 4.1.2.2).
    #[error("a serial number has at most 20 octets")]
    TooLong,
    /// The text is not an even number of hexadecimal digits.
    #[error("a serial number is written in hexadecimal digits, two for each octet")]
    NotHexadecimal,
}

impl SerialNumber {
    /// Reads a big-endian magnitude; leading zero octets are dropped.
    pub fn from_magnitude(octets: &[u8]) -> Result<Self, SerialNumberError> {
        if octets.is_empty() {
            return Err(SerialNumberError::Empty);
        }
        let first = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len() - 1);
        let magnitude = &octets[first..];
        // With the top bit set, DER needs one more octet for the sign.
        let content_octets = magnitude.len() + usize::from(magnitude[0] & 0x80 != 0);
        if content_octets > 20 {
            return Err(SerialNumberError::TooLong);
        }
        let mut kept = [0; 20];
        kept[..magnitude.len()].copy_from_slice(magnitude);
        Ok(Self { octets: kept, length: magnitude.len() as u8 })
    }

    /// Reads hexadecimal digits, of either case, as `openssl x509 -serial` prints them.
    pub fn from_hex(digits: &str) -> Result<Self, SerialNumberError> {
        let octets = hex::decode(digits).map_err(|_| SerialNumberError::NotHexadecimal)?;
        Self::from_magnitude(&octets)
    }

    /// The minimal big-endian magnitude: 1 to 20 octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }

    /// The content octets of the DER INTEGER: the magnitude, with a zero octet before it where the top bit is set.
    pub fn to_der_content(&self) -> Vec<u8> {
        let magnitude = self.as_bytes();
        let mut content = Vec::with_capacity(magnitude.len() + 1);
        if magnitude[0] & 0x80 != 0 {
            content.push(0);
        }
        content.extend_from_slice(magnitude);
        content
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.as_bytes()))
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerialNumber({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zero_octets_make_no_difference() {
        let short = SerialNumber::from_magnitude(&[0x80, 1]).unwrap();
        assert_eq!(SerialNumber::from_magnitude(&[0, 0, 0x80, 1]).unwrap(), short);
        assert_eq!(short.to_der_content(), [0, 0x80, 1]);
        assert_eq!(short.to_string(), "8001");
    }

    #[test]
    fn they_are_ordered_as_their_octets_are() {
        let magnitudes: [&[u8]; 7] = [&[0], &[1], &[1, 0], &[1, 0, 0], &[1, 0, 1], &[1, 1], &[2]];
        for (lower, higher) in magnitudes.iter().zip(&magnitudes[1..]) {
            assert!(SerialNumber::from_magnitude(lower).unwrap() < SerialNumber::from_magnitude(higher).unwrap());
        }
    }

    #[test]
    fn twenty_content_octets_are_allowed_and_twenty_one_refused() {
        assert!(SerialNumber::from_magnitude(&[0x7f; 20]).is_ok());
        assert_eq!(SerialNumber::from_magnitude(&[0x80; 20]), Err(SerialNumberError::TooLong));
        assert_eq!(SerialNumber::from_magnitude(&[]), Err(SerialNumberError::Empty));
    }
}
