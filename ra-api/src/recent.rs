//! What happened lately, remembered within bounds.

use std::collections::{HashSet, VecDeque};
use std::hash::Hash;

/// The newest so many of what came; the oldest are forgotten.
pub(crate) struct Recent<T> {
    known: HashSet<T>,
    order: VecDeque<T>,
    most: usize,
}

impl<T: Copy + Eq + Hash> Recent<T> {
    /// Remembers `most`.
    pub(crate) fn new(most: usize) -> Self {
        Self { known: HashSet::new(), order: VecDeque::new(), most }
    }

    pub(crate) fn contains(&self, item: &T) -> bool {
        self.known.contains(item)
    }

    /// Remembers an item; whether it is new.
    pub(crate) fn insert(&mut self, item: T) -> bool {
        if !self.known.insert(item) {
            return false;
        }
        self.order.push_back(item);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_and_the_rest_is_new_once() {
        let mut recent = Recent::new(3);
        assert!((0..4).all(|item| recent.insert(item)));
        assert!(!recent.insert(1));
        assert!(recent.contains(&3) && !recent.contains(&0));
        assert!(recent.insert(0), "the oldest was not forgotten");
        assert_eq!((recent.known.len(), recent.order.len()), (3, 3));
    }
}
