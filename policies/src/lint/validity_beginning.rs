//! A certificate begins at the moment of issue or as little before it as its profile allows.

use super::Role;

use super::{Context, Lint, Severity};

/// A certificate begins at the moment of issue or as little before it as its profile allows.
pub(super) const LINT: Lint = Lint { name: "validity_beginning", citation: "Practice statement 3.4", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let backdating = match context.expectation.role {
        Role::Smartphone(profile) | Role::Test(profile) => profile.validity.backdating_seconds,
        Role::Responder(profile) => profile.backdating_seconds,
        Role::Authority(profile, _) => profile.backdating_seconds,
    };
    let now = context.expectation.now.timestamp();
    let begin = context.certificate.not_before.unix_seconds?;
    (begin > now || begin < now - i64::from(backdating)).then(|| "the beginning is in the future or too far in the past".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, utc_time};

    #[test]
    fn a_beginning_a_few_minutes_ago_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_beginning_in_the_future_or_yesterday_is_found() {
        for time in ["270101000001Z", "261231000000Z"] {
            let mut fixture = Fixture::signature();
            fixture.not_before = utc_time(time);
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
