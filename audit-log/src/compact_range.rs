//! A run of leaves as the few hashes that stand for it: those of the largest aligned subtrees that cover it, left to right.

use crate::hash::{EMPTY_ROOT, Hash, MAX_SIZE, node_hash};

/// A complete subtree of 2^level leaves, `number * 2^level` the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subtree {
    /// Height above the leaves.
    pub level: u8,
    /// Which of its level, from 0.
    pub number: u64,
}

/// The leaves from `from` to before `to`, and the hashes of the subtrees that cover them. Of a range that begins at 0 the root of
/// the tree of that size follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactRange {
    from: u64,
    to: u64,
    nodes: Vec<Hash>,
}

/// Ranges or the hashes given for them do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeMismatch {
    /// A range ends before it begins, or beyond every tree.
    #[error("no range of leaves goes from {from} to {to}")]
    Bounds {
        /// The first leaf.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// Another number of hashes than subtrees.
    #[error("{found} hashes are given for {expected} subtrees")]
    Nodes {
        /// Subtrees.
        expected: usize,
        /// Hashes.
        found: usize,
    },
    /// One does not begin where the one before ended.
    #[error("a range begins at {found} where {expected} is expected")]
    Gap {
        /// Where it should begin.
        expected: u64,
        /// Where it does.
        found: u64,
    },
}

/// The largest aligned subtrees that cover the leaves from `from` to before `to`, left to right; none for an empty range.
pub fn aligned_subtrees(from: u64, to: u64) -> impl Iterator<Item = Subtree> {
    let mut begin = from;
    std::iter::from_fn(move || {
        if begin >= to {
            return None;
        }
        let fits = (to - begin).ilog2();
        let aligned = if begin == 0 { fits } else { begin.trailing_zeros().min(fits) };
        let subtree = Subtree { level: u8::try_from(aligned).unwrap_or(u8::MAX), number: begin >> aligned };
        begin += 1 << aligned;
        Some(subtree)
    })
}

impl CompactRange {
    /// A range without leaves, which begins at `from`.
    pub fn empty(from: u64) -> Self {
        Self { from, to: from, nodes: Vec::new() }
    }

    /// A range and the hashes of its subtrees, as [`aligned_subtrees`] has them.
    pub fn new(from: u64, to: u64, nodes: Vec<Hash>) -> Result<Self, RangeMismatch> {
        if from > to || to > MAX_SIZE {
            return Err(RangeMismatch::Bounds { from, to });
        }
        let expected = aligned_subtrees(from, to).count();
        if nodes.len() != expected {
            return Err(RangeMismatch::Nodes { expected, found: nodes.len() });
        }
        Ok(Self { from, to, nodes })
    }

    /// The first leaf.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// The one after the last.
    pub fn to(&self) -> u64 {
        self.to
    }

    /// The hashes of the subtrees, left to right.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }

    /// Appends a leaf by its hash.
    pub fn push(&mut self, leaf: Hash) {
        self.push_subtree(0, leaf);
    }

    /// Appends a whole range, which must begin where this one ends.
    pub fn append(&mut self, next: &Self) -> Result<(), RangeMismatch> {
        if next.from != self.to {
            return Err(RangeMismatch::Gap { expected: self.to, found: next.from });
        }
        for (subtree, node) in aligned_subtrees(next.from, next.to).zip(&next.nodes) {
            self.push_subtree(subtree.level, *node);
        }
        Ok(())
    }

    /// The root of the tree of these leaves; `None` unless the range begins at 0.
    pub fn root(&self) -> Option<Hash> {
        if self.from != 0 {
            return None;
        }
        let (last, left) = match self.nodes.split_last() {
            Some((last, left)) => (*last, left),
            None => return Some(EMPTY_ROOT),
        };
        Some(left.iter().rev().fold(last, |right, left| node_hash(left, &right)))
    }

    /// Appends a subtree whose first leaf is `to`. As long as there is a left sibling that belongs to the range, the two become one.
    fn push_subtree(&mut self, level: u8, mut node: Hash) {
        let mut begin = self.to;
        let mut width = 1 << level;
        self.to += width;
        while begin & width != 0 && begin - width >= self.from {
            let Some(left) = self.nodes.pop() else { break };
            node = node_hash(&left, &node);
            begin -= width;
            width <<= 1;
        }
        self.nodes.push(node);
    }
}

/// The root of the tree that these ranges make up, which begin at 0 and follow one another without a gap.
pub fn root_of_ranges<'a>(ranges: impl IntoIterator<Item = &'a CompactRange>) -> Result<Hash, RangeMismatch> {
    let mut whole = CompactRange::empty(0);
    for range in ranges {
        whole.append(range)?;
    }
    Ok(whole.root().unwrap_or(EMPTY_ROOT))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::root_over;

    fn leaves(count: u64) -> Vec<Hash> {
        (0..count).map(|leaf| crate::hash::sha256(&leaf.to_be_bytes())).collect()
    }

    fn range(leaves: &[Hash], from: u64, to: u64) -> CompactRange {
        let mut range = CompactRange::empty(from);
        leaves[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].iter().for_each(|leaf| range.push(*leaf));
        range
    }

    proptest! {
        #[test]
        fn a_range_has_one_hash_for_each_aligned_subtree(from in 0_u64..600, length in 0_u64..600) {
            let leaves = leaves(from + length);
            let range = range(&leaves, from, from + length);
            let subtrees: Vec<_> = aligned_subtrees(from, from + length).collect();
            prop_assert_eq!(range.nodes().len(), subtrees.len());
            for (subtree, node) in subtrees.iter().zip(range.nodes()) {
                let first = usize::try_from(subtree.number << subtree.level).unwrap();
                prop_assert_eq!(*node, root_over(&leaves[first..first + (1 << subtree.level)]));
            }
            prop_assert_eq!(CompactRange::new(from, from + length, range.nodes().to_vec()), Ok(range));
        }

        #[test]
        fn ranges_that_follow_one_another_give_the_root_of_the_whole(mut bounds in prop::array::uniform3(0_u64..700)) {
            bounds.sort_unstable();
            let [a, b, n] = bounds;
            let leaves = leaves(n);
            let ranges = [range(&leaves, 0, a), range(&leaves, a, b), range(&leaves, b, n)];
            prop_assert_eq!(root_of_ranges(&ranges), Ok(root_over(&leaves)));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(CompactRange::new(5, 4, vec![]), Err(RangeMismatch::Bounds { from: 5, to: 4 }));
        assert!(matches!(CompactRange::new(0, u64::MAX, vec![]), Err(RangeMismatch::Bounds { .. })));
        assert_eq!(CompactRange::new(1, 4, vec![[0; 32]]), Err(RangeMismatch::Nodes { expected: 2, found: 1 }));
        let gap = [CompactRange::empty(0), CompactRange::new(1, 2, vec![[0; 32]]).unwrap()];
        assert_eq!(root_of_ranges(&gap), Err(RangeMismatch::Gap { expected: 0, found: 1 }));
        assert_eq!(CompactRange::empty(3).root(), None);
        assert_eq!(CompactRange::empty(0).root(), Some(EMPTY_ROOT));
    }
}
