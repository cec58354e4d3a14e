//! The operators' listener, over mutual TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Authority, Caller, Identity, Listener, Store, assert_described, serve_operators, store};
use serde_json::{Value, json};

struct House {
    store: Store,
    tls: Authority,
    operators: Authority,
    listener: Listener,
}

impl House {
    fn new() -> Self {
        let (store, tls, operators) = (store(), Authority::new(), Authority::new());
        let listener = serve_operators(&store, &tls, &operators);
        Self { store, tls, operators, listener }
    }

    fn caller(&self, identity: Option<&Identity>) -> Caller {
        Caller::new(&self.listener, &self.tls, identity)
    }

    fn back_office(&self) -> Caller {
        self.caller(Some(&self.operators.operator("J-LIS", "back-office")))
    }

    fn stored(&self) -> usize {
        self.store.database.reader().unapplied_card_events(2_000).unwrap().len()
    }
}

fn event(number: u32) -> Value {
    json!({
        "event_id": format!("e{number}"), "issuer_key_id": "0a0b", "serial": format!("{number:08x}"), "sequence": 1, "type": "revoked",
        "reason": "cessationOfOperation", "occurred_at": "2026-01-01T00:00:00Z"
    })
}

fn delivery(events: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({ "events": events })).unwrap()
}

#[test]
fn nobody_gets_in_without_a_certificate_of_the_operator_ca() {
    let house = House::new();
    assert!(house.caller(None).try_get("/health/live", &[]).is_err());
    let stranger = Authority::new().operator("J-LIS", "back-office");
    assert!(house.caller(Some(&stranger)).try_get("/health/live", &[]).is_err());
    // The listener's own server certificate is no way in either.
    assert!(house.caller(Some(&house.tls.server())).try_get("/health/live", &[]).is_err());
}

#[test]
fn a_certificate_without_a_known_role_is_let_into_nothing() {
    let house = House::new();
    for role in ["operator", "", "Back-Office"] {
        let caller = house.caller(Some(&house.operators.operator("someone", role)));
        for path in ["/health/live", "/openapi.json", "/v1/nothing"] {
            let answer = caller.get(path);
            assert_eq!((answer.status, answer.problem()), (403, "role_unknown"));
        }
        let answer = caller.post("/v1/card-events", "application/json", &delivery(&[event(1)]));
        assert_eq!((answer.status, answer.problem()), (403, "role_unknown"));
        assert_described("post", "/v1/card-events", &answer);
    }
    assert_eq!(house.stored(), 0);
}

#[test]
fn card_events_are_stored_once_however_often_they_come() {
    let house = House::new();
    let caller = house.back_office();
    let answer = caller.post("/v1/card-events", "application/json", &delivery(&[event(1), event(2)]));
    assert_eq!((answer.status, &answer.body), (200, &json!({"received": 2, "known": 0})), "{answer:?}");
    assert_described("post", "/v1/card-events", &answer);
    let answer = caller.post("/v1/card-events", "application/json; charset=utf-8", &delivery(&[event(2), event(3), event(3)]));
    assert_eq!(answer.body, json!({"received": 3, "known": 2}));
    assert_eq!(house.stored(), 3);
    assert_eq!(house.store.database.reader().unapplied_card_events(10).unwrap().len(), 3);
    assert_eq!(caller.get("/health/ready").status, 200);
    assert_eq!(caller.get("/v1/nothing").problem(), "route_unknown");
    assert_eq!(caller.get("/v1/card-events").problem(), "method_not_allowed");
    // What holders do is not on this listener.
    assert_eq!(caller.post("/v1/applications", "application/cms", b"").problem(), "route_unknown");
}

#[test]
fn one_wrong_event_refuses_the_delivery_and_is_named() {
    let house = House::new();
    let caller = house.back_office();
    let mut wrong = event(3);
    wrong["reason"] = json!("certificateHold");
    let answer = caller.post("/v1/card-events", "application/json", &delivery(&[event(1), event(2), wrong, event(4)]));
    assert_eq!((answer.status, answer.problem()), (422, "card_event_invalid"));
    assert!(answer.body["detail"].as_str().unwrap().starts_with("events[2]: "), "{answer:?}");
    assert_described("post", "/v1/card-events", &answer);
    assert_eq!(house.stored(), 0);
}

#[test]
fn deliveries_out_of_bounds_are_refused() {
    let house = House::new();
    let caller = house.back_office();
    let events: Vec<Value> = (0..1_001).map(event).collect();
    let answer = caller.post("/v1/card-events", "application/json", &delivery(&events));
    assert_eq!((answer.status, answer.problem()), (413, "card_events_too_many"));
    let answer = caller.post("/v1/card-events", "application/json", &vec![b' '; (1 << 20) + 1]);
    assert_eq!((answer.status, answer.problem()), (413, "body_too_large"));
    let answer = caller.post("/v1/card-events", "text/plain", b"{}");
    assert_eq!((answer.status, answer.problem()), (415, "content_type_unsupported"));
    let answer = caller.post("/v1/card-events", "application/json", b"{\"events\":");
    assert_eq!((answer.status, answer.problem()), (400, "card_events_malformed"));
    assert_described("post", "/v1/card-events", &answer);
    let answer = caller.post("/v1/card-events", "application/json", &delivery(&events[..1_000]));
    assert_eq!(answer.body, json!({"received": 1_000, "known": 0}));
    assert_eq!(house.stored(), 1_000);
}
