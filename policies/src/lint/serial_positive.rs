//! A serial number is a positive integer in minimal encoding.

use super::{Context, Lint, Severity};

/// A serial number is a positive integer in minimal encoding.
pub(super) const LINT: Lint = Lint { name: "serial_positive", citation: "RFC 5280 section 4.1.2.2", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let sound = match context.certificate.serial {
        [] | [0] => false,
        // A leading zero octet only keeps the sign.
        [0, second, ..] => *second & 0x80 != 0,
        [first, ..] => *first & 0x80 == 0,
    };
    (!sound).then(|| "the serial number is not positive, or not encoded minimally".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::Fixture;

    #[test]
    fn a_positive_serial_number_passes() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
    }

    #[test]
    fn zero_negative_and_padded_serial_numbers_are_found() {
        for serial in [vec![0], vec![0x80; 16], vec![0, 0x41, 0x42]] {
            let mut fixture = Fixture::signature();
            fixture.serial = serial;
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
