//! Signature algorithms, by type of key.

use const_oid::db::rfc5912::{ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, SHA_256_WITH_RSA_ENCRYPTION};
use der::asn1::Any;
use ring::signature;
use spki::AlgorithmIdentifierOwned;

use super::KeyType;

/// The algorithm that a key of that type signs with: P-256 with SHA-256 and P-384 with SHA-384 (parameters absent, RFC 5758
/// section 3.2), RSA PKCS #1 v1.5 with SHA-256 (parameters NULL, RFC 4055 section 5).
pub fn signature_algorithm(key_type: KeyType) -> AlgorithmIdentifierOwned {
    let (oid, parameters) = match key_type {
        KeyType::EcdsaP256 => (ECDSA_WITH_SHA_256, None),
        KeyType::EcdsaP384 => (ECDSA_WITH_SHA_384, None),
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => (SHA_256_WITH_RSA_ENCRYPTION, Some(Any::null())),
    };
    AlgorithmIdentifierOwned { oid, parameters }
}

/// Whether `signature` over `message` was made by the key of that type with [`signature_algorithm`]; `public_key` is the
/// content of the BIT STRING subjectPublicKey.
pub fn verify(key_type: KeyType, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let algorithm: &dyn signature::VerificationAlgorithm = match key_type {
        KeyType::EcdsaP256 => &signature::ECDSA_P256_SHA256_ASN1,
        KeyType::EcdsaP384 => &signature::ECDSA_P384_SHA384_ASN1,
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => &signature::RSA_PKCS1_2048_8192_SHA256,
    };
    signature::UnparsedPublicKey::new(algorithm, public_key).verify(message, signature).is_ok()
}
