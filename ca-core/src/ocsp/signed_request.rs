//! Who asks: the signature of a request.

use chrono::{DateTime, Utc};
use der::{Decode, Encode};
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;

use super::OcspRequest;
use crate::instruction::InstructionRefusal;
use crate::instruction::operator::{OperatorAuthorities, OperatorIdentity};
use crate::key::{PublicKey, SignatureError, oid};
use crate::refusal::Refusal;

/// The proof that a request was signed with the key of a certificate that came along, by whom the request names (RFC 6960 section
/// 4.1.2). Who vouches for that certificate is another question: [`SignedOcspRequest::asker`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOcspRequest {
    certificate: Vec<u8>,
}

/// Why it is not known who asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestSignatureRefusal {
    /// Nobody signed it.
    #[error("the request is not signed")]
    Unsigned,
    /// No certificate, or more than [`SignedOcspRequest::MAX_CERTIFICATES`].
    #[error("a signed request brings 1 to {} certificates, the signer's first", SignedOcspRequest::MAX_CERTIFICATES)]
    Certificates,
    /// The first certificate cannot be read, or has a key with which we check no signatures.
    #[error("the signer's certificate is not in DER or has a key that is not supported")]
    CertificateMalformed,
    /// `requestorName` is absent or another name than the signer's.
    #[error("a signed request says in requestorName, as a directoryName, the subject of its signer's certificate")]
    RequestorName,
    /// The signature itself.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// No operator's certificate that counts.
    #[error(transparent)]
    Asker(#[from] InstructionRefusal),
}

impl Refusal for RequestSignatureRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Certificates => "signer_certificates",
            Self::CertificateMalformed => "signer_malformed",
            Self::RequestorName => "requestor_name",
            Self::Signature(_) => "wrong_signature",
            Self::Asker(refusal) => refusal.code(),
        }
    }
}

impl SignedOcspRequest {
    /// The most certificates that a signed request brings.
    pub const MAX_CERTIFICATES: usize = 4;

    /// The signer's certificate in DER.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Whom the operators' CA knows the signer as, at `now`. What the role may is for the caller to ask.
    ///
    /// # Errors
    /// [`RequestSignatureRefusal::Asker`]
    pub fn asker(&self, authorities: &OperatorAuthorities, now: DateTime<Utc>) -> Result<OperatorIdentity, RequestSignatureRefusal> {
        Ok(authorities.identify(&self.certificate, now)?)
    }
}

impl OcspRequest {
    /// Checks the signature of the request: by the first certificate that came along, over the octets as they came, with ECDSA on P-256
    /// or P-384 and SHA-256 or SHA-384, or with RSA PKCS#1 v1.5 of 2,048 to 8,192 bits and SHA-256, SHA-384 or SHA-512; and that
    /// requestorName is the subject of that certificate, octet for octet.
    ///
    /// # Errors
    /// See [`RequestSignatureRefusal`].
    pub fn verify_signature(&self) -> Result<SignedOcspRequest, RequestSignatureRefusal> {
        use RequestSignatureRefusal as Refused;

        let signature = self.optional_signature().ok_or(Refused::Unsigned)?;
        let certificates = signature.certs.as_deref().unwrap_or_default();
        if certificates.len() > SignedOcspRequest::MAX_CERTIFICATES {
            return Err(Refused::Certificates);
        }
        let first = certificates.first().ok_or(Refused::Certificates)?;
        let der = first.to_der().map_err(|_| Refused::CertificateMalformed)?;
        let certificate = Certificate::from_der(&der).map_err(|_| Refused::CertificateMalformed)?;
        let tbs = certificate.tbs_certificate();
        let name = self.tbs_request().requestor_name.as_ref();
        let (Some(GeneralName::DirectoryName(name)), Ok(subject)) = (name, tbs.subject().to_der()) else {
            return Err(Refused::RequestorName);
        };
        if name.to_der().ok().as_deref() != Some(subject.as_slice()) {
            return Err(Refused::RequestorName);
        }
        let key = PublicKey::from_info(tbs.subject_public_key_info()).map_err(|_| Refused::CertificateMalformed)?;
        // CMS lets this name stand for SHA-256; a signature of OCSP says which hash it is made with.
        if signature.signature_algorithm.oid == oid::RSA_ENCRYPTION {
            return Err(SignatureError::Algorithm.into());
        }
        let octets = signature.signature.as_bytes().ok_or(SignatureError::Wrong)?;
        key.verify(&signature.signature_algorithm, self.tbs_request_der(), octets)?;
        Ok(SignedOcspRequest { certificate: der })
    }
}

#[cfg(test)]
mod tests;
