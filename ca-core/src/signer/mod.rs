//! Signing keys of CAs and responders.

mod algorithm;
mod digest;
mod file;
#[cfg(feature = "pkcs11")]
pub mod pkcs11;
mod public_key;

pub use algorithm::{signature_algorithm, verify, verify_digest};
pub use digest::{DigestAlgorithm, MessageDigest, StreamingDigest, digest_algorithm};
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

    /// Whether [`Self::sign_digest`] works: a message may then be longer than memory. An RSA key in a file does not take digests.
    fn takes_digests(&self) -> bool {
        false
    }

    /// Signs a message of which only the digest is at hand, made with [`digest_algorithm`] of the key's type; the signature is of
    /// the same form as that of [`Self::sign`] over the message, and has been verified under the key.
    fn sign_digest(&self, digest: &MessageDigest) -> Result<Vec<u8>, SignerFault> {
        let _ = digest;
        Err(SignerFault::WholeMessagesOnly)
    }
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
    /// What holds the key cannot be reached, or does not let it sign.
    #[error("the key cannot be used")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It was asked to sign a digest and takes none.
    #[error("the key signs whole messages only")]
    WholeMessagesOnly,
    /// It was asked to sign a digest of another algorithm than the key signs with.
    #[error("the digest is not by the algorithm that the key signs with")]
    WrongDigest,
    /// The signature does not verify under the key's own public key: a faulty computation, never let out.
    #[error("a signature just made does not verify under the signer's public key")]
    WrongSignature,
    /// The structure around the signature could not be encoded.
    #[error("a signed structure could not be encoded")]
    Encoding(#[source] der::Error),
}
