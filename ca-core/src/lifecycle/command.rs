//! What may be done to a certificate, and what comes of it.

use chrono::{DateTime, SubsecRound, Utc};
use policies::{Effect, LifecyclePolicy};

use super::{CardChange, Change, HoldCause, LifecycleRefusal, State};
use crate::kind::CertificateKind;
use crate::revocation::{Revocation, RevocationReason};

/// A certificate, as far as its life goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    /// What it is for.
    pub kind: CertificateKind,
    /// The last moment at which it is valid.
    pub not_after: DateTime<Utc>,
    /// Where it stands.
    pub state: State,
}

/// Something that is to be done to a certificate.
///
/// Three are asked for by people ([`Hold`](Self::Hold), [`Lift`](Self::Lift), [`Revoke`](Self::Revoke)) and are refused where they
/// can do nothing. The others are consequences: where they have nothing left to do, nothing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Place a hold. A cause that stands already is placed once.
    Hold {
        /// Why.
        cause: HoldCause,
    },
    /// Lift one cause of a hold; others stay.
    Lift {
        /// Which.
        cause: HoldCause,
    },
    /// Revoke it.
    Revoke {
        /// Why.
        reason: RevocationReason,
        /// Since when it is said to have been invalid; not after now. Left out for a certificate that was on hold already by then: it is told as
        /// revoked since the hold.
        invalid_since: Option<DateTime<Utc>>,
    },
    /// Revoke it unless it has ended: a new phone's certificate took its place, its key was reported compromised, a batch covers
    /// it.
    End {
        /// Why.
        reason: RevocationReason,
    },
    /// Something happened to the card certificate that it is linked to, and counts ([`CardRecord::counts`](super::CardRecord::counts)).
    Card(CardChange),
    /// Look whether its hold has stood for as long as policy allows.
    Deadline,
    /// Look whether it has reached its end.
    Expire,
    /// What a published list told comes back into a store that was restored and has forgotten it: with the date and the reason that
    /// relying parties were told, and past the certificate's end, too. What was revoked stays as it was, and no hold is taken away; a
    /// certificate that came to its end only because its revocation was forgotten is revoked again.
    PutBack {
        /// As it was published.
        revocation: Revocation,
    },
}

/// Checks a command: the change that it makes, or none.
///
/// `now` is when it is carried out; the dates that relying parties see are cut to whole seconds. No command makes more than one
/// change, so that each change of state is one event.
///
/// Past its end a certificate is neither revoked nor held nor lifted any more. One that was held when it reached its end is
/// revoked, from the hold's date: it was not valid at the end, and its entry has to stay on one more CRL (RFC 5280 section 3.3).
///
/// # Errors
/// What the rules forbid. Consequences are refused for a reason that is none to revoke for, and never else.
pub fn decide(
    certificate: &Certificate,
    command: &Command,
    policy: &LifecyclePolicy,
    now: DateTime<Utc>,
) -> Result<Option<Change>, LifecycleRefusal> {
    let at = now.trunc_subsecs(0);
    match *command {
        Command::Hold { cause: HoldCause::CardHeld } | Command::Lift { cause: HoldCause::CardHeld } => Err(LifecycleRefusal::HoldOfCard),
        Command::Hold { .. } | Command::Lift { .. } if certificate.is_over(now) => Err(LifecycleRefusal::CertificateEnded),
        Command::Hold { cause } => Ok(hold(certificate.state, cause, at)),
        Command::Lift { .. } if !policy.holds.liftable => Err(LifecycleRefusal::HoldNotLiftable),
        Command::Lift { cause } => lift(certificate.state, cause).map(Some).ok_or(LifecycleRefusal::NotOnHold),
        Command::Revoke { reason, invalid_since } => {
            let revocation = revoke(certificate, reason, now)?.ok_or(LifecycleRefusal::CertificateEnded)?;
            if invalid_since.is_some_and(|since| since > now) {
                return Err(LifecycleRefusal::InvalidSinceInFuture);
            }
            let invalidity = invalid_since.map(|since| since.trunc_subsecs(0)).filter(|since| *since <= revocation.at);
            Ok(Some(Change::Revoked(Revocation { invalidity, ..revocation })))
        }
        Command::End { reason } => end(certificate, reason, now),
        Command::Card(change) => match effect(certificate.kind, &change, policy) {
            Effect::None => Ok(None),
            Effect::Revoke(reason) => end(certificate, reason, now),
            Effect::Hold | Effect::Lift if certificate.is_over(now) => Ok(None),
            Effect::Hold => Ok(hold(certificate.state, HoldCause::CardHeld, at)),
            Effect::Lift => Ok(lift(certificate.state, HoldCause::CardHeld)),
        },
        Command::Deadline => match (certificate.state, policy.holds.revoke_after()) {
            (State::Held(holds), Some(after)) if holds.since() + after <= now => end(certificate, policy.holds.permanent_reason, now),
            _ => Ok(None),
        },
        Command::Expire => match certificate.state {
            State::Live if certificate.has_expired(now) => Ok(Some(Change::Expired)),
            State::Held(_) if certificate.has_expired(now) => end(certificate, policy.holds.permanent_reason, now),
            _ => Ok(None),
        },
        Command::PutBack { revocation } => Ok(put_back(certificate, revocation)),
    }
}

