//! A message, as FCM HTTP v1 takes it, and what FCM says when it did:
//! <https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages>

use serde::{Deserialize, Serialize};

use crate::fault::PushFault;
use crate::gateway::PushMessage;

/// Octets of a message's data at most, names included, by FCM's own limit.
const DATA_OCTETS: usize = 4_096;
/// The name of the one member of a message's data.
const COMMAND: &str = "command";
/// Seconds that FCM keeps a message at most: four weeks.
const LONGEST_TTL: u64 = 2_419_200;

#[derive(Serialize)]
struct Request<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    token: &'a str,
    data: Data<'a>,
    android: Android,
}

#[derive(Serialize)]
struct Data<'a> {
    command: &'a str,
}

#[derive(Serialize)]
struct Android {
    priority: &'static str,
    ttl: String,
}

#[derive(Deserialize)]
struct Taken {
    name: String,
}

/// The body of the request that sends a message.
pub(crate) fn encode(message: &PushMessage) -> Result<Vec<u8>, PushFault> {
    if message.command_jws.len() + COMMAND.len() > DATA_OCTETS {
        return Err(PushFault::TooLong { limit: DATA_OCTETS });
    }
    let ttl = format!("{}s", message.ttl.as_secs().min(LONGEST_TTL));
    let android = Android { priority: "high", ttl };
    let request = Request { message: Message { token: &message.token, data: Data { command: &message.command_jws }, android } };
    serde_json::to_vec(&request).map_err(|_| PushFault::Malformed("the message cannot be written"))
}

/// Whether the body of a success names the message that was taken.
pub(crate) fn is_taken(answer: &[u8]) -> bool {
    serde_json::from_slice::<Taken>(answer).is_ok_and(|taken| !taken.name.is_empty())
}
