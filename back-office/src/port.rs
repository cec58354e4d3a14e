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

    /// How the register has these card certificates now; at most [`CARD_STATES_AT_ONCE`]. The answer has one entry for each
    /// card, in the same order; `None` where the register knows no such card certificate.
    fn card_states(&self, cards: &[CardName]) -> Result<Vec<Option<RegisterState>>, BackOfficeFault>;

    /// Asks to tell holders; at most [`NOTICES_AT_ONCE`]. Gives the `notice_id`s that were taken on, each of them one that was
    /// asked for; the others may be asked for again. The same `notice_id` again tells nobody twice.
    fn notify(&self, notices: &[Notice]) -> Result<Vec<String>, BackOfficeFault>;

    /// What the back office's clock says, in whole seconds: the second that has begun. No older than the call.
    fn clock(&self) -> Result<DateTime<Utc>, BackOfficeFault>;
}

/// Cards that may be asked about in one call of [`BackOffice::card_states`].
pub const CARD_STATES_AT_ONCE: usize = 1_000;
/// Notices that may be given in one call of [`BackOffice::notify`].
pub const NOTICES_AT_ONCE: usize = 100;

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
    /// What happened, oldest first.
    pub items: Vec<FeedItem>,
    /// Where the next page begins: at most 1,024 octets, opaque.
    pub cursor: String,
    /// Whether there is more at once.
    pub more: bool,
}

/// One entry of a page. An entry that cannot be understood does not keep those after it from being heard: it is for the caller
/// to raise the alarm, and for the comparison and the card CA's CRL to find what it would have told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedItem {
    /// Understood.
    Event(CardEvent),
    /// Of a type that we do not know, or out of form.
    Unreadable {
        /// Its id, if that much could be read.
        event_id: Option<String>,
        /// What is wrong with it, in words that hold no part of it.
        complaint: &'static str,
    },
}

/// Something happened to a card certificate, or to many. Delivered at least once, in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardEvent {
    /// The same in every delivery of the same event: 1 to 128 visible ASCII characters.
    pub event_id: String,
    /// To which card certificates.
    pub subject: EventSubject,
    /// What happened.
    pub change: CardChange,
    /// When, by the back office's clock.
    pub at: DateTime<Utc>,
}

/// Which card certificates an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventSubject {
    /// One.
    Card {
        /// The key identifier of the card CA's key: 1 to 64 octets.
        issuer_key_id: Vec<u8>,
        /// The card certificate's serial number, big-endian: 1 to 21 octets.
        serial: Vec<u8>,
        /// Rises with each event of one card certificate; not negative.
        sequence: i64,
    },
    /// All of one card CA's key, or all of one of its distribution points (in Japan, a municipality's). Only with
    /// [`CardChange::Revoked`] or [`CardChange::Held`].
    Scope {
        /// The key identifier of the card CA's key: 1 to 64 octets.
        issuer_key_id: Vec<u8>,
        /// The SHA-256 of the distribution point's Name in DER; `None` for all.
        distribution_point_sha256: Option<[u8; 32]>,
    },
}

/// What can happen to a card certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardChange {
    /// It was revoked.
    Revoked {
        /// Why: a CRLReason name of RFC 5280 section 5.3.1, as told, 1 to 64 octets. The caller decodes it, strictly.
        reason: String,
    },
    /// It was put on hold.
    Held,
    /// Its hold was lifted.
    Released,
    /// Another takes its place for the same person.
    Renewed,
    /// It came to its end.
    Expired,
    /// Name, address, birth date or sex changed.
    RecordChanged,
    /// The holder died.
    Died,
    /// The holder left the country.
    Emigrated,
    /// The register was wrong about the holder.
    RecordError,
}

/// Names one card certificate where its digest is not at hand: by the key that issued it and its serial number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardName {
    /// The key identifier of the card CA's key: 1 to 64 octets.
    pub issuer_key_id: Vec<u8>,
    /// The serial number, big-endian.
    pub serial: Vec<u8>,
}

/// What the register says of a card certificate now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisterState {
    /// How it stands.
    pub standing: Standing,
    /// The number of its latest event: see [`EventSubject::Card`]. Not negative.
    pub sequence: i64,
}

/// How a card certificate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// In force.
    Good,
    /// On hold.
    Held {
        /// Since when.
        since: DateTime<Utc>,
    },
    /// Ended.
    Revoked {
        /// Why, as in [`CardChange::Revoked`].
        reason: String,
        /// Since when.
        since: DateTime<Utc>,
    },
}

/// What a holder shall be told, by whatever way the back office has to reach them.
#[derive(Clone, PartialEq, Eq)]
pub struct Notice {
    /// The same in every repetition of the same notice: 1 to 128 visible ASCII characters.
    pub notice_id: String,
    /// The person: see [`CardHolder::holder_id`].
    pub holder_id: String,
    /// The name of the template that the texts were made from, for those who count and sort.
    pub template: String,
    /// When what is told of happened.
    pub occurred_at: DateTime<Utc>,
    /// In Japanese.
    pub japanese: NoticeText,
    /// In English.
    pub english: NoticeText,
}

/// A notice's words in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeText {
    /// One line.
    pub title: String,
    /// The rest.
    pub body: String,
}

// Who is told what is not for logs.
impl std::fmt::Debug for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notice").field("notice_id", &self.notice_id).field("template", &self.template).finish_non_exhaustive()
    }
}
