//! Public keys and the checking of signatures.

pub mod roca;
pub mod strength;

use const_oid::ObjectIdentifier;
use der::asn1::{AnyRef, UintRef};
use der::{Decode, Encode, Sequence};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// Object identifiers of keys and signatures.
pub mod oid {
    use const_oid::ObjectIdentifier;

    /// RFC 8017: rsaEncryption.
    pub const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    /// RFC 8017: sha256WithRSAEncryption.
    pub const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
    /// RFC 8017: sha384WithRSAEncryption.
    pub const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
    /// RFC 8017: sha512WithRSAEncryption.
    pub const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
    /// RFC 5480: id-ecPublicKey.
    pub const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
    /// RFC 5480: secp256r1, P-256.
    pub const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
    /// RFC 5480: secp384r1, P-384.
    pub const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
    /// RFC 5758: ecdsa-with-SHA256.
    pub const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
    /// RFC 5758: ecdsa-with-SHA384.
    pub const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
    /// RFC 5754: SHA-256.
    pub const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
    /// RFC 5754: SHA-384.
    pub const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
}

/// A public key of a sort that Tsunagi can check signatures with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: PublicKeyKind,
    /// What ring takes: an RSAPublicKey in DER, or an uncompressed point.
    octets: Vec<u8>,
}

/// The sorts of public key, with what distinguishes one from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKeyKind {
    /// RSA: big-endian magnitudes without leading zeros.
    Rsa {
        /// n
        modulus: Vec<u8>,
        /// e
        exponent: Vec<u8>,
    },
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
}

/// Why a public key could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Not a SubjectPublicKeyInfo in DER.
    #[error("the public key is not a SubjectPublicKeyInfo in DER")]
    Malformed,
    /// Neither RSA nor P-256 nor P-384, or in a form other than RFC 3279 and RFC 5480 require.
    #[error("the public key is neither RSA nor on P-256 or P-384")]
    Unsupported,
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The algorithm is not one we accept (SHA-1 and MD5 among others), or does not fit the key.
    #[error("the signature algorithm is not accepted or does not fit the key")]
    Algorithm,
    /// The signature is not this key's over these octets.
    #[error("the signature is wrong")]
    Wrong,
}

