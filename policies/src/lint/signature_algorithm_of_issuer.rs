//! The inner signature algorithm is the one that the issuing key signs with.

use super::{Context, Lint, Severity};

/// The inner signature algorithm is the one that the issuing key signs with.
pub(super) const LINT: Lint =
    Lint { name: "signature_algorithm_of_issuer", citation: "RFC 5280 section 4.1.2.3", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let differs = context.certificate.signature != context.expectation.authority.signature_algorithm;
    differs.then(|| "the inner signature algorithm is not the issuing key's".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, oid, oid_der, sequence};

    #[test]
    fn the_algorithm_of_the_issuing_key_passes() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
    }

    #[test]
    fn another_algorithm_is_found() {
        let mut fixture = Fixture::signature();
        fixture.signature = sequence(&[oid_der(oid("1.2.840.10045.4.3.3"))]);
        assert!(fixture.judge(&LINT).is_some());
    }
}
