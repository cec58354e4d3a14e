//! A certificate does not outlast the certificate of the key that signs it.

use super::{Context, Lint, Severity};

/// A certificate does not outlast the certificate of the key that signs it.
pub(super) const LINT: Lint =
    Lint { name: "validity_within_issuer", citation: "RFC 5280 section 6.1.3, Practice statement 3.4", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let end = context.certificate.not_after.unix_seconds?;
    (end > context.expectation.authority.not_after.timestamp()).then(|| "the certificate outlasts its issuer's".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, utc_time};

    #[test]
    fn a_certificate_that_ends_with_its_issuers_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_certificate_that_outlasts_its_issuers_is_found() {
        let mut fixture = Fixture::signature();
        fixture.not_after = utc_time("470101000001Z");
        assert!(fixture.judge(&LINT).is_some());
    }
}
