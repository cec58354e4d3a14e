//! Certificates to try the lints on: each good, with fields to spoil.

use chrono::{DateTime, TimeZone, Utc};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5280, rfc6960};

use super::{Authority, Context, Expectation, Lint, Role, TbsCertificate};
use crate::set::Policies;

pub(super) const CRL_URL: &str = "http://status.example/crl/signature-1.crl";
pub(super) const OCSP_URL: &str = "http://status.example/ocsp";
pub(super) const CERTIFICATE_URL: &str = "http://status.example/ca/signature-1.cer";
pub(super) const ECDSA_WITH_SHA256: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
pub(super) const ISSUER_KEY_IDENTIFIER: [u8; 20] = [0xab; 20];
const NAME_ATTRIBUTE: &str = "1.2.392.200149.8.5.5.1";
const BIRTH_DATE_ATTRIBUTE: &str = "1.2.392.200149.8.5.5.4";

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Signature,
    Authentication,
    Test,
    Responder,
    Authority,
}

/// The fields of a TBSCertificate, in DER unless said otherwise, and what was asked for.
pub(super) struct Fixture {
    pub(super) kind: Kind,
    pub(super) policies: Policies,
    /// A number, not DER.
    pub(super) version: Option<u8>,
    /// Content octets, not DER.
    pub(super) serial: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) not_before: Vec<u8>,
    pub(super) not_after: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) public_key_info: Vec<u8>,
    /// Between key and extensions.
    pub(super) unique_identifier: Vec<u8>,
    pub(super) extensions: Vec<(ObjectIdentifier, bool, Vec<u8>)>,
    pub(super) ca_name: Vec<u8>,
    pub(super) expected_serial: Vec<u8>,
    pub(super) expected_public_key_info: Vec<u8>,
    pub(super) linked_card_not_after: Option<DateTime<Utc>>,
    pub(super) basic_attributes: Vec<(ObjectIdentifier, &'static str)>,
}

impl Fixture {
    pub(super) fn signature() -> Self {
        let mut fixture = Self::smartphone(Kind::Signature, "Smartphone certificates for digital signature", "1.2.392.200149.8.5.1.1.40");
        // digitalSignature, nonRepudiation
        fixture.set(rfc5280::ID_CE_KEY_USAGE, tlv(0x03, &[6, 0xc0]));
        fixture.basic_attributes = vec![(oid(NAME_ATTRIBUTE), "番号 花子"), (oid(BIRTH_DATE_ATTRIBUTE), "419900101")];
        let names: Vec<_> = fixture.basic_attributes.iter().map(|(oid, value)| other_name(*oid, 0x0c, value.as_bytes())).collect();
        fixture.add(rfc5280::ID_CE_SUBJECT_ALT_NAME, sequence(&names));
        fixture
    }

    pub(super) fn authentication() -> Self {
        let mut fixture =
            Self::smartphone(Kind::Authentication, "Smartphone certificates for user authentication", "1.2.392.200149.8.5.1.3.40");
        fixture.add(rfc5280::ID_CE_EXT_KEY_USAGE, sequence(&[oid_der(rfc5280::ID_KP_CLIENT_AUTH)]));
        fixture
    }

    /// An authentication certificate for relying parties' tests.
    pub(super) fn test() -> Self {
        Self { kind: Kind::Test, linked_card_not_after: None, ..Self::authentication() }
    }

    pub(super) fn responder() -> Self {
        let mut fixture = Self::blank(Kind::Responder, "Smartphone certificates for digital signature");
        fixture.subject = name(&[
            rdn("2.5.4.6", 0x13, b"JP"),
            rdn("2.5.4.10", 0x0c, b"Tsunagi"),
            rdn("2.5.4.3", 0x0c, b"OCSP responder 0123456789ABCDEFGHJKMNPQRS"),
        ]);
        fixture.not_after = utc_time("270108000000Z");
        fixture.add(rfc5280::ID_CE_EXT_KEY_USAGE, sequence(&[oid_der(rfc5280::ID_KP_OCSP_SIGNING)]));
        fixture.add(rfc6960::ID_PKIX_OCSP_NOCHECK, tlv(0x05, &[]));
        fixture
    }

    pub(super) fn authority() -> Self {
        let mut fixture = Self::blank(Kind::Authority, "Smartphone certificates for digital signature");
        fixture.subject = fixture.ca_name.clone();
        fixture.not_after = utc_time("470101000000Z");
        // keyCertSign, cRLSign
        fixture.set(rfc5280::ID_CE_KEY_USAGE, tlv(0x03, &[1, 0x06]));
        fixture.add(rfc5280::ID_CE_BASIC_CONSTRAINTS, sequence(&[tlv(0x01, &[0xff]), tlv(0x02, &[0])]));
        fixture.extension(rfc5280::ID_CE_BASIC_CONSTRAINTS).1 = true;
        fixture
    }

