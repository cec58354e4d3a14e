//! What can go wrong between us and the back office.

/// The back office or the card CA's status service gave no answer that can be used. Never the applicant's fault; carries no
/// personal data and no part of an answer.
#[derive(Debug, thiserror::Error)]
pub enum BackOfficeFault {
    /// The settings make no client.
    #[error("settings: {0}")]
    Settings(String),
    /// No connection, or it broke.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// No whole answer in the time set for it.
    #[error("no answer in time")]
    TimedOut,
    /// An answer, but not a success.
    #[error("answered with status {status}")]
    Refused {
        /// The HTTP status code.
        status: u16,
    },
    /// The answer is longer than allowed; the rest was not read.
    #[error("the answer exceeds {limit} octets")]
    TooLarge {
        /// The bound in octets.
        limit: u64,
    },
    /// More was asked than one exchange may carry.
    #[error("at most {limit} can be asked for at once")]
    TooMany {
        /// How many may be.
        limit: usize,
    },
    /// The answer is not what the interface promises.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
}

impl BackOfficeFault {
    /// Whether asking again later may help without anybody changing anything.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::TimedOut => true,
            Self::Refused { status } => *status == 429 || *status >= 500,
            Self::Settings(_) | Self::TooLarge { .. } | Self::TooMany { .. } | Self::Malformed(_) => false,
        }
    }
}
