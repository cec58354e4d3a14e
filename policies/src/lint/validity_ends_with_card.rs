//! A smartphone certificate ends when the linked card certificate ends, to the second; one for tests is linked to none.

use super::{Context, Lint, Role, Severity};

/// A smartphone certificate ends when the linked card certificate ends, to the second; one for tests is linked to none.
pub(super) const LINT: Lint =
    Lint { name: "validity_ends_with_card", citation: "Practice statement 3.4", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let card_end = match (context.expectation.role, context.expectation.linked_card_not_after) {
        (Role::Smartphone(_), Some(card_end)) => card_end,
        (Role::Smartphone(_), None) => return Some("no card certificate is linked".to_owned()),
        (_, Some(_)) => return Some("a card certificate is linked to what is no holder's".to_owned()),
        (_, None) => return None,
    };
    let end = context.certificate.not_after.unix_seconds?;
    (end != card_end.timestamp()).then(|| "the end is not the linked card certificate's".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, utc_time};

    #[test]
    fn the_end_of_the_card_certificate_passes() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn one_second_more_is_found() {
        let mut fixture = Fixture::authentication();
        fixture.not_after = utc_time("310401150000Z");
        assert!(fixture.judge(&LINT).is_some());
    }

    #[test]
    fn a_smartphone_certificate_without_a_card_is_found() {
        let mut fixture = Fixture::authentication();
        fixture.linked_card_not_after = None;
        assert!(fixture.judge(&LINT).is_some());
    }

    #[test]
    fn a_certificate_for_tests_with_a_card_is_found() {
        let mut fixture = Fixture::test();
        fixture.linked_card_not_after = Fixture::authentication().linked_card_not_after;
        assert!(fixture.judge(&LINT).is_some());
    }
}
