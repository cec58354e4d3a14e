//! A card certificate, read but not yet trusted.

use chrono::{DateTime, Utc};
use const_oid::ObjectIdentifier;
use der::asn1::Utf8StringRef;
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::crl::CrlDistributionPoints;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, CertificatePolicies, ExtendedKeyUsage, KeyUsage, SubjectAltName};

use crate::application::verified::BasicAttribute;
use crate::card::identity::{CardIdentity, KeyIdentifier};
use crate::digest::Sha256Digest;
use crate::key::PublicKey;
use crate::refusal::Refusal;
use crate::serial::SerialNumber;
use crate::signed_object;
use crate::time;

/// The most octets a card certificate may have. Real ones have about 1,700.
pub const MAX_OCTETS: usize = 8_192;

/// A card certificate of which only the structure was read: its issuer, status and even signature are unchecked.
#[derive(Debug, Clone)]
pub struct UnverifiedCardCertificate {
    pub(crate) der: Vec<u8>,
    pub(crate) identity: CardIdentity,
    pub(crate) issuer: Vec<u8>,
    pub(crate) not_before: DateTime<Utc>,
    pub(crate) not_after: DateTime<Utc>,
    pub(crate) public_key: PublicKey,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended_key_usage: Vec<ObjectIdentifier>,
    pub(crate) policies: Vec<ObjectIdentifier>,
    pub(crate) is_ca: bool,
    pub(crate) distribution_point: Option<Vec<u8>>,
    pub(crate) basic_attributes: Vec<BasicAttribute>,
}

/// Why octets are no card certificate that can be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardCertificateRefusal {
    /// More than [`MAX_OCTETS`].
    #[error("the card certificate is too large")]
    TooLarge,
    /// Not an X.509 certificate in DER, version 3.
    #[error("the card certificate is not an X.509 version 3 certificate in DER")]
    Malformed,
    /// The signature algorithms inside and outside differ (RFC 5280 section 4.1.1.2).
    #[error("the card certificate names two signature algorithms")]
    AlgorithmMismatch,
    /// One extension stands there twice (RFC 5280 section 4.2).
    #[error("the card certificate has an extension twice")]
    DuplicateExtension,
    /// A critical extension that we do not process (RFC 5280 section 4.2).
    #[error("the card certificate has a critical extension that is not understood")]
    UnknownCriticalExtension,
    /// No authorityKeyIdentifier with a keyIdentifier: the issuing key cannot be told from its other generations.
    #[error("the card certificate does not identify its issuer's key")]
    NoAuthorityKeyIdentifier,
    /// A public key of a sort that is not supported.
    #[error("the card certificate's public key is not supported")]
    PublicKey,
}

impl Refusal for CardCertificateRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge => "card_certificate_too_large",
            Self::Malformed | Self::AlgorithmMismatch | Self::DuplicateExtension => "card_certificate_malformed",
            Self::UnknownCriticalExtension => "card_certificate_critical_extension",
            Self::NoAuthorityKeyIdentifier => "card_certificate_issuer_unidentified",
            Self::PublicKey => "card_certificate_key_unsupported",
        }
    }
}

impl UnverifiedCardCertificate {
    /// Reads a certificate in DER.
    pub fn parse(der: &[u8]) -> Result<Self, CardCertificateRefusal> {
        use CardCertificateRefusal as Refused;

        if der.len() > MAX_OCTETS {
            return Err(Refused::TooLarge);
        }
        let certificate = Certificate::from_der(der).map_err(|_| Refused::Malformed)?;
        let tbs = certificate.tbs_certificate();
        if tbs.version() != x509_cert::Version::V3 {
            return Err(Refused::Malformed);
        }
        if tbs.signature() != certificate.signature_algorithm() {
            return Err(Refused::AlgorithmMismatch);
        }
        let extensions = Extensions::read(tbs.extensions().map_or(&[][..], Vec::as_slice))?;
        let identity = CardIdentity {
            issuer_key_id: extensions.issuer_key_id.ok_or(Refused::NoAuthorityKeyIdentifier)?,
            serial: read_serial(tbs).ok_or(Refused::Malformed)?,
            sha256: Sha256Digest::of(der),
        };
        Ok(Self {
            der: der.to_vec(),
            identity,
            issuer: tbs.issuer().to_der().map_err(|_| Refused::Malformed)?,
            not_before: time::from_time(&tbs.validity().not_before).ok_or(Refused::Malformed)?,
            not_after: time::from_time(&tbs.validity().not_after).ok_or(Refused::Malformed)?,
            public_key: PublicKey::from_info(tbs.subject_public_key_info()).map_err(|_| Refused::PublicKey)?,
            key_usage: extensions.key_usage,
            extended_key_usage: extensions.extended_key_usage,
            policies: extensions.policies,
            is_ca: extensions.is_ca,
            distribution_point: extensions.distribution_point,
            basic_attributes: extensions.basic_attributes,
        })
    }

