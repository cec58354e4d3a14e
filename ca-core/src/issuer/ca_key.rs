//! A CA key as everybody may know it.

use chrono::{DateTime, Utc};
use const_oid::db::rfc5280::{ID_CE_BASIC_CONSTRAINTS, ID_CE_SUBJECT_KEY_IDENTIFIER};
use der::asn1::OctetStringRef;
use der::{Decode, Header, Reader, SliceReader};
use policies::lint::TbsCertificate;
use x509_cert::ext::pkix::BasicConstraints;

use super::DistributionPoint;
use crate::card::identity::KeyIdentifier;
use crate::kind::CertificateKind;
use crate::ocsp::CertIdHash;

/// One key generation of one issuer, as the store numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CaKeyId(pub i32);

/// Where relying parties find what belongs to a CA key: plain HTTP addresses (RFC 5280 sections 4.2.1.13 and 4.2.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaUrls {
    /// Its CRL; that of shard 0 if there are several.
    pub crl: String,
    /// Its OCSP responder.
    pub ocsp: String,
    /// Its certificate in DER.
    pub certificate: String,
}

/// One key generation of a CA: everything public about it, worked out once.
///
/// All generations of an issuer bear the same name; the key identifier tells them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaKey {
    id: CaKeyId,
    kind: CertificateKind,
    generation: u32,
    urls: CaUrls,
    certificate: Vec<u8>,
    subject_name: Vec<u8>,
    public_key_info: Vec<u8>,
    subject_public_key: Vec<u8>,
    key_identifier: KeyIdentifier,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    /// For each of [`CertIdHash::ALL`]: of the name and of the key.
    hashes: [IssuerHashes; 4],
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct IssuerHashes {
    name: Vec<u8>,
    key: Vec<u8>,
}

/// The bytes and addresses make no CA key.
#[derive(Debug, thiserror::Error)]
pub enum CaKeyFault {
    /// No certificate in DER.
    #[error("the CA certificate is no certificate in DER")]
    Malformed,
    /// Not a CA's: basicConstraints is absent or says otherwise.
    #[error("the certificate is not a CA's")]
    NotACa,
    /// It has no usable subjectKeyIdentifier.
    #[error("the CA certificate has no subjectKeyIdentifier")]
    NoKeyIdentifier,
    /// A time that RFC 5280 does not allow.
    #[error("the CA certificate's validity is unreadable")]
    Validity,
    /// An address that is no plain HTTP URL.
    #[error("{0:?} is no http address of at most 200 characters")]
    Url(String),
}

