//! A report that a key is compromised, by whoever has it: a certification request (PKCS#10, RFC 2986) that the key signed.

use const_oid::db::rfc4519::COMMON_NAME;
use der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::name::Name;

use crate::application::request;
use crate::digest::Sha256Digest;
use crate::instruction::{InstructionRefusal, UnverifiedInstruction};

/// The subject of a report: this common name and nothing else. No request for a certificate has it, so that none can be used
/// as a report by whoever saw it.
pub(crate) const KEY_REPORT_SUBJECT: &str = "This key is compromised";

/// A proof that somebody has a key, and says that it is compromised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyReport {
    digest: Sha256Digest,
    public_key_sha256: Sha256Digest,
}

impl KeyReport {
    /// Reads a report in DER and checks its signature. Weak keys are reported, too; RSA keys below 2,048
    /// bits are not, for none was ever certified.
    pub(super) fn verify(instruction: &UnverifiedInstruction) -> Result<Self, InstructionRefusal> {
        let der = instruction.as_bytes();
        let read = request::parse(der).map_err(InstructionRefusal::Report)?;
        if !is_subject(&read.info.subject) {
            return Err(InstructionRefusal::ReportSubject);
        }
        let key = request::public_key(&read).and_then(|key| request::prove(der, &read, key)).map_err(InstructionRefusal::Report)?;
        Ok(Self { digest: instruction.digest(), public_key_sha256: Sha256Digest::of(&key.public_key_info) })
    }

    /// What the report is called everywhere: the SHA-256 of its bytes.
    pub fn digest(&self) -> Sha256Digest {
        self.digest
    }

    /// The SHA-256 of the key's SubjectPublicKeyInfo in DER.
    pub fn public_key_sha256(&self) -> Sha256Digest {
        self.public_key_sha256
    }
}

fn is_subject(subject: &Name) -> bool {
    let mut attributes = subject.iter();
    let (Some(attribute), None) = (attributes.next(), attributes.next()) else {
        return false;
    };
    let value = &attribute.value;
    let utf8 = value.decode_as::<Utf8StringRef<'_>>().is_ok_and(|text| text.as_str() == KEY_REPORT_SUBJECT);
    let printable = || value.decode_as::<PrintableStringRef<'_>>().is_ok_and(|text| text.as_str() == KEY_REPORT_SUBJECT);
    attribute.oid == COMMON_NAME && (utf8 || printable())
}
