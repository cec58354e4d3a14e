//! The hashes of the tree (RFC 6962 section 2.1): SHA-256, with leaves and nodes told apart by their first octet.

use ring::digest;

use crate::commitment::Commitment;

/// A SHA-256 hash: of a leaf, of a node or of a whole tree.
pub type Hash = [u8; 32];

/// Octets of a hash.
pub const HASH_OCTETS: usize = 32;

/// The hash of the empty tree: of no octets at all.
pub const EMPTY_ROOT: Hash = tlog_tiles::EMPTY_HASH.0;

/// Larger trees are refused: positions of leaves are kept in signed 64 bits.
pub const MAX_SIZE: u64 = 1 << 62;

/// The hash of a leaf: SHA-256(0x00 ‖ commitment).
pub fn leaf_hash(commitment: &Commitment) -> Hash {
    let mut octets = [0; 1 + HASH_OCTETS];
    octets[1..].copy_from_slice(&commitment.0);
    sha256(&octets)
}

/// The hash of a node over its two children: SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut octets = [1; 1 + 2 * HASH_OCTETS];
    octets[1..=HASH_OCTETS].copy_from_slice(left);
    octets[1 + HASH_OCTETS..].copy_from_slice(right);
    sha256(&octets)
}

/// SHA-256 of these octets.
pub fn sha256(octets: &[u8]) -> Hash {
    let mut hash = [0; HASH_OCTETS];
    hash.copy_from_slice(digest::digest(&digest::SHA256, octets).as_ref());
    hash
}

/// The root over hashes of one level, however many there are; of none it is [`EMPTY_ROOT`].
pub(crate) fn root_over(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => EMPTY_ROOT,
        [hash] => *hash,
        _ => {
            let half = hashes.len().next_power_of_two() / 2;
            node_hash(&root_over(&hashes[..half]), &root_over(&hashes[half..]))
        }
    }
}

/// Hashes that stand one after the other; `None` if there is a part of one.
pub(crate) fn split_hashes(octets: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = octets.as_chunks::<HASH_OCTETS>();
    rest.is_empty().then(|| hashes.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_and_nodes_hash_as_rfc_6962_says() {
        let commitment = Commitment([7; 32]);
        assert_eq!(leaf_hash(&commitment), tlog_tiles::record_hash(&[7; 32]).0);
        let expected = tlog_tiles::node_hash(tlog_tiles::Hash([1; 32]), tlog_tiles::Hash([2; 32]));
        assert_eq!(node_hash(&[1; 32], &[2; 32]), expected.0);
        assert_eq!(sha256(b""), EMPTY_ROOT);
    }

    #[test]
    fn a_root_splits_at_the_largest_power_of_two_below_the_number_of_hashes() {
        let [a, b, c] = [[1; 32], [2; 32], [3; 32]];
        assert_eq!(root_over(&[a, b, c]), node_hash(&node_hash(&a, &b), &c));
        assert_eq!(root_over(&[a, b]), node_hash(&a, &b));
        assert_eq!(root_over(&[a]), a);
    }
}
