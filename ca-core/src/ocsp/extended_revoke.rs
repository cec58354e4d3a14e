//! What says that "revoked" may also mean "never issued".

use der::Encode;
use der::asn1::{Null, OctetString};
use x509_cert::ext::Extension;

use super::oid;

/// The extension id-pkix-ocsp-extended-revoke of a response (RFC 6960 section 4.4.8): the responder gives the answer "revoked" also
/// for serial numbers that were never issued (section 2.2), with the reason certificateHold and the time 1970-01-01. Its value is
/// NULL; it is not critical.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedRevoke;

impl ExtendedRevoke {
    /// Whether it is among the extensions of a response, in the one form it has.
    pub fn is_among(extensions: &[Extension]) -> bool {
        extensions.iter().any(|extension| extension.extn_id == oid::EXTENDED_REVOKE && extension.extn_value.as_bytes() == [5, 0])
    }

    /// The extension.
    ///
    /// # Errors
    /// None in practice: NULL is not too long for DER.
    pub fn to_extension(self) -> der::Result<Extension> {
        Ok(Extension { extn_id: oid::EXTENDED_REVOKE, critical: false, extn_value: OctetString::new(Null.to_der()?)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_null_and_nothing_else() {
        let extension = ExtendedRevoke.to_extension().unwrap();
        assert_eq!(extension.to_der().unwrap(), [0x30, 15, 6, 9, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 9, 4, 2, 5, 0]);
        assert!(ExtendedRevoke::is_among(std::slice::from_ref(&extension)));
        let other = Extension { extn_value: OctetString::new([5, 1, 0]).unwrap(), ..extension };
        assert!(!ExtendedRevoke::is_among(&[other]) && !ExtendedRevoke::is_among(&[]));
    }
}
