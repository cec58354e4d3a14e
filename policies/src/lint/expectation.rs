//! What was asked for: the certificate is held against it.

use chrono::{DateTime, Utc};
use const_oid::ObjectIdentifier;

use crate::authority::AuthorityProfile;
use crate::name::NameAttribute;
use crate::profile::Profile;
use crate::responder::ResponderProfile;

/// Which certificate it is to be.
#[derive(Debug, Clone, Copy)]
pub enum Role<'a> {
    /// A smartphone certificate.
    Smartphone(&'a Profile),
    /// One for relying parties' tests: like a smartphone certificate, but linked to no card and with nobody's attributes.
    Test(&'a Profile),
    /// An OCSP responder's.
    Responder(&'a ResponderProfile),
    /// A CA's own, self-signed, with the issuer name of the kind's profile.
    Authority(&'a AuthorityProfile, &'a [NameAttribute]),
}

/// The CA key that will sign.
#[derive(Debug, Clone, Copy)]
pub struct Authority<'a> {
    /// The subject of its certificate: Name in DER, octet for octet.
    pub name: &'a [u8],
    /// The subjectKeyIdentifier of its certificate.
    pub key_identifier: &'a [u8],
    /// The AlgorithmIdentifier in DER of the signatures it makes.
    pub signature_algorithm: &'a [u8],
    /// When its certificate ends.
    pub not_after: DateTime<Utc>,
    /// Where the CRL is that the certificate belongs to: of its shard.
    pub crl_url: &'a str,
    /// Where its OCSP responder is.
    pub ocsp_url: &'a str,
    /// Where its certificate is.
    pub certificate_url: &'a str,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Expectation<'a> {
    /// Which certificate it is to be.
    pub role: Role<'a>,
    /// Who signs. For a CA's own certificate: itself, with the end and URLs that are not looked at.
    pub authority: Authority<'a>,
    /// The serial number that was reserved: content octets of the DER INTEGER.
    pub serial: &'a [u8],
    /// The key to be certified: SubjectPublicKeyInfo in DER.
    pub public_key_info: &'a [u8],
    /// When the linked card certificate ends; only a smartphone certificate has one.
    pub linked_card_not_after: Option<DateTime<Utc>>,
    /// The basic attributes to be carried over, in order.
    pub basic_attributes: &'a [(ObjectIdentifier, &'a str)],
    /// The moment of issue.
    pub now: DateTime<Utc>,
}

impl<'a> Expectation<'a> {
    /// The profile, if it is to be a smartphone certificate or one for tests.
    pub fn smartphone(&self) -> Option<&'a Profile> {
        match self.role {
            Role::Smartphone(profile) | Role::Test(profile) => Some(profile),
            Role::Responder(_) | Role::Authority(..) => None,
        }
    }

    /// The profile, if it is to be a responder's certificate.
    pub fn responder(&self) -> Option<&'a ResponderProfile> {
        match self.role {
            Role::Responder(profile) => Some(profile),
            Role::Smartphone(_) | Role::Test(_) | Role::Authority(..) => None,
        }
    }

    /// Whether it is to be a CA's own certificate.
    pub fn is_authority(&self) -> bool {
        matches!(self.role, Role::Authority(..))
    }
}
