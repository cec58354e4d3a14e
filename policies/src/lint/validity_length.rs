//! No certificate lasts longer than its profile allows.

use super::Role;

use super::{Context, Lint, Severity};

/// No certificate lasts longer than its profile allows.
pub(super) const LINT: Lint = Lint { name: "validity_length", citation: "Practice statement 3.4", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    const DAY: i64 = 86_400;
    let (life, backdating) = match context.expectation.role {
        Role::Smartphone(profile) | Role::Test(profile) => {
            (i64::from(profile.validity.max_days) * DAY, profile.validity.backdating_seconds)
        }
        Role::Responder(profile) => (i64::from(profile.max_life_hours) * 3600, profile.backdating_seconds),
        Role::Authority(profile, _) => (i64::from(profile.life_days) * DAY, profile.backdating_seconds),
    };
    let (begin, end) = (context.certificate.not_before.unix_seconds?, context.certificate.not_after.unix_seconds?);
    (end - begin > life + i64::from(backdating)).then(|| "the certificate lasts longer than its profile allows".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, utc_time};

    #[test]
    fn a_life_that_the_profile_allows_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_responder_certificate_for_31_days_is_found() {
        let mut fixture = Fixture::responder();
        fixture.not_after = utc_time("270201000000Z");
        assert!(fixture.judge(&LINT).is_some());
    }
}
