//! Distinguished names, encoded as JPKI encodes them: the country a PrintableString, all else UTF8String.

use der::asn1::ObjectIdentifier;

use crate::asn1;
use crate::kind::Kind;
use crate::oids;

/// DER of a Name with one attribute in each RDN, in the order given.
pub fn name(attributes: &[(ObjectIdentifier, &str)]) -> Vec<u8> {
    let rdns: Vec<Vec<u8>> = attributes
        .iter()
        .map(|(id, value)| {
            let value = if *id == oids::COUNTRY { asn1::printable(value) } else { asn1::utf8(value) };
            asn1::set_of(vec![asn1::sequence(&[asn1::oid(id), value])])
        })
        .collect();
    asn1::sequence(&rdns)
}

/// The name of JPKI's card CA of a kind: the same for every key generation, with two organizational units.
pub fn card_ca(kind: Kind) -> Vec<u8> {
    name(&[
        (oids::COUNTRY, "JP"),
        (oids::ORGANIZATION, "JPKI"),
        (oids::ORGANIZATIONAL_UNIT, unit(kind)),
        (oids::ORGANIZATIONAL_UNIT, "Japan Agency for Local Authority Information Systems"),
    ])
}

/// The same CA in Japanese, as its certificate's subjectAltName and the cards' issuerAltName have it.
pub fn card_ca_in_japanese(kind: Kind) -> Vec<u8> {
    let unit = match kind {
        Kind::Signature => "公的個人認証サービス署名用",
        Kind::Authentication => "公的個人認証サービス利用者証明用",
    };
    name(&[
        (oids::COUNTRY, "JP"),
        (oids::ORGANIZATION, "公的個人認証サービス"),
        (oids::ORGANIZATIONAL_UNIT, unit),
        (oids::ORGANIZATIONAL_UNIT, "地方公共団体情報システム機構"),
    ])
}

/// The name of the card CA's OCSP responder for one key generation.
pub fn responder(kind: Kind, generation: u32) -> Vec<u8> {
    let common_name = format!("OCSP responder {generation}");
    name(&[
        (oids::COUNTRY, "JP"),
        (oids::ORGANIZATION, "JPKI"),
        (oids::ORGANIZATIONAL_UNIT, unit(kind)),
        (oids::ORGANIZATIONAL_UNIT, "Japan Agency for Local Authority Information Systems"),
        (oids::COMMON_NAME, &common_name),
    ])
}

/// The directoryName of a municipality's CRL. Each key generation has its own, so that one name stands for one CRL: all
/// generations share the issuer's DN, and nothing else would tell their CRLs apart.
pub fn distribution_point(kind: Kind, generation: u32, prefecture: &str, city: &str) -> Vec<u8> {
    let common_name = if generation == 1 { format!("{city} CRLDP") } else { format!("{city} CRLDP {generation}") };
    name(&[
        (oids::COUNTRY, "JP"),
        (oids::ORGANIZATION, "JPKI"),
        (oids::ORGANIZATIONAL_UNIT, unit(kind)),
        (oids::ORGANIZATIONAL_UNIT, "CRL Distribution Points"),
        (oids::ORGANIZATIONAL_UNIT, prefecture),
        (oids::COMMON_NAME, &common_name),
    ])
}

/// `GeneralNames` content with one directoryName.
pub fn directory_name(name: &[u8]) -> Vec<u8> {
    asn1::explicit(4, name)
}

fn unit(kind: Kind) -> &'static str {
    match kind {
        Kind::Signature => "JPKI for digital signature",
        Kind::Authentication => "JPKI for user authentication",
    }
}
