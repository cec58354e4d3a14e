//! The structure that is signed.

use der::asn1::{AnyRef, UintRef};
use der::{Decode, Sequence};
use x509_cert::ext::Extension;
use x509_cert::name::RdnSequence;
use x509_cert::time::Validity;

use crate::serial::SerialNumber;

/// TBSCertificate (RFC 5280 section 4.1), version 3, without unique identifiers.
///
/// ```text
/// TBSCertificate  ::=  SEQUENCE  {
///      version         [0]  EXPLICIT Version DEFAULT v1,
///      serialNumber         CertificateSerialNumber,
///      signature            AlgorithmIdentifier,
///      issuer               Name,
///      validity             Validity,
///      subject              Name,
///      subjectPublicKeyInfo SubjectPublicKeyInfo,
///      extensions      [3]  EXPLICIT Extensions OPTIONAL }
/// ```
///
/// Issuer, algorithm and key are taken as they are encoded already: the issuer must be the CA's subject octet for octet, and
/// the applicant's key must not be altered by being decoded.
#[derive(Sequence)]
pub(crate) struct TbsCertificate<'a> {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial_number: UintRef<'a>,
    signature: AnyRef<'a>,
    issuer: AnyRef<'a>,
    validity: Validity,
    subject: RdnSequence,
    subject_public_key_info: AnyRef<'a>,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

impl<'a> TbsCertificate<'a> {
    /// `algorithm`, `issuer` and `public_key_info` are in DER.
    pub(crate) fn new(
        serial: &'a SerialNumber,
        algorithm: &'a [u8],
        issuer: &'a [u8],
        validity: Validity,
        subject: RdnSequence,
        public_key_info: &'a [u8],
        extensions: Vec<Extension>,
    ) -> der::Result<Self> {
        Ok(Self {
            // v3(2)
            version: 2,
            serial_number: UintRef::new(serial.as_bytes())?,
            signature: AnyRef::from_der(algorithm)?,
            issuer: AnyRef::from_der(issuer)?,
            validity,
            subject,
            subject_public_key_info: AnyRef::from_der(public_key_info)?,
            extensions,
        })
    }
}
