//! The signed certificate.

use chrono::{DateTime, Utc};
use der::asn1::{AnyRef, BitStringRef};
use der::{Decode, Encode, Sequence};

use super::Recorded;
use crate::application::ApplicationId;
use crate::card::identity::CardIdentity;
use crate::digest::Sha256Digest;
use crate::issuer::CaKeyId;
use crate::kind::CertificateKind;
use crate::serial::SerialNumber;
use crate::signer::{self, Signer, SignerFault};

/// A certificate that was linted, recorded and signed, and whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCertificate {
    kind: CertificateKind,
    ca_key: CaKeyId,
    serial: SerialNumber,
    shard: u16,
    der: Vec<u8>,
    not_before: DateTime<Utc>,
    not_after: DateTime<Utc>,
    public_key_sha256: Sha256Digest,
    policy_sha256: Sha256Digest,
    application: Option<ApplicationId>,
    card: Option<CardIdentity>,
}

impl Recorded {
    /// Signs with the key of the issuer for which it was drawn up.
    pub fn sign(self) -> Result<SignedCertificate, SignerFault> {
        let Self { tbs, facts } = self;
        let issuer = &facts.issuer;
        let ca_key = issuer.ca_key();
        let der = assemble(&tbs, issuer.signature_algorithm_der(), issuer.signer().as_ref(), ca_key.subject_public_key())?;
        Ok(SignedCertificate {
            kind: ca_key.kind(),
            ca_key: ca_key.id(),
            serial: facts.serial,
            shard: facts.shard,
            der,
            not_before: facts.not_before,
            not_after: facts.not_after,
            public_key_sha256: facts.public_key_sha256,
            policy_sha256: facts.policy_sha256,
            application: facts.application,
            card: facts.card,
        })
    }
}

impl SignedCertificate {
    /// The issuer's kind.
    pub fn kind(&self) -> CertificateKind {
        self.kind
    }

    /// The key that signed it.
    pub fn ca_key(&self) -> CaKeyId {
        self.ca_key
    }

    /// Its serial number.
    pub fn serial(&self) -> &SerialNumber {
        &self.serial
    }

    /// The shard whose CRL it names, for ever; 0 for a responder's certificate, which names none.
    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// The certificate in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// When it begins, to the second.
    pub fn not_before(&self) -> DateTime<Utc> {
        self.not_before
    }

    /// When it ends, to the second.
    pub fn not_after(&self) -> DateTime<Utc> {
        self.not_after
    }

    /// The SHA-256 of its SubjectPublicKeyInfo in DER: a key is certified once.
    pub fn public_key_sha256(&self) -> Sha256Digest {
        self.public_key_sha256
    }

    /// The SHA-256 of the profile by which it was issued.
    pub fn policy_sha256(&self) -> Sha256Digest {
        self.policy_sha256
    }

    /// The application it was issued on; none for a responder's certificate and for one for tests.
    pub fn application(&self) -> Option<ApplicationId> {
        self.application
    }

    /// The card certificate it is linked to; none for a responder's certificate and for one for tests.
    pub fn card(&self) -> Option<&CardIdentity> {
        self.card.as_ref()
    }
}

/// Certificate (RFC 5280 section 4.1).
///
/// ```text
/// Certificate  ::=  SEQUENCE  {
///      tbsCertificate       TBSCertificate,
///      signatureAlgorithm   AlgorithmIdentifier,
///      signatureValue       BIT STRING  }
/// ```
#[derive(Sequence)]
struct Certificate<'a> {
    tbs_certificate: AnyRef<'a>,
    signature_algorithm: AnyRef<'a>,
    signature_value: BitStringRef<'a>,
}

/// Signs `tbs` and puts the certificate together; `algorithm` is in DER, `public_key` the content of the signer's BIT STRING
/// subjectPublicKey, under which the signature is verified before it is let out.
pub(crate) fn assemble(tbs: &[u8], algorithm: &[u8], signer: &dyn Signer, public_key: &[u8]) -> Result<Vec<u8>, SignerFault> {
    let signature = signer.sign(tbs)?;
    if !signer::verify(signer.key_type(), public_key, tbs, &signature) {
        return Err(SignerFault::WrongSignature);
    }
    let encode = || {
        let certificate = Certificate {
            tbs_certificate: AnyRef::from_der(tbs)?,
            signature_algorithm: AnyRef::from_der(algorithm)?,
            signature_value: BitStringRef::from_bytes(&signature)?,
        };
        certificate.to_der()
    };
    encode().map_err(SignerFault::Encoding)
}
