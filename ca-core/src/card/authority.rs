//! Card CAs: the trust anchors, one for each key generation.

use chrono::{DateTime, Utc};
use der::{Decode, DecodePem, Encode};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, SubjectKeyIdentifier};

use crate::card::identity::KeyIdentifier;
use crate::digest::sha1;
use crate::key::{self, PublicKey};
use crate::kind::CertificateKind;
use crate::signed_object::SignedParts;
use crate::time;

/// One key generation of a card CA, trusted because the operator configured it.
///
/// All generations bear the same name, so an authority is found by its key identifier, never by its name.
#[derive(Debug, Clone)]
pub struct CardAuthority {
    kind: CertificateKind,
    name: Vec<u8>,
    key_id: KeyIdentifier,
    key_octets: Vec<u8>,
    public_key: PublicKey,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
}

/// Why a certificate cannot be a trust anchor: a mistake in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityFault {
    /// Neither DER nor PEM of one certificate.
    #[error("the file is not a certificate in PEM or DER")]
    Malformed,
    /// A key that is not supported.
    #[error("the certificate's public key is not supported")]
    PublicKey,
    /// basicConstraints or keyUsage say that it issues no certificates.
    #[error("the certificate is not a CA's: basicConstraints or keyUsage forbid it to issue")]
    NotAuthority,
    /// The certificate's own signature is wrong.
    #[error("the certificate is not signed by its own key")]
    NotSelfSigned,
    /// Two anchors of one kind have the same key identifier.
    #[error("two card CA certificates of one kind have the same key identifier")]
    DuplicateKey,
}

impl CardAuthority {
    /// Reads a self-signed CA certificate, in PEM or DER. Expired ones are read, too: whether an authority is valid is asked
    /// each time it is used.
    pub fn from_certificate(kind: CertificateKind, bytes: &[u8]) -> Result<Self, AuthorityFault> {
        let certificate = Certificate::from_pem(bytes).or_else(|_| Certificate::from_der(bytes)).map_err(|_| AuthorityFault::Malformed)?;
        let der = certificate.to_der().map_err(|_| AuthorityFault::Malformed)?;
        let tbs = certificate.tbs_certificate();
        let info = tbs.subject_public_key_info();
        let public_key = PublicKey::from_info(info).map_err(|_| AuthorityFault::PublicKey)?;
        let key_octets = key::key_octets(info).ok_or(AuthorityFault::PublicKey)?.to_vec();

        let constraints = tbs.get_extension::<BasicConstraints>().map_err(|_| AuthorityFault::Malformed)?;
        let usage = tbs.get_extension::<KeyUsage>().map_err(|_| AuthorityFault::Malformed)?;
        if !constraints.is_some_and(|(_, constraints)| constraints.ca) || usage.is_some_and(|(_, usage)| !usage.key_cert_sign()) {
            return Err(AuthorityFault::NotAuthority);
        }
        SignedParts::from_der(&der)
            .map_err(|_| AuthorityFault::Malformed)?
            .verify(&public_key)
            .map_err(|_| AuthorityFault::NotSelfSigned)?;
        let key_id = match tbs.get_extension::<SubjectKeyIdentifier>().map_err(|_| AuthorityFault::Malformed)? {
            Some((_, identifier)) => KeyIdentifier::new(identifier.0.as_bytes()),
            None => KeyIdentifier::new(sha1(&key_octets)),
        };
        Ok(Self {
            kind,
            name: tbs.subject().to_der().map_err(|_| AuthorityFault::Malformed)?,
            key_id: key_id.ok_or(AuthorityFault::Malformed)?,
            key_octets,
            public_key,
            not_before: time::from_time(&tbs.validity().not_before).ok_or(AuthorityFault::Malformed)?,
            not_after: time::from_time(&tbs.validity().not_after).ok_or(AuthorityFault::Malformed)?,
        })
    }

    /// Which kind of card certificate it issues.
    pub fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// Its name, a Name in DER: the same for every generation.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Its key's identifier.
    pub fn key_id(&self) -> &KeyIdentifier {
        &self.key_id
    }

    /// The octets of its subjectPublicKey BIT STRING, which OCSP's issuerKeyHash is a digest of (RFC 6960 section 4.1.1).
    pub fn key_octets(&self) -> &[u8] {
        &self.key_octets
    }

    /// Its public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Whether its own certificate is valid at `instant`.
    pub fn is_valid_at(&self, instant: DateTime<Utc>) -> bool {
        self.not_before <= instant && instant <= self.not_after
    }
}

/// All card CAs that are trusted.
#[derive(Debug, Clone, Default)]
pub struct CardAuthorities(Vec<CardAuthority>);

impl CardAuthorities {
    /// Takes the configured anchors; two with the same kind and key identifier are a mistake.
    pub fn new(authorities: Vec<CardAuthority>) -> Result<Self, AuthorityFault> {
        for (index, authority) in authorities.iter().enumerate() {
            if authorities[..index].iter().any(|earlier| earlier.kind == authority.kind && earlier.key_id == authority.key_id) {
                return Err(AuthorityFault::DuplicateKey);
            }
        }
        Ok(Self(authorities))
    }

    /// The authority whose key has this identifier and which issues this kind.
    pub fn find(&self, kind: CertificateKind, key_id: &KeyIdentifier) -> Option<&CardAuthority> {
        self.0.iter().find(|authority| authority.kind == kind && authority.key_id == *key_id)
    }

    /// All of them, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &CardAuthority> {
        self.0.iter()
    }
}