    /// Which certificate it says it is: by the issuing key that it names.
    pub fn identity(&self) -> &CardIdentity {
        &self.identity
    }

    /// The directoryName (Name in DER) of its CRL distribution point, if it has one.
    pub fn distribution_point(&self) -> Option<&[u8]> {
        self.distribution_point.as_deref()
    }
}

fn read_serial(tbs: &x509_cert::TbsCertificate) -> Option<SerialNumber> {
    signed_object::serial(tbs.serial_number())
}

/// What is used of a card certificate's extensions.
#[derive(Default)]
struct Extensions {
    issuer_key_id: Option<KeyIdentifier>,
    key_usage: Option<KeyUsage>,
    extended_key_usage: Vec<ObjectIdentifier>,
    policies: Vec<ObjectIdentifier>,
    is_ca: bool,
    distribution_point: Option<Vec<u8>>,
    basic_attributes: Vec<BasicAttribute>,
}

impl Extensions {
    fn read(extensions: &[Extension]) -> Result<Self, CardCertificateRefusal> {
        use const_oid::db::rfc5280;

        let mut read = Self::default();
        for (index, extension) in extensions.iter().enumerate() {
            if extensions[..index].iter().any(|earlier| earlier.extn_id == extension.extn_id) {
                return Err(CardCertificateRefusal::DuplicateExtension);
            }
            match extension.extn_id {
                rfc5280::ID_CE_AUTHORITY_KEY_IDENTIFIER => {
                    let identifier: AuthorityKeyIdentifier = decode(extension)?;
                    read.issuer_key_id = identifier.key_identifier.and_then(|octets| KeyIdentifier::new(octets.as_bytes()));
                }
                rfc5280::ID_CE_KEY_USAGE => read.key_usage = Some(decode(extension)?),
                rfc5280::ID_CE_EXT_KEY_USAGE => read.extended_key_usage = decode::<ExtendedKeyUsage>(extension)?.0,
                rfc5280::ID_CE_CERTIFICATE_POLICIES => {
                    let policies: CertificatePolicies = decode(extension)?;
                    read.policies = policies.0.into_iter().map(|policy| policy.policy_identifier).collect();
                }
                rfc5280::ID_CE_BASIC_CONSTRAINTS => read.is_ca = decode::<BasicConstraints>(extension)?.ca,
                rfc5280::ID_CE_CRL_DISTRIBUTION_POINTS => {
                    let points: CrlDistributionPoints = decode(extension)?;
                    read.distribution_point = points.0.iter().find_map(directory_name);
                }
                rfc5280::ID_CE_SUBJECT_ALT_NAME => read.basic_attributes = basic_attributes(&decode::<SubjectAltName>(extension)?)?,
                _ if extension.critical => return Err(CardCertificateRefusal::UnknownCriticalExtension),
                _ => {}
            }
        }
        Ok(read)
    }
}

fn decode<'a, T: Decode<'a>>(extension: &'a Extension) -> Result<T, CardCertificateRefusal> {
    T::from_der(extension.extn_value.as_bytes()).map_err(|_| CardCertificateRefusal::Malformed)
}

/// The one directoryName of a distribution point that covers all reasons and whose CRL the certificate's issuer signs.
fn directory_name(point: &DistributionPoint) -> Option<Vec<u8>> {
    if point.reasons.is_some() || point.crl_issuer.is_some() {
        return None;
    }
    let Some(DistributionPointName::FullName(names)) = &point.distribution_point else {
        return None;
    };
    names.iter().find_map(|name| match name {
        GeneralName::DirectoryName(name) => name.to_der().ok(),
        _ => None,
    })
}

/// The otherNames with UTF8String values, in their order. Other forms of name are passed over: they are no basic attributes.
fn basic_attributes(names: &SubjectAltName) -> Result<Vec<BasicAttribute>, CardCertificateRefusal> {
    let mut attributes = Vec::new();
    for name in &names.0 {
        let GeneralName::OtherName(other) = name else { continue };
        let Ok(value) = other.value.decode_as::<Utf8StringRef<'_>>() else { continue };
        attributes.push(BasicAttribute { oid: other.type_id, value: value.as_str().to_owned() });
    }
    Ok(attributes)
}
