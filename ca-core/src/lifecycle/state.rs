//! Where a certificate stands, and what changes that.

use chrono::{DateTime, Utc};

use super::{HoldCause, Holds};
use crate::revocation::{Revocation, RevocationReason};

/// Where a smartphone certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Neither revoked nor held. Whether it has passed its end meanwhile is for the clock.
    Live,
    /// On hold; counts as live for its holder.
    Held(Holds),
    /// Revoked, for good.
    Ended(Revocation),
    /// It reached its end, neither revoked nor held as far as is known: a restored store may have forgotten.
    Expired,
}

/// A change of a certificate's state. Each is one event, and has no part that is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A first hold.
    Held {
        /// Why.
        cause: HoldCause,
        /// Since when: whole seconds.
        at: DateTime<Utc>,
    },
    /// One more cause on a certificate that is held already. Relying parties see no difference.
    HoldAdded {
        /// Why.
        cause: HoldCause,
    },
    /// One of several causes is gone. Relying parties see no difference.
    HoldLifted {
        /// Which.
        cause: HoldCause,
    },
    /// The last cause is gone: the certificate is live again.
    Released {
        /// Which it was.
        cause: HoldCause,
    },
    /// Revoked, for good; if it was held, from the hold's date.
    Revoked(Revocation),
    /// It reached its end.
    Expired,
}

/// Carries a change out. It cannot fail: what was revoked stays so, what came to its end has only a revocation from before to learn of
/// ([`Command::PutBack`](super::Command::PutBack)), and what is not held has nothing to lift.
#[must_use]
pub fn apply(state: State, change: &Change) -> State {
    match (state, *change) {
        (State::Ended(_), _) => state,
        (_, Change::Revoked(revocation)) => State::Ended(revocation),
        (State::Expired, _) => state,
        (_, Change::Expired) => State::Expired,
        (State::Live, Change::Held { cause, at }) => State::Held(Holds::first(at, cause)),
        (State::Held(holds), Change::Held { cause, .. } | Change::HoldAdded { cause }) => State::Held(holds.with(cause)),
        (State::Held(holds), Change::HoldLifted { cause } | Change::Released { cause }) => {
            holds.without(cause).map_or(State::Live, State::Held)
        }
        (State::Live, Change::HoldAdded { .. } | Change::HoldLifted { .. } | Change::Released { .. }) => state,
    }
}

impl State {
    /// Whether nothing that happens can change it any more.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Expired)
    }

    /// What relying parties are told; `None` if it is neither revoked nor held. A hold is a revocation for certificateHold from
    /// the date of its first cause.
    pub fn revocation(&self) -> Option<Revocation> {
        match self {
            Self::Live | Self::Expired => None,
            Self::Held(holds) => Some(Revocation::new(holds.since(), RevocationReason::CertificateHold)),
            Self::Ended(revocation) => Some(*revocation),
        }
    }
}
