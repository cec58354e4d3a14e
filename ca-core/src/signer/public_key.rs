//! SubjectPublicKeyInfo of the types of keys that we sign with.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION, SECP_256_R_1, SECP_384_R_1};
use der::Encode;
use der::asn1::{Any, BitString};
use policies::KeyType;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// SubjectPublicKeyInfo in DER (RFC 5480 section 2, RFC 3279 section 2.3.1) of a key of that type; `octets` are the content of its
/// BIT STRING: an uncompressed point, or an RSAPublicKey in DER.
pub(super) fn public_key_info(key_type: KeyType, octets: &[u8]) -> Option<Vec<u8>> {
    let (oid, parameters) = match curve(key_type) {
        Some(curve) => (ID_EC_PUBLIC_KEY, Any::encode_from(&curve).ok()?),
        None => (RSA_ENCRYPTION, Any::null()),
    };
    let algorithm = AlgorithmIdentifierOwned { oid, parameters: Some(parameters) };
    let info = SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(octets).ok()? };
    info.to_der().ok()
}

/// The named curve of an ECDSA key.
pub(super) fn curve(key_type: KeyType) -> Option<ObjectIdentifier> {
    match key_type {
        KeyType::EcdsaP256 => Some(SECP_256_R_1),
        KeyType::EcdsaP384 => Some(SECP_384_R_1),
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => None,
    }
}

/// The type of RSA key with a modulus that long.
pub(super) fn rsa_key_type(modulus_octets: usize) -> Option<KeyType> {
    match modulus_octets {
        256 => Some(KeyType::Rsa2048),
        384 => Some(KeyType::Rsa3072),
        512 => Some(KeyType::Rsa4096),
        _ => None,
    }
}
