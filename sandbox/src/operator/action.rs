//! What operators may want; field names are the wire.

use serde::Serialize;

use crate::back_office::EventScope;
use crate::kind::Kind;
use crate::reason::Reason;

/// What an operator wants changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum OperatorAction {
    /// Certificates on hold.
    Hold {
        /// Which.
        target: Target,
        /// Why.
        cause: HoldCause,
        /// What the call was about, 1 to 1,000 characters.
        ticket: String,
    },
    /// A cause of a hold no longer stands.
    Lift {
        /// Which.
        target: Target,
        /// Which cause.
        cause: HoldCause,
        /// What the call was about.
        ticket: String,
    },
    /// Certificates end.
    Revoke {
        /// Which.
        target: Target,
        /// Why.
        reason: Reason,
        /// Since when it has been invalid, if that is known: RFC 3339.
        #[serde(skip_serializing_if = "Option::is_none")]
        invalid_since: Option<String>,
        /// What the call was about.
        ticket: String,
    },
    /// A phone is to erase its keys.
    Erase {
        /// The phone's name.
        device: String,
        /// Why.
        ticket: String,
    },
    /// A phone is to lock its keys.
    Lock {
        /// The phone's name.
        device: String,
        /// Why.
        ticket: String,
    },
    /// A schedule runs now.
    RunSchedule {
        /// Its name.
        schedule: String,
    },
    /// Every certificate linked to a scope of card certificates changes.
    Mass {
        /// How.
        change: MassChange,
        /// With `revoke`: why.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Reason>,
        /// Linked to which card certificates.
        scope: EventScope,
        /// How many the dry run counted.
        expected: u64,
        /// Why.
        ticket: String,
    },
    /// Another administrator's mass instruction may go on.
    Approve {
        /// Its name: hex SHA-256.
        instruction: String,
    },
}

/// Which certificates an instruction is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Target {
    /// One.
    Certificate {
        /// Serial number, hex.
        serial: String,
        /// Its kind, if both kinds have that number.
        #[serde(skip_serializing_if = "Option::is_none")]
        kind: Option<Kind>,
    },
    /// Those of a phone.
    Device {
        /// The phone's name.
        device: String,
    },
    /// All of a holder.
    Holder {
        /// The holder.
        holder_id: String,
    },
}

impl Target {
    /// One certificate of a kind.
    pub fn certificate(serial: &str, kind: Kind) -> Self {
        Self::Certificate { serial: serial.to_owned(), kind: Some(kind) }
    }

    /// Those of a phone.
    pub fn device(device: &str) -> Self {
        Self::Device { device: device.to_owned() }
    }

    /// All of a holder.
    pub fn holder(holder_id: &str) -> Self {
        Self::Holder { holder_id: holder_id.to_owned() }
    }
}

/// Why a certificate is on hold; `card-held` is not an operator's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HoldCause {
    /// The phone is lost.
    PhoneLost,
    /// Anything else.
    Operator,
    /// The card is on hold: to be refused from an operator.
    CardHeld,
}

/// What a mass instruction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MassChange {
    /// Ends them.
    Revoke,
    /// Puts them on hold.
    Hold,
}

/// What a verifier asks about certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "about", rename_all = "kebab-case", rename_all_fields = "snake_case")]
pub enum LookupAbout {
    /// The same person's certificate of the other kind.
    OtherKind,
    /// The next of the kind.
    Successor,
    /// The one before.
    Predecessor,
    /// The card certificate that it hangs on.
    Card,
    /// The serial numbers are of card certificates: the smartphone certificates that hang on them.
    Smartphone {
        /// Key identifier, hex, of the card CA's key.
        issuer_key_id: String,
    },
}