/// ```text
/// RSAPublicKey ::= SEQUENCE {
///     modulus           INTEGER,  -- n
///     publicExponent    INTEGER   -- e }
/// ```
#[derive(Sequence)]
struct RsaPublicKey<'a> {
    modulus: UintRef<'a>,
    public_exponent: UintRef<'a>,
}

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in DER.
    pub fn from_der(der: &[u8]) -> Result<Self, PublicKeyError> {
        let info = SubjectPublicKeyInfoOwned::from_der(der).map_err(|_| PublicKeyError::Malformed)?;
        Self::from_info(&info)
    }

    /// Reads a decoded SubjectPublicKeyInfo.
    pub fn from_info(info: &SubjectPublicKeyInfoOwned) -> Result<Self, PublicKeyError> {
        let octets = info.subject_public_key.as_bytes().ok_or(PublicKeyError::Malformed)?.to_vec();
        let parameters = info.algorithm.parameters.as_ref().map(der::Any::to_ref);
        let kind = match info.algorithm.oid {
            oid::RSA_ENCRYPTION => {
                // RFC 3279 section 2.3.1: the parameters are NULL.
                if parameters != Some(AnyRef::NULL) {
                    return Err(PublicKeyError::Unsupported);
                }
                let key = RsaPublicKey::from_der(&octets).map_err(|_| PublicKeyError::Malformed)?;
                PublicKeyKind::Rsa { modulus: key.modulus.as_bytes().to_vec(), exponent: key.public_exponent.as_bytes().to_vec() }
            }
            oid::EC_PUBLIC_KEY => {
                let curve = parameters.ok_or(PublicKeyError::Unsupported)?.decode_as::<ObjectIdentifier>();
                let (kind, point_octets) = match curve {
                    Ok(oid::P256) => (PublicKeyKind::P256, 65),
                    Ok(oid::P384) => (PublicKeyKind::P384, 97),
                    _ => return Err(PublicKeyError::Unsupported),
                };
                // Uncompressed points only: ring reads no others, and neither do most secure elements.
                if octets.len() != point_octets || octets.first() != Some(&4) {
                    return Err(PublicKeyError::Unsupported);
                }
                kind
            }
            _ => return Err(PublicKeyError::Unsupported),
        };
        Ok(Self { kind, octets })
    }

    /// The content of the BIT STRING subjectPublicKey: an RSAPublicKey in DER, or an uncompressed point.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Which sort of key it is.
    pub fn kind(&self) -> &PublicKeyKind {
        &self.kind
    }

    /// Checks a signature of JWS's ES256 (RFC 7518 section 3.4): P-256 with SHA-256, r and s of 32 octets each.
    pub(crate) fn verify_es256(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        if self.kind != PublicKeyKind::P256 {
            return Err(SignatureError::Algorithm);
        }
        let key = UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, &self.octets);
        key.verify(message, signature).map_err(|_| SignatureError::Wrong)
    }

    /// Checks `signature` over `message`.
    ///
    /// RSA is PKCS#1 v1.5 with SHA-256, SHA-384 or SHA-512, keys of 2,048 to 8,192 bits; ECDSA is with SHA-256 or SHA-384. A
    /// bare `rsaEncryption`, as CMS allows it (RFC 3370 section 3.2), counts as SHA-256.
    pub fn verify(&self, algorithm: &AlgorithmIdentifierOwned, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let parameters = algorithm.parameters.as_ref().map(der::Any::to_ref);
        let no_parameters = parameters.is_none();
        let null_or_none = no_parameters || parameters == Some(AnyRef::NULL);
        let verification: &'static dyn VerificationAlgorithm = match (&self.kind, algorithm.oid) {
            (PublicKeyKind::Rsa { .. }, oid::RSA_SHA256 | oid::RSA_ENCRYPTION) if null_or_none => &signature::RSA_PKCS1_2048_8192_SHA256,
            (PublicKeyKind::Rsa { .. }, oid::RSA_SHA384) if null_or_none => &signature::RSA_PKCS1_2048_8192_SHA384,
            (PublicKeyKind::Rsa { .. }, oid::RSA_SHA512) if null_or_none => &signature::RSA_PKCS1_2048_8192_SHA512,
            (PublicKeyKind::P256, oid::ECDSA_SHA256) if no_parameters => &signature::ECDSA_P256_SHA256_ASN1,
            (PublicKeyKind::P256, oid::ECDSA_SHA384) if no_parameters => &signature::ECDSA_P256_SHA384_ASN1,
            (PublicKeyKind::P384, oid::ECDSA_SHA256) if no_parameters => &signature::ECDSA_P384_SHA256_ASN1,
            (PublicKeyKind::P384, oid::ECDSA_SHA384) if no_parameters => &signature::ECDSA_P384_SHA384_ASN1,
            _ => return Err(SignatureError::Algorithm),
        };
        UnparsedPublicKey::new(verification, &self.octets).verify(message, signature).map_err(|_| SignatureError::Wrong)
    }
}

/// The subjectPublicKey BIT STRING's octets of a SubjectPublicKeyInfo: what key identifiers and CertIDs are digests of.
pub fn key_octets(info: &SubjectPublicKeyInfoOwned) -> Option<&[u8]> {
    info.subject_public_key.as_bytes()
}

/// The SubjectPublicKeyInfo, in DER, of a certificate in DER; `None` if that is none.
pub fn public_key_info(certificate: &[u8]) -> Option<Vec<u8>> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    certificate.tbs_certificate().subject_public_key_info().to_der().ok()
}

/// A SubjectPublicKeyInfo in DER.
pub(crate) fn info_to_der(info: &SubjectPublicKeyInfoOwned) -> Result<Vec<u8>, PublicKeyError> {
    info.to_der().map_err(|_| PublicKeyError::Malformed)
}
