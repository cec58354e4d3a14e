//! Who or what is behind a change.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// Who or what is behind a change: the `by` of its event's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An operator, by the name and role of the certificate that signed.
    Operator {
        /// The certificate's CN.
        name: String,
        /// The certificate's OU.
        role: String,
    },
    /// The holder, with a key of the phone.
    HolderPhone,
    /// The holder, with the card.
    HolderCard,
    /// Something happened to the card certificate.
    CardEvent {
        /// What its sender calls the event.
        id: String,
    },
    /// The time had come.
    Schedule {
        /// The schedule's name.
        name: String,
    },
    /// Somebody has the private key and proved it.
    KeyReport,
    /// Another certificate took the place.
    Issuance,
    /// The store had been restored, and a published list told what it had forgotten.
    Reconciliation,
}

impl Origin {
    /// As event data tell it.
    pub fn to_data(&self) -> Value {
        match self {
            Self::Operator { name, role } => json!({"operator": name, "role": role}),
            Self::HolderPhone => json!({"holder": "phone"}),
            Self::HolderCard => json!({"holder": "card"}),
            Self::CardEvent { id } => json!({"card_event": id}),
            Self::Schedule { name } => json!({"schedule": name}),
            Self::KeyReport => json!({"key_report": true}),
            Self::Issuance => json!({"issuance": true}),
            Self::Reconciliation => json!({"reconciliation": true}),
        }
    }

    /// The origin that event data tell, if they tell one that is known here.
    pub fn from_data(data: &Value) -> Option<Self> {
        let word = |key: &str| data.get(key)?.as_str().map(str::to_owned);
        if let (Some(name), Some(role)) = (word("operator"), word("role")) {
            return Some(Self::Operator { name, role });
        }
        if let Some(id) = word("card_event") {
            return Some(Self::CardEvent { id });
        }
        if let Some(name) = word("schedule") {
            return Some(Self::Schedule { name });
        }
        let is_there = |key: &str| data.get(key).is_some();
        match (word("holder").as_deref(), is_there("key_report"), is_there("issuance"), is_there("reconciliation")) {
            (Some("phone"), false, false, false) => Some(Self::HolderPhone),
            (Some("card"), false, false, false) => Some(Self::HolderCard),
            (None, true, false, false) => Some(Self::KeyReport),
            (None, false, true, false) => Some(Self::Issuance),
            (None, false, false, true) => Some(Self::Reconciliation),
            _ => None,
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_data().serialize(serializer)
    }
}
