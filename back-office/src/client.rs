//! The back office over HTTPS.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use ureq::Agent;

use crate::card_events;
use crate::card_states;
use crate::fault::BackOfficeFault;
use crate::look_up;
use crate::notices;
use crate::port::{
    BackOffice, CARD_STATES_AT_ONCE, CardEventPage, CardHolder, CardName, CardReference, NOTICES_AT_ONCE, Notice, RegisterState,
};
use crate::settings::BackOfficeSettings;
use crate::transport::{date, exchange, pinned_agent};

/// The back office behind an HTTPS interface with a bearer token. Shared by all threads: connections are kept in one pool.
pub struct HttpBackOffice {
    agent: Agent,
    base: String,
    token: SecretString,
    answer_octets: u64,
}

impl HttpBackOffice {
    /// Checks the settings; connects to nothing yet.
    pub fn new(settings: &BackOfficeSettings) -> Result<Self, BackOfficeFault> {
        if !settings.url.starts_with("https://") {
            return Err(BackOfficeFault::Settings("the back office's URL must begin with https://".into()));
        }
        let token = settings.token.expose_secret();
        if token.is_empty() || !token.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(BackOfficeFault::Settings("the back office's token must be visible ASCII characters".into()));
        }
        Ok(Self {
            agent: pinned_agent(&settings.connection, &settings.ca_certificate)?,
            base: settings.url.trim_end_matches('/').to_owned(),
            token: settings.token.clone(),
            answer_octets: settings.answer_octets,
        })
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", self.token.expose_secret())
    }

    /// Sends a question in JSON by POST. All of ours may be repeated without harm.
    fn ask(&self, path: &str, question: &[u8]) -> Result<Vec<u8>, BackOfficeFault> {
        let url = format!("{}{path}", self.base);
        exchange(self.answer_octets, || {
            self.agent
                .post(&url)
                .header("Authorization", self.authorization())
                .header("Accept", "application/json")
                .content_type("application/json")
                .send(question)
        })
    }
}

impl BackOffice for HttpBackOffice {
    fn look_up(&self, cards: &[CardReference]) -> Result<Vec<Option<CardHolder>>, BackOfficeFault> {
        if cards.is_empty() {
            return Ok(Vec::new());
        }
        let question = look_up::encode(cards)?;
        let answer = self.ask("/v1/card-certificates/lookup", &question)?;
        look_up::decode(&answer, cards.len())
    }

    fn card_events(&self, after: &str, limit: u32) -> Result<CardEventPage, BackOfficeFault> {
        let url = format!("{}/v1/card-events", self.base);
        let limit_text = limit.to_string();
        let answer = exchange(self.answer_octets, || {
            self.agent
                .get(&url)
                .query("after", after)
                .query("limit", &limit_text)
                .header("Authorization", self.authorization())
                .header("Accept", "application/json")
                .call()
        })?;
        card_events::decode(&answer, after, limit)
    }

    fn card_states(&self, cards: &[CardName]) -> Result<Vec<Option<RegisterState>>, BackOfficeFault> {
        if cards.is_empty() {
            return Ok(Vec::new());
        }
        if cards.len() > CARD_STATES_AT_ONCE {
            return Err(BackOfficeFault::TooMany { limit: CARD_STATES_AT_ONCE });
        }
        let answer = self.ask("/v1/card-certificates/states", &card_states::encode(cards)?)?;
        card_states::decode(&answer, cards.len())
    }

    fn notify(&self, notices: &[Notice]) -> Result<Vec<String>, BackOfficeFault> {
        if notices.is_empty() {
            return Ok(Vec::new());
        }
        if notices.len() > NOTICES_AT_ONCE {
            return Err(BackOfficeFault::TooMany { limit: NOTICES_AT_ONCE });
        }
        let answer = self.ask("/v1/notices", &notices::encode(notices)?)?;
        notices::decode(&answer, notices)
    }

    fn clock(&self) -> Result<DateTime<Utc>, BackOfficeFault> {
        let url = format!("{}/v1/card-events", self.base);
        date(|| {
            self.agent
                .get(&url)
                .query("after", "")
                .query("limit", "1")
                .header("Authorization", self.authorization())
                .header("Accept", "application/json")
                .header("Cache-Control", "no-store")
                .call()
        })
    }
}
