//! The phone's side of push: asks for its messages.

use std::collections::HashSet;
use std::time::Duration;

use serde::Deserialize;

use super::mailbox::PushedMessage;
use super::server::PushServiceFault;
use crate::http::{HttpClient, HttpSettings};

/// A phone's messages. A delayed one may come after younger ones; each comes once.
#[derive(Debug)]
pub struct PushSubscription {
    http: HttpClient,
    url: String,
    token: String,
    seen: HashSet<u64>,
}

#[derive(Deserialize)]
struct Messages {
    messages: Vec<PushedMessage>,
}

impl PushSubscription {
    /// `url` is the push service's.
    pub fn new(url: &str, token: &str) -> Result<Self, PushServiceFault> {
        let settings = HttpSettings { timeout: Duration::from_secs(10), ..HttpSettings::default() };
        let token = token.to_owned();
        Ok(Self { http: HttpClient::new(&settings)?, url: url.trim_end_matches('/').to_owned(), token, seen: HashSet::new() })
    }

    /// What has arrived since the last time.
    pub fn poll(&mut self) -> Result<Vec<PushedMessage>, PushServiceFault> {
        let body = serde_json::json!({ "token": self.token }).to_string();
        let answer = self.http.post(&format!("{}/device/messages", self.url), &[], "application/json", body.as_bytes())?;
        if answer.status != 200 {
            return Err(PushServiceFault::Answer { status: answer.status });
        }
        let messages: Messages = serde_json::from_slice(&answer.body).map_err(|_| PushServiceFault::Answer { status: answer.status })?;
        Ok(messages.messages.into_iter().filter(|message| self.seen.insert(message.number)).collect())
    }

    /// The commands (each a JWS) that have arrived since the last time.
    pub fn commands(&mut self) -> Result<Vec<String>, PushServiceFault> {
        Ok(self.poll()?.into_iter().filter_map(|mut message| message.data.remove("command")).collect())
    }
}
