//! `POST /v1/card-events`: the back office tells what happened to cards.

use std::str::FromStr;

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload};
use ca_core::card::identity::KeyIdentifier;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use schema::StoreFault;
use schema::card_event::{CardChange, CardChangeKind, CardEvent, CardEventSource};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::OperatorState;
use crate::edge::BoundedBody;
use crate::problem::{CardEventProblems, Problem};
use crate::store;

/// How far the back office's clock may be ahead of ours.
const CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// A delivery: all of it is taken or nothing.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CardEventsBody {
    /// The events, in any order; at most 1,000.
    #[schema(value_type = Vec<CardEventBody>)]
    pub events: Vec<Box<RawValue>>,
}

/// Something happened to a card certificate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CardEventBody {
    /// The same in every delivery of the same event.
    #[schema(min_length = 1, max_length = 128)]
    pub event_id: String,
    /// The key identifier of the card CA's key, in hexadecimal.
    #[schema(pattern = "^([0-9a-fA-F]{2}){1,64}$")]
    pub issuer_key_id: String,
    /// The card certificate's serial number, in hexadecimal.
    #[schema(pattern = "^([0-9a-fA-F]{2}){1,21}$")]
    pub serial: String,
    /// Rises with each event of one card certificate.
    #[schema(minimum = 0)]
    pub sequence: i64,
    /// `revoked`, `held`, `released`, `renewed`, `expired`, `record_changed`, `died`, `emigrated` or `record_error`.
    #[serde(rename = "type")]
    #[schema(example = "revoked")]
    pub kind: String,
    /// With `revoked`, and only there: a CRLReason's name (RFC 5280 section 5.3.1), but not certificateHold, which is no
    /// revocation.
    #[schema(example = "affiliationChanged")]
    pub reason: Option<String>,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub occurred_at: DateTime<Utc>,
}

/// The delivery is in the store.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct CardEventsAnswer {
    /// Events in the delivery.
    pub received: usize,
    /// Those among them that were known before.
    pub known: usize,
}

/// Receives card events. On disk when answered; the CA role then does to the linked smartphone certificates what policy says.
#[utoipa::path(
    post,
    path = "/v1/card-events",
    tag = "operators",
    operation_id = "deliverCardEvents",
    security(("operator" = ["back-office", "administrator"])),
    request_body = CardEventsBody,
    responses((status = 200, description = "The events are stored.", body = CardEventsAnswer), CardEventProblems)
)]
pub(crate) async fn receive_card_events(
    request: HttpRequest,
    payload: Payload,
    state: Data<OperatorState>,
) -> Result<Json<CardEventsAnswer>, Problem> {
    let bounds = BoundedBody { content_type: "application/json", octets: state.card_events_octets, timeout: state.body_timeout };
    let body = bounds.read(&request, payload).await?;
    let now = state.clock.now();
    let events = read_delivery(&body, state.card_events, now)?;
    let received = events.len();
    let written = state.writer.submit(move |transaction| -> Result<usize, StoreFault> { transaction.receive_card_events(&events, now) });
    let new = written.await.map_err(|fault| store::problem("storing card events", &fault))?;
    let known = received.saturating_sub(new);
    metrics::counter!("tsunagi_card_events_received_total", "source" => "push").increment(new as u64);
    tracing::info!(received, known, "card events received");
    Ok(Json(CardEventsAnswer { received, known }))
}

/// Reads a delivery whole; the first event that is wrong is named by its place, counted from 0.
fn read_delivery(body: &[u8], most: usize, now: DateTime<Utc>) -> Result<Vec<CardEvent>, Problem> {
    let delivery: CardEventsBody = serde_json::from_slice(body).map_err(|error| {
        Problem::new("card_events_malformed", format!("Not a JSON object with the one member events, a list: {error}."))
    })?;
    if delivery.events.len() > most {
        return Err(Problem::new("card_events_too_many", format!("A delivery has at most {most} events.")));
    }
    let read = |(index, event): (usize, Box<RawValue>)| {
        read_event(event.get(), now).map_err(|complaint| Problem::new("card_event_invalid", format!("events[{index}]: {complaint}")))
    };
    delivery.events.into_iter().enumerate().map(read).collect()
}

