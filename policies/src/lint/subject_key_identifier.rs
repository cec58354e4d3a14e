//! subjectKeyIdentifier is the SHA-1 of the key (method 1), and not critical.

use const_oid::db::rfc5280;
use der::Decode;
use der::asn1::OctetStringRef;
use ring::digest;

use super::{Context, Lint, Severity};

/// subjectKeyIdentifier is the SHA-1 of the key (method 1), and not critical.
pub(super) const LINT: Lint =
    Lint { name: "subject_key_identifier", citation: "RFC 5280 section 4.2.1.2", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let Some(extension) = context.certificate.extension(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER) else {
        return Some("there is no subjectKeyIdentifier".to_owned());
    };
    let wanted = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, context.certificate.public_key.octets);
    let found = <&OctetStringRef>::from_der(extension.value);
    let sound = !extension.critical && found.is_ok_and(|octets| octets.as_bytes() == wanted.as_ref());
    (!sound).then(|| "subjectKeyIdentifier is critical or not the SHA-1 of the key".to_owned())
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, tlv};

    #[test]
    fn the_sha_1_of_the_key_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn another_or_absent_identifier_is_found() {
        let mut another = Fixture::signature();
        another.set(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, tlv(0x04, &[1; 20]));
        let mut absent = Fixture::signature();
        absent.remove(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER);
        for fixture in [another, absent] {
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
