//! Making a signed message: what a command line does for its operator.

use cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use cms::content_info::{CmsVersion, ContentInfo};
use cms::signed_data::{CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5911::{ID_CONTENT_TYPE, ID_MESSAGE_DIGEST, ID_SIGNED_DATA};
use der::asn1::{OctetString, SetOfVec};
use der::{Any, Decode, Encode, Tag};
use ring::digest;
use spki::AlgorithmIdentifierOwned;
use x509_cert::Certificate;
use x509_cert::attr::{Attribute, Attributes};

use crate::key::oid;
use crate::signer::{KeyType, Signer, SignerFault, signature_algorithm};

/// Signs `content`: a ContentInfo in DER with the content and the signer's certificate (DER) inside, as
/// [`super::UnverifiedMessage`] reads it. P-384 keys sign with SHA-384, all others with SHA-256.
pub fn sign(content: &[u8], content_type: ObjectIdentifier, certificate: &[u8], signer: &dyn Signer) -> Result<Vec<u8>, SignerFault> {
    let (digest_oid, digest) = match signer.key_type() {
        KeyType::EcdsaP384 => (oid::SHA384, &digest::SHA384),
        KeyType::EcdsaP256 | KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => (oid::SHA256, &digest::SHA256),
    };
    let attributes = attributes(content_type, digest::digest(digest, content).as_ref()).map_err(SignerFault::Encoding)?;
    // RFC 5652 section 5.4: signed as an explicit SET OF, not with the tag that stands in the message.
    let signature = signer.sign(&attributes.to_der().map_err(SignerFault::Encoding)?)?;
    let assemble = || {
        let certificate = Certificate::from_der(certificate)?;
        let tbs = certificate.tbs_certificate();
        let digest_algorithm = AlgorithmIdentifierOwned { oid: digest_oid, parameters: None };
        let info = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: tbs.issuer().clone(),
                serial_number: tbs.serial_number().clone(),
            }),
            digest_alg: digest_algorithm.clone(),
            signed_attrs: Some(attributes),
            signature_algorithm: signature_algorithm(signer.key_type()),
            signature: OctetString::new(signature)?,
            unsigned_attrs: None,
        };
        let data = SignedData {
            version: CmsVersion::V3,
            digest_algorithms: SetOfVec::try_from(vec![digest_algorithm])?,
            encap_content_info: EncapsulatedContentInfo {
                econtent_type: content_type,
                econtent: Some(Any::new(Tag::OctetString, content)?),
            },
            certificates: Some(CertificateSet(SetOfVec::try_from(vec![CertificateChoices::Certificate(certificate)])?)),
            crls: None,
            signer_infos: SignerInfos(SetOfVec::try_from(vec![info])?),
        };
        ContentInfo { content_type: ID_SIGNED_DATA, content: Any::encode_from(&data)? }.to_der()
    };
    assemble().map_err(SignerFault::Encoding)
}

fn attributes(content_type: ObjectIdentifier, content_digest: &[u8]) -> der::Result<Attributes> {
    let attribute = |oid, value: Any| Ok::<_, der::Error>(Attribute { oid, values: SetOfVec::try_from(vec![value])? });
    SetOfVec::try_from(vec![
        attribute(ID_CONTENT_TYPE, Any::encode_from(&content_type)?)?,
        attribute(ID_MESSAGE_DIGEST, Any::new(Tag::OctetString, content_digest)?)?,
    ])
}
