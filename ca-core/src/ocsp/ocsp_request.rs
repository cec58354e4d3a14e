//! A request.

use der::asn1::{Any, BitString, ContextSpecific};
use der::{Decode, DecodeValue, Encode, EncodeValue, Header, Length, Reader, Sequence, TagMode, TagNumber, Writer};
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;

use super::{CertId, Nonce, NonceError, Request, Signature, TbsRequest, Version};
use crate::signer::{Signer, SignerFault, signature_algorithm};

/// OCSPRequest (RFC 6960 section 4.1.1).
///
/// ```text
/// OCSPRequest     ::=     SEQUENCE {
///     tbsRequest                  TBSRequest,
///     optionalSignature   [0]     EXPLICIT Signature OPTIONAL }
/// ```
///
/// The octets of the TBSRequest are kept as they came, so that verifying does not depend on our encoding them again just so. Reading
/// allocates in proportion to the octets read: bound them first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OcspRequest {
    tbs_request: TbsRequest,
    tbs_request_der: Vec<u8>,
    optional_signature: Option<Signature>,
}

impl OcspRequest {
    /// An unsigned request about one certificate.
    ///
    /// # Errors
    /// None in practice: a nonce is not too long for DER.
    pub fn for_certificate(id: CertId, nonce: Option<&Nonce>) -> der::Result<Self> {
        let request_extensions = nonce.map(|nonce| nonce.to_extension().map(|extension| vec![extension])).transpose()?;
        Self::unsigned(TbsRequest {
            version: Version::V1,
            requestor_name: None,
            request_list: vec![Request { req_cert: id, single_request_extensions: None }],
            request_extensions,
        })
    }

    /// An unsigned request.
    ///
    /// # Errors
    /// If a part of it cannot be encoded.
    pub fn unsigned(tbs_request: TbsRequest) -> der::Result<Self> {
        Ok(Self { tbs_request_der: tbs_request.to_der()?, tbs_request, optional_signature: None })
    }

    /// A request signed by the key of `certificate` (DER), which says in requestorName whom that certificate names (RFC 6960 section
    /// 4.1.2) and brings it along.
    ///
    /// # Errors
    /// [`SignerFault::Encoding`] if the certificate is none, and what the key says.
    pub fn signed(mut tbs_request: TbsRequest, certificate: &[u8], signer: &dyn Signer) -> Result<Self, SignerFault> {
        let asker = Certificate::from_der(certificate).map_err(SignerFault::Encoding)?;
        tbs_request.requestor_name = Some(GeneralName::DirectoryName(asker.tbs_certificate().subject().clone()));
        let unsigned = Self::unsigned(tbs_request).map_err(SignerFault::Encoding)?;
        let signature = signer.sign(&unsigned.tbs_request_der)?;
        let encoded = || {
            Ok(Signature {
                signature_algorithm: signature_algorithm(signer.key_type()),
                signature: BitString::from_bytes(&signature)?,
                certs: Some(vec![Any::from_der(certificate)?]),
            })
        };
        Ok(Self { optional_signature: Some(encoded().map_err(SignerFault::Encoding)?), ..unsigned })
    }

    /// The questions.
    pub fn tbs_request(&self) -> &TbsRequest {
        &self.tbs_request
    }

    /// The questions, to be kept.
    pub fn into_tbs_request(self) -> TbsRequest {
        self.tbs_request
    }

    /// What a signature is over: the DER of the TBSRequest as it came.
    pub fn tbs_request_der(&self) -> &[u8] {
        &self.tbs_request_der
    }

    /// The asker's signature, rarely there. [`OcspRequest::verify_signature`] looks at it.
    pub fn optional_signature(&self) -> Option<&Signature> {
        self.optional_signature.as_ref()
    }

    /// The nonce.
    ///
    /// # Errors
    /// If it has a length that RFC 9654 forbids, is no OCTET STRING, or stands there twice.
    pub fn nonce(&self) -> Result<Option<Nonce>, NonceError> {
        Nonce::among(self.tbs_request.request_extensions.as_deref().unwrap_or_default())
    }

    fn signature_field(&self) -> Option<ContextSpecific<Signature>> {
        let value = self.optional_signature.clone()?;
        Some(ContextSpecific { tag_number: OPTIONAL_SIGNATURE, tag_mode: TagMode::Explicit, value })
    }
}

const OPTIONAL_SIGNATURE: TagNumber = TagNumber(0);

impl<'a> DecodeValue<'a> for OcspRequest {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _header: Header) -> der::Result<Self> {
        let tbs_request_der = reader.tlv_bytes()?.to_vec();
        Ok(Self {
            tbs_request: TbsRequest::from_der(&tbs_request_der)?,
            tbs_request_der,
            optional_signature: reader.context_specific::<Signature>(OPTIONAL_SIGNATURE, TagMode::Explicit)?,
        })
    }
}

impl EncodeValue for OcspRequest {
    fn value_len(&self) -> der::Result<Length> {
        Length::try_from(self.tbs_request_der.len())? + self.signature_field().encoded_len()?
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(&self.tbs_request_der)?;
        self.signature_field().encode(writer)
    }
}

impl Sequence<'_> for OcspRequest {}
