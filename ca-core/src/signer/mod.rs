//! Signing keys of CAs and responders.

mod algorithm;
mod file;

pub use algorithm::{signature_algorithm, verify};
pub use file::{FileSigner, KeyFileFault};
pub use policies::KeyType;

/// A key that signs; where it lies is its own business.
pub trait Signer: Send + Sync {
    /// The kind of key.
    fn key_type(&self) -> KeyType;

    /// The public key: SubjectPublicKeyInfo in DER.
    fn public_key_info(&self) -> &[u8];

    /// Signs the whole `message` with [`signature_algorithm`] of the key's type. ECDSA signatures are in DER
    /// (ECDSA-Sig-Value, RFC 3279 section 2.2.3), RSA signatures are PKCS #1 v1.5.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerFault>;
}

/// A key does not sign: our side's fault.
#[derive(Debug, thiserror::Error)]
pub enum SignerFault {
    /// A key could not be made.
    #[error("a key of type {0} could not be generated")]
    Generation(KeyType),
    /// The key, or what holds it, refused to sign.
    #[error("the key refused to sign")]
    Refused,
    /// The signature does not verify under the key's own public key: a faulty computation, never let out.
    #[error("a signature just made does not verify under the signer's public key")]
    WrongSignature,
    /// The structure around the signature could not be encoded.
    #[error("a signed structure could not be encoded")]
    Encoding(#[source] der::Error),
}
