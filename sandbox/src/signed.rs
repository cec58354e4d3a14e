//! What certificates, CRLs and OCSP answers have in common: something signed, an algorithm, a signature.

use der::asn1::{BitString, ObjectIdentifier};
use der::{Decode, Encode, Reader as _, SliceReader};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::oids;

/// `SEQUENCE { toBeSigned, AlgorithmIdentifier, BIT STRING, … }` with the exact octets that were signed.
#[derive(Debug, Clone)]
pub struct Signed<'a> {
    /// The signed octets, tag and length included.
    pub tbs: &'a [u8],
    /// The signature algorithm.
    pub algorithm: AlgorithmIdentifierOwned,
    /// The signature.
    pub signature: Vec<u8>,
}

/// The signature is not by that key, or by an algorithm nobody uses here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// Not DER of the form.
    #[error("not a signed DER structure: {0}")]
    Structure(String),
    /// Neither sha256WithRSA nor ECDSA with P-256 or P-384.
    #[error("signature algorithm {0} is not known here")]
    Algorithm(ObjectIdentifier),
    /// It does not verify.
    #[error("the signature is not by this key")]
    Wrong,
}

/// Takes a signed structure apart; what follows the signature is left alone.
pub fn split(der: &[u8]) -> Result<Signed<'_>, SignatureFault> {
    let structure = |error: der::Error| SignatureFault::Structure(error.to_string());
    let mut reader = SliceReader::new(der).map_err(structure)?;
    reader
        .sequence(|inner| {
            let tbs = inner.tlv_bytes()?;
            let algorithm = AlgorithmIdentifierOwned::decode(inner)?;
            let signature = BitString::decode(inner)?.as_bytes().unwrap_or_default().to_vec();
            inner.drain(inner.remaining_len())?;
            Ok(Signed { tbs, algorithm, signature })
        })
        .map_err(structure)
}

/// Verifies a signed structure with a key given as SubjectPublicKeyInfo.
pub fn verify(signed: &Signed<'_>, key: &SubjectPublicKeyInfoOwned) -> Result<(), SignatureFault> {
    let algorithm: &dyn VerificationAlgorithm = match (key.algorithm.oid, signed.algorithm.oid) {
        (oids::RSA_ENCRYPTION, oids::SHA256_WITH_RSA) => &RSA_PKCS1_2048_8192_SHA256,
        (oids::EC_PUBLIC_KEY, oids::ECDSA_WITH_SHA256) if has_curve(key, &oids::P256) => &ECDSA_P256_SHA256_ASN1,
        (oids::EC_PUBLIC_KEY, oids::ECDSA_WITH_SHA384) if has_curve(key, &oids::P384) => &ECDSA_P384_SHA384_ASN1,
        (_, other) => return Err(SignatureFault::Algorithm(other)),
    };
    UnparsedPublicKey::new(algorithm, key.subject_public_key.raw_bytes())
        .verify(signed.tbs, &signed.signature)
        .map_err(|_| SignatureFault::Wrong)
}

fn has_curve(key: &SubjectPublicKeyInfoOwned, curve: &ObjectIdentifier) -> bool {
    let encoded = key.algorithm.parameters.as_ref().and_then(|parameters| parameters.to_der().ok());
    encoded.is_some_and(|parameters| parameters == crate::asn1::oid(curve))
}
