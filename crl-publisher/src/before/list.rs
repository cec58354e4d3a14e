//! Writing a list.

use ca_core::issuer::{CaKey, Issuer};
use ca_core::signer::{Signer, SignerFault, signature_algorithm};
use ca_core::time::to_time;
use chrono::{DateTime, Utc};
use const_oid::db::rfc5280::{ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_ISSUING_DISTRIBUTION_POINT};
use der::asn1::{BitStringRef, OctetString, Uint};
use der::{Encode, Header, Tag, TagNumber};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

use crate::before::entry::RevokedCertificate;

/// A list being written: TBSCertList (RFC 5280 section 5.1).
///
/// ```text
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
///
/// Entries are kept encoded, about 45 octets each, and nothing else grows with their number.
#[derive(Debug, Default)]
pub struct Entries {
    encoded: Vec<u8>,
    count: u64,
}

impl Entries {
    /// Adds an entry at the end.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn push(&mut self, entry: &RevokedCertificate) -> der::Result<()> {
        entry.encode_to_vec(&mut self.encoded)?;
        self.count += 1;
        Ok(())
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// What a list says besides its entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading {
    /// CRLNumber (RFC 5280 section 5.2.3).
    pub number: u64,
    /// When it was made; whole seconds.
    pub this_update: DateTime<Utc>,
    /// By when there will be another; whole seconds.
    pub next_update: DateTime<Utc>,
}

/// A list could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    /// The CA key could not sign.
    #[error("the CA key could not sign")]
    Signer(#[from] SignerFault),
    /// A value of ours does not fit DER.
    #[error("the list could not be encoded")]
    Encoding(#[from] der::Error),
}

/// Writes and signs a full CRL of one CA key (CertificateList in DER).
///
/// # Errors
/// See [`ListFault`].
pub fn sign(issuer: &Issuer, heading: &Heading, entries: &Entries) -> Result<Vec<u8>, ListFault> {
    let signer: &dyn Signer = issuer.signer().as_ref();
    let algorithm = signature_algorithm(signer.key_type()).to_der()?;
    let ca_key = issuer.ca_key();

    let mut content = Vec::with_capacity(entries.encoded.len() + 1024);
    const V2: u8 = 1;
    V2.encode_to_vec(&mut content)?;
    content.extend_from_slice(&algorithm);
    content.extend_from_slice(ca_key.subject_name_der());
    to_time(heading.this_update)?.encode_to_vec(&mut content)?;
    to_time(heading.next_update)?.encode_to_vec(&mut content)?;
    // An empty list is left out, not written empty (RFC 5280 section 5.1.2.6).
    if entries.count > 0 {
        append(&mut content, Tag::Sequence, &entries.encoded)?;
    }
    let extensions = extensions(ca_key, heading.number)?.to_der()?;
    append(&mut content, Tag::ContextSpecific { constructed: true, number: TagNumber(0) }, &extensions)?;

    let tbs = wrap(Tag::Sequence, &content)?;
    drop(content);
    let signature = signer.sign(&tbs)?;

    let mut list = tbs;
    list.extend_from_slice(&algorithm);
    BitStringRef::from_bytes(&signature)?.encode_to_vec(&mut list)?;
    Ok(wrap(Tag::Sequence, &list)?)
}

/// The extensions of a full CRL that covers what one CA key issues.
///
/// ```text
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
fn extensions(ca_key: &CaKey, number: u64) -> der::Result<Vec<Extension>> {
    let identifier = AuthorityKeyIdentifier {
        key_identifier: Some(OctetString::new(ca_key.key_identifier().as_bytes())?),
        ..AuthorityKeyIdentifier::default()
    };
    let extension =
        |extn_id, critical, value: Vec<u8>| Ok::<_, der::Error>(Extension { extn_id, critical, extn_value: OctetString::new(value)? });
    Ok(vec![
        extension(ID_CE_AUTHORITY_KEY_IDENTIFIER, false, identifier.to_der()?)?,
        extension(ID_CE_CRL_NUMBER, false, Uint::new(&number.to_be_bytes())?.to_der()?)?,
        extension(ID_CE_ISSUING_DISTRIBUTION_POINT, true, issuing_distribution_point(ca_key)?)?,
    ])
}

/// IssuingDistributionPoint with the name of the certificates' own distribution point, octet for octet: all generations of an
/// issuer bear one name, and this alone tells their lists apart (RFC 5280 section 6.3.3 (b) (2) (i)).
pub(crate) fn issuing_distribution_point(ca_key: &CaKey) -> der::Result<Vec<u8>> {
    let name = wrap(Tag::ContextSpecific { constructed: true, number: TagNumber(0) }, ca_key.distribution_point_der())?;
    wrap(Tag::Sequence, &name)
}

fn wrap(tag: Tag, content: &[u8]) -> der::Result<Vec<u8>> {
    let mut whole = Vec::with_capacity(content.len() + 8);
    append(&mut whole, tag, content)?;
    Ok(whole)
}

fn append(to: &mut Vec<u8>, tag: Tag, content: &[u8]) -> der::Result<()> {
    Header::new(tag, content.len().try_into()?).encode_to_vec(to)?;
    to.extend_from_slice(content);
    Ok(())
}
