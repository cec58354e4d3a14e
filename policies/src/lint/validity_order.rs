//! A certificate begins before it ends.

use super::{Context, Lint, Severity};

/// A certificate begins before it ends.
pub(super) const LINT: Lint = Lint { name: "validity_order", citation: "RFC 5280 section 4.1.2.5", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let (begin, end) = (context.certificate.not_before.unix_seconds?, context.certificate.not_after.unix_seconds?);
    (begin >= end).then(|| "the certificate ends before it begins".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::Fixture;

    #[test]
    fn a_certificate_that_begins_before_it_ends_passes() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
    }

    #[test]
    fn a_certificate_that_ends_before_it_begins_is_found() {
        let mut fixture = Fixture::signature();
        std::mem::swap(&mut fixture.not_before, &mut fixture.not_after);
        assert!(fixture.judge(&LINT).is_some());
    }
}
