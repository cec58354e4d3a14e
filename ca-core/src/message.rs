//! A signed message: CMS SignedData (RFC 5652) with exactly one signer, as applications and instructions are.

mod sign;

use cms::cert::CertificateChoices;
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use der::asn1::{AnyRef, OctetStringRef};
use der::{Decode, Encode};
use ring::digest;
use spki::AlgorithmIdentifierOwned;
use x509_cert::attr::{Attribute, Attributes};

pub use sign::sign;

use crate::key::{PublicKey, SignatureError, oid};
use crate::refusal::Refusal;
use crate::signed_object;

/// The most certificates that a message may carry: the signer's and, as some programs add them, its CA's.
const MAX_CERTIFICATES: usize = 4;

/// What sort of message is expected.
#[derive(Debug, Clone, Copy)]
pub struct MessageForm {
    /// The eContentType, which tells one sort of signed statement from another.
    pub content_type: ObjectIdentifier,
    /// Who may sign it.
    pub signers: Signers,
}

/// Which algorithms are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signers {
    /// Cards: RSA PKCS#1 v1.5 with SHA-256.
    Cards,
    /// Cards, phones and operators: the same, and ECDSA with SHA-256 or SHA-384.
    All,
}

/// A message of which the structure was read and the digest compared; its signature is still to be checked, with the key of a
/// certificate that is still to be checked.
#[derive(Debug)]
pub struct UnverifiedMessage {
    content: Vec<u8>,
    signer: Vec<u8>,
    signed_attributes: Vec<u8>,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
}

/// Why a message does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageRefusal {
    /// Not a ContentInfo with SignedData in DER, of the version that its content asks for.
    #[error("the message is not a CMS SignedData in DER")]
    Malformed,
    /// The content is of another type.
    #[error("the signed content's type is not {expected}")]
    ContentType {
        /// The type that is expected here.
        expected: ObjectIdentifier,
    },
    /// A detached signature.
    #[error("the signed content is not inside the message")]
    Detached,
    /// No signer, or several.
    #[error("the message must have exactly one signer")]
    Signers,
    /// No signed attributes, or not contentType and messageDigest once each.
    #[error("the signed attributes contentType and messageDigest are missing or stand there more than once")]
    SignedAttributes,
    /// Unsigned attributes, or CRLs: what no signature covers has no place here.
    #[error("the message carries unsigned attributes or CRLs")]
    Unsigned,
    /// An algorithm that is not accepted from such a signer, or that does not fit its key.
    #[error("the signature algorithm is not accepted: cards sign with RSA PKCS#1 v1.5 and SHA-256, phones and operators also with ECDSA")]
    Algorithm,
    /// The digest in the signed attributes is not that of the content.
    #[error("the message digest is not that of the signed content")]
    Digest,
    /// The signer's certificate is not inside.
    #[error("the signer's certificate is not inside the message")]
    NoCertificate,
    /// The signer's key did not sign it.
    #[error("the signature on the message is wrong")]
    Signature,
}

impl Refusal for MessageRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "cms_malformed",
            Self::ContentType { .. } => "cms_content_type",
            Self::Detached => "cms_detached",
            Self::Signers => "cms_signers",
            Self::SignedAttributes => "cms_signed_attributes",
            Self::Unsigned => "cms_unsigned_attributes",
            Self::Algorithm => "cms_algorithm",
            Self::Digest => "cms_digest",
            Self::NoCertificate => "cms_no_certificate",
            Self::Signature => "cms_signature",
        }
    }
}

impl UnverifiedMessage {
    /// Reads a ContentInfo in DER; the caller has bounded its size.
    pub fn parse(der: &[u8], form: &MessageForm) -> Result<Self, MessageRefusal> {
        use MessageRefusal as Refused;

        let info = ContentInfo::from_der(der).map_err(|_| Refused::Malformed)?;
        if info.content_type != ID_SIGNED_DATA {
            return Err(Refused::Malformed);
        }
        let data: SignedData = info.content.decode_as().map_err(|_| Refused::Malformed)?;
        if data.encap_content_info.econtent_type != form.content_type {
            return Err(Refused::ContentType { expected: form.content_type });
        }
        let content = data.encap_content_info.econtent.as_ref().ok_or(Refused::Detached)?;
        let content = content.decode_as::<&OctetStringRef>().map_err(|_| Refused::Malformed)?.as_bytes().to_vec();
        let [info] = data.signer_infos.0.as_slice() else {
            return Err(Refused::Signers);
        };
        if info.unsigned_attrs.is_some() || data.crls.is_some() {
            return Err(Refused::Unsigned);
        }
        let digest = digest_algorithm(info, form.signers)?;
        check_frame(&data, info)?;
        let attributes = info.signed_attrs.as_ref().ok_or(Refused::SignedAttributes)?;
        check_attributes(attributes, form.content_type, digest::digest(digest, &content).as_ref())?;
        Ok(Self {
            content,
            signer: find_signer(&data, info)?,
            // RFC 5652 section 5.4: signed as an explicit SET OF, not with the tag that stands in the message.
            signed_attributes: attributes.to_der().map_err(|_| Refused::Malformed)?,
            signature_algorithm: info.signature_algorithm.clone(),
            signature: info.signature.as_bytes().to_vec(),
        })
    }

