//! Times through 2049 are UTCTime, later ones GeneralizedTime; with seconds, without fractions, in Zulu.

use der::Tag;

use super::Moment;

use super::{Context, Lint, Severity};

/// Times through 2049 are UTCTime, later ones GeneralizedTime; with seconds, without fractions, in Zulu.
pub(super) const LINT: Lint = Lint { name: "validity_encoding", citation: "RFC 5280 section 4.1.2.5", severity: Severity::Error, check };

/// 2050-01-01T00:00:00Z.
const YEAR_2050: i64 = 2_524_608_000;

fn check(context: &Context<'_>) -> Option<String> {
    let certificate = &context.certificate;
    let sound =
        |moment: &Moment<'_>| moment.unix_seconds.is_some_and(|seconds| (moment.tag == Tag::GeneralizedTime) == (seconds >= YEAR_2050));
    (!sound(&certificate.not_before) || !sound(&certificate.not_after)).then(|| "a time is in the wrong form".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, tlv, utc_time};

    #[test]
    fn utc_time_before_2050_and_generalized_time_after_pass() {
        assert_eq!(Fixture::signature().judge(&LINT), None);
        let mut fixture = Fixture::signature();
        fixture.not_after = tlv(0x18, b"20500101000000Z");
        assert_eq!(fixture.judge(&LINT), None);
        fixture.not_after = utc_time("491231235959Z");
        assert_eq!(fixture.judge(&LINT), None);
    }

    #[test]
    fn early_generalized_time_fractions_missing_seconds_and_other_zones_are_found() {
        let early = tlv(0x18, b"20491231235959Z");
        let fraction = tlv(0x18, b"20500101000000.5Z");
        for time in [early, fraction, utc_time("3104011459Z"), utc_time("310401145959+0900"), utc_time("310230000000Z")] {
            let mut fixture = Fixture::signature();
            fixture.not_after = time;
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
