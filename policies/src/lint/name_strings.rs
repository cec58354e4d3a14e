//! Each RDN has one attribute of a known type; a country is a PrintableString of 2, others PrintableString or UTF8String within the upper bounds.

use der::asn1::{PrintableStringRef, Utf8StringRef};
use der::{Tag, Tagged};
use x509_cert::attr::AttributeTypeAndValue;

use crate::name::AttributeKind;

use super::{Context, Lint, Severity};

/// Each RDN has one attribute of a known type; a country is a PrintableString of 2, others PrintableString or UTF8String within the upper bounds.
pub(super) const LINT: Lint =
    Lint { name: "name_strings", citation: "RFC 5280 section 4.1.2.4 and appendix A.1", severity: Severity::Error, check };

fn check(context: &Context<'_>) -> Option<String> {
    context.certificate.subject_rdns.iter().find_map(|rdn| {
        let mut attributes = rdn.iter();
        match (attributes.next(), attributes.next()) {
            (Some(attribute), None) => check_attribute(attribute),
            _ => Some("an RDN has not exactly one attribute".to_owned()),
        }
    })
}

fn check_attribute(attribute: &AttributeTypeAndValue) -> Option<String> {
    let Some(kind) = AttributeKind::from_oid(&attribute.oid) else {
        return Some(format!("attribute type {} is none that names here have", attribute.oid));
    };
    let characters = match attribute.value.tag() {
        Tag::PrintableString => attribute.value.decode_as::<PrintableStringRef<'_>>().ok().map(|text| text.as_bytes().len()),
        Tag::Utf8String if kind != AttributeKind::C => {
            attribute.value.decode_as::<Utf8StringRef<'_>>().ok().map(|text| text.as_str().chars().count())
        }
        _ => None,
    };
    let sound = match (kind, characters) {
        (_, None) => false,
        (AttributeKind::C, Some(characters)) => characters == 2,
        (_, Some(characters)) => (1..=kind.max_characters()).contains(&characters),
    };
    (!sound).then(|| format!("attribute {kind:?} is of a wrong string type or length"))
}

#[cfg(test)]
mod tests {
    use super::LINT;
    use crate::lint::fixture::{Fixture, name, oid, oid_der, rdn, sequence, tlv};

    #[test]
    fn names_of_proper_strings_pass() {
        for fixture in Fixture::all() {
            assert_eq!(fixture.judge(&LINT), None);
        }
    }

    #[test]
    fn wrong_string_types_lengths_and_attribute_types_are_found() {
        let utf8_country = rdn("2.5.4.6", 0x0c, b"JP");
        let long_country = rdn("2.5.4.6", 0x13, b"JPN");
        let bmp_common_name = rdn("2.5.4.3", 0x1e, b"\0A");
        let long_common_name = rdn("2.5.4.3", 0x0c, &[b'A'; 65]);
        let empty_common_name = rdn("2.5.4.3", 0x0c, b"");
        let unprintable = rdn("2.5.4.3", 0x13, b"A@B");
        let email = rdn("1.2.840.113549.1.9.1", 0x16, b"a@b.example");
        for bad in [utf8_country, long_country, bmp_common_name, long_common_name, empty_common_name, unprintable, email] {
            let mut fixture = Fixture::signature();
            fixture.subject = name(&[bad]);
            assert!(fixture.judge(&LINT).is_some());
        }
    }

    #[test]
    fn an_rdn_of_two_attributes_is_found() {
        let country = sequence(&[oid_der(oid("2.5.4.6")), tlv(0x13, b"JP")]);
        let common_name = sequence(&[oid_der(oid("2.5.4.3")), tlv(0x0c, b"A")]);
        let mut fixture = Fixture::signature();
        fixture.subject = name(&[tlv(0x31, &[common_name, country].concat())]);
        assert!(fixture.judge(&LINT).is_some());
    }
}
