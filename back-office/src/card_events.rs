//! `GET /v1/card-events`, on the wire.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::fault::BackOfficeFault;
use crate::look_up::is_identifier;
use crate::port::{CardChange, CardEvent, CardEventPage, EventSubject, FeedItem};

/// Octets of a cursor at most.
const CURSOR_OCTETS: usize = 1024;
/// Octets of a reason at most.
const REASON_OCTETS: usize = 64;

/// The page is held to its form as a whole; its events one by one.
#[derive(Deserialize)]
struct Page {
    events: Vec<Value>,
    cursor: String,
    more: bool,
}

#[derive(Deserialize)]
struct Event {
    event_id: String,
    issuer_key_id: Option<String>,
    serial: Option<String>,
    sequence: Option<i64>,
    scope: Option<Scope>,
    #[serde(rename = "type")]
    kind: String,
    reason: Option<String>,
    occurred_at: DateTime<Utc>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scope {
    issuer_key_id: String,
    distribution_point_sha256: Option<String>,
}

/// Reads a page that was asked for with `after` and `limit`.
pub(crate) fn decode(answer: &[u8], after: &str, limit: u32) -> Result<CardEventPage, BackOfficeFault> {
    let page: Page = serde_json::from_slice(answer).map_err(|_| BackOfficeFault::Malformed("not a page of card events"))?;
    if page.events.len() > limit as usize {
        return Err(BackOfficeFault::Malformed("more card events than asked for"));
    }
    if page.cursor.len() > CURSOR_OCTETS {
        return Err(BackOfficeFault::Malformed("a cursor of more than 1,024 octets"));
    }
    if page.more && page.cursor == after {
        // Following it would ask for the same page for ever.
        return Err(BackOfficeFault::Malformed("there is more, but the cursor does not move"));
    }
    Ok(CardEventPage { items: page.events.into_iter().map(item).collect(), cursor: page.cursor, more: page.more })
}

/// Whether `reason` can be one: its name is the caller's to know.
pub(crate) fn is_reason(reason: &str) -> bool {
    (1..=REASON_OCTETS).contains(&reason.len())
}

fn item(value: Value) -> FeedItem {
    let event_id = value.get("event_id").and_then(Value::as_str).filter(|id| is_identifier(id)).map(str::to_owned);
    let read = serde_json::from_value(value).map_err(|_| "its members are not those of a card event").and_then(event);
    match read {
        Ok(event) => FeedItem::Event(event),
        Err(complaint) => FeedItem::Unreadable { event_id, complaint },
    }
}

fn event(event: Event) -> Result<CardEvent, &'static str> {
    if !is_identifier(&event.event_id) {
        return Err("an event_id is not 1 to 128 visible ASCII characters");
    }
    let change = change(&event.kind, event.reason)?;
    let subject = match (event.scope, event.issuer_key_id, event.serial, event.sequence) {
        (None, Some(issuer_key_id), Some(serial), Some(sequence)) if sequence >= 0 => EventSubject::Card {
            issuer_key_id: octets(&issuer_key_id, 64, "an issuer_key_id is not 1 to 64 octets in hexadecimal")?,
            serial: octets(&serial, 21, "a serial is not 1 to 21 octets in hexadecimal")?,
            sequence,
        },
        (Some(scope), None, None, None) if matches!(change, CardChange::Revoked { .. } | CardChange::Held) => scope_of(&scope)?,
        (Some(_), None, None, None) => return Err("a scope in an event of a type that has none"),
        _ => return Err("neither one card certificate with its sequence nor a scope"),
    };
    Ok(CardEvent { event_id: event.event_id, subject, change, at: event.occurred_at })
}

fn change(kind: &str, reason: Option<String>) -> Result<CardChange, &'static str> {
    let change = match kind {
        "revoked" => {
            let reason = reason.ok_or("a revocation without a reason")?;
            return if is_reason(&reason) { Ok(CardChange::Revoked { reason }) } else { Err("a reason that is none") };
        }
        "held" => CardChange::Held,
        "released" => CardChange::Released,
        "renewed" => CardChange::Renewed,
        "expired" => CardChange::Expired,
        "record_changed" => CardChange::RecordChanged,
        "died" => CardChange::Died,
        "emigrated" => CardChange::Emigrated,
        "record_error" => CardChange::RecordError,
        _ => return Err("a card event of a type that we do not know"),
    };
    if reason.is_some() { Err("a reason in an event of a type that has none") } else { Ok(change) }
}

fn scope_of(scope: &Scope) -> Result<EventSubject, &'static str> {
    let issuer_key_id = octets(&scope.issuer_key_id, 64, "an issuer_key_id is not 1 to 64 octets in hexadecimal")?;
    let distribution_point_sha256 = match &scope.distribution_point_sha256 {
        None => None,
        Some(digits) => {
            let mut digest = [0; 32];
            hex::decode_to_slice(digits, &mut digest).map_err(|_| "a distribution_point_sha256 is not 32 octets in hexadecimal")?;
            Some(digest)
        }
    };
    Ok(EventSubject::Scope { issuer_key_id, distribution_point_sha256 })
}

