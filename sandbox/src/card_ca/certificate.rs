//! TBSCertificate (RFC 5280 section 4.1), filled by hand: JPKI's names have two organizational units, which builders forbid.

use chrono::{DateTime, Utc};

use crate::asn1;
use crate::keys::{Key, KeyFault};

/// What goes into a certificate; names, key and extensions are complete DER encodings.
#[derive(Debug, Clone)]
pub struct Certificate<'a> {
    /// Serial number, unsigned big-endian.
    pub serial: &'a [u8],
    /// Issuer's Name.
    pub issuer: &'a [u8],
    /// Start of validity.
    pub not_before: DateTime<Utc>,
    /// End of validity.
    pub not_after: DateTime<Utc>,
    /// Subject's Name.
    pub subject: &'a [u8],
    /// SubjectPublicKeyInfo.
    pub public_key_info: &'a [u8],
    /// Extensions in order.
    pub extensions: Vec<Vec<u8>>,
}

/// Signs it as an X.509 v3 certificate, DER.
pub fn certificate(content: &Certificate<'_>, issuer_key: &Key) -> Result<Vec<u8>, KeyFault> {
    let tbs = asn1::sequence(&[
        asn1::explicit(0, &asn1::integer(2)),
        asn1::unsigned(content.serial),
        issuer_key.signature_algorithm(),
        content.issuer.to_vec(),
        asn1::sequence(&[asn1::time(content.not_before), asn1::time(content.not_after)]),
        content.subject.to_vec(),
        content.public_key_info.to_vec(),
        asn1::explicit(3, &asn1::sequence(&content.extensions)),
    ]);
    issuer_key.seal(&tbs)
}
