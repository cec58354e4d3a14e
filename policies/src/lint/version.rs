//! A certificate with extensions is of version 3.

use super::{Context, Lint, Severity};

/// A certificate with extensions is of version 3.
pub(super) const LINT: Lint = Lint { name: "version", citation: "RFC 5280 section 4.1.2.1", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    (context.certificate.version != Some(2)).then(|| "the version is not 3".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::Fixture;

    #[test]
    fn a_version_3_certificate_passes() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
    }

    #[test]
    fn a_version_1_certificate_is_found() {
        let mut fixture = Fixture::signature();
        fixture.version = None;
        assert!(fixture.judge(&LINT).is_some());
    }
}
