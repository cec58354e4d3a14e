//! A serial number is as long as its profile says (16 to 20 octets, drawn at random), so never of less than 64 random bits.

use super::Role;

use super::{Context, Lint, Severity};

/// A serial number is as long as its profile says (16 to 20 octets, drawn at random), so never of less than 64 random bits.
pub(super) const LINT: Lint = Lint { name: "serial_entropy", citation: "Practice statement 3.2", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let wanted = match context.expectation.role {
        Role::Smartphone(profile) | Role::Test(profile) => profile.serial_octets,
        Role::Responder(profile) => profile.serial_octets,
        Role::Authority(profile, _) => profile.serial_octets,
    };
    let octets = context.certificate.serial.len();
    (octets != usize::from(wanted)).then(|| format!("the serial number has {octets} octets, the profile says {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::Fixture;

    #[test]
    fn a_serial_number_as_long_as_the_profile_says_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_short_serial_number_is_found() {
        let mut fixture = Fixture::signature();
        fixture.serial = vec![0x41; 7];
        assert!(fixture.judge(&LINT).is_some());
    }
}
