//! A TBSCertificate taken apart without being interpreted, so that the lints see what is really there.

use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, ErrorKind, Header, Reader, SliceReader, Tag, TagNumber, Tagged};
use x509_cert::name::RdnSequence;

/// The bytes are no TBSCertificate in DER.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no TBSCertificate in DER: {0}")]
pub struct MalformedCertificate(String);

impl From<der::Error> for MalformedCertificate {
    fn from(error: der::Error) -> Self {
        Self(error.to_string())
    }
}

/// TBSCertificate (RFC 5280 section 4.1), borrowed from the bytes that will be signed.
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
///      issuerUniqueID  [1]  IMPLICIT UniqueIdentifier OPTIONAL,
///      subjectUniqueID [2]  IMPLICIT UniqueIdentifier OPTIONAL,
///      extensions      [3]  EXPLICIT Extensions OPTIONAL }
/// ```
#[derive(Debug, Clone)]
pub struct TbsCertificate<'a> {
    /// The version's number as encoded (2 means version 3); `None` if left out.
    pub version: Option<u8>,
    /// Content octets of the serial number.
    pub serial: &'a [u8],
    /// The inner signature algorithm: AlgorithmIdentifier in DER.
    pub signature: &'a [u8],
    /// The issuer: Name in DER.
    pub issuer: &'a [u8],
    /// The beginning.
    pub not_before: Moment<'a>,
    /// The end.
    pub not_after: Moment<'a>,
    /// The subject: Name in DER.
    pub subject: &'a [u8],
    /// The subject, parsed.
    pub subject_rdns: RdnSequence,
    /// The key: SubjectPublicKeyInfo in DER.
    pub public_key_info: &'a [u8],
    /// The key, parsed.
    pub public_key: PublicKey<'a>,
    /// Whether there is an issuerUniqueID or a subjectUniqueID.
    pub has_unique_identifiers: bool,
    /// The extensions, in order.
    pub extensions: Vec<Extension<'a>>,
}

/// Time: a UTCTime or a GeneralizedTime, uninterpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment<'a> {
    /// Which of them.
    pub tag: Tag,
    /// Its characters.
    pub text: &'a [u8],
    /// Seconds since 1970, if it is in the one form RFC 5280 section 4.1.2.5 allows.
    pub unix_seconds: Option<i64>,
}

/// SubjectPublicKeyInfo.
#[derive(Debug, Clone, Copy)]
pub struct PublicKey<'a> {
    /// The algorithm.
    pub algorithm: ObjectIdentifier,
    /// Its parameters.
    pub parameters: Option<AnyRef<'a>>,
    /// The octets of the BIT STRING subjectPublicKey, without the octet of unused bits.
    pub octets: &'a [u8],
}

/// An extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// extnID.
    pub oid: ObjectIdentifier,
    /// critical.
    pub critical: bool,
    /// The DER inside extnValue.
    pub value: &'a [u8],
}

impl<'a> TbsCertificate<'a> {
    /// Takes a DER TBSCertificate apart.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MalformedCertificate> {
        let mut outer = SliceReader::new(bytes)?;
        let mut fields = open(&mut outer, Tag::Sequence)?;
        outer.finish()?;

        let version = match take_context(&mut fields, 0)? {
            Some(mut inside) => {
                let number = inside.decode::<u8>()?;
                inside.finish()?;
                Some(number)
            }
            None => None,
        };
        let serial = content(fields.tlv_bytes()?, Tag::Integer)?;
        let signature = fields.tlv_bytes()?;
        let issuer = fields.tlv_bytes()?;
        let mut validity = open(&mut fields, Tag::Sequence)?;
        let not_before = Moment::read(&mut validity)?;
        let not_after = Moment::read(&mut validity)?;
        validity.finish()?;
        let subject = fields.tlv_bytes()?;
        let public_key_info = fields.tlv_bytes()?;
        let has_issuer_identifier = skip_primitive_context(&mut fields, 1)?;
        let has_subject_identifier = skip_primitive_context(&mut fields, 2)?;
        let mut extensions = Vec::with_capacity(10);
        if let Some(mut inside) = take_context(&mut fields, 3)? {
            let mut list = open(&mut inside, Tag::Sequence)?;
            inside.finish()?;
            while !list.is_finished() {
                extensions.push(Extension::read(&mut list)?);
            }
        }
        fields.finish()?;
        Ok(Self {
            version,
            serial,
            signature,
            issuer,
            not_before,
            not_after,
            subject,
            subject_rdns: RdnSequence::from_der(subject)?,
            public_key_info,
            public_key: PublicKey::parse(public_key_info)?,
            has_unique_identifiers: has_issuer_identifier || has_subject_identifier,
            extensions,
        })
    }

    /// The extension of that OID; the first, if there are several (another lint's business).
    pub fn extension(&self, oid: ObjectIdentifier) -> Option<&Extension<'a>> {
        self.extensions.iter().find(|extension| extension.oid == oid)
    }
}

