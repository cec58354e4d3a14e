//! What came, and what became of it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::behaviour::{Behaviour, BehaviourOrder};

/// A message that came for a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedMessage {
    /// Counts all messages from 1.
    pub number: u64,
    /// For whom.
    pub token: String,
    /// Its data.
    pub data: BTreeMap<String, String>,
    /// How urgent, how long: as it came.
    pub android: Value,
    /// When it came.
    pub received_at: DateTime<Utc>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The phone can have it, from then on.
    Arrives {
        /// From when.
        at: DateTime<Utc>,
    },
    /// Taken and lost.
    Dropped,
    /// Refused.
    Refused {
        /// With this status.
        status: u16,
    },
}

/// All messages and orders.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    pub(super) messages: Vec<PushedMessage>,
    orders: HashMap<Option<String>, (Behaviour, Option<u32>)>,
}

impl Mailbox {
    pub(super) fn order(&mut self, order: BehaviourOrder) {
        self.orders.insert(order.token, (order.behaviour, order.times));
    }

    /// Takes a message, and says what is done about it.
    pub(super) fn take(&mut self, token: &str, data: BTreeMap<String, String>, android: Value) -> Behaviour {
        let behaviour = self.behaviour(token);
        let now = Utc::now();
        let fate = match behaviour {
            Behaviour::Deliver | Behaviour::AnswerLate { .. } => Fate::Arrives { at: now },
            Behaviour::Delay { milliseconds } => {
                Fate::Arrives { at: now + Duration::milliseconds(i64::try_from(milliseconds).unwrap_or(i64::from(u32::MAX))) }
            }
            Behaviour::Drop => Fate::Dropped,
            Behaviour::Dead => Fate::Refused { status: 404 },
            Behaviour::Invalid => Fate::Refused { status: 400 },
            Behaviour::TryLater { status, .. } => Fate::Refused { status },
        };
        let number = self.messages.len() as u64 + 1;
        self.messages.push(PushedMessage { number, token: token.to_owned(), data, android, received_at: now, fate });
        behaviour
    }

    /// What a phone can have by now, of messages after one that it had.
    pub(super) fn arrived(&self, token: &str, after: u64) -> Vec<PushedMessage> {
        let now = Utc::now();
        let arrived = |message: &&PushedMessage| {
            message.token == token && message.number > after && matches!(message.fate, Fate::Arrives { at } if at <= now)
        };
        self.messages.iter().filter(arrived).cloned().collect()
    }

    fn behaviour(&mut self, token: &str) -> Behaviour {
        let own = Some(token.to_owned());
        let key = if self.orders.contains_key(&own) { own } else { None };
        let Some((behaviour, times)) = self.orders.get_mut(&key) else { return Behaviour::Deliver };
        let behaviour = *behaviour;
        match times {
            None => behaviour,
            Some(0) => Behaviour::Deliver,
            Some(left) => {
                *left -= 1;
                behaviour
            }
        }
    }
}
