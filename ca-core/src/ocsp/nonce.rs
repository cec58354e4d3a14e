//! What ties an answer to its question.

use der::asn1::{OctetString, OctetStringRef};
use der::{Decode, Encode};
use x509_cert::ext::Extension;

use super::oid;

/// Nonce (RFC 9654 section 2.1), the value of the extension id-pkix-ocsp-nonce.
///
/// ```text
/// Nonce ::= OCTET STRING(SIZE(1..128))
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce {
    octets: Vec<u8>,
}

/// The extension holds no nonce that RFC 9654 allows: the request is malformed (RFC 9654 section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NonceError {
    /// Empty, or longer than [`Nonce::MAX_OCTETS`].
    #[error("a nonce has 1 to 128 octets, not {0}")]
    Length(usize),
    /// The extension's value is not the DER of one OCTET STRING.
    #[error("a nonce is an OCTET STRING within the extension's value")]
    NotAnOctetString,
    /// Two nonces (an extension may occur once: RFC 5280 section 4.2).
    #[error("more than one nonce")]
    Repeated,
}

impl Nonce {
    /// The most octets a nonce has.
    pub const MAX_OCTETS: usize = 128;

    /// Takes 1 to 128 octets.
    ///
    /// # Errors
    /// [`NonceError::Length`]
    pub fn new(octets: &[u8]) -> Result<Self, NonceError> {
        match octets.len() {
            1..=Self::MAX_OCTETS => Ok(Self { octets: octets.to_vec() }),
            length => Err(NonceError::Length(length)),
        }
    }

    /// The nonce among the extensions of a request or response.
    ///
    /// # Errors
    /// See [`NonceError`].
    pub fn among(extensions: &[Extension]) -> Result<Option<Self>, NonceError> {
        let mut found = extensions.iter().filter(|extension| extension.extn_id == oid::NONCE);
        let Some(extension) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(NonceError::Repeated);
        }
        let value = <&OctetStringRef>::from_der(extension.extn_value.as_bytes()).map_err(|_| NonceError::NotAnOctetString)?;
        Self::new(value.as_bytes()).map(Some)
    }

    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets
    }

    /// The extension, not critical.
    ///
    /// # Errors
    /// None in practice: 128 octets are not too long for DER.
    pub fn to_extension(&self) -> der::Result<Extension> {
        let value = OctetStringRef::new(&self.octets)?.to_der()?;
        Ok(Extension { extn_id: oid::NONCE, critical: false, extn_value: OctetString::new(value)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_128_octets_survive_and_none_or_129_are_refused() {
        for length in [1, 16, 32, 127, 128] {
            let nonce = Nonce::new(&vec![7; length]).unwrap();
            let extension = nonce.to_extension().unwrap();
            assert_eq!(extension.extn_value.as_bytes(), OctetString::new(vec![7; length]).unwrap().to_der().unwrap());
            assert_eq!(Nonce::among(&[extension]), Ok(Some(nonce)));
        }
        assert_eq!(Nonce::new(&[]), Err(NonceError::Length(0)));
        assert_eq!(Nonce::new(&[0; 129]), Err(NonceError::Length(129)));
    }

    #[test]
    fn bare_octets_instead_of_an_octet_string_and_two_nonces_are_refused() {
        let bare = Extension { extn_id: oid::NONCE, critical: false, extn_value: OctetString::new(vec![1, 2, 3]).unwrap() };
        assert_eq!(Nonce::among(&[bare]), Err(NonceError::NotAnOctetString));
        let one = Nonce::new(&[1]).unwrap().to_extension().unwrap();
        assert_eq!(Nonce::among(&[one.clone(), one]), Err(NonceError::Repeated));
        assert_eq!(Nonce::among(&[]), Ok(None));
    }
}
