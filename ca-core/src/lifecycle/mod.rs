//! The life of a certificate after it was issued: one small machine, without side effects.
//!
//! A [`Command`] about a certificate is checked by [`decide`], which gives the [`Change`] it makes, nothing, or a
//! [`LifecycleRefusal`]. [`apply`] carries a change out on the [`State`] and cannot fail, so replaying stored changes always leads
//! to the same state. What is left to an installation (whether holds are lifted, what a card certificate's changes do) stands in
//! its [`policies::LifecyclePolicy`]. The diagram is in `docs/lifecycle.md`.
//!
//! A card certificate's own standing, as far as events have told it, is kept by a [`CardRecord`].

mod card;
mod command;
mod hold;
mod refusal;
mod state;

#[cfg(test)]
mod tests;

pub use card::{CardChange, CardChangeKind, CardRecord, CardStanding, UnknownCardChange};
pub use command::{Certificate, Command, decide};
pub use hold::{HoldCause, HoldCauses, Holds, UnknownHoldCause};
pub use refusal::LifecycleRefusal;
pub use state::{Change, State, apply};
