//! The issuer is the subject of the CA certificate, octet for octet.

use super::{Context, Lint, Severity};

/// The issuer is the subject of the CA certificate, octet for octet.
pub(super) const LINT: Lint = Lint { name: "issuer_name", citation: "RFC 5280 section 4.1.2.4", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let differs = context.certificate.issuer != context.expectation.authority.name;
    differs.then(|| "the issuer is not the CA's subject, octet for octet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, name, rdn};

    #[test]
    fn the_subject_of_the_ca_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn the_same_name_in_another_string_type_is_found() {
        let mut fixture = Fixture::signature();
        let unit = b"Smartphone certificates for digital signature";
        fixture.issuer = name(&[rdn("2.5.4.6", 0x13, b"JP"), rdn("2.5.4.10", 0x13, b"Tsunagi"), rdn("2.5.4.11", 0x0c, unit)]);
        assert!(fixture.judge(&LINT).is_some());
    }
}
