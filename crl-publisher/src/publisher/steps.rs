//! The moments between the steps of publishing, for tests that stop it there.

/// A moment at which a crash must neither lose nor double anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublishStep {
    /// A number is reserved.
    Reserved,
    /// The list is written and signed, in the work directory.
    Written,
    /// It has passed the gate.
    Passed,
    /// Some of its octets are in the store.
    Storing,
    /// All of its octets are in the store, and nobody is told.
    Stored,
    /// It is in force.
    Published,
    /// It is on the shelf.
    Shelved,
    /// It is recorded how long its revocations took.
    Recorded,
}

impl PublishStep {
    /// Every step, in order.
    pub const ALL: [Self; 8] =
        [Self::Reserved, Self::Written, Self::Passed, Self::Storing, Self::Stored, Self::Published, Self::Shelved, Self::Recorded];
}

/// Is told of each step as it is reached. In service it is [`NoPublishSteps`]; a test's may end everything there.
pub trait PublishSteps: Send + Sync {
    /// `step` has been reached.
    fn reached(&self, step: PublishStep);
}

/// Does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPublishSteps;

impl PublishSteps for NoPublishSteps {
    fn reached(&self, _: PublishStep) {}
}