    /// The certificate, in DER, that the signature names as its signer's.
    pub fn signer(&self) -> &[u8] {
        &self.signer
    }

    /// Checks the signature and gives the signed content.
    pub fn verify(self, key: &PublicKey) -> Result<Vec<u8>, MessageRefusal> {
        key.verify(&self.signature_algorithm, &self.signed_attributes, &self.signature).map_err(|error| match error {
            SignatureError::Algorithm => MessageRefusal::Algorithm,
            SignatureError::Wrong => MessageRefusal::Signature,
        })?;
        Ok(self.content)
    }
}

/// The digest of the content, which must be that of the signature, too.
fn digest_algorithm(info: &SignerInfo, signers: Signers) -> Result<&'static digest::Algorithm, MessageRefusal> {
    match (info.digest_alg.oid, info.signature_algorithm.oid) {
        (oid::SHA256, oid::RSA_ENCRYPTION | oid::RSA_SHA256) => Ok(&digest::SHA256),
        (oid::SHA256, oid::ECDSA_SHA256) if signers == Signers::All => Ok(&digest::SHA256),
        (oid::SHA384, oid::ECDSA_SHA384) if signers == Signers::All => Ok(&digest::SHA384),
        _ => Err(MessageRefusal::Algorithm),
    }
}

/// What stands around the signature and is not covered by it has one form only, so that a message cannot be changed into
/// another that says the same: the versions that RFC 5652 (5.1, 5.3) prescribes, and the signer's digest algorithm alone.
fn check_frame(data: &SignedData, info: &SignerInfo) -> Result<(), MessageRefusal> {
    let signer_version = match info.sid {
        SignerIdentifier::IssuerAndSerialNumber(_) => CmsVersion::V1,
        SignerIdentifier::SubjectKeyIdentifier(_) => CmsVersion::V3,
    };
    // RFC 5754 section 2: the parameters are absent; NULL must be understood.
    let parameters = info.digest_alg.parameters.as_ref().map(der::Any::to_ref);
    let digest_sound = parameters.is_none() || parameters == Some(AnyRef::NULL);
    let only_digest = matches!(data.digest_algorithms.as_slice(), [algorithm] if *algorithm == info.digest_alg);
    let sound = data.version == CmsVersion::V3 && info.version == signer_version && digest_sound && only_digest;
    sound.then_some(()).ok_or(MessageRefusal::Malformed)
}

fn check_attributes(attributes: &Attributes, content_type: ObjectIdentifier, content_digest: &[u8]) -> Result<(), MessageRefusal> {
    let stated = single_value(attributes, ID_CONTENT_TYPE)?;
    if stated.values.iter().next().and_then(|value| value.decode_as::<ObjectIdentifier>().ok()) != Some(content_type) {
        return Err(MessageRefusal::ContentType { expected: content_type });
    }
    let digest = single_value(attributes, ID_MESSAGE_DIGEST)?;
    let digest = digest.values.iter().next().and_then(|value| value.decode_as::<&OctetStringRef>().ok());
    if digest.ok_or(MessageRefusal::SignedAttributes)?.as_bytes() != content_digest {
        return Err(MessageRefusal::Digest);
    }
    Ok(())
}

/// The one attribute of this type, with exactly one value (RFC 5652 section 11).
fn single_value(attributes: &Attributes, attribute_type: ObjectIdentifier) -> Result<&Attribute, MessageRefusal> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == attribute_type);
    match (found.next(), found.next()) {
        (Some(attribute), None) if attribute.values.len() == 1 => Ok(attribute),
        _ => Err(MessageRefusal::SignedAttributes),
    }
}

fn find_signer(data: &SignedData, info: &SignerInfo) -> Result<Vec<u8>, MessageRefusal> {
    let certificates = data.certificates.as_ref().ok_or(MessageRefusal::NoCertificate)?;
    if certificates.0.len() > MAX_CERTIFICATES {
        return Err(MessageRefusal::Malformed);
    }
    let named = certificates.0.iter().find_map(|choice| match choice {
        CertificateChoices::Certificate(certificate) if is_named(certificate, &info.sid) => Some(certificate),
        _ => None,
    });
    named.ok_or(MessageRefusal::NoCertificate)?.to_der().map_err(|_| MessageRefusal::Malformed)
}

fn is_named(certificate: &x509_cert::Certificate, identifier: &SignerIdentifier) -> bool {
    let tbs = certificate.tbs_certificate();
    match identifier {
        SignerIdentifier::IssuerAndSerialNumber(named) => {
            named.issuer == *tbs.issuer() && signed_object::serial(&named.serial_number) == signed_object::serial(tbs.serial_number())
        }
        SignerIdentifier::SubjectKeyIdentifier(named) => tbs
            .get_extension::<x509_cert::ext::pkix::SubjectKeyIdentifier>()
            .is_ok_and(|found| found.is_some_and(|(_, identifier)| identifier == *named)),
    }
}
