//! Digests of messages too long to be held: what a key signs instead of the message.

use policies::KeyType;
use ring::digest;

/// A hash algorithm that signatures are made with (FIPS 180-4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
}

/// A message's digest, and by which algorithm. It comes from a message only: nobody hands in octets that are said to be one.
#[derive(Debug, Clone, Copy)]
pub struct MessageDigest {
    algorithm: DigestAlgorithm,
    value: digest::Digest,
}

/// A digest being made of a message that comes piece by piece.
#[derive(Clone)]
pub struct StreamingDigest {
    algorithm: DigestAlgorithm,
    context: digest::Context,
}

impl DigestAlgorithm {
    fn of_ring(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
        }
    }

    /// What stands before a digest in DigestInfo (RFC 8017 section 9.2, note 1): what RSA PKCS #1 v1.5 signs is this and the digest.
    pub(super) fn digest_info_prefix(self) -> &'static [u8] {
        match self {
            Self::Sha256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
            Self::Sha384 => b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
        }
    }
}

impl MessageDigest {
    /// The digest of a whole message.
    pub fn of(algorithm: DigestAlgorithm, message: &[u8]) -> Self {
        Self { algorithm, value: digest::digest(algorithm.of_ring(), message) }
    }

    /// By which algorithm.
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// The digest: 32 octets of SHA-256, 48 of SHA-384.
    pub fn as_bytes(&self) -> &[u8] {
        self.value.as_ref()
    }
}

impl StreamingDigest {
    /// Begins with the empty message.
    pub fn new(algorithm: DigestAlgorithm) -> Self {
        Self { algorithm, context: digest::Context::new(algorithm.of_ring()) }
    }

    /// Goes on with the message's next octets.
    pub fn update(&mut self, octets: &[u8]) {
        self.context.update(octets);
    }

    /// The message has come to its end.
    pub fn finish(self) -> MessageDigest {
        MessageDigest { algorithm: self.algorithm, value: self.context.finish() }
    }
}

/// The hash algorithm within [`signature_algorithm`](super::signature_algorithm) of that type of key.
pub fn digest_algorithm(key_type: KeyType) -> DigestAlgorithm {
    match key_type {
        KeyType::EcdsaP384 => DigestAlgorithm::Sha384,
        KeyType::EcdsaP256 | KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => DigestAlgorithm::Sha256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_give_the_digest_of_the_whole() {
        for (algorithm, expected) in [
            (DigestAlgorithm::Sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (DigestAlgorithm::Sha384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"),
        ] {
            let mut streaming = StreamingDigest::new(algorithm);
            for piece in ["", "a", "bc"] {
                streaming.update(piece.as_bytes());
            }
            // FIPS 180-2, appendices B.1 and D.1.
            assert_eq!(hex::encode(streaming.finish().as_bytes()), expected);
            assert_eq!(hex::encode(MessageDigest::of(algorithm, b"abc").as_bytes()), expected);
        }
    }
}