impl<'a> Moment<'a> {
    fn read(reader: &mut SliceReader<'a>) -> Result<Self, MalformedCertificate> {
        let any = AnyRef::decode(reader)?;
        let (tag, text) = (any.tag(), any.value());
        if !matches!(tag, Tag::UtcTime | Tag::GeneralizedTime) {
            return Err(MalformedCertificate("a time is neither UTCTime nor GeneralizedTime".to_owned()));
        }
        Ok(Self { tag, text, unix_seconds: unix_seconds(tag, text) })
    }
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, and nothing else.
fn unix_seconds(tag: Tag, text: &[u8]) -> Option<i64> {
    let (digits, zone) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let year_digits = if tag == Tag::UtcTime { 2 } else { 4 };
    if zone != b"Z" || digits.len() != year_digits + 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |from: usize, count: usize| digits[from..from + count].iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    let year = match number(0, year_digits) {
        two if tag == Tag::UtcTime && two < 50 => 2000 + two,
        two if tag == Tag::UtcTime => 1900 + two,
        four => four,
    };
    let field = |at: usize| number(year_digits + 2 * at, 2);
    let date = chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, field(0), field(1))?;
    Some(date.and_hms_opt(field(2), field(3), field(4))?.and_utc().timestamp())
}

impl<'a> PublicKey<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, MalformedCertificate> {
        let mut outer = SliceReader::new(bytes)?;
        let mut fields = open(&mut outer, Tag::Sequence)?;
        let mut algorithm_fields = open(&mut fields, Tag::Sequence)?;
        let algorithm = ObjectIdentifier::decode(&mut algorithm_fields)?;
        let parameters = Option::<AnyRef<'a>>::decode(&mut algorithm_fields)?;
        algorithm_fields.finish()?;
        let octets = BitStringRef::<'a>::decode(&mut fields)?;
        let octets = octets.as_bytes().ok_or_else(|| MalformedCertificate("the public key has unused bits".to_owned()))?;
        fields.finish()?;
        Ok(Self { algorithm, parameters, octets })
    }
}

impl<'a> Extension<'a> {
    fn read(reader: &mut SliceReader<'a>) -> Result<Self, MalformedCertificate> {
        let mut fields = open(reader, Tag::Sequence)?;
        let oid = ObjectIdentifier::decode(&mut fields)?;
        let critical = Option::<bool>::decode(&mut fields)?;
        if critical == Some(false) {
            return Err(MalformedCertificate("an extension encodes the default value of critical".to_owned()));
        }
        let value = content(fields.tlv_bytes()?, Tag::OctetString)?;
        fields.finish()?;
        Ok(Self { oid, critical: critical.is_some(), value })
    }
}

/// Takes the next element, which must have `tag`, and gives a reader over its content.
fn open<'a>(reader: &mut SliceReader<'a>, tag: Tag) -> Result<SliceReader<'a>, MalformedCertificate> {
    Ok(SliceReader::new(content(reader.tlv_bytes()?, tag)?)?)
}

/// The content octets of one element, which must have `tag`.
fn content(tlv: &[u8], tag: Tag) -> Result<&[u8], MalformedCertificate> {
    let mut reader = SliceReader::new(tlv)?;
    let header = Header::decode(&mut reader)?;
    if header.tag() != tag {
        return Err(der::Error::from(ErrorKind::TagUnexpected { expected: Some(tag), actual: header.tag() }).into());
    }
    Ok(reader.read_slice(header.length())?)
}

/// Takes the next element if it is the constructed `[number]`, and gives a reader over its content.
fn take_context<'a>(reader: &mut SliceReader<'a>, number: u32) -> Result<Option<SliceReader<'a>>, MalformedCertificate> {
    let tag = Tag::ContextSpecific { constructed: true, number: TagNumber(number) };
    if reader.is_finished() || Tag::peek(reader)? != tag {
        return Ok(None);
    }
    open(reader, tag).map(Some)
}

fn skip_primitive_context(reader: &mut SliceReader<'_>, number: u32) -> Result<bool, MalformedCertificate> {
    let tag = Tag::ContextSpecific { constructed: false, number: TagNumber(number) };
    if reader.is_finished() || Tag::peek(reader)? != tag {
        return Ok(false);
    }
    reader.tlv_bytes()?;
    Ok(true)
}
