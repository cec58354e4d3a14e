//! The key is the one whose possession was proved, octet for octet.

use super::{Context, Lint, Severity};

/// The key is the one whose possession was proved, octet for octet.
pub(super) const LINT: Lint =
    Lint { name: "public_key_as_requested", citation: "Practice statement 3.5", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let differs = context.certificate.public_key_info != context.expectation.public_key_info;
    differs.then(|| "the key is not the requested one".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, P256, ec_key};

    #[test]
    fn the_requested_key_passes() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
    }

    #[test]
    fn another_key_is_found() {
        let mut fixture = Fixture::signature();
        fixture.public_key_info = ec_key(P256, &[&[4][..], &[0x12; 64]].concat());
        assert!(fixture.judge(&LINT).is_some());
    }
}
