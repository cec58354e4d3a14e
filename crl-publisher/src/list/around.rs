//! What stands around the entries of a list.

use ::der::Encode as _;
use ca_core::issuer::{CaKey, Issuer};
use ca_core::signer::signature_algorithm;
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_ISSUING_DISTRIBUTION_POINT};

use super::{Heading, ListFault, SignerFault, der};

/// A list without its entries.
///
/// ```text
/// CertificateList  ::=  SEQUENCE  {
///      tbsCertList          TBSCertList,
///      signatureAlgorithm   AlgorithmIdentifier,
///      signatureValue       BIT STRING  }
///
/// TBSCertList  ::=  SEQUENCE  {
///      version                 Version OPTIONAL,
///                                   -- if present, MUST be v2
///      signature               AlgorithmIdentifier,
///      issuer                  Name,
///      thisUpdate              Time,
///      nextUpdate              Time OPTIONAL,
///      revokedCertificates     SEQUENCE OF SEQUENCE  { … }  OPTIONAL,
///      crlExtensions           [0]  EXPLICIT Extensions OPTIONAL
///                                    -- if present, version MUST be v2
///                                }
/// ```
pub(super) struct Around {
    /// Of tbsCertList: all from its identifier octet to the header of revokedCertificates.
    pub(super) before_entries: Vec<u8>,
    /// Of tbsCertList: crlExtensions.
    pub(super) after_entries: Vec<u8>,
    /// The length of the whole tbsCertList.
    signed_octets: u64,
    algorithm: Vec<u8>,
}

const V2: &[u8] = &[1];

impl Around {
    /// For entries that together take `entry_octets`.
    pub(super) fn new(heading: &Heading, issuer: &Issuer, shard: u16, entry_octets: u64) -> Result<Self, ListFault> {
        let algorithm = signature_algorithm(issuer.signer().key_type()).to_der().map_err(SignerFault::Encoding)?;
        let mut fields = Vec::with_capacity(1024);
        der::append_unsigned(&mut fields, V2);
        fields.extend_from_slice(&algorithm);
        fields.extend_from_slice(issuer.ca_key().subject_name_der());
        der::append_time(&mut fields, heading.this_update).ok_or(ListFault::Time("thisUpdate"))?;
        der::append_time(&mut fields, heading.next_update).ok_or(ListFault::Time("nextUpdate"))?;
        // An empty list is left out, not written empty (RFC 5280 section 5.1.2.6).
        if entry_octets > 0 {
            der::append_header(&mut fields, der::SEQUENCE, entry_octets);
        }
        let after_entries = der::value(der::CONTEXT_0, &der::value(der::SEQUENCE, &extensions(issuer.ca_key(), shard, heading.number)));

        let content = fields.len() as u64 + entry_octets + after_entries.len() as u64;
        let mut before_entries = Vec::with_capacity(fields.len() + 10);
        der::append_header(&mut before_entries, der::SEQUENCE, content);
        let signed_octets = before_entries.len() as u64 + content;
        before_entries.extend_from_slice(&fields);
        Ok(Self { before_entries, after_entries, signed_octets, algorithm })
    }

    /// The octets of the list before its entries.
    pub(super) fn beginning(&self, signature: &[u8]) -> Vec<u8> {
        let mut beginning = Vec::with_capacity(self.before_entries.len() + 10);
        der::append_header(&mut beginning, der::SEQUENCE, self.signed_octets + self.after_signed(signature).len() as u64);
        beginning.extend_from_slice(&self.before_entries);
        beginning
    }

    /// The octets of the list after its entries.
    pub(super) fn end(&self, signature: &[u8]) -> Vec<u8> {
        [self.after_entries.as_slice(), &self.after_signed(signature)].concat()
    }

    fn after_signed(&self, signature: &[u8]) -> Vec<u8> {
        // The octet before the signature's says that no bits of the last are unused.
        [self.algorithm.as_slice(), &der::value(der::BIT_STRING, &[&[0], signature].concat())].concat()
    }
}

/// The extensions of a list that covers what one CA key issues into one shard. The distribution point is that of the certificates,
/// octet for octet: all generations of an issuer bear one name, and this alone tells their lists apart (RFC 5280 section 6.3.3 (b)
/// (2) (i)).
///
/// ```text
/// AuthorityKeyIdentifier ::= SEQUENCE {
///      keyIdentifier             [0] KeyIdentifier           OPTIONAL,
///      … }
///
/// CRLNumber ::= INTEGER (0..MAX)
///
/// IssuingDistributionPoint ::= SEQUENCE {
///      distributionPoint          [0] DistributionPointName OPTIONAL,
///      onlyContainsUserCerts      [1] BOOLEAN DEFAULT FALSE,
///      onlyContainsCACerts        [2] BOOLEAN DEFAULT FALSE,
///      onlySomeReasons            [3] ReasonFlags OPTIONAL,
///      indirectCRL                [4] BOOLEAN DEFAULT FALSE,
///      onlyContainsAttributeCerts [5] BOOLEAN DEFAULT FALSE }
/// ```
fn extensions(ca_key: &CaKey, shard: u16, number: u64) -> Vec<u8> {
    let identifier = der::value(der::CONTEXT_0_PRIMITIVE, ca_key.key_identifier().as_bytes());
    let octets = number.to_be_bytes();
    let mut crl_number = Vec::with_capacity(11);
    der::append_unsigned(&mut crl_number, &octets[(number.leading_zeros() as usize / 8).min(7)..]);
    let point = der::value(der::CONTEXT_0, &ca_key.distribution_point(shard).name_der);

    let mut extensions = Vec::with_capacity(512);
    append_extension(&mut extensions, &ID_CE_AUTHORITY_KEY_IDENTIFIER, false, &der::value(der::SEQUENCE, &identifier));
    append_extension(&mut extensions, &ID_CE_CRL_NUMBER, false, &crl_number);
    append_extension(&mut extensions, &ID_CE_ISSUING_DISTRIBUTION_POINT, true, &der::value(der::SEQUENCE, &point));
    extensions
}

/// ```text
/// Extension  ::=  SEQUENCE  {
///      extnID      OBJECT IDENTIFIER,
///      critical    BOOLEAN DEFAULT FALSE,
///      extnValue   OCTET STRING }
/// ```
fn append_extension(to: &mut Vec<u8>, oid: &ObjectIdentifier, critical: bool, value: &[u8]) {
    let mut extension = der::value(der::OBJECT_IDENTIFIER, oid.as_bytes());
    if critical {
        der::append(&mut extension, der::BOOLEAN, &[0xFF]);
    }
    der::append(&mut extension, der::OCTET_STRING, value);
    der::append(to, der::SEQUENCE, &extension);
}