impl Command {
    /// The cause of a hold that it places on a certificate of this kind that can be held. The cause stands then, be it new or not.
    pub fn placed(&self, kind: CertificateKind, policy: &LifecyclePolicy) -> Option<HoldCause> {
        match self {
            Self::Hold { cause } => Some(*cause),
            Self::Card(change) => (effect(kind, change, policy) == Effect::Hold).then_some(HoldCause::CardHeld),
            Self::Lift { .. } | Self::Revoke { .. } | Self::End { .. } | Self::Deadline | Self::Expire | Self::PutBack { .. } => None,
        }
    }
}

impl Certificate {
    /// Whether it is past its end. `not_after` itself is valid (RFC 5280 section 4.1.2.5).
    fn has_expired(&self, now: DateTime<Utc>) -> bool {
        self.not_after < now.trunc_subsecs(0)
    }

    fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.state.is_final() || self.has_expired(now)
    }
}

/// What the policy says of a change of the card certificate.
fn effect(kind: CertificateKind, change: &CardChange, policy: &LifecyclePolicy) -> Effect {
    let effects = policy.effects(kind.into());
    match change {
        CardChange::Revoked { reason, .. } => effects.revoked.of(*reason),
        CardChange::Held { .. } => effects.held,
        CardChange::Released { .. } => effects.released,
        CardChange::Renewed { .. } => effects.renewed,
        CardChange::Expired { .. } => effects.expired,
        CardChange::RecordChanged { .. } => effects.record_changed,
        CardChange::Died { .. } => effects.died,
        CardChange::Emigrated { .. } => effects.emigrated,
        CardChange::RecordError { .. } => effects.record_error,
    }
}

/// One cause more; `None` if it stands already.
fn hold(state: State, cause: HoldCause, at: DateTime<Utc>) -> Option<Change> {
    match state {
        State::Live => Some(Change::Held { cause, at }),
        State::Held(holds) if !holds.causes().contains(cause) => Some(Change::HoldAdded { cause }),
        State::Held(_) | State::Ended(_) | State::Expired => None,
    }
}

/// One cause less; `None` if it does not stand.
fn lift(state: State, cause: HoldCause) -> Option<Change> {
    let State::Held(holds) = state else { return None };
    holds.causes().contains(cause).then(|| match holds.without(cause) {
        Some(_) => Change::HoldLifted { cause },
        None => Change::Released { cause },
    })
}

/// The end, of which nobody says from when the certificate was invalid.
fn end(certificate: &Certificate, reason: RevocationReason, now: DateTime<Utc>) -> Result<Option<Change>, LifecycleRefusal> {
    Ok(revoke(certificate, reason, now)?.map(Change::Revoked))
}

/// The end; `None` if it came before. A hold that becomes permanent keeps its date.
fn revoke(certificate: &Certificate, reason: RevocationReason, now: DateTime<Utc>) -> Result<Option<Revocation>, LifecycleRefusal> {
    if !reason.is_permanent() {
        return Err(LifecycleRefusal::NotPermanent);
    }
    let at = match certificate.state {
        State::Held(holds) => holds.since(),
        State::Live if !certificate.has_expired(now) => now.trunc_subsecs(0),
        State::Live | State::Ended(_) | State::Expired => return Ok(None),
    };
    Ok(Some(Revocation::new(at, reason)))
}

/// What was published holds, unless more is known here: a revocation, or a hold. The list does not tell a hold's cause; an operator's is
/// one that nothing but an operator lifts. Nor does it tell what became of a hold at the certificate's end.
fn put_back(certificate: &Certificate, revocation: Revocation) -> Option<Change> {
    match certificate.state {
        State::Ended(_) => None,
        State::Live | State::Held(_) if revocation.reason.is_permanent() => Some(Change::Revoked(revocation)),
        State::Live => Some(Change::Held { cause: HoldCause::Operator, at: revocation.at.trunc_subsecs(0) }),
        State::Held(_) => None,
        State::Expired => {
            let came_first = revocation.reason.is_permanent() && revocation.at <= certificate.not_after;
            came_first.then_some(Change::Revoked(revocation))
        }
    }
}
