//! An issuer ready to issue: a CA key, the key itself, and the policies, with everything that is the same in each certificate
//! encoded once.

use std::num::NonZeroU16;
use std::sync::Arc;

use const_oid::ObjectIdentifier;
use const_oid::db::{rfc5280, rfc5912};
use der::asn1::{Any, Ia5String, OctetString};
use der::{Encode, Tag};
use policies::lint::Authority;
use policies::{AttributeKind, KeyUsageBit, NameAttribute, Policies, Profile};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::certpolicy::{CertificatePolicies, PolicyInformation, PolicyQualifierInfo};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, CrlDistributionPoints, ExtendedKeyUsage, KeyUsage,
};
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

use super::{CaKey, DistributionPoint};
use crate::issuance::RandomnessFault;
use crate::serial::SerialNumber;
use crate::signer::{Signer, signature_algorithm};

/// A CA key that issues. Cheap to clone.
///
/// Its certificates are spread over as many CRLs as it was told, each for ever on the one that it names: a certificate's *shard* is
/// the number of the last four octets of its serial number modulo the number of shards.
#[derive(Clone)]
pub struct Issuer {
    rules: Arc<Rules>,
    shards: NonZeroU16,
}

struct Rules {
    ca_key: CaKey,
    signer: Arc<dyn Signer>,
    policies: Arc<Policies>,
    signature_algorithm: Vec<u8>,
    authority_key_identifier: Extension,
    /// What stands in every smartphone certificate between subjectAltName and cRLDistributionPoints.
    smartphone_extensions: Vec<Extension>,
    authority_information_access: Extension,
}

/// CA key, signer and policies do not belong together.
#[derive(Debug, thiserror::Error)]
pub enum IssuerFault {
    /// The signer's key is not the certificate's.
    #[error("the signing key is not the key of CA certificate {0}")]
    OtherKey(String),
    /// The policies name the CA otherwise than its certificate does.
    #[error("the profile's issuer_name is not the subject of CA certificate {0}")]
    OtherName(String),
    /// The policies do not allow a CA key of that type.
    #[error("the authority profile does not allow the type of key of CA certificate {0}")]
    KeyType(String),
    /// What is the same in each certificate could not be encoded.
    #[error("the parts common to certificates could not be encoded")]
    Encoding(#[from] der::Error),
}

impl Issuer {
    /// Puts an issuer together whose certificates all name one CRL.
    pub fn new(ca_key: CaKey, signer: Arc<dyn Signer>, policies: Arc<Policies>) -> Result<Self, IssuerFault> {
        let profile = policies.profile(ca_key.kind().into());
        if signer.public_key_info() != ca_key.public_key_info() {
            return Err(IssuerFault::OtherKey(ca_key.label()));
        }
        if encode_name(&profile.issuer_name)?.to_der()? != ca_key.subject_name_der() {
            return Err(IssuerFault::OtherName(ca_key.label()));
        }
        if !policies.authority.key_types.contains(&signer.key_type()) {
            return Err(IssuerFault::KeyType(ca_key.label()));
        }
        let rules = Rules {
            signature_algorithm: signature_algorithm(signer.key_type()).to_der()?,
            authority_key_identifier: authority_key_identifier(ca_key.key_identifier().as_bytes())?,
            smartphone_extensions: smartphone_extensions(profile)?,
            authority_information_access: authority_information_access(&ca_key)?,
            ca_key,
            signer,
            policies,
        };
        Ok(Self { rules: Arc::new(rules), shards: NonZeroU16::MIN })
    }

    /// The same, with certificates spread over so many CRLs from now on. Certificates of before stay on theirs.
    #[must_use]
    pub fn in_shards(self, shards: NonZeroU16) -> Self {
        Self { shards, ..self }
    }

    /// Over how many CRLs new certificates are spread.
    pub fn shards(&self) -> NonZeroU16 {
        self.shards
    }

    /// The shard of a certificate that is issued now with this serial number.
    pub fn shard_of(&self, serial: &SerialNumber) -> u16 {
        let octets = serial.as_bytes();
        let tail = octets[octets.len().saturating_sub(4)..].iter().fold(0, |number, octet| number << 8 | u32::from(*octet));
        (tail % u32::from(self.shards.get())) as u16
    }

    /// The CA key.
    pub fn ca_key(&self) -> &CaKey {
        &self.rules.ca_key
    }

    /// The key itself; the CRL publisher signs with it too.
    pub fn signer(&self) -> &Arc<dyn Signer> {
        &self.rules.signer
    }

    /// All policies.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.rules.policies
    }

    /// The profile of the smartphone certificates it issues.
    pub fn profile(&self) -> &Arc<Profile> {
        self.rules.policies.profile(self.rules.ca_key.kind().into())
    }

    /// A random serial number as long as the profile says. Unique only once it is recorded.
    pub fn random_serial(&self) -> Result<SerialNumber, RandomnessFault> {
        SerialNumber::random(self.profile().serial_octets)
    }

