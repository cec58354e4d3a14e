//! One key generation of the card CA, with its delegated OCSP responder.

use chrono::{DateTime, Duration, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};

use super::certificate::{Certificate, certificate};
use crate::keys::{Key, KeyAlgorithm, KeyFault};
use crate::kind::Kind;
use crate::{asn1, keys, names, oids};

/// A key generation: key, self-signed certificate and responder.
#[derive(Debug)]
pub struct CardCa {
    kind: Kind,
    generation: u32,
    key: Key,
    name: Vec<u8>,
    serial: Vec<u8>,
    not_after: DateTime<Utc>,
    certificate: Vec<u8>,
    responder: Responder,
}

/// The delegated responder (RFC 6960 section 4.2.2.2), certified directly by the CA key it speaks for.
#[derive(Debug)]
pub struct Responder {
    /// Its key.
    pub key: Key,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
}

/// The card CA could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum CardCaFault {
    /// A key failed.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// A kept state cannot be read again.
    #[error("the kept card CA cannot be read: {0}")]
    Kept(String),
}

/// What is kept of a generation between runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeptCardCa {
    kind: Kind,
    generation: u32,
    key_pem: String,
    serial: String,
    not_after: DateTime<Utc>,
    certificate_pem: String,
    responder_key_pem: String,
    responder_certificate_pem: String,
}

impl CardCa {
    /// Makes a generation whose ten years begin at `not_before`. Generation 1 has serial number 1, as JPKI's first has.
    pub fn create(kind: Kind, generation: u32, not_before: DateTime<Utc>) -> Result<Self, CardCaFault> {
        let not_before = not_before.trunc_subsecs(0);
        // JPKI's end at 23:59:59 Japanese time on the day before the tenth anniversary.
        let not_after = end_of_japanese_day(not_before + Duration::days(3651));
        let key = Key::generate(KeyAlgorithm::Rsa2048)?;
        let name = names::card_ca(kind);
        let serial = if generation == 1 { vec![1] } else { four_octets()?.to_vec() };
        let distribution_point = asn1::explicit(0, &asn1::explicit(0, &names::directory_name(&name)));
        let extensions = vec![
            asn1::extension(&oids::KEY_USAGE, true, &asn1::named_bits(&[5, 6])),
            asn1::extension(&oids::SUBJECT_ALT_NAME, false, &asn1::sequence(&[names::directory_name(&names::card_ca_in_japanese(kind))])),
            asn1::extension(&oids::BASIC_CONSTRAINTS, true, &asn1::sequence(&[asn1::boolean_true()])),
            asn1::extension(&oids::CRL_DISTRIBUTION_POINTS, false, &asn1::sequence(&[asn1::sequence(&[distribution_point])])),
            asn1::extension(&oids::SUBJECT_KEY_IDENTIFIER, false, &asn1::octet_string(&key.key_identifier())),
        ];
        let content = Certificate {
            serial: &serial,
            issuer: &name,
            not_before,
            not_after,
            subject: &name,
            public_key_info: key.public_key_info(),
            extensions,
        };
        let encoded = certificate(&content, &key)?;
        let responder = certify_responder(kind, generation, &key, &name, not_before, not_after)?;
        Ok(Self { kind, generation, key, name, serial, not_after, certificate: encoded, responder })
    }

    /// The kind of certificate it issues.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its key generation, from 1.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Its certificate, DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its Name, DER.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// SHA-1 of its public key's bits, as its certificate's subjectKeyIdentifier.
    pub fn key_identifier(&self) -> [u8; 20] {
        self.key.key_identifier()
    }

    /// Where its own validity ends.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// Its key.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Its OCSP responder.
    pub fn responder(&self) -> &Responder {
        &self.responder
    }

    /// authorityKeyIdentifier of what it issues, in JPKI's long form: key identifier, issuer and serial number.
    pub fn authority_key_identifier(&self) -> Vec<u8> {
        long_authority_key_identifier(&self.key, &self.name, &self.serial)
    }

