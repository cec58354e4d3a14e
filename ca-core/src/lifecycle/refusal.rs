//! What the rules of life forbid.

use crate::refusal::Refusal;

/// The rules of life forbid what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LifecycleRefusal {
    /// It was revoked before, or its validity has ended.
    #[error("the certificate has ended")]
    CertificateEnded,
    /// The installation's policy lifts no holds: the holder applies again.
    #[error("holds are not lifted under this policy")]
    HoldNotLiftable,
    /// This cause does not hold the certificate.
    #[error("the certificate is not on hold for this cause")]
    NotOnHold,
    /// A hold for the card's sake follows the card, and no person places or lifts it.
    #[error("a hold for the card's sake follows the card certificate and is neither placed nor lifted by hand")]
    HoldOfCard,
    /// certificateHold is a hold's reason and no revocation's.
    #[error("certificateHold is no reason to revoke for")]
    NotPermanent,
    /// Nobody knows what will have been.
    #[error("the time since when the certificate is said to have been invalid lies in the future")]
    InvalidSinceInFuture,
}

impl Refusal for LifecycleRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::CertificateEnded => "certificate_ended",
            Self::HoldNotLiftable => "hold_not_liftable",
            Self::NotOnHold => "not_on_hold",
            Self::HoldOfCard => "hold_of_card",
            Self::NotPermanent => "reason_not_permanent",
            Self::InvalidSinceInFuture => "invalid_since_in_future",
        }
    }
}
