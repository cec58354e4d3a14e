//! The administrator's orders: what is to happen to a card or to many, on the wire.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::events::{BatchEvent, CardEvent, CardEventType, EventScope};
use super::wire::CardFile;
use crate::card_ca::Sex;
use crate::kind::Kind;
use crate::reason::Reason;

/// `POST /admin/cards/{card_id}/{order}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CardOrder {
    /// Certificates on hold: OCSP and CRL say certificateHold.
    Hold,
    /// Held certificates are good again.
    Release,
    /// New certificates and keys on the same card; the old ones end as superseded.
    Renew,
    /// Certificates are told to have reached their end; their status stays.
    Expire,
    /// The person's record changes: the signature certificate ends, the authentication certificate stays.
    RecordChange,
    /// Everything on the card ends.
    Death,
    /// Everything on the card ends.
    Emigration,
    /// The record was wrong: everything on the card ends.
    RecordError,
    /// Another card for the same person; the old one's certificates are revoked.
    Transfer,
}

impl CardOrder {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Hold,
        Self::Release,
        Self::Renew,
        Self::Expire,
        Self::RecordChange,
        Self::Death,
        Self::Emigration,
        Self::RecordError,
        Self::Transfer,
    ];

    /// The last part of the path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Renew => "renew",
            Self::Expire => "expire",
            Self::RecordChange => "record-change",
            Self::Death => "death",
            Self::Emigration => "emigration",
            Self::RecordError => "record-error",
            Self::Transfer => "transfer",
        }
    }

    /// What feed and push call it.
    pub const fn event_type(self) -> CardEventType {
        match self {
            Self::Hold => CardEventType::Held,
            Self::Release => CardEventType::Released,
            Self::Renew => CardEventType::Renewed,
            Self::Expire => CardEventType::Expired,
            Self::RecordChange => CardEventType::RecordChanged,
            Self::Death => CardEventType::Died,
            Self::Emigration => CardEventType::Emigrated,
            Self::RecordError => CardEventType::RecordError,
            Self::Transfer => CardEventType::Revoked,
        }
    }
}

impl fmt::Display for CardOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word names no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an order about a card")]
pub struct UnknownOrder;

impl FromStr for CardOrder {
    type Err = UnknownOrder;

    fn from_str(word: &str) -> Result<Self, UnknownOrder> {
        Self::ALL.into_iter().find(|order| order.as_str() == word).ok_or(UnknownOrder)
    }
}

/// The body of an order; everything is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OrderDetail {
    /// With `hold`, `release` and `expire`: which certificates; both if not said.
    pub kinds: Option<Vec<Kind>>,
    /// When it happened; now if not said. Never in the future.
    pub at: Option<DateTime<Utc>>,
    /// With `transfer`: why the old card's certificates end; superseded if not said.
    pub reason: Option<Reason>,
    /// With `record-change`: the new name.
    pub name: Option<String>,
    /// With `record-change`: the new address.
    pub address: Option<String>,
    /// With `record-change`: another birth date.
    pub birth_date: Option<NaiveDate>,
    /// With `record-change`: another sex.
    pub sex: Option<Sex>,
    /// With `record-change`: a new signature certificate and key on the same card.
    pub new_signature: bool,
    /// Take new keys from a small pool: quick, for tests.
    pub pooled_keys: bool,
}

/// What an order did.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CardChanged {
    /// The events of it, none if nothing changed.
    pub events: Vec<CardEvent>,
    /// What is new on the card, or the new card: for [`crate::card::Card::renewed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardFile>,
}

/// `POST /admin/batches`: all certificates in a scope, told by one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchOrder {
    /// Which card certificates.
    pub scope: EventScope,
    /// `revoked` or `held`.
    #[serde(rename = "type")]
    pub event_type: CardEventType,
    /// With `revoked`: why.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// When it happened; now if not said.
    #[serde(default)]
    pub at: Option<DateTime<Utc>>,
}

/// What a batch did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchDone {
    /// The one event.
    pub event: BatchEvent,
    /// How many card certificates changed.
    pub certificates: u64,
}

/// `POST /admin/faults` sets all of them, `GET /admin/faults` shows what is left of them. Numbers count down as they are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// So many of the next events are never pushed.
    pub drop_from_push: u32,
    /// So many of the next events never stand in the feed.
    pub drop_from_feed: u32,
    /// So many of the next events are told nowhere: only CRL, OCSP and the states know.
    pub drop_from_both: u32,
    /// So many of the next events are put aside and told, last first, when this is set back to 0.
    pub withhold: u32,
    /// So many of the next events are told twice.
    pub deliver_twice: u32,
    /// So many of the next events are told as of a type that nobody knows.
    pub misname: u32,
    /// Every page of the feed and every push is told back to front.
    pub reverse: bool,
    /// The feed shows nothing that happens from now on, until this is set back.
    pub hold_back_feed: bool,
    /// The product's questions are answered so much later.
    pub answer_late_ms: u64,
    /// So many of the next deliveries of notices are refused with 503, and nothing is kept.
    pub refuse_notices: u32,
    /// So many of the next deliveries of notices are kept, but the answer is lost on the way.
    pub lose_notice_answers: u32,
}