    pub(crate) fn keep(&self) -> KeptCardCa {
        KeptCardCa {
            kind: self.kind,
            generation: self.generation,
            key_pem: self.key.to_pem(),
            serial: hex::encode(&self.serial),
            not_after: self.not_after,
            certificate_pem: crate::pem::encode(crate::pem::CERTIFICATE, &self.certificate),
            responder_key_pem: self.responder.key.to_pem(),
            responder_certificate_pem: crate::pem::encode(crate::pem::CERTIFICATE, &self.responder.certificate),
        }
    }

    pub(crate) fn from_kept(kept: &KeptCardCa) -> Result<Self, CardCaFault> {
        let pem = |label: &str, text: &str| {
            crate::pem::decode(label, text).ok_or_else(|| CardCaFault::Kept(format!("{} generation {}", kept.kind, kept.generation)))
        };
        Ok(Self {
            kind: kept.kind,
            generation: kept.generation,
            key: Key::from_pkcs8(pem(crate::pem::PRIVATE_KEY, &kept.key_pem)?)?,
            name: names::card_ca(kept.kind),
            serial: hex::decode(&kept.serial).map_err(|error| CardCaFault::Kept(error.to_string()))?,
            not_after: kept.not_after,
            certificate: pem(crate::pem::CERTIFICATE, &kept.certificate_pem)?,
            responder: Responder {
                key: Key::from_pkcs8(pem(crate::pem::PRIVATE_KEY, &kept.responder_key_pem)?)?,
                certificate: pem(crate::pem::CERTIFICATE, &kept.responder_certificate_pem)?,
            },
        })
    }
}

/// Four octets whose INTEGER takes exactly four, like JPKI's serial numbers.
pub(crate) fn four_octets() -> Result<[u8; 4], KeyFault> {
    let mut octets = keys::random::<4>()?;
    octets[0] = (octets[0] & 0x7F).max(1);
    Ok(octets)
}

/// 23:59:59 Japanese time of the day that `at` falls on in Japan.
pub(crate) fn end_of_japanese_day(at: DateTime<Utc>) -> DateTime<Utc> {
    let day = (at + Duration::hours(9)).date_naive();
    day.and_time(chrono::NaiveTime::MIN).and_utc() + Duration::hours(15) - Duration::seconds(1)
}

fn long_authority_key_identifier(key: &Key, name: &[u8], serial: &[u8]) -> Vec<u8> {
    asn1::sequence(&[
        asn1::implicit_primitive(0, &key.key_identifier()),
        asn1::implicit_constructed(1, &names::directory_name(name)),
        asn1::implicit_primitive(2, &asn1::unsigned_content(serial)),
    ])
}

fn certify_responder(
    kind: Kind,
    generation: u32,
    issuer_key: &Key,
    issuer: &[u8],
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
) -> Result<Responder, KeyFault> {
    let key = Key::generate(KeyAlgorithm::Rsa2048)?;
    let extensions = vec![
        asn1::extension(
            &oids::AUTHORITY_KEY_IDENTIFIER,
            false,
            &asn1::sequence(&[asn1::implicit_primitive(0, &issuer_key.key_identifier())]),
        ),
        asn1::extension(&oids::SUBJECT_KEY_IDENTIFIER, false, &asn1::octet_string(&key.key_identifier())),
        asn1::extension(&oids::KEY_USAGE, true, &asn1::named_bits(&[0])),
        asn1::extension(&oids::EXT_KEY_USAGE, false, &asn1::sequence(&[asn1::oid(&oids::OCSP_SIGNING)])),
        asn1::extension(&oids::OCSP_NOCHECK, false, &asn1::null()),
    ];
    let content = Certificate {
        serial: &four_octets()?,
        issuer,
        not_before,
        not_after,
        subject: &names::responder(kind, generation),
        public_key_info: key.public_key_info(),
        extensions,
    };
    let encoded = certificate(&content, issuer_key)?;
    Ok(Responder { key, certificate: encoded })
}
