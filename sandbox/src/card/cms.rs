//! CMS SignedData (RFC 5652) as a card signs it, and, on wish, as it should not be.

use chrono::{DateTime, Utc};
use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{CertificateSet, EncapsulatedContentInfo, SignedAttributes, SignedData, SignerIdentifier, SignerInfo, SignerInfos};
use der::asn1::{ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, Decode as _, Encode as _, Tag};
use ring::digest;
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use x509_cert::attr::Attribute;
use x509_cert::ext::pkix::SubjectKeyIdentifier;

use super::CardSide;
use crate::keys::{Key, KeyFault};
use crate::{asn1, oids};

/// How the signer is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignerName {
    /// issuerAndSerialNumber, as openssl writes it.
    #[default]
    IssuerAndSerialNumber,
    /// subjectKeyIdentifier.
    SubjectKeyIdentifier,
}

/// What to sign and how. [`Self::new`] is right in every point; each field can be made wrong.
#[derive(Debug, Clone)]
pub struct SignedMessage {
    /// What the signature is over.
    pub content: Vec<u8>,
    /// eContentType.
    pub content_type: ObjectIdentifier,
    /// What stands in the message instead, if not the content: a change after signing.
    pub replaced_content: Option<Vec<u8>>,
    /// Whether the content is in the message.
    pub attached: bool,
    /// How the signer is named.
    pub signer_name: SignerName,
    /// The signingTime attribute; left out if `None`.
    pub signing_time: Option<DateTime<Utc>>,
    /// Whether there are signed attributes at all; without them the signature is over the content.
    pub signed_attributes: bool,
    /// The contentType attribute; left out if `None`.
    pub stated_content_type: Option<ObjectIdentifier>,
    /// The messageDigest attribute, if not the content's digest.
    pub stated_digest: Option<Vec<u8>>,
    /// Whether the messageDigest attribute is there.
    pub has_digest: bool,
    /// Whether the signer's certificate is inside.
    pub has_certificate: bool,
    /// SHA-512 in place of SHA-256.
    pub sha512: bool,
    /// Turns a bit of the signature.
    pub broken_signature: bool,
}

/// A message could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum CmsFault {
    /// Encoding failed.
    #[error("CMS: {0}")]
    Encoding(#[from] der::Error),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyFault),
}

impl SignedMessage {
    /// A Tsunagi application around a statement.
    pub fn new(content: Vec<u8>) -> Self {
        Self::of_type(oids::APPLICATION_CONTENT_TYPE, content)
    }

    /// A message of another eContentType, right in every point.
    pub fn of_type(content_type: ObjectIdentifier, content: Vec<u8>) -> Self {
        Self {
            content,
            content_type,
            replaced_content: None,
            attached: true,
            signer_name: SignerName::default(),
            signing_time: Some(Utc::now()),
            signed_attributes: true,
            stated_content_type: Some(content_type),
            stated_digest: None,
            has_digest: true,
            has_certificate: true,
            sha512: false,
            broken_signature: false,
        }
    }
}

/// ContentInfo, DER, with a SignerInfo for each of the signers (a pair: whose certificate is named, whose key signs).
pub fn sign(message: &SignedMessage, signers: &[(&CardSide, &CardSide)]) -> Result<Vec<u8>, CmsFault> {
    let signers: Vec<_> = signers.iter().map(|(named, signing)| (named.certificate.as_slice(), &*signing.key)).collect();
    sign_with(message, &signers)
}

/// The same for any certificate (DER) and any key: a phone's, an operator's. P-384 keys sign with SHA-384, all others with SHA-256.
pub fn sign_with(message: &SignedMessage, signers: &[(&[u8], &Key)]) -> Result<Vec<u8>, CmsFault> {
    let mut digest_algorithms = SetOfVec::new();
    let mut signer_infos = SignerInfos(SetOfVec::new());
    let mut certificates = CertificateSet(SetOfVec::new());
    if signers.is_empty() {
        digest_algorithms.insert(Digest::Sha256.identifier())?;
    }
    for (named, key) in signers {
        let certificate = Certificate::from_der(named)?;
        let digest = Digest::of(message, key);
        if !digest_algorithms.iter().any(|known| known.oid == digest.identifier().oid) {
            digest_algorithms.insert(digest.identifier())?;
        }
        signer_infos.0.insert(signer_info(message, &certificate, key, digest)?)?;
        if message.has_certificate {
            certificates.0.insert(CertificateChoices::Certificate(certificate))?;
        }
    }
    let content = message.replaced_content.as_ref().unwrap_or(&message.content);
    let signed_data = SignedData {
        // RFC 5652 section 5.1: an eContentType other than id-data makes it 3.
        version: if message.content_type == oids::CMS_DATA && message.signer_name == SignerName::IssuerAndSerialNumber {
            CmsVersion::V1
        } else {
            CmsVersion::V3
        },
        digest_algorithms,
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: message.content_type,
            econtent: if message.attached { Some(Any::new(Tag::OctetString, content.as_slice())?) } else { None },
        },
        certificates: message.has_certificate.then_some(certificates),
        crls: None,
        signer_infos,
    };
    Ok(ContentInfo { content_type: oids::CMS_SIGNED_DATA, content: Any::encode_from(&signed_data)? }.to_der()?)
}