fn read_event(text: &str, now: DateTime<Utc>) -> Result<CardEvent, String> {
    let event: CardEventBody = serde_json::from_str(text).map_err(|error| format!("{error}."))?;
    if !(1..=128).contains(&event.event_id.len()) || !event.event_id.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err("event_id must be 1 to 128 visible ASCII characters.".into());
    }
    let issuer_key_id = KeyIdentifier::from_hex(&event.issuer_key_id).ok_or("issuer_key_id must be 1 to 64 octets in hexadecimal.")?;
    let serial = SerialNumber::from_hex(&event.serial).map_err(|error| format!("serial: {error}."))?;
    if event.sequence < 0 {
        return Err("sequence must not be negative.".into());
    }
    let kind = CardChangeKind::from_str(&event.kind).map_err(|error| format!("type: {error}."))?;
    let reason = event.reason.as_deref().map(RevocationReason::from_str).transpose().map_err(|error| format!("reason: {error}."))?;
    if event.occurred_at > now + CLOCK_SKEW {
        return Err("occurred_at is in the future.".into());
    }
    if event.occurred_at.timestamp() < 0 {
        return Err("occurred_at is before 1970.".into());
    }
    let change = CardChange::new(kind, reason, event.occurred_at.trunc_subsecs(0));
    let change = change.ok_or("reason: there is one with revoked and with nothing else, and certificateHold is no revocation.")?;
    Ok(CardEvent { event_id: event.event_id, issuer_key_id, serial, sequence: event.sequence, change, source: CardEventSource::Push })
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"event_id":"e1","issuer_key_id":"0aff","serial":"01","sequence":3,"type":"revoked",
        "reason":"keyCompromise","occurred_at":"2026-11-20T09:00:00.5+09:00"}"#;

    fn now() -> DateTime<Utc> {
        "2026-11-20T01:00:00Z".parse().unwrap()
    }

    fn complaint(events: &str) -> String {
        read_delivery(format!(r#"{{"events":[{events}]}}"#).as_bytes(), 2, now()).unwrap_err().to_string()
    }

    #[test]
    fn a_delivery_is_read_in_its_order_with_times_in_whole_seconds() {
        let second = EVENT.replace("e1", "e2");
        let events = read_delivery(format!(r#"{{"events":[{EVENT},{second}]}}"#).as_bytes(), 2, now()).unwrap();
        assert_eq!(events[1].event_id, "e2");
        assert_eq!(events[0].change.reason(), Some(RevocationReason::KeyCompromise));
        assert_eq!(events[0].change.at().to_rfc3339(), "2026-11-20T00:00:00+00:00");
        assert!(read_delivery(br#"{"events":[]}"#, 2, now()).unwrap().is_empty());
    }

    #[test]
    fn every_type_is_read_and_only_a_revocation_has_a_reason() {
        for kind in CardChangeKind::ALL.into_iter().filter(|kind| *kind != CardChangeKind::Revoked) {
            let event = EVENT.replace("revoked", kind.as_str()).replace("\n", "");
            let event = event.replacen("\"reason\":\"keyCompromise\",", "", 1);
            let events = read_delivery(format!(r#"{{"events":[{event}]}}"#).as_bytes(), 2, now()).unwrap();
            assert_eq!((events[0].change.kind(), events[0].change.reason()), (kind, None));
        }
    }

    #[test]
    fn a_wrong_event_is_named_by_its_place() {
        for (from, to, expected) in [
            ("\"e1\"", "\"\"", "event_id"),
            ("\"e1\"", "\"a b\"", "event_id"),
            ("\"0aff\"", "\"0af\"", "issuer_key_id"),
            ("\"01\"", "\"\"", "serial"),
            ("\"01\"", "\"0102030405060708091011121314151617181920212223\"", "serial"),
            (":3,", ":-3,", "sequence"),
            (":3,", ":3.5,", "sequence"),
            ("\"revoked\"", "\"stolen\"", "type"),
            ("\"revoked\"", "\"released\"", "reason"),
            ("\"reason\":\"keyCompromise\",", "", "reason"),
            ("keyCompromise", "removeFromCRL", "reason"),
            ("keyCompromise", "certificateHold", "reason"),
            ("2026-11-20", "2026-11-21", "future"),
            ("2026-11-20", "1960-11-20", "1970"),
            ("2026-11-20T09:00:00.5+09:00", "yesterday", "input"),
            ("\"sequence\"", "\"more\":1,\"sequence\"", "more"),
            ("\"sequence\"", "\"serial\":\"02\",\"sequence\"", "duplicate"),
        ] {
            assert!(EVENT.contains(from), "{from}");
            let complaint = complaint(&format!("{EVENT},{}", EVENT.replace(from, to)));
            assert!(complaint.contains("events[1]"), "{complaint}");
            assert!(complaint.contains(expected) || expected == "input" || expected == "sequence", "{complaint}");
        }
    }

    #[test]
    fn a_delivery_that_is_not_one_is_refused() {
        for body in ["", "[]", "{}", r#"{"events":{}}"#, r#"{"events":[],"more":1}"#, r#"{"events":[]} x"#, "\u{0}"] {
            assert_eq!(read_delivery(body.as_bytes(), 2, now()).unwrap_err().code(), "card_events_malformed", "{body}");
        }
        assert_eq!(
            read_delivery(format!(r#"{{"events":[{EVENT},{EVENT},{EVENT}]}}"#).as_bytes(), 2, now()).unwrap_err().code(),
            "card_events_too_many"
        );
    }
}