    pub(super) fn all() -> [Self; 5] {
        [Self::signature(), Self::authentication(), Self::test(), Self::responder(), Self::authority()]
    }

    fn smartphone(kind: Kind, unit: &str, policy: &str) -> Self {
        let mut fixture = Self::blank(kind, unit);
        fixture.add(rfc5280::ID_CE_CERTIFICATE_POLICIES, sequence(&[sequence(&[oid_der(oid(policy))])]));
        let full_name = tlv(0xa0, &tlv(0x86, CRL_URL.as_bytes()));
        fixture.add(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, sequence(&[sequence(&[tlv(0xa0, &full_name)])]));
        let access = |method, url: &str| sequence(&[oid_der(method), tlv(0x86, url.as_bytes())]);
        fixture.add(
            rfc5280::ID_PE_AUTHORITY_INFO_ACCESS,
            sequence(&[access(rfc5280::ID_AD_OCSP, OCSP_URL), access(rfc5280::ID_AD_CA_ISSUERS, CERTIFICATE_URL)]),
        );
        fixture
    }

    fn blank(kind: Kind, unit: &str) -> Self {
        let ca_name = name(&[rdn("2.5.4.6", 0x13, b"JP"), rdn("2.5.4.10", 0x0c, b"Tsunagi"), rdn("2.5.4.11", 0x0c, unit.as_bytes())]);
        let serial: Vec<u8> = (0x41..0x55).collect();
        let key = ec_key(P256, &[&[4][..], &[0x11; 64]].concat());
        let subject_key_identifier = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &[&[4][..], &[0x11; 64]].concat());
        let smartphone = matches!(kind, Kind::Signature | Kind::Authentication);
        Self {
            kind,
            policies: Policies::shipped().unwrap(),
            version: Some(2),
            serial: serial.clone(),
            signature: ECDSA_WITH_SHA256.to_vec(),
            issuer: ca_name.clone(),
            not_before: utc_time("261231235500Z"),
            not_after: utc_time("310401145959Z"),
            subject: name(&[rdn("2.5.4.6", 0x13, b"JP"), rdn("2.5.4.3", 0x0c, b"0123456789ABCDEFGHJKMNPQRS")]),
            public_key_info: key.clone(),
            unique_identifier: Vec::new(),
            extensions: vec![
                (
                    rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER,
                    false,
                    sequence(&[tlv(0x80, if kind == Kind::Authority { subject_key_identifier.as_ref() } else { &ISSUER_KEY_IDENTIFIER })]),
                ),
                (rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, false, tlv(0x04, subject_key_identifier.as_ref())),
                // digitalSignature
                (rfc5280::ID_CE_KEY_USAGE, true, tlv(0x03, &[7, 0x80])),
            ],
            ca_name,
            expected_serial: serial,
            expected_public_key_info: key,
            linked_card_not_after: smartphone.then(|| Utc.with_ymd_and_hms(2031, 4, 1, 14, 59, 59).unwrap()),
            basic_attributes: Vec::new(),
        }
    }

    /// Certifies another key than the usual one, as asked for.
    pub(super) fn with_key(mut self, public_key_info: Vec<u8>) -> Self {
        self.expected_public_key_info.clone_from(&public_key_info);
        self.public_key_info = public_key_info;
        self
    }

    pub(super) fn extension(&mut self, oid: ObjectIdentifier) -> &mut (ObjectIdentifier, bool, Vec<u8>) {
        self.extensions.iter_mut().find(|extension| extension.0 == oid).unwrap()
    }

    /// Gives an extension another value.
    pub(super) fn set(&mut self, oid: ObjectIdentifier, value: Vec<u8>) {
        self.extension(oid).2 = value;
    }

    /// Adds an extension that is not critical.
    pub(super) fn add(&mut self, oid: ObjectIdentifier, value: Vec<u8>) {
        self.extensions.push((oid, false, value));
    }

    pub(super) fn remove(&mut self, oid: ObjectIdentifier) {
        self.extensions.retain(|extension| extension.0 != oid);
    }

    pub(super) fn to_der(&self) -> Vec<u8> {
        let extensions: Vec<_> = self
            .extensions
            .iter()
            .map(|(oid, critical, value)| {
                let critical = if *critical { tlv(0x01, &[0xff]) } else { Vec::new() };
                sequence(&[oid_der(*oid), critical, tlv(0x04, value)])
            })
            .collect();
        sequence(&[
            self.version.map_or(Vec::new(), |version| tlv(0xa0, &tlv(0x02, &[version]))),
            tlv(0x02, &self.serial),
            self.signature.clone(),
            self.issuer.clone(),
            sequence(&[self.not_before.clone(), self.not_after.clone()]),
            self.subject.clone(),
            self.public_key_info.clone(),
            self.unique_identifier.clone(),
            tlv(0xa3, &sequence(&extensions)),
        ])
    }

    pub(super) fn expect<T>(&self, judge: impl FnOnce(&[u8], &Expectation<'_>) -> T) -> T {
        let public_key = TbsCertificate::parse(&self.to_der()).map(|certificate| certificate.public_key.octets.to_vec());
        let own_identifier = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &public_key.unwrap_or_default());
        let profile = match self.kind {
            Kind::Authentication | Kind::Test => &self.policies.authentication,
            Kind::Signature | Kind::Responder | Kind::Authority => &self.policies.signature,
        };
        let expectation = Expectation {
            role: match self.kind {
                Kind::Signature | Kind::Authentication => Role::Smartphone(profile),
                Kind::Test => Role::Test(profile),
                Kind::Responder => Role::Responder(&self.policies.responder),
                Kind::Authority => Role::Authority(&self.policies.authority, &profile.issuer_name),
            },
            authority: Authority {
                name: &self.ca_name,
                key_identifier: if self.kind == Kind::Authority { own_identifier.as_ref() } else { &ISSUER_KEY_IDENTIFIER },
                signature_algorithm: &ECDSA_WITH_SHA256,
                not_after: Utc.with_ymd_and_hms(2047, 1, 1, 0, 0, 0).unwrap(),
                crl_url: CRL_URL,
                ocsp_url: OCSP_URL,
                certificate_url: CERTIFICATE_URL,
            },
            serial: &self.expected_serial,
            public_key_info: &self.expected_public_key_info,
            linked_card_not_after: self.linked_card_not_after,
            basic_attributes: &self.basic_attributes,
            now: Utc.with_ymd_and_hms(2027, 1, 1, 0, 0, 0).unwrap(),
        };
        judge(&self.to_der(), &expectation)
    }

    /// What one lint says.
    pub(super) fn judge(&self, lint: &Lint) -> Option<String> {
        self.expect(|tbs, expectation| {
            let certificate = TbsCertificate::parse(tbs).unwrap();
            (lint.check)(&Context { certificate, expectation })
        })
    }
}

