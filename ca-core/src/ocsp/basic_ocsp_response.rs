//! A signed answer.

use der::asn1::{AnyRef, BitString, ContextSpecific};
use der::{Decode, DecodeValue, Encode, EncodeValue, FixedTag, Header, Length, Reader, Sequence, Tag, TagMode, TagNumber, Writer};
use spki::AlgorithmIdentifierOwned;

use super::ResponseData;

/// BasicOCSPResponse (RFC 6960 section 4.2.1).
///
/// ```text
/// BasicOCSPResponse       ::= SEQUENCE {
///    tbsResponseData      ResponseData,
///    signatureAlgorithm   AlgorithmIdentifier,
///    signature            BIT STRING,
///    certs            [0] EXPLICIT SEQUENCE OF Certificate OPTIONAL }
/// ```
///
/// The signed octets are kept as they came, so that verifying does not depend on our encoding them again just so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BasicOcspResponse {
    tbs_response_data: ResponseData,
    tbs_response_data_der: Vec<u8>,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
    certificates: Vec<Vec<u8>>,
}

impl BasicOcspResponse {
    /// The most certificates that are read from an answer.
    pub const MAX_CERTIFICATES: usize = 8;

    /// Signs `data`: `sign` gets the octets to sign and gives the signature's; `certificates` (DER) go along.
    ///
    /// # Errors
    /// What `sign` fails with, or if a part cannot be encoded.
    pub fn sign<E: From<der::Error>>(
        data: ResponseData,
        signature_algorithm: AlgorithmIdentifierOwned,
        certificates: Vec<Vec<u8>>,
        sign: impl FnOnce(&[u8]) -> Result<Vec<u8>, E>,
    ) -> Result<Self, E> {
        let tbs_response_data_der = data.to_der()?;
        let signature = BitString::from_bytes(&sign(&tbs_response_data_der)?)?;
        Ok(Self { tbs_response_data: data, tbs_response_data_der, signature_algorithm, signature, certificates })
    }

    /// The signed part.
    pub fn response_data(&self) -> &ResponseData {
        &self.tbs_response_data
    }

    /// The signed octets: the DER of the ResponseData as it came.
    pub fn response_data_der(&self) -> &[u8] {
        &self.tbs_response_data_der
    }

    /// How it is signed.
    pub fn signature_algorithm(&self) -> &AlgorithmIdentifierOwned {
        &self.signature_algorithm
    }

    /// The signature's octets; `None` if its BIT STRING ends within an octet, as no signature does.
    pub fn signature(&self) -> Option<&[u8]> {
        self.signature.as_bytes()
    }

    /// The certificates (DER, unparsed) that came along, of the responder among them.
    pub fn certificates(&self) -> impl Iterator<Item = &[u8]> {
        self.certificates.iter().map(Vec::as_slice)
    }

    fn certificate_field(&self) -> der::Result<Option<ContextSpecific<Vec<AnyRef<'_>>>>> {
        if self.certificates.is_empty() {
            return Ok(None);
        }
        let value = self.certificates.iter().map(|der| AnyRef::from_der(der)).collect::<der::Result<_>>()?;
        Ok(Some(ContextSpecific { tag_number: CERTIFICATES, tag_mode: TagMode::Explicit, value }))
    }
}

const CERTIFICATES: TagNumber = TagNumber(0);

/// SEQUENCE OF Certificate: each one SEQUENCE, kept as it came.
struct Certificates(Vec<Vec<u8>>);

impl FixedTag for Certificates {
    const TAG: Tag = Tag::Sequence;
}

impl<'a> DecodeValue<'a> for Certificates {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _header: Header) -> der::Result<Self> {
        let mut certificates = Vec::new();
        while !reader.is_finished() {
            if certificates.len() == BasicOcspResponse::MAX_CERTIFICATES {
                return Err(reader.error(der::ErrorKind::Length { tag: Tag::Sequence }));
            }
            Header::peek(reader)?.tag().assert_eq(Tag::Sequence)?;
            certificates.push(reader.tlv_bytes()?.to_vec());
        }
        Ok(Self(certificates))
    }
}

impl<'a> DecodeValue<'a> for BasicOcspResponse {
    type Error = der::Error;

    fn decode_value<R: Reader<'a>>(reader: &mut R, _header: Header) -> der::Result<Self> {
        let tbs_response_data_der = reader.tlv_bytes()?.to_vec();
        Ok(Self {
            tbs_response_data: ResponseData::from_der(&tbs_response_data_der)?,
            tbs_response_data_der,
            signature_algorithm: reader.decode()?,
            signature: reader.decode()?,
            certificates: reader
                .context_specific::<Certificates>(CERTIFICATES, TagMode::Explicit)?
                .map(|certificates| certificates.0)
                .unwrap_or_default(),
        })
    }
}

impl EncodeValue for BasicOcspResponse {
    fn value_len(&self) -> der::Result<Length> {
        Length::try_from(self.tbs_response_data_der.len())?
            + self.signature_algorithm.encoded_len()?
            + self.signature.encoded_len()?
            + self.certificate_field()?.encoded_len()?
    }

    fn encode_value(&self, writer: &mut impl Writer) -> der::Result<()> {
        writer.write(&self.tbs_response_data_der)?;
        self.signature_algorithm.encode(writer)?;
        self.signature.encode(writer)?;
        self.certificate_field()?.encode(writer)
    }
}

impl Sequence<'_> for BasicOcspResponse {}
