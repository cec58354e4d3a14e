//! A client of the back office, for a process of its own (`sandbox card new`, `sandbox card revoke`, the load generator).

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::BackOfficeFault;
use super::events::{CardEvent, EventPage, EventsPushed};
use super::notices::{KeptNotice, Notice, NoticeDelivery, NoticeList, NoticesAccepted};
use super::orders::{BatchDone, BatchOrder, CardChanged, CardOrder, Faults, OrderDetail};
use super::wire::{
    BulkCards, BulkRequest, CardAuthorityEntry, CardFile, CardReference, CardState, LookupAnswer, LookupRequest, LookupResult, NewCard,
    RevocationRequest, StateQuestion, StatesAnswer, StatesRequest,
};
use crate::http::{HttpAnswer, HttpClient, HttpSettings};

/// Speaks to a back office over HTTPS.
#[derive(Debug, Clone)]
pub struct BackOfficeClient {
    http: HttpClient,
    url: String,
    authorization: String,
}

impl BackOfficeClient {
    /// `url` is the HTTPS listener's, `tls_ca_pem` the CA its certificate must lead to.
    pub fn new(url: &str, tls_ca_pem: &str, token: &str) -> Result<Self, BackOfficeFault> {
        let settings = HttpSettings { ca_certificate_pem: Some(tls_ca_pem.to_owned()), identity: None, timeout: Duration::from_secs(120) };
        let authorization = format!("Bearer {}", token.trim());
        Ok(Self { http: HttpClient::new(&settings)?, url: url.trim_end_matches('/').to_owned(), authorization })
    }

    /// Has a card handed out.
    pub fn new_card(&self, wish: &NewCard) -> Result<CardFile, BackOfficeFault> {
        self.post("/admin/cards", wish)
    }

    /// Has many cards handed out.
    pub fn new_cards(&self, wish: &BulkRequest) -> Result<BulkCards, BackOfficeFault> {
        self.post("/admin/cards/bulk", wish)
    }

    /// Ends certificates of a card.
    pub fn revoke(&self, card_id: &str, request: &RevocationRequest) -> Result<Vec<CardEvent>, BackOfficeFault> {
        self.post::<EventsPushed>(&format!("/admin/cards/{}/revoke", segment(card_id)), request).map(|answer| answer.events)
    }

    /// Has an order about a card carried out.
    pub fn order(&self, card_id: &str, order: CardOrder, detail: &OrderDetail) -> Result<CardChanged, BackOfficeFault> {
        self.post(&format!("/admin/cards/{}/{order}", segment(card_id)), detail)
    }

    /// Has every card certificate in a scope changed.
    pub fn order_batch(&self, order: &BatchOrder) -> Result<BatchDone, BackOfficeFault> {
        self.post("/admin/batches", order)
    }

    /// Orders what is to go wrong.
    pub fn set_faults(&self, faults: Faults) -> Result<Faults, BackOfficeFault> {
        self.post("/admin/faults", &faults)
    }

    /// What holders were told.
    pub fn notices(&self) -> Result<Vec<KeptNotice>, BackOfficeFault> {
        self.get::<NoticeList>("/admin/notices").map(|list| list.notices)
    }

    /// Tells holders, as the product does.
    pub fn tell_holders(&self, notices: &[Notice]) -> Result<NoticesAccepted, BackOfficeFault> {
        self.post("/v1/notices", &NoticeDelivery { notices: notices.to_vec() })
    }

    /// How card certificates stand.
    pub fn states(&self, cards: &[StateQuestion]) -> Result<Vec<CardState>, BackOfficeFault> {
        self.post::<StatesAnswer>("/v1/card-certificates/states", &StatesRequest { cards: cards.to_vec() }).map(|answer| answer.states)
    }

    /// The card CA's certificates.
    pub fn card_authorities(&self) -> Result<Vec<CardAuthorityEntry>, BackOfficeFault> {
        self.get("/admin/card-authorities")
    }

    /// Whose cards they are.
    pub fn look_up(&self, cards: &[CardReference]) -> Result<Vec<LookupResult>, BackOfficeFault> {
        self.post::<LookupAnswer>("/v1/card-certificates/lookup", &LookupRequest { cards: cards.to_vec() }).map(|answer| answer.results)
    }

    /// Events after a cursor; `""` is the start.
    pub fn card_events(&self, after: &str, limit: u32) -> Result<EventPage, BackOfficeFault> {
        self.get(&format!("/v1/card-events?after={after}&limit={limit}"))
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, BackOfficeFault> {
        read(self.http.get(&format!("{}{path}", self.url), &[("Authorization", &self.authorization)])?)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, BackOfficeFault> {
        let body = serde_json::to_vec(body).map_err(|error| BackOfficeFault::Refused(error.to_string()))?;
        let headers = [("Authorization", self.authorization.as_str())];
        read(self.http.post(&format!("{}{path}", self.url), &headers, "application/json", &body)?)
    }
}

/// A card's name as a part of a path.
fn segment(card_id: &str) -> String {
    card_id.chars().filter(|character| character.is_ascii_alphanumeric() || *character == '-').collect()
}

fn read<T: DeserializeOwned>(answer: HttpAnswer) -> Result<T, BackOfficeFault> {
    let shown = || String::from_utf8_lossy(&answer.body).chars().take(300).collect();
    if !(200..300).contains(&answer.status) {
        return Err(BackOfficeFault::Answer { status: answer.status, body: shown() });
    }
    serde_json::from_slice(&answer.body).map_err(|_| BackOfficeFault::Answer { status: answer.status, body: shown() })
}
