//! The moments between the steps of an issuance, for tests that stop a process there.

/// A moment of an issuance at which a crash must neither lose nor double anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IssuanceStep {
    /// Applications were taken from the store.
    Taken,
    /// They were verified again.
    Verified,
    /// Their certificates were made and linted.
    Linted,
    /// Serial numbers and digests are on disk.
    Recorded,
    /// The signatures exist, in memory only.
    Signed,
    /// Certificates, links and endings are committed; nobody has been told.
    Committed,
}

impl IssuanceStep {
    /// Every step, in order.
    pub const ALL: [Self; 6] = [Self::Taken, Self::Verified, Self::Linted, Self::Recorded, Self::Signed, Self::Committed];

    /// The word by which a test names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Verified => "verified",
            Self::Linted => "linted",
            Self::Recorded => "recorded",
            Self::Signed => "signed",
            Self::Committed => "committed",
        }
    }
}

/// Is told of each step as it is reached. In service it is [`NoSteps`]; a test's may end the process there.
pub trait Steps: Send + Sync {
    /// `step` has been reached.
    fn reached(&self, step: IssuanceStep);
}

/// Does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSteps;

impl Steps for NoSteps {
    fn reached(&self, _: IssuanceStep) {}
}
