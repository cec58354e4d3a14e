//! Reading a list, strictly, without holding its entries in memory twice.

use ca_core::time::{from_time, to_time};
use chrono::{DateTime, Utc};
use const_oid::db::rfc5280::ID_CE_CRL_NUMBER;
use der::asn1::BitString;
use der::{Decode, Encode, Header, Reader, SliceReader, Tag, TagNumber};
use spki::AlgorithmIdentifierOwned;
use x509_cert::ext::Extensions;
use x509_cert::time::Time;

use crate::before::entry::RevokedCertificate;

/// A CertificateList taken apart (RFC 5280 section 5.1). It borrows from the octets read.
///
/// ```text
/// CertificateList  ::=  SEQUENCE  {
///      tbsCertList          TBSCertList,
///      signatureAlgorithm   AlgorithmIdentifier,
///      signatureValue       BIT STRING  }
/// ```
#[derive(Debug)]
pub struct ReadBack<'a> {
    /// The signed octets.
    pub tbs: &'a [u8],
    /// The algorithm, which stood there twice and was the same.
    pub algorithm: AlgorithmIdentifierOwned,
    /// The signature's octets.
    pub signature: Vec<u8>,
    /// The issuer: Name in DER.
    pub issuer: &'a [u8],
    /// When it was made.
    pub this_update: DateTime<Utc>,
    /// By when there will be another.
    pub next_update: DateTime<Utc>,
    /// Its extensions.
    pub extensions: Extensions,
    entries: &'a [u8],
}

impl<'a> ReadBack<'a> {
    /// Takes apart a v2 list with nextUpdate and extensions.
    ///
    /// # Errors
    /// Whatever RFC 5280 or DER forbids; also an empty revokedCertificates, and two different algorithms.
    pub fn from_der(der: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(der)?;
        let (tbs, algorithm, signature) = reader.sequence(|reader| {
            let tbs = reader.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierOwned::decode(reader)?;
            let signature = BitString::decode(reader)?;
            let signature = signature.as_bytes().ok_or_else(|| der::Error::from(Tag::BitString.value_error()))?.to_vec();
            Ok::<_, der::Error>((tbs, algorithm, signature))
        })?;
        reader.finish()?;

        let mut reader = SliceReader::new(tbs)?;
        let read = reader.sequence(|reader| {
            if u8::decode(reader)? != 1 {
                return Err(Tag::Integer.value_error().into());
            }
            if AlgorithmIdentifierOwned::decode(reader)? != algorithm {
                return Err(Tag::Sequence.value_error().into());
            }
            let issuer = reader.tlv_bytes()?;
            let this_update = instant(Time::decode(reader)?)?;
            let next_update = instant(Time::decode(reader)?)?;
            let entries = if Header::peek(reader)?.tag() == Tag::Sequence {
                let header = Header::decode(reader)?;
                if header.length().is_zero() {
                    return Err(Tag::Sequence.length_error().into());
                }
                reader.read_slice(header.length())?
            } else {
                &[]
            };
            Header::decode(reader)?.tag().assert_eq(Tag::ContextSpecific { constructed: true, number: TagNumber(0) })?;
            let extensions = Extensions::decode(reader)?;
            Ok::<_, der::Error>(Self {
                tbs,
                algorithm: algorithm.clone(),
                signature: signature.clone(),
                issuer,
                this_update,
                next_update,
                extensions,
                entries,
            })
        })?;
        reader.finish()?;
        Ok(read)
    }

    /// Its cRLNumber; `None` if it has none, or none of 64 bits.
    pub fn number(&self) -> Option<u64> {
        let extension = self.extensions.iter().find(|extension| extension.extn_id == ID_CE_CRL_NUMBER)?;
        u64::from_der(extension.extn_value.as_bytes()).ok()
    }

    /// The entries, one at a time.
    pub fn entries(&self) -> Entries<'a> {
        Entries { rest: self.entries }
    }
}

/// Walks over the entries of a list. Ends after the first error.
#[derive(Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl Iterator for Entries<'_> {
    type Item = der::Result<RevokedCertificate>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match RevokedCertificate::from_der_partial(self.rest) {
            Ok((entry, rest)) => {
                self.rest = rest;
                Some(Ok(entry))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

fn instant(time: Time) -> der::Result<DateTime<Utc>> {
    let at = from_time(&time).ok_or(der::ErrorKind::DateTime)?;
    // From 2050 on UTCTime cannot, and until then GeneralizedTime must not be used.
    if to_time(at)?.to_der()? != time.to_der()? {
        return Err(der::ErrorKind::DateTime.into());
    }
    Ok(at)
}
