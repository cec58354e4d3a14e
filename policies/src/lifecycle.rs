//! How a certificate's life runs.

use chrono::Duration;
use serde::Deserialize;

use crate::document::{self, PolicyFault, distinct, require};
use crate::profile::ProfileKind;
use crate::reason::RevocationReason;

const JPKI: &str = include_str!("../lifecycle/jpki.toml");
const DERIVED_PIV: &str = include_str!("../lifecycle/derived-piv.toml");

/// What the state machine of smartphone certificates leaves to the installation: whether holds are lifted, how long they may
/// stand, and what becomes of a certificate when something happens to the card certificate that it is linked to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecyclePolicy {
    /// The policy's own name.
    pub name: String,
    /// Holds.
    pub holds: HoldRules,
    /// What happens to certificates for digital signature.
    pub signature: CardEffects,
    /// What happens to certificates for user authentication.
    pub authentication: CardEffects,
    /// The SHA-256 of the document's text.
    #[serde(skip)]
    pub sha256: [u8; 32],
}

/// How a hold ends.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRules {
    /// Whether a hold can be lifted at all.
    pub liftable: bool,
    /// A hold that has stood so many days becomes a revocation; without it, at the certificate's end only.
    pub revoke_after_days: Option<u32>,
    /// The reason of a hold that became permanent by itself.
    pub permanent_reason: RevocationReason,
}

/// What becomes of a smartphone certificate, change by change of the card certificate that it is linked to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardEffects {
    /// The card certificate was revoked.
    pub revoked: RevokedEffect,
    /// It was put on hold.
    pub held: Effect,
    /// Its hold was released.
    pub released: Effect,
    /// The card was renewed: another card certificate took its place.
    pub renewed: Effect,
    /// It reached its end.
    pub expired: Effect,
    /// Name, address, date of birth or sex of its holder changed.
    pub record_changed: Effect,
    /// Its holder died.
    pub died: Effect,
    /// Its holder left the country.
    pub emigrated: Effect,
    /// There was an error in its holder's record.
    pub record_error: Effect,
}

/// What the revocation of a card certificate does: the smartphone certificate is revoked for the same reason, unless it outlives
/// that one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedEffect {
    /// For these reasons the smartphone certificate stays; what held it for the card's sake holds it no more.
    pub outlives: Vec<RevocationReason>,
}

/// What a change of a card certificate does to a smartphone certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Nothing.
    None,
    /// It is held for the card's sake.
    Hold,
    /// The hold for the card's sake is lifted.
    Lift,
    /// It is revoked, for this reason.
    Revoke(RevocationReason),
}

impl LifecyclePolicy {
    /// Reads and checks a policy; `document` is what it is called in messages.
    ///
    /// # Errors
    /// If the text cannot be read, or its values contradict each other.
    pub fn parse(document: &str, text: &str) -> Result<Self, PolicyFault> {
        let (mut policy, sha256): (Self, _) = document::parse(document, text)?;
        policy.sha256 = sha256;
        require(document, !policy.name.is_empty(), "name is empty")?;
        let HoldRules { liftable, revoke_after_days, permanent_reason } = policy.holds;
        require(document, revoke_after_days.is_none_or(|days| (1..=3650).contains(&days)), "revoke_after_days is not from 1 to 3650")?;
        require(document, permanent_reason.is_permanent(), "permanent_reason is certificateHold, which is not permanent")?;
        for effects in [&policy.signature, &policy.authentication] {
            let outlives = &effects.revoked.outlives;
            require(document, distinct(outlives), "a reason is outlived twice")?;
            require(
                document,
                outlives.iter().all(|reason| reason.is_permanent()),
                "certificateHold is outlived: that is what held is for",
            )?;
            // Where the card's hold holds the certificate, the outlived end of the card would leave it held for nothing.
            require(document, outlives.is_empty() || liftable, "revocations are outlived, but holds are not liftable")?;
            for effect in effects.all() {
                require(document, effect != Effect::Lift || liftable, "a hold is lifted, but holds are not liftable")?;
                require(
                    document,
                    effect != Effect::Revoke(RevocationReason::CertificateHold),
                    "revoked for certificateHold: that is \"hold\"",
                )?;
            }
        }
        Ok(policy)
    }

    /// The rules of JPKI, which are the default: holds are never lifted, and what ends the card certificate ends the
    /// smartphone's.
    ///
    /// # Errors
    /// None while the shipped document is sound.
    pub fn jpki() -> Result<Self, PolicyFault> {
        Self::parse("lifecycle/jpki.toml", JPKI)
    }

