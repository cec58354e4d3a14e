//! Why an application is refused.

use crate::application::challenge::ChallengeRefusal;
use crate::application::request::RequestRefusal;
use crate::application::statement::StatementRefusal;
use crate::card::path::CardRefusal;
use crate::card::status::CardStatusRefusal;
use crate::kind::CertificateKind;
use crate::message::MessageRefusal;
use crate::refusal::Refusal;

/// Why an application is refused: the refusal of whichever part of it failed first, in the order of the steps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplicationRefusal {
    /// Larger than an application can be.
    #[error("the application is larger than {limit} octets")]
    TooLarge {
        /// In octets.
        limit: usize,
    },
    /// The card-signed message.
    #[error(transparent)]
    Message(#[from] MessageRefusal),
    /// A card certificate.
    #[error("{kind}: {refusal}")]
    Card {
        /// Which of the card's two.
        kind: CertificateKind,
        /// Why.
        refusal: CardRefusal,
    },
    /// The statement.
    #[error(transparent)]
    Statement(#[from] StatementRefusal),
    /// Made for another registration authority.
    #[error("the application was made for another registration authority")]
    Audience,
    /// The challenge.
    #[error(transparent)]
    Challenge(#[from] ChallengeRefusal),
    /// A certification request.
    #[error("request for {kind}: {refusal}")]
    Request {
        /// The request of which kind.
        kind: CertificateKind,
        /// Why.
        refusal: RequestRefusal,
    },
    /// One key for both kinds, or the card's own key.
    #[error("each requested certificate needs a key of its own")]
    KeyReused,
    /// The status of a card certificate.
    #[error("{kind}: {refusal}")]
    CardStatus {
        /// Which of the card's two.
        kind: CertificateKind,
        /// Why.
        refusal: CardStatusRefusal,
    },
    /// The back office does not know the card, or no holder of it.
    #[error("the back office knows no holder of the card")]
    HolderUnknown,
    /// An authentication certificate is asked for and the back office names no card certificate of that kind.
    #[error("the card has no authentication certificate to link to")]
    NoAuthenticationCard,
}

impl ApplicationRefusal {
    /// Whether the card's signature had been found good before: only then is the refusal an event of its own; whatever
    /// fails earlier anyone could send, and it is only counted.
    pub fn is_after_card_signature(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::Message(_) => false,
            Self::Card { kind, .. } => *kind == CertificateKind::Authentication,
            _ => true,
        }
    }
}

impl Refusal for ApplicationRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "application_too_large",
            Self::Message(refusal) => refusal.code(),
            Self::Card { refusal, .. } => refusal.code(),
            Self::Statement(refusal) => refusal.code(),
            Self::Audience => "statement_audience",
            Self::Challenge(refusal) => refusal.code(),
            Self::Request { refusal, .. } => refusal.code(),
            Self::KeyReused => "key_reused",
            Self::CardStatus { refusal, .. } => refusal.code(),
            Self::HolderUnknown => "holder_unknown",
            Self::NoAuthenticationCard => "card_without_authentication",
        }
    }
}
