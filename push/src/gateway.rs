//! What Tsunagi asks of a push service.

use std::time::Duration;

use crate::fault::PushFault;

/// A push service, as the rest of Tsunagi sees it. Calls block; they are bounded in time by the implementation.
pub trait PushGateway: Send + Sync {
    /// Hands over one message. The same message again is harmless: phones know a command by its id.
    fn send(&self, message: &PushMessage) -> Result<PushOutcome, PushFault>;
}

/// A command on its way to one phone.
#[derive(Clone, PartialEq, Eq)]
pub struct PushMessage {
    /// The phone, by the name that the push service gave it: 1 to 4,096 visible ASCII characters.
    pub token: String,
    /// The signed command: a compact JWS.
    pub command_jws: String,
    /// How long the push service may keep the message for a phone that is off; whole seconds, and four weeks at most.
    pub ttl: Duration,
}

// The token leads to a person, and the command tells what becomes of their certificates.
impl std::fmt::Debug for PushMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PushMessage").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

/// What the push service said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushOutcome {
    /// It took the message. Whether the phone gets it, only the phone can tell.
    Sent,
    /// It knows no such phone any more: the token is never to be used again.
    DeadToken,
    /// Not now: it has too much to do, has failed, or is out of reach.
    TryLater {
        /// Not before so long from now, if it said so; a day at most.
        after: Option<Duration>,
    },
}