    /// The rules of derived PIV credentials (NIST SP 800-157r1): they outlive a lost or replaced card, and holds are lifted.
    ///
    /// # Errors
    /// None while the shipped document is sound.
    pub fn derived_piv() -> Result<Self, PolicyFault> {
        Self::parse("lifecycle/derived-piv.toml", DERIVED_PIV)
    }

    /// What changes of card certificates do to smartphone certificates of a kind.
    pub fn effects(&self, kind: ProfileKind) -> &CardEffects {
        match kind {
            ProfileKind::Signature => &self.signature,
            ProfileKind::Authentication => &self.authentication,
        }
    }
}

impl HoldRules {
    /// After how long a hold becomes a revocation by itself, if it does before the certificate's end.
    pub fn revoke_after(&self) -> Option<Duration> {
        self.revoke_after_days.map(|days| Duration::days(days.into()))
    }
}

impl CardEffects {
    /// Every effect but that of a revocation.
    fn all(&self) -> [Effect; 8] {
        let Self { revoked: _, held, released, renewed, expired, record_changed, died, emigrated, record_error } = self;
        [*held, *released, *renewed, *expired, *record_changed, *died, *emigrated, *record_error]
    }
}

impl RevokedEffect {
    /// What a revocation for this reason does.
    pub fn of(&self, reason: RevocationReason) -> Effect {
        if self.outlives.contains(&reason) { Effect::Lift } else { Effect::Revoke(reason) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, from: &str, to: &str) -> Result<LifecyclePolicy, PolicyFault> {
        assert!(text.contains(from), "no {from}");
        LifecyclePolicy::parse("test", &text.replacen(from, to, 1))
    }

    #[test]
    fn the_shipped_policies_say_what_they_are_for() {
        let jpki = LifecyclePolicy::jpki().unwrap();
        assert_eq!((jpki.name.as_str(), jpki.holds.liftable, jpki.holds.revoke_after()), ("jpki", false, None));
        assert_eq!(jpki.sha256, document::sha256(JPKI.as_bytes()));
        let piv = LifecyclePolicy::derived_piv().unwrap();
        assert_eq!((piv.name.as_str(), piv.holds.liftable, piv.holds.revoke_after()), ("derived-piv", true, Some(Duration::days(30))));
        assert_eq!(piv.effects(ProfileKind::Signature).revoked.of(RevocationReason::Superseded), Effect::Lift);
        assert_eq!(
            jpki.effects(ProfileKind::Signature).revoked.of(RevocationReason::Superseded),
            Effect::Revoke(RevocationReason::Superseded)
        );
    }

    #[test]
    fn values_that_make_no_sense_are_refused() {
        let cases = [
            (JPKI, "released = \"none\"", "released = \"lift\""),
            (JPKI, "outlives = []", "outlives = [\"superseded\"]"),
            (JPKI, "permanent_reason = \"cessationOfOperation\"", "permanent_reason = \"certificateHold\""),
            (JPKI, "renewed = { revoke = \"superseded\" }", "renewed = { revoke = \"certificateHold\" }"),
            (JPKI, "name = \"jpki\"", "name = \"\""),
            (DERIVED_PIV, "revoke_after_days = 30", "revoke_after_days = 0"),
            (DERIVED_PIV, "revoke_after_days = 30", "revoke_after_days = 3651"),
            (DERIVED_PIV, "[\"keyCompromise\", \"superseded\"]", "[\"superseded\", \"superseded\"]"),
            (DERIVED_PIV, "[\"keyCompromise\", \"superseded\"]", "[\"certificateHold\"]"),
        ];
        for (text, from, to) in cases {
            let answer = parsed(text, from, to);
            assert!(matches!(answer, Err(PolicyFault::Contradiction { .. })), "{to}: {answer:?}");
        }
    }

    #[test]
    fn unknown_words_and_missing_changes_are_refused() {
        for (from, to) in [
            ("held = \"hold\"", "held = \"stop\""),
            ("held = \"hold\"", ""),
            ("held = \"hold\"", "held = \"hold\"\nstolen = \"hold\""),
            ("revoke = \"superseded\"", "revoke = \"removeFromCRL\""),
            ("outlives = []", "outlives = [], survives = []"),
        ] {
            assert!(matches!(parsed(JPKI, from, to), Err(PolicyFault::Syntax { .. })), "{to}");
        }
    }
}
