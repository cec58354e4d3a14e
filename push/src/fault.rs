//! What can go wrong that is not the phone's doing.

use crate::error_body::ErrorCode;

/// A message could not be handed over, and asking again changes nothing until somebody has looked. Carries no token and no
/// part of a message or an answer.
#[derive(Debug, thiserror::Error)]
pub enum PushFault {
    /// The settings make no client.
    #[error("settings: {0}")]
    Settings(String),
    /// The file with the access token cannot be used.
    #[error("the access token's file {0}")]
    AccessToken(String),
    /// The message is longer than a push service takes.
    #[error("a message of more than {limit} octets")]
    TooLong {
        /// The bound in octets.
        limit: usize,
    },
    /// Refused for a reason that lies in our settings, our access token or our message, not in the phone.
    #[error("answered with status {status}{}", .code.map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused {
        /// The HTTP status code.
        status: u16,
        /// What the push service calls it, where it said so in a way that we know.
        code: Option<ErrorCode>,
    },
    /// The answer is not what the interface promises.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
}