fn signer_info(message: &SignedMessage, certificate: &Certificate, key: &Key, digest: Digest) -> Result<SignerInfo, CmsFault> {
    let tbs = certificate.tbs_certificate();
    let key_identifier = tbs.get_extension::<SubjectKeyIdentifier>()?.map(|(_, identifier)| identifier);
    let sid = match (message.signer_name, key_identifier) {
        (SignerName::SubjectKeyIdentifier, Some(identifier)) => SignerIdentifier::SubjectKeyIdentifier(identifier),
        _ => SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: tbs.issuer().clone(),
            serial_number: tbs.serial_number().clone(),
        }),
    };
    let attributes = if message.signed_attributes { Some(signed_attributes(message, digest)?) } else { None };
    let signed = match &attributes {
        // RFC 5652 section 5.4: signed with the SET OF tag, not the [0] that stands in the message.
        Some(attributes) => attributes.to_der()?,
        None => message.content.clone(),
    };
    let mut signature = if message.sha512 { key.sign_with_sha512(&signed)? } else { key.sign(&signed)? };
    if message.broken_signature
        && let Some(last) = signature.last_mut()
    {
        *last ^= 1;
    }
    let signature_algorithm = if message.sha512 {
        AlgorithmIdentifierOwned { oid: oids::SHA512_WITH_RSA, parameters: Some(Any::null()) }
    } else {
        AlgorithmIdentifierOwned::from_der(&key.signature_algorithm())?
    };
    Ok(SignerInfo {
        version: if matches!(sid, SignerIdentifier::SubjectKeyIdentifier(_)) { CmsVersion::V3 } else { CmsVersion::V1 },
        sid,
        digest_alg: digest.identifier(),
        signed_attrs: attributes,
        signature_algorithm,
        signature: OctetString::new(signature)?,
        unsigned_attrs: None,
    })
}

fn signed_attributes(message: &SignedMessage, digest: Digest) -> Result<SignedAttributes, CmsFault> {
    let mut attributes = SetOfVec::new();
    let mut add = |oid: ObjectIdentifier, value: &[u8]| -> Result<(), CmsFault> {
        attributes.insert(Attribute { oid, values: SetOfVec::try_from(vec![Any::from_der(value)?])? })?;
        Ok(())
    };
    if let Some(content_type) = &message.stated_content_type {
        add(oids::CONTENT_TYPE, &asn1::oid(content_type))?;
    }
    if let Some(at) = message.signing_time {
        add(oids::SIGNING_TIME, &asn1::time(at))?;
    }
    if message.has_digest {
        let computed = digest.compute(&message.content);
        add(oids::MESSAGE_DIGEST, &asn1::octet_string(message.stated_digest.as_ref().unwrap_or(&computed)))?;
    }
    Ok(attributes)
}

/// What content and attributes are digested with.
#[derive(Debug, Clone, Copy)]
enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

impl Digest {
    fn of(message: &SignedMessage, key: &Key) -> Self {
        match (message.sha512, key.signs_with_sha384()) {
            (true, _) => Self::Sha512,
            (false, true) => Self::Sha384,
            (false, false) => Self::Sha256,
        }
    }

    fn identifier(self) -> AlgorithmIdentifierOwned {
        let oid = match self {
            Self::Sha256 => oids::SHA256,
            Self::Sha384 => oids::SHA384,
            Self::Sha512 => oids::SHA512,
        };
        AlgorithmIdentifierOwned { oid, parameters: None }
    }

    fn compute(self, content: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, content).as_ref().to_vec()
    }
}
