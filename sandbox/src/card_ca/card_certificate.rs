//! Certificates on a card, field by field as JPKI issues them.

use chrono::{DateTime, Datelike as _, Duration, NaiveDate, Utc};
use der::asn1::ObjectIdentifier;

use super::authority::{CardCa, end_of_japanese_day};
use super::certificate::{Certificate, certificate};
use super::person::Person;
use crate::keys::KeyFault;
use crate::kind::Kind;
use crate::{asn1, names, oids};

/// What goes into a card certificate; its kind is its CA's.
#[derive(Debug, Clone)]
pub struct CardCertificate<'a> {
    /// Four octets.
    pub serial: [u8; 4],
    /// The subject's common name; the rest of the subject follows from kind and municipality.
    pub common_name: &'a str,
    /// The holder: municipality for both kinds, basic attributes for signature.
    pub person: &'a Person,
    /// SubjectPublicKeyInfo, DER.
    pub public_key_info: &'a [u8],
    /// SHA-1 of the public key's bits.
    pub key_identifier: [u8; 20],
    /// Start of validity.
    pub not_before: DateTime<Utc>,
    /// End of validity.
    pub not_after: DateTime<Utc>,
    /// Policy; JPKI's for cards if `None`.
    pub policy: Option<ObjectIdentifier>,
    /// OCSP responder.
    pub ocsp_url: &'a str,
}

impl CardCertificate<'_> {
    /// The directoryName its CRL goes by, DER.
    pub fn distribution_point(&self, ca: &CardCa) -> Vec<u8> {
        let municipality = &self.person.municipality;
        names::distribution_point(ca.kind(), ca.generation(), &municipality.prefecture, &municipality.city)
    }

    /// Issues it, DER.
    pub fn issue(&self, ca: &CardCa) -> Result<Vec<u8>, KeyFault> {
        let content = Certificate {
            serial: &self.serial,
            issuer: ca.name(),
            not_before: self.not_before,
            not_after: self.not_after,
            subject: &self.subject(ca.kind()),
            public_key_info: self.public_key_info,
            extensions: self.extensions(ca),
        };
        certificate(&content, ca.key())
    }

    fn subject(&self, kind: Kind) -> Vec<u8> {
        let municipality = &self.person.municipality;
        match kind {
            Kind::Signature => names::name(&[
                (oids::COUNTRY, "JP"),
                (oids::LOCALITY, &municipality.prefecture),
                (oids::LOCALITY, &municipality.city),
                (oids::COMMON_NAME, self.common_name),
            ]),
            Kind::Authentication => names::name(&[(oids::COUNTRY, "JP"), (oids::COMMON_NAME, self.common_name)]),
        }
    }

    fn extensions(&self, ca: &CardCa) -> Vec<Vec<u8>> {
        let kind = ca.kind();
        let mut extensions = Vec::new();
        match kind {
            Kind::Signature => extensions.push(asn1::extension(&oids::KEY_USAGE, true, &asn1::named_bits(&[0, 1]))),
            Kind::Authentication => {
                extensions.push(asn1::extension(&oids::KEY_USAGE, true, &asn1::named_bits(&[0])));
                extensions.push(asn1::extension(&oids::EXT_KEY_USAGE, false, &asn1::sequence(&[asn1::oid(&oids::CLIENT_AUTH)])));
            }
        }
        let policy = self.policy.unwrap_or(match kind {
            Kind::Signature => oids::JPKI_CARD_SIGNATURE_POLICY,
            Kind::Authentication => oids::JPKI_CARD_AUTHENTICATION_POLICY,
        });
        let qualifier = asn1::sequence(&[asn1::oid(&oids::CPS), asn1::ia5("http://www.jpki.go.jp/cps.html")]);
        let information = asn1::sequence(&[asn1::oid(&policy), asn1::sequence(&[qualifier])]);
        extensions.push(asn1::extension(&oids::CERTIFICATE_POLICIES, true, &asn1::sequence(&[information])));
        if kind == Kind::Signature {
            extensions.push(asn1::extension(&oids::SUBJECT_ALT_NAME, false, &asn1::sequence(&self.basic_attributes())));
        }
        let issuer = names::directory_name(&names::card_ca_in_japanese(kind));
        extensions.push(asn1::extension(&oids::ISSUER_ALT_NAME, false, &asn1::sequence(&[issuer])));
        let full_name = asn1::explicit(0, &names::directory_name(&self.distribution_point(ca)));
        let point = asn1::sequence(&[asn1::explicit(0, &full_name)]);
        extensions.push(asn1::extension(&oids::CRL_DISTRIBUTION_POINTS, false, &asn1::sequence(&[point])));
        let access = asn1::sequence(&[asn1::oid(&oids::OCSP), asn1::uniform_resource_identifier(self.ocsp_url)]);
        extensions.push(asn1::extension(&oids::AUTHORITY_INFO_ACCESS, false, &asn1::sequence(&[access])));
        extensions.push(asn1::extension(&oids::AUTHORITY_KEY_IDENTIFIER, false, &ca.authority_key_identifier()));
        extensions.push(asn1::extension(&oids::SUBJECT_KEY_IDENTIFIER, false, &asn1::octet_string(&self.key_identifier)));
        extensions
    }

    fn basic_attributes(&self) -> Vec<Vec<u8>> {
        let other_name = |id: &ObjectIdentifier, text: &str| {
            let value = asn1::explicit(0, &asn1::utf8(text));
            asn1::implicit_constructed(0, &[asn1::oid(id), value].concat())
        };
        // A map has one digit for each character; zero says that the character is the registry's own.
        let no_substitutes = |text: &str| "0".repeat(text.chars().count());
        let person = self.person;
        vec![
            other_name(&oids::JPKI_NAME, &person.name),
            other_name(&oids::JPKI_BIRTH_DATE, &person.encoded_birth_date()),
            other_name(&oids::JPKI_SEX, person.sex.code()),
            other_name(&oids::JPKI_ADDRESS, &person.address),
            other_name(&oids::JPKI_NAME_SUBSTITUTES, &no_substitutes(&person.name)),
            other_name(&oids::JPKI_ADDRESS_SUBSTITUTES, &no_substitutes(&person.address)),
        ]
    }
}

