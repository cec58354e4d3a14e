//! The subject is not empty: subjectAltName is not critical.

use super::{Context, Lint, Severity};

/// The subject is not empty: subjectAltName is not critical.
pub(super) const LINT: Lint = Lint { name: "subject_not_empty", citation: "RFC 5280 section 4.1.2.6", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    context.certificate.subject_rdns.is_empty().then(|| "the subject is empty".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, sequence};

    #[test]
    fn a_subject_with_a_name_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn an_empty_subject_is_found() {
        let mut fixture = Fixture::signature();
        fixture.subject = sequence(&[]);
        assert!(fixture.judge(&LINT).is_some());
    }
}
