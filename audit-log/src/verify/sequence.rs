//! The order of a part's records: which leaf is due, and what it means when another comes.

/// The leaves of a part as they come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sequence {
    next: u64,
    to: u64,
}

/// What a record is to the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The one that is due.
    Due,
    /// A later one: these before it are missing.
    Skips {
        /// The first that is missing, which was due.
        from: u64,
    },
    /// One that was there before, or belongs to another part.
    Stray {
        /// What was due.
        due: u64,
    },
}

impl Sequence {
    pub(super) fn new(from: u64, to: u64) -> Self {
        Self { next: from, to }
    }

    /// What is due; `None` if nothing is any more.
    pub(super) fn due(&self) -> Option<u64> {
        (self.next < self.to).then_some(self.next)
    }

    /// A record of this leaf comes.
    pub(super) fn step(&mut self, leaf: u64) -> Step {
        let due = self.next;
        if leaf < due || leaf >= self.to {
            return Step::Stray { due };
        }
        self.next = leaf + 1;
        if leaf == due { Step::Due } else { Step::Skips { from: due } }
    }

    /// Something comes that is no record, in the place of the one that was due: which.
    pub(super) fn pass(&mut self) -> Option<u64> {
        let due = self.due();
        self.next += u64::from(due.is_some());
        due
    }
}
