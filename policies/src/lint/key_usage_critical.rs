//! keyUsage is there, and critical.

use const_oid::db::rfc5280;

use super::{Context, Lint, Severity};

/// keyUsage is there, and critical.
pub(super) const LINT: Lint = Lint { name: "key_usage_critical", citation: "RFC 5280 section 4.2.1.3", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let critical = context.certificate.extension(rfc5280::ID_CE_KEY_USAGE).is_some_and(|extension| extension.critical);
    (!critical).then(|| "keyUsage is absent or not critical".to_owned())
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::Fixture;

    #[test]
    fn a_critical_key_usage_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn an_uncritical_or_absent_key_usage_is_found() {
        let mut fixture = Fixture::signature();
        fixture.extension(rfc5280::ID_CE_KEY_USAGE).1 = false;
        assert!(fixture.judge(&LINT).is_some());
        fixture.remove(rfc5280::ID_CE_KEY_USAGE);
        assert!(fixture.judge(&LINT).is_some());
    }
}
