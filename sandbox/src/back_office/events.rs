//! Card events, as feed and push carry them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::reason::Reason;

/// The nine things that happen to card certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CardEventType {
    /// Ended, for a reason that is told.
    Revoked,
    /// On hold.
    Held,
    /// No longer on hold.
    Released,
    /// Ended because new certificates took its place.
    Renewed,
    /// Reached its end.
    Expired,
    /// The holder's name, address, birth date or sex changed.
    RecordChanged,
    /// The holder died.
    Died,
    /// The holder left the country.
    Emigrated,
    /// The record was wrong.
    RecordError,
}

impl CardEventType {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Revoked,
        Self::Held,
        Self::Released,
        Self::Renewed,
        Self::Expired,
        Self::RecordChanged,
        Self::Died,
        Self::Emigrated,
        Self::RecordError,
    ];

    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Held => "held",
            Self::Released => "released",
            Self::Renewed => "renewed",
            Self::Expired => "expired",
            Self::RecordChanged => "record_changed",
            Self::Died => "died",
            Self::Emigrated => "emigrated",
            Self::RecordError => "record_error",
        }
    }
}

impl fmt::Display for CardEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names no type of event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a type of card event")]
pub struct UnknownEventType;

impl FromStr for CardEventType {
    type Err = UnknownEventType;

    fn from_str(word: &str) -> Result<Self, UnknownEventType> {
        Self::ALL.into_iter().find(|event_type| event_type.as_str() == word).ok_or(UnknownEventType)
    }
}

/// Something happened to one card certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardEvent {
    /// Never used twice.
    pub event_id: String,
    /// Key identifier of the issuer's key, hex.
    pub issuer_key_id: String,
    /// Serial number, hex.
    pub serial: String,
    /// Counts the events of this card certificate from 1.
    pub sequence: i64,
    /// A [`CardEventType`]'s word, or one that nobody knows.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Why; with `revoked` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When; RFC 3339.
    pub occurred_at: DateTime<Utc>,
}

/// Something happened to many card certificates at once; in the feed only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchEvent {
    /// Never used twice.
    pub event_id: String,
    /// Which card certificates.
    pub scope: EventScope,
    /// `revoked` or `held`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Why; with `revoked` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When; RFC 3339.
    pub occurred_at: DateTime<Utc>,
}

/// All card certificates of a card CA's key, or those among them that share a distribution point: a municipality's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventScope {
    /// Key identifier of the issuer's key, hex.
    pub issuer_key_id: String,
    /// SHA-256 of the distribution point's Name in DER, hex; every one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution_point_sha256: Option<String>,
}

/// What stands in the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FeedEvent {
    /// About many card certificates.
    Batch(BatchEvent),
    /// About one.
    Card(CardEvent),
}

impl FeedEvent {
    /// The event, if it is about one card certificate.
    pub fn card(&self) -> Option<&CardEvent> {
        match self {
            Self::Card(event) => Some(event),
            Self::Batch(_) => None,
        }
    }
}

impl PartialEq<CardEvent> for FeedEvent {
    fn eq(&self, other: &CardEvent) -> bool {
        self.card() == Some(other)
    }
}

/// `GET /v1/card-events`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventPage {
    /// In the order in which they happened, unless told otherwise.
    pub events: Vec<FeedEvent>,
    /// To be given as `after` next time.
    pub cursor: String,
    /// Whether there are more already.
    pub more: bool,
}

/// The body of a push.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EventsPushed {
    /// In the order in which they happened, unless told otherwise.
    pub events: Vec<CardEvent>,
}
