//! subjectAltName carries exactly the basic attributes of the card, as otherNames that the profile allows.

use const_oid::db::rfc5280;
use der::Decode;
use der::asn1::Utf8StringRef;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::{Context, Lint, Severity};

/// subjectAltName carries exactly the basic attributes of the card, as otherNames that the profile allows.
pub(super) const LINT: Lint = Lint {
    name: "subject_alternative_name_attributes",
    citation: "RFC 5280 section 4.2.1.6, Practice statement 4.6",
    severity: Severity::Error,
    check,
};

fn check(context: &Context<'_>) -> Option<String> {
    let allowed = &context.expectation.smartphone()?.basic_attributes;
    let extension = context.certificate.extension(rfc5280::ID_CE_SUBJECT_ALT_NAME)?;
    let Ok(SubjectAltName(names)) = SubjectAltName::from_der(extension.value) else {
        return Some("subjectAltName cannot be read".to_owned());
    };
    let wanted = context.expectation.basic_attributes;
    let carried = !names.is_empty()
        && names.len() == wanted.len()
        && names.iter().zip(wanted).all(|(name, (oid, value))| match name {
            GeneralName::OtherName(other) => {
                let text = other.value.decode_as::<Utf8StringRef<'_>>();
                allowed.contains(&other.type_id) && other.type_id == *oid && text.is_ok_and(|text| text.as_str() == *value)
            }
            _ => false,
        });
    (!carried).then(|| "subjectAltName is not exactly the basic attributes that the profile allows".to_owned())
}

#[cfg(test)]
mod tests {
    use const_oid::db::rfc5280;

    use super::LINT;
    use crate::lint::fixture::{Fixture, oid, other_name, sequence, tlv};

    #[test]
    fn the_basic_attributes_of_the_card_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn a_changed_value_another_string_type_and_an_email_address_are_found() {
        let own = oid("1.2.392.200149.8.5.5.1");
        let birth_date = other_name(oid("1.2.392.200149.8.5.5.4"), 0x0c, b"419900101");
        let changed = sequence(&[other_name(own, 0x0c, b"X"), birth_date.clone()]);
        let printable = sequence(&[other_name(own, 0x13, b"X"), birth_date.clone()]);
        let email = sequence(&[tlv(0x81, b"a@b.example"), birth_date]);
        for value in [changed, printable, email, sequence(&[])] {
            let mut fixture = Fixture::signature();
            fixture.set(rfc5280::ID_CE_SUBJECT_ALT_NAME, value);
            assert!(fixture.judge(&LINT).is_some());
        }
    }

    #[test]
    fn an_attribute_that_the_profile_does_not_allow_is_found_even_if_asked_for() {
        let mut fixture = Fixture::signature();
        fixture.basic_attributes = vec![(oid("1.2.392.200149.8.5.5.9"), "X")];
        let names = sequence(&[other_name(oid("1.2.392.200149.8.5.5.9"), 0x0c, b"X")]);
        fixture.set(rfc5280::ID_CE_SUBJECT_ALT_NAME, names);
        assert!(fixture.judge(&LINT).is_some());
    }
}
