//! A CA has critical basicConstraints: a CA, with no CAs below.

use const_oid::db::rfc5280;
use der::Decode;
use x509_cert::ext::pkix::BasicConstraints;

use super::{Context, Lint, Severity};

/// A CA has critical basicConstraints: a CA, with no CAs below.
pub(super) const LINT: Lint = Lint {
    name: "basic_constraints_authority",
    citation: "RFC 5280 section 4.2.1.9, Practice statement 4.8",
    severity: Severity::Error,
    check,
};

fn check(context: &Context<'_>) -> Option<String> {
    if !context.expectation.is_authority() {
        return None;
    }
    let sound = context.certificate.extension(rfc5280::ID_CE_BASIC_CONSTRAINTS).is_some_and(|extension| {
        let wanted = BasicConstraints { ca: true, path_len_constraint: Some(0) };
        extension.critical && BasicConstraints::from_der(extension.value).is_ok_and(|found| found == wanted)
    });
    (!sound).then(|| "basicConstraints is absent, not critical, or not a CA's with path length 0".to_owned())
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, sequence, tlv};

    #[test]
    fn a_critical_ca_constraint_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn an_uncritical_one_a_missing_path_length_and_no_ca_are_found() {
        let mut uncritical = Fixture::authority();
        uncritical.extension(rfc5280::ID_CE_BASIC_CONSTRAINTS).1 = false;
        let mut unlimited = Fixture::authority();
        unlimited.set(rfc5280::ID_CE_BASIC_CONSTRAINTS, sequence(&[tlv(0x01, &[0xff])]));
        let mut no_ca = Fixture::authority();
        no_ca.set(rfc5280::ID_CE_BASIC_CONSTRAINTS, sequence(&[]));
        for fixture in [uncritical, unlimited, no_ca] {
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