/// 23:59:59 Japanese time on the holder's fifth birthday after issuance.
pub fn fifth_birthday(birth: NaiveDate, issued: DateTime<Utc>) -> DateTime<Utc> {
    let issued_day = (issued + Duration::hours(9)).date_naive();
    let birthday = |year: i32| birth.with_year(year).or_else(|| NaiveDate::from_ymd_opt(year, 2, 28));
    let first = if birthday(issued_day.year()).is_some_and(|day| day > issued_day) { issued_day.year() } else { issued_day.year() + 1 };
    let fifth = birthday(first + 4).unwrap_or(issued_day);
    end_of_japanese_day(fifth.and_time(chrono::NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fifth_birthday_ends_in_japanese_time() {
        let birth = NaiveDate::from_ymd_opt(1990, 5, 20).unwrap();
        let issued = "2026-05-19T14:59:59Z".parse().unwrap();
        assert_eq!(fifth_birthday(birth, issued).to_rfc3339(), "2030-05-20T14:59:59+00:00");
        let issued = "2026-05-19T15:00:00Z".parse().unwrap();
        assert_eq!(fifth_birthday(birth, issued).to_rfc3339(), "2031-05-20T14:59:59+00:00");
    }

    #[test]
    fn a_leap_day_birthday_falls_on_the_28th_in_other_years() {
        let birth = NaiveDate::from_ymd_opt(2000, 2, 29).unwrap();
        let issued = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(fifth_birthday(birth, issued).to_rfc3339(), "2030-02-28T14:59:59+00:00");
    }
}
