//! What certificates, CRLs, certification requests and OCSP answers have in common: something, the algorithm it was signed
//! with, and the signature.

use der::asn1::BitString;
use der::{Decode, Encode, Reader, SliceReader};
use spki::AlgorithmIdentifierOwned;

use crate::key::{PublicKey, SignatureError};
use crate::serial::SerialNumber;

/// The three parts of a signed object, the first exactly as it stands in the input, so that a signature is always checked
/// over the octets that were signed and never over a re-encoding.
///
/// ```text
/// SIGNED{ToBeSigned} ::= SEQUENCE {
///     toBeSigned          ToBeSigned,
///     algorithmIdentifier AlgorithmIdentifier,
///     signature           BIT STRING }
/// ```
#[derive(Debug, Clone)]
pub struct SignedParts<'a> {
    /// The octets that were signed, in DER.
    pub to_be_signed: &'a [u8],
    /// The algorithm named outside what was signed.
    pub algorithm: AlgorithmIdentifierOwned,
    /// The signature's octets.
    pub signature: Vec<u8>,
}

impl<'a> SignedParts<'a> {
    /// Takes a signed object apart; refuses whatever is not DER or has octets left over.
    pub fn from_der(der: &'a [u8]) -> Result<Self, der::Error> {
        let mut reader = SliceReader::new(der)?;
        let parts = reader.sequence(|reader| {
            let to_be_signed = reader.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierOwned::decode(reader)?;
            let signature = BitString::decode(reader)?;
            let signature =
                signature.as_bytes().ok_or_else(|| der::Error::from(der::ErrorKind::Value { tag: der::Tag::BitString }))?.to_vec();
            Ok::<_, der::Error>(Self { to_be_signed, algorithm, signature })
        })?;
        reader.finish()?;
        Ok(parts)
    }

    /// Checks the signature with `key`.
    pub fn verify(&self, key: &PublicKey) -> Result<(), SignatureError> {
        key.verify(&self.algorithm, self.to_be_signed, &self.signature)
    }
}

/// A certificate in DER as PEM (RFC 7468 section 5).
pub fn certificate_to_pem(der: &[u8]) -> Result<String, der::pem::Error> {
    der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, der)
}

/// A decoded serial number as our own; `None` for negative and for overlong ones.
pub(crate) fn serial<P: x509_cert::certificate::Profile>(serial: &x509_cert::serial_number::SerialNumber<P>) -> Option<SerialNumber> {
    let der = serial.to_der().ok()?;
    let content = der.get(2..)?;
    if content.first()? & 0x80 != 0 {
        return None;
    }
    SerialNumber::from_magnitude(content).ok()
}
