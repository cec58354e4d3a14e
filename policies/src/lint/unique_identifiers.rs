//! There are no unique identifiers.

use super::{Context, Lint, Severity};

/// There are no unique identifiers.
pub(super) const LINT: Lint = Lint { name: "unique_identifiers", citation: "RFC 5280 section 4.1.2.8", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    context.certificate.has_unique_identifiers.then(|| "there is a unique identifier".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, tlv};

    #[test]
    fn a_certificate_without_them_passes() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
    }

    #[test]
    fn a_subject_unique_identifier_is_found() {
        let mut fixture = Fixture::signature();
        fixture.unique_identifier = tlv(0x82, &[0, 1]);
        assert!(fixture.judge(&LINT).is_some());
    }
}
