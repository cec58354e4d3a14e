//! What stands in the log for an event: a commitment to its content, which shows nothing of it.

use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom, SystemRandom};

use crate::hash::{Hash, leaf_hash};

/// 32 random octets that belong to one leaf alone. Whoever has them and the content can prove what the leaf says; once they are
/// destroyed nobody can, nor find out by trying.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; 32]);

/// SHA-256(salt ‖ content): the log's entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Commitment(pub [u8; 32]);

/// The system gave no random octets.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random octets")]
pub struct NoRandomness;

impl Salt {
    /// Draws so many salts.
    pub fn draw(count: usize) -> Result<Vec<Self>, NoRandomness> {
        let mut octets = vec![0; count * 32];
        SystemRandom::new().fill(&mut octets).map_err(|_| NoRandomness)?;
        Ok(octets.as_chunks::<32>().0.iter().map(|salt| Self(*salt)).collect())
    }

    /// Takes octets that are said to be a salt; `None` unless there are 32.
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }
}

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt")
    }
}

impl Commitment {
    /// The commitment to a content, the canonical text of it ([`crate::Content`]).
    pub fn of(salt: &Salt, content: &str) -> Self {
        let mut context = Context::new(&SHA256);
        context.update(&salt.0);
        context.update(content.as_bytes());
        let mut octets = [0; 32];
        octets.copy_from_slice(context.finish().as_ref());
        Self(octets)
    }

    /// Takes octets that are said to be a commitment; `None` unless there are 32.
    pub fn from_slice(octets: &[u8]) -> Option<Self> {
        octets.try_into().ok().map(Self)
    }

    /// The leaf's hash in the tree.
    pub fn leaf_hash(&self) -> Hash {
        leaf_hash(self)
    }
}

impl std::fmt::Debug for Commitment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commitment_is_the_hash_of_salt_and_content() {
        let salt = Salt([9; 32]);
        let expected = crate::hash::sha256(&[&[9; 32], b"{}".as_slice()].concat());
        assert_eq!(Commitment::of(&salt, "{}").0, expected);
        assert_ne!(Commitment::of(&Salt([8; 32]), "{}").0, expected);
    }

    #[test]
    fn salts_are_drawn_each_for_itself() {
        let salts = Salt::draw(3).unwrap();
        assert_eq!(salts.len(), 3);
        assert!(salts[0] != salts[1] && salts[1] != salts[2] && salts[0] != salts[2]);
    }
}
