//! `GET /v1/card-events`, on the wire.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::fault::BackOfficeFault;
use crate::look_up::is_identifier;
use crate::port::{CardChange, CardEvent, CardEventPage};

/// Octets of a cursor at most.
const CURSOR_OCTETS: usize = 1024;

#[derive(Deserialize)]
struct Page {
    events: Vec<Event>,
    cursor: String,
    more: bool,
}

#[derive(Deserialize)]
struct Event {
    event_id: String,
    issuer_key_id: String,
    serial: String,
    sequence: i64,
    #[serde(rename = "type")]
    kind: String,
    reason: Option<String>,
    occurred_at: DateTime<Utc>,
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
    let events = page.events.into_iter().map(event).collect::<Result<_, _>>()?;
    Ok(CardEventPage { events, cursor: page.cursor, more: page.more })
}

fn event(event: Event) -> Result<CardEvent, BackOfficeFault> {
    if !is_identifier(&event.event_id) {
        return Err(BackOfficeFault::Malformed("an event_id is not 1 to 128 visible ASCII characters"));
    }
    if event.sequence < 0 {
        return Err(BackOfficeFault::Malformed("a negative sequence"));
    }
    // An unknown kind of event is never passed over: it may be one that ends certificates.
    if event.kind != "revoked" {
        return Err(BackOfficeFault::Malformed("a card event of a type that we do not know"));
    }
    let reason = event.reason.ok_or(BackOfficeFault::Malformed("a revocation without a reason"))?;
    if reason.len() > 64 {
        return Err(BackOfficeFault::Malformed("a reason that is none"));
    }
    Ok(CardEvent {
        event_id: event.event_id,
        issuer_key_id: octets(&event.issuer_key_id, 64, "an issuer_key_id is not 1 to 64 octets in hexadecimal")?,
        serial: octets(&event.serial, 21, "a serial is not 1 to 21 octets in hexadecimal")?,
        sequence: event.sequence,
        change: CardChange::Revoked { reason, at: event.occurred_at },
    })
}

fn octets(digits: &str, most: usize, complaint: &'static str) -> Result<Vec<u8>, BackOfficeFault> {
    let octets = hex::decode(digits).map_err(|_| BackOfficeFault::Malformed(complaint))?;
    if (1..=most).contains(&octets.len()) { Ok(octets) } else { Err(BackOfficeFault::Malformed(complaint)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"event_id":"e1","issuer_key_id":"0aff","serial":"01","sequence":3,"type":"revoked",
        "reason":"affiliationChanged","occurred_at":"2026-11-20T09:00:00+09:00"}"#;

    fn page(events: &str, cursor: &str, more: bool) -> String {
        format!(r#"{{"events":[{events}],"cursor":"{cursor}","more":{more}}}"#)
    }

    fn message(answer: &str) -> String {
        decode(answer.as_bytes(), "c0", 1).unwrap_err().to_string()
    }

    #[test]
    fn an_event_is_read_with_its_time_in_utc() {
        let page = decode(page(EVENT, "c1", true).as_bytes(), "c0", 1).unwrap();
        assert_eq!(page.cursor, "c1");
        assert_eq!(page.events[0].issuer_key_id, [0x0a, 0xff]);
        let CardChange::Revoked { reason, at } = &page.events[0].change;
        assert_eq!(reason, "affiliationChanged");
        assert_eq!(at.to_rfc3339(), "2026-11-20T00:00:00+00:00");
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
    fn an_event_of_an_unknown_type_is_not_passed_over() {
        assert!(message(&page(&EVENT.replace("\"revoked\"", "\"held\""), "c1", false)).contains("do not know"));
    }

    #[test]
    fn members_out_of_form_are_refused() {
        for (from, to) in [
            ("\"e1\"", "\"\""),
            ("\"0aff\"", "\"0af\""),
            ("\"01\"", "\"\""),
            (":3,", ":-3,"),
            ("\"reason\":\"affiliationChanged\",", ""),
            ("2026-11-20T", "2026-13-20T"),
            ("\"sequence\":3,", ""),
        ] {
            assert!(EVENT.contains(from), "{from}");
            message(&page(&EVENT.replace(from, to), "c1", false));
        }
    }
}
