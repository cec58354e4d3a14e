//! Drawing a certificate up.

use chrono::{DateTime, Duration, SubsecRound, Utc};
use const_oid::ObjectIdentifier;
use const_oid::db::{rfc4519, rfc5280, rfc6960};
use der::asn1::{Any, Null, OctetString};
use der::{Encode, Tag};
use policies::{KeyUsageBit, OPAQUE_ALPHABET, Profile, ResponderProfile};
use ring::rand::{SecureRandom, SystemRandom};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName, SubjectKeyIdentifier};
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};
use x509_cert::time::Validity;

use super::{RandomnessFault, TbsCertificate};
use crate::application::ApplicationId;
use crate::application::verified::{BasicAttribute, VerifiedRequest};
use crate::card::identity::CardIdentity;
use crate::digest::{Sha256Digest, sha1};
use crate::issuer::{Issuer, encode_name, extension, key_usage};
use crate::serial::SerialNumber;
use crate::time::to_time;

/// A certificate drawn up, every octet of it, but neither linted nor recorded: worth nothing yet.
#[derive(Debug)]
pub struct Template {
    pub(super) tbs: Vec<u8>,
    pub(super) facts: Facts,
    pub(super) asked: Asked,
}

/// What is known about the certificate apart from its octets; travels along to the signed certificate.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) issuer: Issuer,
    pub(super) serial: SerialNumber,
    pub(super) shard: u16,
    pub(super) not_before: DateTime<Utc>,
    pub(super) not_after: DateTime<Utc>,
    pub(super) public_key_sha256: Sha256Digest,
    pub(super) policy_sha256: Sha256Digest,
    pub(super) application: Option<ApplicationId>,
    pub(super) card: Option<CardIdentity>,
}

/// What was asked for, kept apart from what was drawn up, for the lints to compare.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) purpose: Purpose,
    pub(super) public_key_info: Vec<u8>,
    pub(super) linked_card_not_after: Option<DateTime<Utc>>,
    pub(super) basic_attributes: Vec<BasicAttribute>,
    pub(super) now: DateTime<Utc>,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    Smartphone,
    Test,
    Responder,
}

/// A certificate cannot be drawn up: what was asked for does not go with the issuer.
#[derive(Debug, thiserror::Error)]
pub enum TemplateFault {
    /// The request is for the other kind.
    #[error("the request is for another kind of certificate than the issuer issues")]
    OtherKind,
    /// The key is no SubjectPublicKeyInfo.
    #[error("the public key cannot be read")]
    PublicKey,
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] RandomnessFault),
    /// It could not be encoded.
    #[error("the certificate could not be encoded")]
    Encoding(#[from] der::Error),
}

impl Template {
    /// A smartphone certificate for a verified request; it ends when the linked card certificate ends.
    pub fn for_request(
        request: &VerifiedRequest,
        application: ApplicationId,
        issuer: &Issuer,
        serial: SerialNumber,
        now: DateTime<Utc>,
    ) -> Result<Self, TemplateFault> {
        if request.kind() != issuer.ca_key().kind() {
            return Err(TemplateFault::OtherKind);
        }
        let profile = issuer.profile();
        // A card younger than the backdating: the certificate is not older than what it rests on.
        let not_before = smartphone_beginning(issuer, now).max(request.card_not_before());
        let not_after = request.card_not_after();

        let carried: Vec<BasicAttribute> =
            request.basic_attributes().iter().filter(|attribute| profile.basic_attributes.contains(&attribute.oid)).cloned().collect();
        let shard = issuer.shard_of(&serial);
        let extensions = smartphone_extensions(issuer, shard, request.public_key_info(), &carried)?;
        let facts = Facts {
            issuer: issuer.clone(),
            serial,
            shard,
            not_before,
            not_after,
            public_key_sha256: Sha256Digest::of(request.public_key_info()),
            policy_sha256: Sha256Digest(profile.sha256),
            application: Some(application),
            card: Some(request.card().clone()),
        };
        let asked = Asked {
            purpose: Purpose::Smartphone,
            public_key_info: request.public_key_info().to_vec(),
            linked_card_not_after: Some(request.card_not_after()),
            basic_attributes: carried,
            now,
        };
        Self::draw_up(facts, asked, opaque_subject(profile)?, extensions)
    }