    pub(crate) fn signature_algorithm_der(&self) -> &[u8] {
        &self.rules.signature_algorithm
    }

    pub(crate) fn authority_key_identifier(&self) -> &Extension {
        &self.rules.authority_key_identifier
    }

    /// What follows subjectKeyIdentifier and subjectAltName in a smartphone certificate of a shard.
    pub(crate) fn smartphone_extensions(&self, shard: u16) -> der::Result<impl Iterator<Item = Extension>> {
        let point = crl_distribution_points(&self.ca_key().distribution_point(shard))?;
        let access = self.rules.authority_information_access.clone();
        Ok(self.rules.smartphone_extensions.iter().cloned().chain([point, access]))
    }

    /// What the lints need to know of the CA key, and of where the certificate's CRL is.
    pub(crate) fn authority<'a>(&'a self, crl_url: &'a str) -> Authority<'a> {
        let ca_key = self.ca_key();
        Authority {
            name: ca_key.subject_name_der(),
            key_identifier: ca_key.key_identifier().as_bytes(),
            signature_algorithm: self.signature_algorithm_der(),
            not_after: ca_key.not_after(),
            crl_url,
            ocsp_url: &ca_key.urls().ocsp,
            certificate_url: &ca_key.urls().certificate,
        }
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issuer({})", self.ca_key().label())
    }
}

/// A name as the policies write it: one attribute an RDN, the country a PrintableString, the rest UTF8String.
pub(crate) fn encode_name(attributes: &[NameAttribute]) -> der::Result<RdnSequence> {
    let mut name = RdnSequence::default();
    for attribute in attributes {
        let tag = if attribute.kind == AttributeKind::C { Tag::PrintableString } else { Tag::Utf8String };
        let value = Any::new(tag, attribute.value.as_bytes())?;
        name.push(RelativeDistinguishedName::try_from(vec![AttributeTypeAndValue { oid: attribute.kind.oid(), value }])?);
    }
    Ok(name)
}

pub(crate) fn extension(oid: ObjectIdentifier, critical: bool, value: &impl Encode) -> der::Result<Extension> {
    Ok(Extension { extn_id: oid, critical, extn_value: OctetString::new(value.to_der()?)? })
}

pub(super) fn authority_key_identifier(octets: &[u8]) -> der::Result<Extension> {
    let value = AuthorityKeyIdentifier { key_identifier: Some(OctetString::new(octets)?), ..AuthorityKeyIdentifier::default() };
    extension(rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER, false, &value)
}

pub(crate) fn key_usage(bits: &[KeyUsageBit]) -> der::Result<Extension> {
    let flags = bits.iter().fold(der::flagset::FlagSet::default(), |flags, bit| flags | bit.flag());
    extension(rfc5280::ID_CE_KEY_USAGE, true, &KeyUsage(flags))
}

fn smartphone_extensions(profile: &Profile) -> der::Result<Vec<Extension>> {
    let mut extensions = vec![key_usage(&profile.key_usage)?];

    let qualifier = |cps: &String| {
        Ok::<_, der::Error>(PolicyQualifierInfo {
            policy_qualifier_id: rfc5912::ID_QT_CPS,
            qualifier: Some(Any::encode_from(&Ia5String::new(cps)?)?),
        })
    };
    let policy_qualifiers = profile.policy.cps.as_ref().map(|cps| Ok::<_, der::Error>(vec![qualifier(cps)?])).transpose()?;
    let policy = PolicyInformation { policy_identifier: profile.policy.oid, policy_qualifiers };
    extensions.push(extension(rfc5280::ID_CE_CERTIFICATE_POLICIES, profile.policy.critical, &CertificatePolicies(vec![policy]))?);

    if !profile.ext_key_usage.is_empty() {
        extensions.push(extension(rfc5280::ID_CE_EXT_KEY_USAGE, false, &ExtendedKeyUsage(profile.ext_key_usage.clone()))?);
    }
    Ok(extensions)
}

fn crl_distribution_points(point: &DistributionPoint) -> der::Result<Extension> {
    let point = x509_cert::ext::pkix::crl::dp::DistributionPoint {
        distribution_point: Some(der::Decode::from_der(&point.name_der)?),
        reasons: None,
        crl_issuer: None,
    };
    extension(rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS, false, &CrlDistributionPoints(vec![point]))
}

fn authority_information_access(ca_key: &CaKey) -> der::Result<Extension> {
    let uri = |url: &str| Ok::<_, der::Error>(GeneralName::UniformResourceIdentifier(Ia5String::new(url)?));
    let access = AuthorityInfoAccessSyntax(vec![
        AccessDescription { access_method: rfc5280::ID_AD_OCSP, access_location: uri(&ca_key.urls().ocsp)? },
        AccessDescription { access_method: rfc5280::ID_AD_CA_ISSUERS, access_location: uri(&ca_key.urls().certificate)? },
    ]);
    extension(rfc5280::ID_PE_AUTHORITY_INFO_ACCESS, false, &access)
}
