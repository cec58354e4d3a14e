//! What stands before and after the entries.

use std::io::Read;

use ca_core::signer::{DigestAlgorithm, KeyType, StreamingDigest};
use chrono::{DateTime, Utc};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_ISSUING_DISTRIBUTION_POINT};

use super::octets::{self, Values};
use super::source::Source;
use super::{Ending, Head, ReadBack, ReadFault};

/// The algorithms that CA keys sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ecdsa-with-SHA256 (RFC 5758 section 3.2).
    EcdsaWithSha256,
    /// ecdsa-with-SHA384.
    EcdsaWithSha384,
    /// sha256WithRSAEncryption (RFC 4055 section 5).
    Sha256WithRsa,
}

/// An extension of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListExtension {
    /// The content octets of extnID.
    pub oid: Vec<u8>,
    /// Whether it is critical.
    pub critical: bool,
    /// The content octets of extnValue.
    pub value: Vec<u8>,
}

impl SignatureAlgorithm {
    const ALL: [(Self, &'static [u8]); 3] = [
        (Self::EcdsaWithSha256, b"\x30\x0A\x06\x08\x2A\x86\x48\xCE\x3D\x04\x03\x02"),
        (Self::EcdsaWithSha384, b"\x30\x0A\x06\x08\x2A\x86\x48\xCE\x3D\x04\x03\x03"),
        (Self::Sha256WithRsa, b"\x30\x0D\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0B\x05\x00"),
    ];

    /// The types of keys that sign with it.
    pub fn key_types(self) -> &'static [KeyType] {
        match self {
            Self::EcdsaWithSha256 => &[KeyType::EcdsaP256],
            Self::EcdsaWithSha384 => &[KeyType::EcdsaP384],
            Self::Sha256WithRsa => &[KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096],
        }
    }

    fn digest(self) -> DigestAlgorithm {
        match self {
            Self::EcdsaWithSha256 | Self::Sha256WithRsa => DigestAlgorithm::Sha256,
            Self::EcdsaWithSha384 => DigestAlgorithm::Sha384,
        }
    }

    fn from_der(der: &[u8]) -> Result<Self, ReadFault> {
        Self::ALL.iter().find(|(_, known)| *known == der).map(|(algorithm, _)| *algorithm).ok_or(ReadFault::Algorithm)
    }
}

/// Reads a list up to its entries.
pub(super) fn read_head<R: Read>(mut source: Source<R>) -> Result<ReadBack<R>, ReadFault> {
    let (length, _) = source.header(octets::SEQUENCE, "CertificateList")?;
    let end = length.checked_add(source.position()).ok_or(ReadFault::Malformed("CertificateList"))?;
    let (length, header) = source.header(octets::SEQUENCE, "tbsCertList")?;
    let signed_end = ends_within(&source, length, end, "tbsCertList")?;

    let version = source.value(octets::INTEGER, signed_end, "version")?;
    if version != [octets::INTEGER, 1, 1] {
        return Err(ReadFault::Malformed("version"));
    }
    let algorithm_der = source.value(octets::SEQUENCE, signed_end, "signature algorithm")?;
    let algorithm = SignatureAlgorithm::from_der(&algorithm_der)?;
    // Only now it is known what to digest by.
    let mut signed = StreamingDigest::new(algorithm.digest());
    [header, version, algorithm_der].iter().for_each(|octets| signed.update(octets));
    source.begin_signed(signed);

    let issuer = source.value(octets::SEQUENCE, signed_end, "issuer")?;
    let this_update = read_time(&mut source, signed_end, "thisUpdate")?;
    let next_update = read_time(&mut source, signed_end, "nextUpdate")?;
    let mut entries_end = source.position();
    if source.next_is(octets::SEQUENCE)? {
        let (length, _) = source.header(octets::SEQUENCE, "revokedCertificates")?;
        entries_end = ends_within(&source, length, signed_end, "revokedCertificates")?;
        // An empty list is left out, not written empty (RFC 5280 section 5.1.2.6).
        if length == 0 {
            return Err(ReadFault::Malformed("revokedCertificates"));
        }
    }
    let head = Head { algorithm, issuer, this_update, next_update };
    Ok(ReadBack { source, head, end, signed_end, entries_end, entries: 0 })
}