    /// A certificate for relying parties to test with, as a smartphone certificate in everything but that nobody applied for it: it hangs on
    /// no card and carries nobody's attributes. Whoever has one made throws the private key away.
    pub fn for_test(
        public_key_info: &[u8],
        issuer: &Issuer,
        serial: SerialNumber,
        not_after: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Self, TemplateFault> {
        let profile = issuer.profile();
        let shard = issuer.shard_of(&serial);
        let extensions = smartphone_extensions(issuer, shard, public_key_info, &[])?;
        let facts = Facts {
            issuer: issuer.clone(),
            serial,
            shard,
            not_before: smartphone_beginning(issuer, now),
            not_after: not_after.trunc_subsecs(0),
            public_key_sha256: Sha256Digest::of(public_key_info),
            policy_sha256: Sha256Digest(profile.sha256),
            application: None,
            card: None,
        };
        let asked = Asked {
            purpose: Purpose::Test,
            public_key_info: public_key_info.to_vec(),
            linked_card_not_after: None,
            basic_attributes: Vec::new(),
            now,
        };
        Self::draw_up(facts, asked, opaque_subject(profile)?, extensions)
    }

    /// A certificate for an OCSP responder that answers for the issuer's CA key (RFC 6960 section 4.2.2.2), good for `life`
    /// or as long as the CA key's own certificate, whichever is shorter.
    pub fn for_responder(
        public_key_info: &[u8],
        issuer: &Issuer,
        serial: SerialNumber,
        now: DateTime<Utc>,
        life: Duration,
    ) -> Result<Self, TemplateFault> {
        let profile = &issuer.policies().responder;
        let backdated = now.trunc_subsecs(0) - Duration::seconds(profile.backdating_seconds.into());
        let not_before = backdated.max(issuer.ca_key().not_before());
        let not_after = (now + life).trunc_subsecs(0).min(issuer.ca_key().not_after());

        let kept = issuer
            .profile()
            .issuer_name
            .iter()
            .filter(|attribute| matches!(attribute.kind, policies::AttributeKind::C | policies::AttributeKind::O));
        let mut subject = encode_name(&kept.cloned().collect::<Vec<_>>())?;
        let common_name = format!("{} {}", profile.common_name_prefix, opaque_characters(ResponderProfile::COMMON_NAME_CHARACTERS)?);
        subject.push(attribute(rfc4519::COMMON_NAME, Tag::Utf8String, &common_name)?);

        let extensions = vec![
            issuer.authority_key_identifier().clone(),
            subject_key_identifier(public_key_info)?,
            key_usage(&[KeyUsageBit::DigitalSignature])?,
            extension(rfc5280::ID_CE_EXT_KEY_USAGE, false, &ExtendedKeyUsage(vec![rfc5280::ID_KP_OCSP_SIGNING]))?,
            extension(rfc6960::ID_PKIX_OCSP_NOCHECK, false, &Null)?,
        ];
        let facts = Facts {
            issuer: issuer.clone(),
            serial,
            shard: 0,
            not_before,
            not_after,
            public_key_sha256: Sha256Digest::of(public_key_info),
            policy_sha256: Sha256Digest(profile.sha256),
            application: None,
            card: None,
        };
        let asked = Asked {
            purpose: Purpose::Responder,
            public_key_info: public_key_info.to_vec(),
            linked_card_not_after: None,
            basic_attributes: Vec::new(),
            now,
        };
        Self::draw_up(facts, asked, subject, extensions)
    }

    fn draw_up(facts: Facts, asked: Asked, subject: RdnSequence, extensions: Vec<Extension>) -> Result<Self, TemplateFault> {
        let tbs = TbsCertificate::new(
            &facts.serial,
            facts.issuer.signature_algorithm_der(),
            facts.issuer.ca_key().subject_name_der(),
            Validity::new(to_time(facts.not_before)?, to_time(facts.not_after)?),
            subject,
            &asked.public_key_info,
            extensions,
        )?
        .to_der()?;
        Ok(Self { tbs, facts, asked })
    }

    /// The TBSCertificate in DER.
    pub fn tbs_certificate_der(&self) -> &[u8] {
        &self.tbs
    }
}

/// When a smartphone certificate begins that is issued now: as far back as its profile has it, but not before its CA key.
fn smartphone_beginning(issuer: &Issuer, now: DateTime<Utc>) -> DateTime<Utc> {
    let backdated = now.trunc_subsecs(0) - Duration::seconds(issuer.profile().validity.backdating_seconds.into());
    backdated.max(issuer.ca_key().not_before())
}

fn smartphone_extensions(
    issuer: &Issuer,
    shard: u16,
    public_key_info: &[u8],
    carried: &[BasicAttribute],
) -> Result<Vec<Extension>, TemplateFault> {
    let mut extensions = Vec::with_capacity(9);
    extensions.push(issuer.authority_key_identifier().clone());
    extensions.push(subject_key_identifier(public_key_info)?);
    if !carried.is_empty() {
        extensions.push(subject_alternative_name(carried)?);
    }
    extensions.extend(issuer.smartphone_extensions(shard)?);
    Ok(extensions)
}

fn opaque_subject(profile: &Profile) -> Result<RdnSequence, TemplateFault> {
    let mut subject = RdnSequence::default();
    subject.push(attribute(rfc4519::COUNTRY_NAME, Tag::PrintableString, &profile.subject.country)?);
    subject.push(attribute(rfc4519::COMMON_NAME, Tag::Utf8String, &opaque_characters(profile.subject.common_name_characters)?)?);
    Ok(subject)
}

fn attribute(oid: ObjectIdentifier, tag: Tag, value: &str) -> der::Result<RelativeDistinguishedName> {
    RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue { oid, value: Any::new(tag, value.as_bytes())? }])
}

