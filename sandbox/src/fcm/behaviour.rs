//! What becomes of messages, token by token.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What becomes of a message to a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "does", rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Behaviour {
    /// It arrives at once.
    #[default]
    Deliver,
    /// It is taken, and never arrives.
    Drop,
    /// It is taken, and arrives later.
    Delay {
        /// How much later.
        milliseconds: u64,
    },
    /// It arrives, but the sender hears of it later.
    AnswerLate {
        /// How much later.
        milliseconds: u64,
    },
    /// The app is gone: 404, UNREGISTERED.
    Dead,
    /// The token is none: 400, INVALID_ARGUMENT.
    Invalid,
    /// Too many messages (429), or out of order (500, 503).
    TryLater {
        /// 429, 500 or 503.
        status: u16,
        /// Seconds in Retry-After, if it is to be there.
        retry_after: Option<u32>,
    },
}

/// `POST /admin/behaviours`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BehaviourOrder {
    /// Whose messages; those of every token without an order of its own if absent.
    #[serde(default)]
    pub token: Option<String>,
    /// What becomes of them.
    pub behaviour: Behaviour,
    /// For so many messages, then they arrive; for good if absent.
    #[serde(default)]
    pub times: Option<u32>,
}

/// A refusal as FCM writes it: a google.rpc.Status with an FcmError among its details.
pub(super) fn error_body(http_status: u16, status: &str, message: &str, error_code: &str, field: Option<&str>) -> Value {
    let mut details = vec![json!({ "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": error_code })];
    if let Some(field) = field {
        let violation = json!({ "field": field, "description": message });
        details.push(json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation] }));
    }
    json!({ "error": { "code": http_status, "message": message, "status": status, "details": details } })
}