pub(super) const P256: &str = "1.2.840.10045.3.1.7";

pub(super) fn oid(dotted: &str) -> ObjectIdentifier {
    dotted.parse().unwrap()
}

pub(super) fn oid_der(oid: ObjectIdentifier) -> Vec<u8> {
    tlv(0x06, oid.as_bytes())
}

pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        short @ 0..=127 => out.push(u8::try_from(short).unwrap()),
        one @ 128..=255 => out.extend([0x81, u8::try_from(one).unwrap()]),
        two => out.extend([&[0x82][..], &u16::try_from(two).unwrap().to_be_bytes()].concat()),
    }
    out.extend_from_slice(content);
    out
}

pub(super) fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &elements.concat())
}

pub(super) fn utc_time(text: &str) -> Vec<u8> {
    tlv(0x17, text.as_bytes())
}

pub(super) fn name(rdns: &[Vec<u8>]) -> Vec<u8> {
    sequence(rdns)
}

pub(super) fn rdn(kind: &str, tag: u8, value: &[u8]) -> Vec<u8> {
    tlv(0x31, &sequence(&[oid_der(oid(kind)), tlv(tag, value)]))
}

pub(super) fn other_name(kind: ObjectIdentifier, tag: u8, value: &[u8]) -> Vec<u8> {
    tlv(0xa0, &[oid_der(kind), tlv(0xa0, &tlv(tag, value))].concat())
}

pub(super) fn ec_key(curve: &str, point: &[u8]) -> Vec<u8> {
    let algorithm = sequence(&[oid_der(oid("1.2.840.10045.2.1")), oid_der(oid(curve))]);
    sequence(&[algorithm, tlv(0x03, &[&[0], point].concat())])
}

/// `modulus` without sign octet, `exponent` as content octets.
pub(super) fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let algorithm = sequence(&[oid_der(oid("1.2.840.113549.1.1.1")), tlv(0x05, &[])]);
    let key = sequence(&[tlv(0x02, &[&[0], modulus].concat()), tlv(0x02, exponent)]);
    sequence(&[algorithm, tlv(0x03, &[&[0], &key[..]].concat())])
}
