//! From a card certificate that was only read to one that a trusted card CA vouches for.
//!
//! A card CA is one tier (see docs/decisions/0004): the anchor's key signs the card certificate itself, so that path validation (RFC 5280
//! section 6.1) is one step, in which name constraints and policy mappings cannot occur.

use chrono::{DateTime, Utc};
use policies::CardRules;

use crate::card::authority::{CardAuthorities, CardAuthority};
use crate::card::certificate::{CardCertificateRefusal, UnverifiedCardCertificate};
use crate::card::identity::{CardIdentity, KeyIdentifier};
use crate::kind::CertificateKind;
use crate::refusal::Refusal;
use crate::signed_object::SignedParts;

/// A card certificate that a trusted card CA issued, that is within its validity, and that is of the kind it is used as.
/// Whether it was revoked is another question: [`crate::card::status`].
#[derive(Debug, Clone)]
pub struct ValidCardCertificate<'a> {
    certificate: UnverifiedCardCertificate,
    authority: &'a CardAuthority,
}

/// Why a card certificate does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CardRefusal {
    /// It could not be read.
    #[error(transparent)]
    Certificate(#[from] CardCertificateRefusal),
    /// It is one of the smartphone certificates that we issued ourselves.
    #[error("a smartphone certificate cannot stand in for a card certificate")]
    OwnCertificate,
    /// No trusted card CA has the key that it names as its issuer's.
    #[error("the card certificate was not issued by a trusted card CA")]
    UnknownIssuer,
    /// Its issuer's name is not the name of the CA whose key it names.
    #[error("the card certificate's issuer name is not that of the CA whose key it names")]
    IssuerName,
    /// The CA did not sign it.
    #[error("the signature on the card certificate is wrong")]
    Signature,
    /// The CA's own certificate is not valid now.
    #[error("the card CA's own certificate is not valid at this time")]
    AuthorityNotValid,
    /// Not yet valid.
    #[error("the card certificate is not valid yet")]
    NotYetValid,
    /// Expired.
    #[error("the card certificate has expired")]
    Expired,
    /// A CA certificate.
    #[error("a CA certificate is no card certificate")]
    IsAuthority,
    /// keyUsage does not allow what it is used for.
    #[error("the card certificate's key usage is not that of its kind")]
    KeyUsage,
    /// extKeyUsage is not what its kind has.
    #[error("the card certificate's extended key usage is not that of its kind")]
    ExtendedKeyUsage,
    /// The certificate policy is not that of a card certificate of this kind.
    #[error("the card certificate's policy is not that of a card certificate of its kind")]
    Policy,
}

impl Refusal for CardRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Certificate(refusal) => refusal.code(),
            Self::OwnCertificate => "card_is_smartphone_certificate",
            Self::UnknownIssuer => "card_issuer_unknown",
            Self::IssuerName => "card_issuer_name",
            Self::Signature => "card_certificate_signature",
            Self::AuthorityNotValid => "card_issuer_not_valid",
            Self::NotYetValid => "card_not_yet_valid",
            Self::Expired => "card_expired",
            Self::IsAuthority => "card_is_ca",
            Self::KeyUsage | Self::ExtendedKeyUsage => "card_key_usage",
            Self::Policy => "card_policy",
        }
    }
}

/// Checks that `certificate` is a card certificate of `kind`: issued by a trusted authority found by key identifier, valid at
/// `now`, with the usage and policy that `rules` ask for, and none of our own (`own_key_ids`).
pub fn validate<'a>(
    certificate: UnverifiedCardCertificate,
    kind: CertificateKind,
    authorities: &'a CardAuthorities,
    own_key_ids: &[KeyIdentifier],
    rules: &CardRules,
    now: DateTime<Utc>,
) -> Result<ValidCardCertificate<'a>, CardRefusal> {
    if own_key_ids.contains(&certificate.identity.issuer_key_id) {
        return Err(CardRefusal::OwnCertificate);
    }
    let authority = authorities.find(kind, &certificate.identity.issuer_key_id).ok_or(CardRefusal::UnknownIssuer)?;
    if certificate.issuer != authority.name() {
        return Err(CardRefusal::IssuerName);
    }
    SignedParts::from_der(&certificate.der)
        .map_err(|_| CardCertificateRefusal::Malformed)?
        .verify(authority.public_key())
        .map_err(|_| CardRefusal::Signature)?;
    if !authority.is_valid_at(now) {
        return Err(CardRefusal::AuthorityNotValid);
    }
    if now < certificate.not_before {
        return Err(CardRefusal::NotYetValid);
    }
    if now > certificate.not_after {
        return Err(CardRefusal::Expired);
    }
    if certificate.is_ca {
        return Err(CardRefusal::IsAuthority);
    }
    check_usage(&certificate, rules)?;
    if !certificate.policies.iter().any(|policy| rules.policy_oids.contains(policy)) {
        return Err(CardRefusal::Policy);
    }
    Ok(ValidCardCertificate { certificate, authority })
}

fn check_usage(certificate: &UnverifiedCardCertificate, rules: &CardRules) -> Result<(), CardRefusal> {
    let usage = certificate.key_usage.as_ref().ok_or(CardRefusal::KeyUsage)?;
    if rules.key_usage.iter().any(|bit| !usage.0.contains(bit.flag())) {
        return Err(CardRefusal::KeyUsage);
    }
    // A certificate that may only do something else (log in, say) signs no applications.
    if rules.extended_key_usage.iter().any(|purpose| !certificate.extended_key_usage.contains(purpose)) {
        return Err(CardRefusal::ExtendedKeyUsage);
    }
    Ok(())
}

impl<'a> ValidCardCertificate<'a> {
    /// Which certificate it is.
    pub fn identity(&self) -> &CardIdentity {
        &self.certificate.identity
    }

    /// The CA key that issued it.
    pub fn authority(&self) -> &'a CardAuthority {
        self.authority
    }

    /// What it says.
    pub fn certificate(&self) -> &UnverifiedCardCertificate {
        &self.certificate
    }
}
