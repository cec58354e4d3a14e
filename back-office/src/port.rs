//! What Tsunagi asks of the back office.

use chrono::{DateTime, Utc};

use crate::fault::BackOfficeFault;

/// The back office, as the rest of Tsunagi sees it. Calls block; they are bounded in time by the implementation.
pub trait BackOffice: Send + Sync {
    /// Whose cards these are. The answer has one entry for each card, in the same order; `None` where the register knows no
    /// such card certificate in force.
    fn look_up(&self, cards: &[CardReference]) -> Result<Vec<Option<CardHolder>>, BackOfficeFault>;

    /// What happened to card certificates after `after`, a cursor of an earlier page (empty: from the start), oldest first, at
    /// most `limit` events.
    fn card_events(&self, after: &str, limit: u32) -> Result<CardEventPage, BackOfficeFault>;
}

/// Names one card certificate: by the key that issued it, its serial number, and its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardReference {
    /// The key identifier of the card CA's key: 1 to 64 octets.
    pub issuer_key_id: Vec<u8>,
    /// The serial number, big-endian.
    pub serial: Vec<u8>,
    /// The SHA-256 of the certificate in DER.
    pub sha256: [u8; 32],
}

/// What the register knows of a card.
#[derive(Clone, PartialEq, Eq)]
pub struct CardHolder {
    /// The person, by an identifier that says nothing about them: 1 to 128 visible ASCII characters.
    pub holder_id: String,
    /// The authentication certificate in the same card, in DER, at most 16 KiB; `None` if it has none in force.
    pub authentication_certificate: Option<Vec<u8>>,
}

// The holder is a person: not for logs.
impl std::fmt::Debug for CardHolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CardHolder")
            .field("authentication_certificate", &self.authentication_certificate.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// One page of the feed of card events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardEventPage {
    /// The events, oldest first.
    pub events: Vec<CardEvent>,
    /// Where the next page begins: at most 1,024 octets, opaque.
    pub cursor: String,
    /// Whether there is more at once.
    pub more: bool,
}

/// Something happened to a card certificate. Delivered at least once, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardEvent {
    /// The same in every delivery of the same event: 1 to 128 visible ASCII characters.
    pub event_id: String,
    /// The key identifier of the card CA's key.
    pub issuer_key_id: Vec<u8>,
    /// The card certificate's serial number, big-endian.
    pub serial: Vec<u8>,
    /// Rises with each event of one card certificate; not negative.
    pub sequence: i64,
    /// What happened.
    pub change: CardChange,
}

/// What can happen to a card certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardChange {
    /// It was revoked.
    Revoked {
        /// Why: a CRLReason name of RFC 5280 section 5.3.1, as told. The caller decodes it, strictly.
        reason: String,
        /// When.
        at: DateTime<Utc>,
    },
}
