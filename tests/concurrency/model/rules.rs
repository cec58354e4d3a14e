//! The rules of life once more, as `domain.md` and `docs/lifecycle.md` tell them and not as `ca_core::lifecycle` carries them out.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use policies::LifecyclePolicy;
use sandbox::back_office::CardEventType;
use sandbox::kind::Kind;
use sandbox::reason::Reason::{self, *};

/// A policy, and what it says.
pub(crate) struct Rules {
    pub(crate) policy: LifecyclePolicy,
    pub(crate) liftable: bool,
    /// After so many days a hold is a revocation.
    pub(crate) days: Option<i64>,
    pub(crate) permanent: Reason,
    signature: [Does; 9],
    authentication: [Does; 9],
}

/// What a change of the card certificate does; in the order of [`CardEventType::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    Nothing,
    Hold,
    Lift,
    End(Reason),
    /// Ends it for the reason told; for these, the card's hold is lifted instead.
    EndAsTold(&'static [Reason]),
}
use Does::{End, EndAsTold, Hold, Lift, Nothing};

/// A policy that nobody has, in which every word stands somewhere: holds for the card's sake are lifted, deadlines pass.
const EVERY_WORD: &str = r#"
name = "every-word"
[holds]
liftable = true
revoke_after_days = 30
permanent_reason = "unspecified"
[signature]
revoked = { outlives = ["superseded"] }
held = "hold"
released = "lift"
renewed = "hold"
expired = { revoke = "privilegeWithdrawn" }
record_changed = "hold"
died = { revoke = "cessationOfOperation" }
emigrated = "none"
record_error = "lift"
[authentication]
revoked = { outlives = ["keyCompromise", "affiliationChanged"] }
held = "hold"
released = "lift"
renewed = "none"
expired = "none"
record_changed = "lift"
died = { revoke = "keyCompromise" }
emigrated = { revoke = "cessationOfOperation" }
record_error = "hold"
"#;

impl Rules {
    pub(crate) fn jpki() -> Self {
        let for_all = [
            EndAsTold(&[]),
            Hold,
            Nothing,
            End(Superseded),
            Nothing,
            Nothing,
            End(CessationOfOperation),
            End(CessationOfOperation),
            End(Unspecified),
        ];
        let mut signature = for_all;
        signature[5] = End(AffiliationChanged);
        let policy = LifecyclePolicy::jpki().unwrap();
        Self { policy, liftable: false, days: None, permanent: CessationOfOperation, signature, authentication: for_all }
    }

    pub(crate) fn derived_piv() -> Self {
        let for_all = [
            EndAsTold(&[KeyCompromise, Superseded]),
            Nothing,
            Lift,
            Nothing,
            Nothing,
            Nothing,
            End(CessationOfOperation),
            End(CessationOfOperation),
            End(Unspecified),
        ];
        let mut signature = for_all;
        signature[5] = End(AffiliationChanged);
        let policy = LifecyclePolicy::derived_piv().unwrap();
        Self { policy, liftable: true, days: Some(30), permanent: CessationOfOperation, signature, authentication: for_all }
    }

    pub(crate) fn every_word() -> Self {
        Self {
            policy: LifecyclePolicy::parse("every-word", EVERY_WORD).unwrap(),
            liftable: true,
            days: Some(30),
            permanent: Unspecified,
            signature: [
                EndAsTold(&[Superseded]),
                Hold,
                Lift,
                Hold,
                End(PrivilegeWithdrawn),
                Hold,
                End(CessationOfOperation),
                Nothing,
                Lift,
            ],
            authentication: [
                EndAsTold(&[KeyCompromise, AffiliationChanged]),
                Hold,
                Lift,
                Nothing,
                Nothing,
                Lift,
                End(KeyCompromise),
                End(CessationOfOperation),
                Hold,
            ],
        }
    }

    pub(crate) fn all() -> [Self; 3] {
        [Self::jpki(), Self::derived_piv(), Self::every_word()]
    }