impl CaKey {
    /// Reads a CA certificate (DER) of the kind and generation (1, 2, …) that the store says it is.
    pub fn new(id: CaKeyId, kind: CertificateKind, generation: u32, certificate: Vec<u8>, urls: CaUrls) -> Result<Self, CaKeyFault> {
        for url in [&urls.crl, &urls.ocsp, &urls.certificate] {
            check_url(url)?;
        }
        let parsed = TbsCertificate::parse(tbs_of(&certificate).map_err(|_| CaKeyFault::Malformed)?).map_err(|_| CaKeyFault::Malformed)?;
        let constraints = parsed.extension(ID_CE_BASIC_CONSTRAINTS).and_then(|extension| BasicConstraints::from_der(extension.value).ok());
        if !constraints.is_some_and(|constraints| constraints.ca) {
            return Err(CaKeyFault::NotACa);
        }
        let key_identifier = parsed
            .extension(ID_CE_SUBJECT_KEY_IDENTIFIER)
            .and_then(|extension| <&OctetStringRef>::from_der(extension.value).ok())
            .and_then(|octets| KeyIdentifier::new(octets.as_bytes()))
            .ok_or(CaKeyFault::NoKeyIdentifier)?;
        let moment =
            |unix_seconds: Option<i64>| unix_seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).ok_or(CaKeyFault::Validity);
        let (not_before, not_after) = (moment(parsed.not_before.unix_seconds)?, moment(parsed.not_after.unix_seconds)?);
        Ok(Self {
            id,
            kind,
            generation,
            hashes: CertIdHash::ALL
                .map(|hash| IssuerHashes { name: hash.digest(parsed.subject), key: hash.digest(parsed.public_key.octets) }),
            subject_name: parsed.subject.to_vec(),
            public_key_info: parsed.public_key_info.to_vec(),
            subject_public_key: parsed.public_key.octets.to_vec(),
            key_identifier,
            not_before,
            not_after,
            urls,
            certificate,
        })
    }

    /// Which key of which issuer.
    pub fn id(&self) -> CaKeyId {
        self.id
    }

    /// What it issues.
    pub fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// Which of the issuer's keys, counted from 1.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The word by which URLs and files call it: `<kind>-<generation>`.
    pub fn label(&self) -> String {
        format!("{}-{}", self.kind, self.generation)
    }

    /// Its certificate in DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The certificate's subject: Name in DER, octet for octet; the issuer of what it issues.
    pub fn subject_name_der(&self) -> &[u8] {
        &self.subject_name
    }

    /// The public key: SubjectPublicKeyInfo in DER.
    pub fn public_key_info(&self) -> &[u8] {
        &self.public_key_info
    }

    /// The content of the BIT STRING subjectPublicKey, without the octet of unused bits.
    pub fn subject_public_key(&self) -> &[u8] {
        &self.subject_public_key
    }

    /// The certificate's subjectKeyIdentifier; the authorityKeyIdentifier of what it issues.
    pub fn key_identifier(&self) -> &KeyIdentifier {
        &self.key_identifier
    }

    /// When its certificate begins.
    pub fn not_before(&self) -> DateTime<Utc> {
        self.not_before
    }

    /// When its certificate ends.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// Where relying parties find its CRL, its responder and its certificate.
    pub fn urls(&self) -> &CaUrls {
        &self.urls
    }

    /// Where the CRL of one shard is found: shard 0 at [`CaUrls::crl`], the others beside it.
    pub fn distribution_point(&self, shard: u16) -> DistributionPoint {
        DistributionPoint::of_shard(&self.urls.crl, shard)
    }

    /// CertID.issuerNameHash (RFC 6960 section 4.1.1): of the subject in DER.
    pub fn issuer_name_hash(&self, hash: CertIdHash) -> &[u8] {
        &self.hashes(hash).name
    }

    /// CertID.issuerKeyHash: of the content of the BIT STRING subjectPublicKey.
    pub fn issuer_key_hash(&self, hash: CertIdHash) -> &[u8] {
        &self.hashes(hash).key
    }

    fn hashes(&self, hash: CertIdHash) -> &IssuerHashes {
        let [sha1, sha256, sha384, sha512] = &self.hashes;
        match hash {
            CertIdHash::Sha1 => sha1,
            CertIdHash::Sha256 => sha256,
            CertIdHash::Sha384 => sha384,
            CertIdHash::Sha512 => sha512,
        }
    }
}

fn check_url(url: &str) -> Result<(), CaKeyFault> {
    let host = url.strip_prefix("http://").unwrap_or_default();
    let sound = !host.is_empty() && url.len() <= DistributionPoint::MAX_URL_CHARACTERS && url.bytes().all(|octet| octet.is_ascii_graphic());
    if sound { Ok(()) } else { Err(CaKeyFault::Url(url.to_owned())) }
}

/// The TBSCertificate inside a certificate, octet for octet.
fn tbs_of(certificate: &[u8]) -> der::Result<&[u8]> {
    let mut outer = SliceReader::new(certificate)?;
    let header = Header::decode(&mut outer)?;
    header.tag().assert_eq(der::Tag::Sequence)?;
    let mut fields = SliceReader::new(outer.read_slice(header.length())?)?;
    outer.finish()?;
    fields.tlv_bytes()
}
