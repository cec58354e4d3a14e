//! The serial number is the one that was reserved.

use super::{Context, Lint, Severity};

/// The serial number is the one that was reserved.
pub(super) const LINT: Lint = Lint { name: "serial_as_reserved", citation: "Practice statement 5.2", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    (context.certificate.serial != context.expectation.serial).then(|| "the serial number is not the reserved one".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::Fixture;

    #[test]
    fn the_reserved_serial_number_passes() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
    }

    #[test]
    fn another_serial_number_is_found() {
        let mut fixture = Fixture::signature();
        fixture.serial[19] ^= 1;
        assert!(fixture.judge(&LINT).is_some());
    }
}