    /// What a change does to certificates of a kind, with the reason that was told settled.
    pub(crate) fn effect(&self, kind: Kind, change: CardEventType, reason: Option<Reason>) -> Does {
        let effects = if kind == Kind::Signature { &self.signature } else { &self.authentication };
        let place = CardEventType::ALL.iter().position(|known| *known == change).unwrap();
        match (effects[place], reason) {
            (EndAsTold(outlives), Some(reason)) => {
                if outlives.contains(&reason) {
                    Lift
                } else {
                    End(reason)
                }
            }
            (effect, _) => effect,
        }
    }
}

/// Why a certificate is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    CardHeld,
    PhoneLost,
    Operator,
}

impl Cause {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::CardHeld => "card-held",
            Self::PhoneLost => "phone-lost",
            Self::Operator => "operator",
        }
    }
}

/// Where a certificate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Life {
    Live,
    Held { since: DateTime<Utc>, causes: BTreeSet<Cause> },
    Ended { at: DateTime<Utc>, reason: Reason },
    Expired,
}

/// A certificate as far as its life goes, at a moment.
pub(crate) struct Living<'a> {
    pub(crate) life: &'a mut Life,
    /// Whole seconds.
    pub(crate) now: DateTime<Utc>,
    pub(crate) not_after: DateTime<Utc>,
}

/// What the one event of a change must say: its kind, and the cause or reason.
pub(crate) type Told = Option<(&'static str, &'static str)>;

impl Living<'_> {
    pub(crate) fn is_past_its_end(&self) -> bool {
        self.not_after < self.now
    }

    /// Nothing can be done to it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_past_its_end() || matches!(self.life, Life::Ended { .. } | Life::Expired)
    }

    pub(crate) fn hold(&mut self, cause: Cause) -> Told {
        if self.is_over() {
            return None;
        }
        match self.life {
            Life::Live => {
                *self.life = Life::Held { since: self.now, causes: [cause].into() };
                Some(("certificate.held", cause.as_str()))
            }
            Life::Held { causes, .. } => causes.insert(cause).then_some(("certificate.hold_added", cause.as_str())),
            Life::Ended { .. } | Life::Expired => None,
        }
    }

    pub(crate) fn lift(&mut self, cause: Cause) -> Told {
        if self.is_over() {
            return None;
        }
        let Life::Held { causes, .. } = self.life else { return None };
        if !causes.remove(&cause) {
            return None;
        }
        if !causes.is_empty() {
            return Some(("certificate.hold_lifted", cause.as_str()));
        }
        *self.life = Life::Live;
        Some(("certificate.released", cause.as_str()))
    }

    /// A hold that becomes permanent keeps its date.
    pub(crate) fn end(&mut self, reason: Reason) -> Told {
        let at = match self.life {
            Life::Held { since, .. } => *since,
            Life::Live if !self.is_past_its_end() => self.now,
            _ => return None,
        };
        *self.life = Life::Ended { at, reason };
        Some(("certificate.revoked", reason.as_str()))
    }

    /// What was held at its end was not valid at its end.
    pub(crate) fn expire(&mut self, rules: &Rules) -> Told {
        if !self.is_past_its_end() {
            return None;
        }
        match self.life {
            Life::Live => {
                *self.life = Life::Expired;
                Some(("certificate.expired", ""))
            }
            Life::Held { .. } => self.end(rules.permanent),
            Life::Ended { .. } | Life::Expired => None,
        }
    }

    pub(crate) fn deadline(&mut self, rules: &Rules) -> Told {
        match (&self.life, rules.days) {
            (Life::Held { since, .. }, Some(days)) if *since + TimeDelta::days(days) <= self.now => self.end(rules.permanent),
            _ => None,
        }
    }

    /// A consequence of what happened to the card; what was only pushed lifts nothing.
    pub(crate) fn suffer(&mut self, effect: Does, is_believed: bool) -> Told {
        match effect {
            Nothing | EndAsTold(_) => None,
            Hold => self.hold(Cause::CardHeld),
            Lift if is_believed => self.lift(Cause::CardHeld),
            Lift => None,
            End(reason) => self.end(reason),
        }
    }
}
