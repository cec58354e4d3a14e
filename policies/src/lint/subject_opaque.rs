//! The subject of a smartphone certificate is a country and random characters, nothing personal.

use const_oid::db::rfc4519;

use crate::name::OPAQUE_ALPHABET;

use super::{Context, Lint, Severity};

/// The subject of a smartphone certificate is a country and random characters, nothing personal.
pub(super) const LINT: Lint = Lint { name: "subject_opaque", citation: "Practice statement 2.2", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    let template = &context.expectation.smartphone()?.subject;
    let mut attributes = context.certificate.subject_rdns.iter().flat_map(|rdn| rdn.iter());
    let sound = match (attributes.next(), attributes.next(), attributes.next()) {
        (Some(country), Some(common_name), None) => {
            let characters = common_name.value.value();
            country.oid == rfc4519::COUNTRY_NAME
                && country.value.value() == template.country.as_bytes()
                && common_name.oid == rfc4519::COMMON_NAME
                && characters.len() == usize::from(template.common_name_characters)
                && characters.iter().all(|character| OPAQUE_ALPHABET.contains(character))
        }
        _ => false,
    };
    (!sound).then(|| "the subject is not a country and a common name of random characters".to_owned())
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, name, rdn};

    #[test]
    fn a_country_and_random_characters_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_persons_name_a_city_and_another_country_are_found() {
        let (country, opaque) = (rdn("2.5.4.6", 0x13, b"JP"), rdn("2.5.4.3", 0x0c, b"0123456789ABCDEFGHJKMNPQRS"));
        let person = [country.clone(), rdn("2.5.4.3", 0x0c, b"Hanako Bango")];
        let city = [country, rdn("2.5.4.7", 0x0c, b"Chiyoda-ku"), opaque.clone()];
        let abroad = [rdn("2.5.4.6", 0x13, b"DE"), opaque];
        for bad in [&person[..], &city[..], &abroad[..]] {
            let mut fixture = Fixture::authentication();
            fixture.subject = name(bad);
            assert!(fixture.judge(&LINT).is_some());
        }
    }
}
