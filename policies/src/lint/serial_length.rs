//! A serial number has at most 20 octets.

use super::{Context, Lint, Severity};

/// A serial number has at most 20 octets.
pub(super) const LINT: Lint = Lint { name: "serial_length", citation: "RFC 5280 section 4.1.2.2", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let octets = context.certificate.serial.len();
    (octets > 20).then(|| format!("the serial number has {octets} octets"))
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::Fixture;

    #[test]
    fn a_serial_number_of_20_octets_passes() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
    }

    #[test]
    fn a_serial_number_of_21_octets_is_found() {
        let mut fixture = Fixture::signature();
        fixture.serial = vec![0x41; 21];
        assert!(fixture.judge(&LINT).is_some());
    }
}