fn octets(digits: &str, most: usize, complaint: &'static str) -> Result<Vec<u8>, &'static str> {
    let octets = hex::decode(digits).map_err(|_| complaint)?;
    if (1..=most).contains(&octets.len()) { Ok(octets) } else { Err(complaint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"event_id":"e1","issuer_key_id":"0aff","serial":"01","sequence":3,"type":"revoked",
        "reason":"affiliationChanged","occurred_at":"2026-11-20T09:00:00+09:00"}"#;
    const BATCH: &str = r#"{"event_id":"b1","scope":{"issuer_key_id":"0aff"},"type":"held","occurred_at":"2026-11-20T09:00:00Z"}"#;

    fn page(events: &str, cursor: &str, more: bool) -> String {
        format!(r#"{{"events":[{events}],"cursor":"{cursor}","more":{more}}}"#)
    }

    fn message(answer: &str) -> String {
        decode(answer.as_bytes(), "c0", 1).unwrap_err().to_string()
    }

    fn only(event: &str) -> FeedItem {
        let mut page = decode(page(event, "c1", false).as_bytes(), "c0", 1).unwrap();
        page.items.remove(0)
    }

    fn understood(event: &str) -> CardEvent {
        match only(event) {
            FeedItem::Event(event) => event,
            FeedItem::Unreadable { complaint, .. } => panic!("{complaint}"),
        }
    }

    #[test]
    fn an_event_is_read_with_its_time_in_utc() {
        let event = understood(EVENT);
        assert_eq!(event.subject, EventSubject::Card { issuer_key_id: vec![0x0a, 0xff], serial: vec![1], sequence: 3 });
        assert_eq!(event.change, CardChange::Revoked { reason: "affiliationChanged".into() });
        assert_eq!(event.at.to_rfc3339(), "2026-11-20T00:00:00+00:00");
    }

    #[test]
    fn each_type_is_the_change_of_its_name() {
        let told = EVENT.replace(r#""reason":"affiliationChanged","#, "");
        for (kind, change) in [
            ("held", CardChange::Held),
            ("released", CardChange::Released),
            ("renewed", CardChange::Renewed),
            ("expired", CardChange::Expired),
            ("record_changed", CardChange::RecordChanged),
            ("died", CardChange::Died),
            ("emigrated", CardChange::Emigrated),
            ("record_error", CardChange::RecordError),
        ] {
            assert_eq!(understood(&told.replace("\"revoked\"", &format!("\"{kind}\""))).change, change);
        }
    }

    #[test]
    fn a_batch_is_about_a_card_ca_or_one_of_its_distribution_points() {
        let all = EventSubject::Scope { issuer_key_id: vec![0x0a, 0xff], distribution_point_sha256: None };
        assert_eq!(understood(BATCH).subject, all);
        let point = format!(r#""0aff","distribution_point_sha256":"{}""#, "ab".repeat(32));
        let one = EventSubject::Scope { issuer_key_id: vec![0x0a, 0xff], distribution_point_sha256: Some([0xab; 32]) };
        assert_eq!(understood(&BATCH.replace("\"0aff\"", &point)).subject, one);
    }

    #[test]
    fn a_cursor_that_stands_still_is_refused_unless_there_is_no_more() {
        assert!(message(&page(EVENT, "c0", true)).contains("does not move"));
        assert!(decode(page("", "c0", false).as_bytes(), "c0", 1).is_ok());
    }

    #[test]
    fn more_events_than_asked_for_are_refused() {
        assert!(message(&page(&format!("{EVENT},{EVENT}"), "c1", false)).contains("more card events"));
    }

    #[test]
    fn an_event_that_is_not_understood_does_not_hide_the_next() {
        let unknown = EVENT.replace("\"revoked\"", "\"lost at sea\"").replace("e1", "e0");
        let page = decode(page(&format!("{unknown},7,{EVENT}"), "c1", false).as_bytes(), "c0", 3).unwrap();
        let FeedItem::Unreadable { event_id: Some(event_id), complaint } = &page.items[0] else { panic!("{:?}", page.items[0]) };
        assert_eq!(event_id, "e0");
        assert!(complaint.contains("do not know"));
        assert!(matches!(page.items[1], FeedItem::Unreadable { event_id: None, .. }));
        assert!(matches!(&page.items[2], FeedItem::Event(event) if event.event_id == "e1"));
    }

    #[test]
    fn members_out_of_form_make_an_event_unreadable() {
        for (event, from, to) in [
            (EVENT, "\"e1\"", "\"\""),
            (EVENT, "\"0aff\"", "\"0af\""),
            (EVENT, "\"01\"", "\"\""),
            (EVENT, ":3,", ":-3,"),
            (EVENT, "\"reason\":\"affiliationChanged\",", ""),
            (EVENT, "affiliationChanged", ""),
            (EVENT, "\"revoked\"", "\"held\""),
            (EVENT, "2026-11-20T", "2026-13-20T"),
            (EVENT, "\"sequence\":3,", ""),
            (EVENT, "\"sequence\":3,", "\"sequence\":3,\"scope\":{\"issuer_key_id\":\"0aff\"},"),
            (BATCH, "\"held\"", "\"released\""),
            (BATCH, "\"held\"", "\"revoked\""),
            (BATCH, "\"0aff\"", "\"\""),
            (BATCH, "\"0aff\"", "\"0aff\",\"distribution_point_sha256\":\"00\""),
            (BATCH, "\"0aff\"", "\"0aff\",\"municipality\":\"x\""),
        ] {
            assert!(event.contains(from), "{from}");
            assert!(matches!(only(&event.replace(from, to)), FeedItem::Unreadable { .. }), "{from} -> {to}");
        }
    }
}