/// Reads what follows the entries, to the end.
pub(super) fn read_ending<R: Read>(list: ReadBack<R>) -> Result<Ending, ReadFault> {
    let ReadBack { mut source, head, end, signed_end, entries, .. } = list;
    let extensions = source.value(octets::CONTEXT_0, signed_end, "crlExtensions")?;
    let extensions = read_extensions(&extensions).ok_or(ReadFault::Malformed("crlExtensions"))?;
    if source.position() != signed_end {
        return Err(ReadFault::Malformed("tbsCertList"));
    }
    let signed = source.end_signed().ok_or(ReadFault::Malformed("tbsCertList"))?;
    if SignatureAlgorithm::from_der(&source.value(octets::SEQUENCE, end, "signatureAlgorithm")?)? != head.algorithm {
        return Err(ReadFault::Algorithm);
    }
    let value = source.value(octets::BIT_STRING, end, "signatureValue")?;
    // No bits of the last octet are unused.
    let Some([0, signature @ ..]) = octets::only(&value, octets::BIT_STRING) else { return Err(ReadFault::Malformed("signatureValue")) };
    let octets = source.position();
    if octets != end {
        return Err(ReadFault::Malformed("CertificateList"));
    }
    let sha256 = source.end()?;
    Ok(Ending { extensions, entries, octets, sha256, algorithm: head.algorithm, signed, signature: signature.to_vec() })
}

fn ends_within<R: Read>(source: &Source<R>, length: u64, end: u64, field: &'static str) -> Result<u64, ReadFault> {
    length.checked_add(source.position()).filter(|inner| *inner <= end).ok_or(ReadFault::Malformed(field))
}

fn read_time<R: Read>(source: &mut Source<R>, end: u64, field: &'static str) -> Result<DateTime<Utc>, ReadFault> {
    let tag = if source.next_is(octets::UTC_TIME)? { octets::UTC_TIME } else { octets::GENERALIZED_TIME };
    let value = source.value(tag, end, field)?;
    octets::time(&mut Values(&value)).ok_or(ReadFault::Malformed(field))
}

/// ```text
/// Extension  ::=  SEQUENCE  {
///      extnID      OBJECT IDENTIFIER,
///      critical    BOOLEAN DEFAULT FALSE,
///      extnValue   OCTET STRING }
/// ```
fn read_extensions(value: &[u8]) -> Option<Vec<ListExtension>> {
    let mut values = Values(octets::only(octets::only(value, octets::CONTEXT_0)?, octets::SEQUENCE)?);
    let mut extensions = Vec::new();
    while !values.is_empty() {
        let mut fields = Values(values.take(octets::SEQUENCE)?);
        let oid = fields.take(octets::OBJECT_IDENTIFIER)?.to_vec();
        let critical = match fields.take_if(octets::BOOLEAN)? {
            None => false,
            // What is the default is left out.
            Some([0xFF]) => true,
            Some(_) => return None,
        };
        let value = fields.take(octets::OCTET_STRING)?.to_vec();
        fields.end()?;
        extensions.push(ListExtension { oid, critical, value });
    }
    Some(extensions)
}

impl ListExtension {
    /// Whether it is that one, and as critical as it must be.
    fn is(&self, oid: ObjectIdentifier, critical: bool) -> bool {
        self.oid == oid.as_bytes() && self.critical == critical
    }
}

impl Ending {
    /// Whether there are these extensions and no others: authorityKeyIdentifier, cRLNumber, and critical issuingDistributionPoint.
    pub fn has_the_extensions_of_a_full_list(&self) -> bool {
        let [identifier, number, point] = self.extensions.as_slice() else { return false };
        identifier.is(ID_CE_AUTHORITY_KEY_IDENTIFIER, false)
            && number.is(ID_CE_CRL_NUMBER, false)
            && point.is(ID_CE_ISSUING_DISTRIBUTION_POINT, true)
    }

    /// The key identifier; `None` unless authorityKeyIdentifier says that and nothing else.
    pub fn key_identifier(&self) -> Option<&[u8]> {
        octets::only(octets::only(self.value(ID_CE_AUTHORITY_KEY_IDENTIFIER)?, octets::SEQUENCE)?, octets::CONTEXT_0_PRIMITIVE)
    }

    /// The cRLNumber; `None` if it has none, or none of 64 bits.
    pub fn number(&self) -> Option<u64> {
        let magnitude = octets::magnitude(octets::only(self.value(ID_CE_CRL_NUMBER)?, octets::INTEGER)?)?;
        (magnitude.len() <= 8).then(|| magnitude.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
    }

    /// The distribution point: DistributionPointName in DER; `None` unless issuingDistributionPoint says that and nothing else.
    pub fn distribution_point(&self) -> Option<&[u8]> {
        octets::only(octets::only(self.value(ID_CE_ISSUING_DISTRIBUTION_POINT)?, octets::SEQUENCE)?, octets::CONTEXT_0)
    }

    fn value(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        self.extensions.iter().find(|extension| extension.oid == oid.as_bytes()).map(|extension| extension.value.as_slice())
    }
}
