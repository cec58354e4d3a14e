//! Signature algorithms, by type of key.

use const_oid::db::rfc5912::{ECDSA_WITH_SHA_256, ECDSA_WITH_SHA_384, SHA_256_WITH_RSA_ENCRYPTION};
use der::asn1::Any;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use ring::signature;
use spki::AlgorithmIdentifierOwned;

use super::{KeyType, MessageDigest, digest_algorithm};

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

/// The same as [`verify`], over the message's digest: for messages that are not held. A digest by another algorithm than the
/// key type's never verifies.
pub fn verify_digest(key_type: KeyType, public_key: &[u8], digest: &MessageDigest, signature: &[u8]) -> bool {
    if digest.algorithm() != digest_algorithm(key_type) {
        return false;
    }
    match key_type {
        KeyType::EcdsaP256 => {
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(public_key);
            let signature = p256::ecdsa::Signature::from_der(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(digest.as_bytes(), &signature).is_ok())
        }
        KeyType::EcdsaP384 => {
            let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(public_key);
            let signature = p384::ecdsa::Signature::from_der(signature);
            matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(digest.as_bytes(), &signature).is_ok())
        }
        KeyType::Rsa2048 => verify_rsa(256, public_key, digest, signature),
        KeyType::Rsa3072 => verify_rsa(384, public_key, digest, signature),
        KeyType::Rsa4096 => verify_rsa(512, public_key, digest, signature),
    }
}

/// ring verifies whole messages only. What the `rsa` crate does here is a public-key operation: nothing in it is secret
/// (RUSTSEC-2023-0071 is about private-key operations).
fn verify_rsa(modulus_octets: usize, public_key: &[u8], digest: &MessageDigest, signature: &[u8]) -> bool {
    use rsa::pkcs1::DecodeRsaPublicKey as _;
    use rsa::traits::PublicKeyParts as _;

    let Ok(key) = rsa::RsaPublicKey::from_pkcs1_der(public_key) else { return false };
    let padding = rsa::Pkcs1v15Sign { hash_len: Some(digest.as_bytes().len()), prefix: digest.algorithm().digest_info_prefix().into() };
    key.size() == modulus_octets && key.verify(padding, digest.as_bytes(), signature).is_ok()
}
