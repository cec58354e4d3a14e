//! SHA-256 and SHA-1 digests as values.

use std::fmt;

use ring::digest;

/// A SHA-256 digest: 32 octets, shown in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Digest(pub [u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut octets = [0; 32];
        octets.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(octets)
    }

    /// Takes octets that are said to be a digest; `None` unless there are 32.
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(digits: &str) -> Option<Self> {
        Self::from_slice(&hex::decode(digits).ok()?)
    }

    /// The 32 octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Digest({self})")
    }
}

/// The SHA-1 digest of `bytes`, for key identifiers (RFC 5280 section 4.2.1.2, method 1) and OCSP CertIDs only.
pub fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut octets = [0; 20];
    octets.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref());
    octets
}
