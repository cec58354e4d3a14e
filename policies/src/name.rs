//! Distinguished names in policies.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc4519;
use serde::Deserialize;

use crate::document::{PolicyFault, require};

/// The 32 characters (5 bits each) of opaque names: no I, L, O or U, so that people can read them out.
pub const OPAQUE_ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A type of attribute that a CA's name may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum AttributeKind {
    /// countryName: two capital letters of ISO 3166, a PrintableString.
    C,
    /// stateOrProvinceName.
    ST,
    /// localityName.
    L,
    /// organizationName.
    O,
    /// organizationalUnitName.
    OU,
    /// commonName.
    CN,
}

impl AttributeKind {
    /// The attribute type.
    pub const fn oid(self) -> ObjectIdentifier {
        match self {
            Self::C => rfc4519::COUNTRY_NAME,
            Self::ST => rfc4519::ST,
            Self::L => rfc4519::LOCALITY_NAME,
            Self::O => rfc4519::ORGANIZATION_NAME,
            Self::OU => rfc4519::ORGANIZATIONAL_UNIT_NAME,
            Self::CN => rfc4519::COMMON_NAME,
        }
    }

    /// The most characters a value may have (the ub-… of RFC 5280 appendix A.1).
    pub const fn max_characters(self) -> usize {
        match self {
            Self::C => 2,
            Self::ST | Self::L => 128,
            Self::O | Self::OU | Self::CN => 64,
        }
    }

    /// The kind of that attribute type, if it is one of these.
    pub fn from_oid(oid: &ObjectIdentifier) -> Option<Self> {
        [Self::C, Self::ST, Self::L, Self::O, Self::OU, Self::CN].into_iter().find(|kind| kind.oid() == *oid)
    }
}

/// One attribute of a name; each is an RDN of its own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameAttribute {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: AttributeKind,
    /// Its value: a PrintableString for the country, else a UTF8String.
    pub value: String,
}

pub(crate) fn check_name(document: &str, name: &[NameAttribute]) -> Result<(), PolicyFault> {
    require(document, (1..=10).contains(&name.len()), "issuer_name has not 1 to 10 attributes")?;
    for attribute in name {
        let characters = attribute.value.chars().count();
        require(document, characters > 0, "an attribute of issuer_name is empty")?;
        require(document, characters <= attribute.kind.max_characters(), "an attribute of issuer_name is too long")?;
        require(document, attribute.value.trim() == attribute.value, "an attribute of issuer_name begins or ends with a space")?;
        if attribute.kind == AttributeKind::C {
            check_country(document, &attribute.value)?;
        }
    }
    Ok(())
}

pub(crate) fn check_country(document: &str, country: &str) -> Result<(), PolicyFault> {
    let two_capitals = country.len() == 2 && country.bytes().all(|octet| octet.is_ascii_uppercase());
    require(document, two_capitals, "a country is two capital letters (ISO 3166)")
}
