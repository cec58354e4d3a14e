//! Only what everybody understands is critical: keyUsage, basicConstraints, and certificatePolicies where the profile says so.

use const_oid::db::rfc5280;

use super::{Context, Lint, Severity};

/// Only what everybody understands is critical: keyUsage, basicConstraints, and certificatePolicies where the profile says so.
pub(super) const LINT: Lint = Lint { name: "extension_critical", citation: "RFC 5280 section 4.2", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let policies_may_be = context.expectation.smartphone().is_some_and(|profile| profile.policy.critical);
    let unknown = context.certificate.extensions.iter().find(|extension| {
        extension.critical
            && match extension.oid {
                rfc5280::ID_CE_KEY_USAGE | rfc5280::ID_CE_BASIC_CONSTRAINTS => false,
                rfc5280::ID_CE_CERTIFICATE_POLICIES => !policies_may_be,
                _ => true,
            }
    });
    unknown.map(|extension| format!("extension {} is critical", extension.oid))
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, oid, tlv};

    #[test]
    fn critical_key_usage_and_basic_constraints_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn an_unknown_critical_extension_is_found() {
        let mut fixture = Fixture::signature();
        fixture.extensions.push((oid("1.3.6.1.4.1.32473.1"), true, tlv(0x05, &[])));
        assert!(fixture.judge(&LINT).is_some());
    }

    #[test]
    fn a_critical_subject_alternative_name_is_found() {
        let mut fixture = Fixture::signature();
        fixture.extension(rfc5280::ID_CE_SUBJECT_ALT_NAME).1 = true;
        assert!(fixture.judge(&LINT).is_some());
    }
}
