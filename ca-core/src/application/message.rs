//! The card-signed message: CMS SignedData (RFC 5652).

use cms::cert::CertificateChoices;
use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerIdentifier, SignerInfo};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use der::asn1::OctetStringRef;
use der::{Decode, Encode};
use x509_cert::attr::{Attribute, Attributes};

use super::APPLICATION_CONTENT_TYPE;
use crate::card::certificate::{CardCertificateRefusal, UnverifiedCardCertificate};
use crate::digest::Sha256Digest;
use crate::key::{PublicKey, PublicKeyKind, oid};
use crate::refusal::Refusal;
use crate::signed_object;

/// The most certificates that a message may carry: the card's and, as some programs add them, its CA's.
const MAX_CERTIFICATES: usize = 4;

/// A message of which the structure was read and the digest compared; its signature is still to be checked, with the key of a
/// certificate that is still to be checked.
#[derive(Debug)]
pub struct UnverifiedMessage {
    content: Vec<u8>,
    signer: UnverifiedCardCertificate,
    signed_attributes: Vec<u8>,
    signature_algorithm: spki::AlgorithmIdentifierOwned,
    signature: Vec<u8>,
}

/// Why a message does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageRefusal {
    /// Not a ContentInfo with SignedData in DER.
    #[error("the application is not a CMS SignedData in DER")]
    Malformed,
    /// The content is of another type.
    #[error("the signed content's type is not that of an application ({APPLICATION_CONTENT_TYPE})")]
    ContentType,
    /// A detached signature.
    #[error("the signed content is not inside the message")]
    Detached,
    /// No signer, or several.
    #[error("an application has exactly one signer")]
    Signers,
    /// No signed attributes, or not contentType and messageDigest once each.
    #[error("the signed attributes contentType and messageDigest are missing or stand there more than once")]
    SignedAttributes,
    /// Unsigned attributes, or CRLs: what no signature covers has no place here.
    #[error("the message carries unsigned attributes or CRLs")]
    Unsigned,
    /// An algorithm other than RSA PKCS#1 v1.5 with SHA-256.
    #[error("the card signs with RSA PKCS#1 v1.5 and SHA-256")]
    Algorithm,
    /// The digest in the signed attributes is not that of the content.
    #[error("the message digest is not that of the signed content")]
    Digest,
    /// The signer's certificate is not inside.
    #[error("the signer's card certificate is not inside the message")]
    NoCertificate,
    /// The signer's certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CardCertificateRefusal),
    /// The card's key did not sign it.
    #[error("the signature on the application is wrong")]
    Signature,
}

impl Refusal for MessageRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Malformed => "cms_malformed",
            Self::ContentType => "cms_content_type",
            Self::Detached => "cms_detached",
            Self::Signers => "cms_signers",
            Self::SignedAttributes => "cms_signed_attributes",
            Self::Unsigned => "cms_unsigned_attributes",
            Self::Algorithm => "cms_algorithm",
            Self::Digest => "cms_digest",
            Self::NoCertificate => "cms_no_certificate",
            Self::Certificate(refusal) => refusal.code(),
            Self::Signature => "cms_signature",
        }
    }
}

impl UnverifiedMessage {
    /// Reads a ContentInfo in DER; the caller has bounded its size.
    pub fn parse(der: &[u8]) -> Result<Self, MessageRefusal> {
        use MessageRefusal as Refused;

        let info = ContentInfo::from_der(der).map_err(|_| Refused::Malformed)?;
        if info.content_type != ID_SIGNED_DATA {
            return Err(Refused::Malformed);
        }
        let data: SignedData = info.content.decode_as().map_err(|_| Refused::Malformed)?;
        if data.encap_content_info.econtent_type != APPLICATION_CONTENT_TYPE {
            return Err(Refused::ContentType);
        }
        let content = data.encap_content_info.econtent.as_ref().ok_or(Refused::Detached)?;
        let content = content.decode_as::<&OctetStringRef>().map_err(|_| Refused::Malformed)?.as_bytes().to_vec();
        let [info] = data.signer_infos.0.as_slice() else {
            return Err(Refused::Signers);
        };
        if info.unsigned_attrs.is_some() || data.crls.is_some() {
            return Err(Refused::Unsigned);
        }
        if info.digest_alg.oid != oid::SHA256 || !matches!(info.signature_algorithm.oid, oid::RSA_ENCRYPTION | oid::RSA_SHA256) {
            return Err(Refused::Algorithm);
        }
        let attributes = info.signed_attrs.as_ref().ok_or(Refused::SignedAttributes)?;
        check_attributes(attributes, &content)?;
        Ok(Self {
            content,
            signer: find_signer(&data, info)?,
            // RFC 5652 section 5.4: signed as an explicit SET OF, not with the tag that stands in the message.
            signed_attributes: attributes.to_der().map_err(|_| Refused::Malformed)?,
            signature_algorithm: info.signature_algorithm.clone(),
            signature: info.signature.as_bytes().to_vec(),
        })
    }

    /// The certificate that the signature names as its signer's.
    pub fn signer(&self) -> &UnverifiedCardCertificate {
        &self.signer
    }

    /// Checks the signature and gives the signed content.
    pub fn verify(self, key: &PublicKey) -> Result<Vec<u8>, MessageRefusal> {
        if !matches!(key.kind(), PublicKeyKind::Rsa { .. }) {
            return Err(MessageRefusal::Algorithm);
        }
        key.verify(&self.signature_algorithm, &self.signed_attributes, &self.signature).map_err(|_| MessageRefusal::Signature)?;
        Ok(self.content)
    }
}

fn check_attributes(attributes: &Attributes, content: &[u8]) -> Result<(), MessageRefusal> {
    let content_type = single_value(attributes, ID_CONTENT_TYPE)?;
    if content_type.values.iter().next().and_then(|value| value.decode_as::<ObjectIdentifier>().ok()) != Some(APPLICATION_CONTENT_TYPE) {
        return Err(MessageRefusal::ContentType);
    }
    let digest = single_value(attributes, ID_MESSAGE_DIGEST)?;
    let digest = digest.values.iter().next().and_then(|value| value.decode_as::<&OctetStringRef>().ok());
    if digest.ok_or(MessageRefusal::SignedAttributes)?.as_bytes() != Sha256Digest::of(content).as_bytes() {
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

fn find_signer(data: &SignedData, info: &SignerInfo) -> Result<UnverifiedCardCertificate, MessageRefusal> {
    let certificates = data.certificates.as_ref().ok_or(MessageRefusal::NoCertificate)?;
    if certificates.0.len() > MAX_CERTIFICATES {
        return Err(MessageRefusal::Malformed);
    }
    let named = certificates.0.iter().find_map(|choice| match choice {
        CertificateChoices::Certificate(certificate) if is_named(certificate, &info.sid) => Some(certificate),
        _ => None,
    });
    let der = named.ok_or(MessageRefusal::NoCertificate)?.to_der().map_err(|_| MessageRefusal::Malformed)?;
    Ok(UnverifiedCardCertificate::parse(&der)?)
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
