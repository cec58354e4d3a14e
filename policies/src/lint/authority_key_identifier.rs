//! authorityKeyIdentifier is the issuer's subjectKeyIdentifier, and not critical.

use const_oid::db::rfc5280;
use der::Decode;
use x509_cert::ext::pkix::AuthorityKeyIdentifier;

use super::{Context, Lint, Severity};

/// authorityKeyIdentifier is the issuer's subjectKeyIdentifier, and not critical.
pub(super) const LINT: Lint =
    Lint { name: "authority_key_identifier", citation: "RFC 5280 section 4.2.1.1", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let Some(extension) = context.certificate.extension(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER) else {
        return Some("there is no authorityKeyIdentifier".to_owned());
    };
    let Ok(identifier) = AuthorityKeyIdentifier::from_der(extension.value) else {
        return Some("authorityKeyIdentifier cannot be read".to_owned());
    };
    // Issuer and serial number of the CA certificate would bind to one certificate instead of to the key.
    let only_key = identifier.authority_cert_issuer.is_none() && identifier.authority_cert_serial_number.is_none();
    let key = identifier.key_identifier.as_ref().map(|octets| octets.as_bytes());
    let sound = !extension.critical && only_key && key == Some(context.expectation.authority.key_identifier);
    (!sound).then(|| "authorityKeyIdentifier is critical or not just the issuer's key identifier".to_owned())
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, ISSUER_KEY_IDENTIFIER, sequence, tlv};

    #[test]
    fn the_key_identifier_of_the_issuer_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn another_absent_or_critical_identifier_is_found() {
        let mut another = Fixture::signature();
        another.set(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, sequence(&[tlv(0x80, &[1; 20])]));
        let mut absent = Fixture::signature();
        absent.remove(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER);
        let mut critical = Fixture::signature();
        critical.extension(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER).1 = true;
        let mut with_serial = Fixture::signature();
        let identifier = sequence(&[tlv(0x80, &ISSUER_KEY_IDENTIFIER), tlv(0x82, &[5])]);
        with_serial.set(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, identifier);
        for fixture in [another, absent, critical, with_serial] {
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
