//! The profile of smartphone certificates of one kind.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280;
use serde::Deserialize;

use crate::document::{self, PolicyFault, contradiction, distinct, require};
use crate::key::KeyPolicy;
use crate::name::{NameAttribute, check_country, check_name};
use crate::usage::{KeyUsageBit, purposes};

/// Which kind of smartphone certificate a profile describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileKind {
    /// 署名用: for digital signature.
    Signature,
    /// 利用者証明用: for user authentication.
    Authentication,
}

impl ProfileKind {
    /// The word: `signature` or `authentication`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Authentication => "authentication",
        }
    }
}

/// What a smartphone certificate of one kind looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The profile's own name.
    pub name: String,
    /// The kind.
    pub kind: ProfileKind,
    /// The CA's name, one RDN each, in order.
    pub issuer_name: Vec<NameAttribute>,
    /// The subject.
    pub subject: SubjectTemplate,
    /// Content octets of the serial number: 16 to 20.
    pub serial_octets: u8,
    /// The validity.
    pub validity: ValidityRule,
    /// The certificate policy.
    pub policy: CertificatePolicy,
    /// The bits of keyUsage, which is critical.
    pub key_usage: Vec<KeyUsageBit>,
    /// The purposes of extKeyUsage; none: no such extension.
    pub ext_key_usage: Vec<ObjectIdentifier>,
    /// The otherNames carried over from the card's signature certificate; none: no subjectAltName.
    pub basic_attributes: Vec<ObjectIdentifier>,
    /// The keys that may be certified.
    pub subject_keys: KeyPolicy,
    /// The SHA-256 of the document's text.
    pub sha256: [u8; 32],
}

/// The subject: a country and a common name of random characters of [`crate::OPAQUE_ALPHABET`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubjectTemplate {
    /// The country: two capital letters.
    pub country: String,
    /// How many characters: 26 (130 bits) to 64.
    pub common_name_characters: u8,
}

/// When a certificate begins and ends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidityRule {
    /// Where the end comes from.
    pub end: ValidityEnd,
    /// How long before the moment of issue it begins, in seconds; at most an hour.
    pub backdating_seconds: u32,
    /// The longest life in days, whatever the card says.
    pub max_days: u32,
}

/// Where a certificate's end comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValidityEnd {
    /// The end of the linked card certificate, to the second.
    LinkedCard,
}

/// The certificatePolicies extension.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificatePolicy {
    /// The one policy.
    #[serde(deserialize_with = "document::oid")]
    pub oid: ObjectIdentifier,
    /// Whether the extension is critical.
    pub critical: bool,
    /// The address of the practice statement (the CPS qualifier).
    #[serde(default)]
    pub cps: Option<String>,
    /// Policies that must never appear: the card certificates'.
    #[serde(deserialize_with = "document::oids")]
    pub never: Vec<ObjectIdentifier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    kind: ProfileKind,
    issuer_name: Vec<NameAttribute>,
    subject: SubjectTemplate,
    serial_octets: u8,
    validity: ValidityRule,
    certificate_policy: CertificatePolicy,
    usage: Usage,
    subject_alternative_name: SubjectAlternativeName,
    subject_keys: KeyPolicy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Usage {
    key_usage: Vec<KeyUsageBit>,
    #[serde(deserialize_with = "purposes")]
    extended_key_usage: Vec<ObjectIdentifier>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectAlternativeName {
    #[serde(deserialize_with = "document::oids")]
    basic_attributes: Vec<ObjectIdentifier>,
}

impl Profile {
    /// Reads and checks a profile; `document` is what it is called in messages.
    pub fn parse(document: &str, text: &str) -> Result<Self, PolicyFault> {
        let (parsed, sha256): (Document, _) = document::parse(document, text)?;
        let profile = Self {
            name: parsed.name,
            kind: parsed.kind,
            issuer_name: parsed.issuer_name,
            subject: parsed.subject,
            serial_octets: parsed.serial_octets,
            validity: parsed.validity,
            policy: parsed.certificate_policy,
            key_usage: parsed.usage.key_usage,
            ext_key_usage: parsed.usage.extended_key_usage,
            basic_attributes: parsed.subject_alternative_name.basic_attributes,
            subject_keys: parsed.subject_keys,
            sha256,
        };
        profile.check(document)?;
        Ok(profile)
    }

    fn check(&self, document: &str) -> Result<(), PolicyFault> {
        require(document, !self.name.is_empty(), "name is empty")?;
        check_name(document, &self.issuer_name)?;
        check_country(document, &self.subject.country)?;
        require(
            document,
            (26..=64).contains(&self.subject.common_name_characters),
            "common_name_characters is not from 26 (130 random bits) to 64 (RFC 5280 ub-common-name)",
        )?;
        check_serial_octets(document, self.serial_octets)?;
        check_backdating(document, self.validity.backdating_seconds)?;
        require(document, (1..=36_525).contains(&self.validity.max_days), "max_days is not from 1 to 36525")?;
        require(document, !self.policy.never.contains(&self.policy.oid), "the policy is among those that must never appear")?;
        if let Some(cps) = &self.policy.cps {
            let address = cps.starts_with("http://") || cps.starts_with("https://");
            require(document, address && cps.is_ascii() && cps.len() <= 200, "cps is no http or https address of at most 200 characters")?;
        }
        require(document, !self.key_usage.is_empty(), "key_usage is empty")?;
        require(document, distinct(&self.key_usage), "key_usage has a bit twice")?;
        let of_a_ca = [KeyUsageBit::KeyCertSign, KeyUsageBit::CrlSign];
        require(document, !self.key_usage.iter().any(|bit| of_a_ca.contains(bit)), "key_usage has a bit that only a CA may have")?;
        require(document, distinct(&self.ext_key_usage), "extended_key_usage has a purpose twice")?;
        let too_wide = [rfc5280::ID_KP_OCSP_SIGNING, rfc5280::ANY_EXTENDED_KEY_USAGE];
        if let Some(purpose) = self.ext_key_usage.iter().find(|purpose| too_wide.contains(purpose)) {
            return Err(contradiction(document, format!("{purpose} is no purpose of a holder's certificate")));
        }
        require(document, distinct(&self.basic_attributes), "basic_attributes has an attribute twice")?;
        let personal_where_none_may_be = self.kind == ProfileKind::Authentication && !self.basic_attributes.is_empty();
        require(
            document,
            !personal_where_none_may_be,
            "an authentication certificate carries nothing personal: basic_attributes must be empty",
        )?;
        self.subject_keys.check(document)
    }
}

pub(crate) fn check_serial_octets(document: &str, octets: u8) -> Result<(), PolicyFault> {
    require(document, (16..=20).contains(&octets), "serial_octets is not from 16 to 20")
}

pub(crate) fn check_backdating(document: &str, seconds: u32) -> Result<(), PolicyFault> {
    require(document, seconds <= 3600, "backdating_seconds is above 3600")
}
