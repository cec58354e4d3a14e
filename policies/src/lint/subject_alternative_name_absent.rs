//! Where nothing personal may be, there is no subjectAltName: in authentication, responder and CA certificates.

use const_oid::db::rfc5280;

use super::{Context, Lint, Severity};

/// Where nothing personal may be, there is no subjectAltName: in authentication, responder and CA certificates.
pub(super) const LINT: Lint =
    Lint { name: "subject_alternative_name_absent", citation: "Practice statement 4.6", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let may_have = context.expectation.smartphone().is_some_and(|profile| !profile.basic_attributes.is_empty());
    let has = context.certificate.extension(rfc5280::ID_CE_SUBJECT_ALT_NAME).is_some();
    (has && !may_have).then(|| "there is a subjectAltName".to_owned())
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, oid, other_name, sequence};

    #[test]
    fn its_absence_passes_and_the_signature_kind_may_have_it() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn personal_data_in_an_authentication_certificate_is_found() {
        for mut fixture in [Fixture::authentication(), Fixture::responder(), Fixture::authority()] {
            let names = sequence(&[other_name(oid("1.2.392.200149.8.5.5.1"), 0x0c, b"X")]);
            fixture.add(rfc5280::ID_CE_SUBJECT_ALT_NAME, names);
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