/// Characters that tell nothing: 5 random bits each.
fn opaque_characters(count: u8) -> Result<String, RandomnessFault> {
    let mut octets = vec![0; usize::from(count)];
    SystemRandom::new().fill(&mut octets).map_err(|_| RandomnessFault)?;
    Ok(octets.iter().map(|octet| char::from(OPAQUE_ALPHABET[usize::from(octet & 0x1f)])).collect())
}

/// The SHA-1 of the BIT STRING's content (RFC 5280 section 4.2.1.2, method 1).
fn subject_key_identifier(public_key_info: &[u8]) -> Result<Extension, TemplateFault> {
    let info = SubjectPublicKeyInfoRef::try_from(public_key_info).map_err(|_| TemplateFault::PublicKey)?;
    let identifier = SubjectKeyIdentifier(OctetString::new(sha1(info.subject_public_key.raw_bytes()))?);
    Ok(extension(rfc5280::ID_CE_SUBJECT_KEY_IDENTIFIER, false, &identifier)?)
}

/// Not critical, for the subject is not empty (RFC 5280 section 4.2.1.6).
fn subject_alternative_name(attributes: &[BasicAttribute]) -> der::Result<Extension> {
    let names = attributes
        .iter()
        .map(|attribute| {
            let value = Any::new(Tag::Utf8String, attribute.value.as_bytes())?;
            Ok(GeneralName::OtherName(OtherName { type_id: attribute.oid, value }))
        })
        .collect::<der::Result<Vec<_>>>()?;
    extension(rfc5280::ID_CE_SUBJECT_ALT_NAME, false, &SubjectAltName(names))
}
