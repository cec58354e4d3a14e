//! Only a CA has basicConstraints.

use const_oid::db::rfc5280;

use super::{Context, Lint, Severity};

/// Only a CA has basicConstraints.
pub(super) const LINT: Lint = Lint {
    name: "basic_constraints_end_entity",
    citation: "RFC 5280 section 4.2.1.9, Practice statement 4.1",
    severity: Severity::Error,
    check,
};

fn check(context: &Context<'_>) -> Option<String> {
    let present = context.certificate.extension(rfc5280::ID_CE_BASIC_CONSTRAINTS).is_some();
    (present && !context.expectation.is_authority()).then(|| "an end entity has basicConstraints".to_owned())
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, sequence, tlv};

    #[test]
    fn end_entities_without_it_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_smartphone_that_calls_itself_a_ca_is_found() {
        let mut fixture = Fixture::signature();
        fixture.add(rfc5280::ID_CE_BASIC_CONSTRAINTS, sequence(&[tlv(0x01, &[0xff])]));
        assert!(fixture.judge(&LINT).is_some());
    }
}
