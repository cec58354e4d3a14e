//! A smartphone certificate ends when the linked card certificate ends, to the second.

use super::{Context, Lint, Severity};

/// A smartphone certificate ends when the linked card certificate ends, to the second.
pub(super) const LINT: Lint =
    Lint { name: "validity_ends_with_card", citation: "Practice statement 3.4", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    context.expectation.smartphone()?;
    let Some(card_end) = context.expectation.linked_card_not_after else {
        return Some("no card certificate is linked".to_owned());
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
}
