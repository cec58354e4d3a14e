//! Notices to holders, and messages to phones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::back_office;
use sandbox::back_office::{BackOfficeFault, Faults, Notice, NoticeText};
use sandbox::fcm::{Behaviour, BehaviourOrder, Fate, PushService, PushServiceSettings, PushSubscription};
use sandbox::http::{HttpAnswer, HttpClient, HttpSettings};
use serde_json::{Value, json};

fn notice(id: &str, title: &str) -> Notice {
    let text = |title: &str| NoticeText { title: title.to_owned(), body: "…".to_owned() };
    let text = BTreeMap::from([("ja".to_owned(), text("お知らせ")), ("en".to_owned(), text(title))]);
    let (notice_id, template) = (id.to_owned(), "certificate-revoked".to_owned());
    Notice { notice_id, holder_id: "holder-1".to_owned(), template, occurred_at: chrono::Utc::now(), text }
}

#[test]
fn a_notice_is_kept_once_however_often_it_comes() {
    let office = back_office(1);
    let client = office.client().unwrap();
    let first = notice("n1", "Held");
    assert_eq!(client.tell_holders(&[first.clone(), notice("n2", "Revoked")]).unwrap().accepted, ["n1", "n2"]);
    assert_eq!(client.tell_holders(std::slice::from_ref(&first)).unwrap().accepted, ["n1"]);
    let kept = client.notices().unwrap();
    assert_eq!(kept, office.notices());
    assert_eq!((kept.len(), kept[0].deliveries, kept[0].contradicted, &kept[0].notice), (2, 2, false, &first));
    client.tell_holders(&[notice("n1", "Something else")]).unwrap();
    assert!(office.notices()[0].contradicted);
    let mut silent = notice("n3", "x");
    silent.text.remove("ja");
    assert!(matches!(client.tell_holders(&[silent]), Err(BackOfficeFault::Answer { status: 400, .. })));
}

#[test]
fn notices_can_be_refused_and_their_answers_lost() {
    let office = back_office(1);
    let client = office.client().unwrap();
    office.set_faults(Faults { refuse_notices: 1, lose_notice_answers: 1, ..Faults::default() }).unwrap();
    let told = || client.tell_holders(&[notice("n1", "Held")]);
    assert!(matches!(told(), Err(BackOfficeFault::Answer { status: 503, .. })));
    assert!(office.notices().is_empty());
    assert!(matches!(told(), Err(BackOfficeFault::Http(_))), "the answer is lost");
    assert_eq!(office.notices()[0].deliveries, 1);
    assert!(told().is_ok());
    assert_eq!(office.notices()[0].deliveries, 2);
}

#[test]
fn questions_can_be_answered_late() {
    let office = back_office(1);
    let client = office.client().unwrap();
    office.set_faults(Faults { answer_late_ms: 300, ..Faults::default() }).unwrap();
    let start = Instant::now();
    client.card_events("", 10).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
}

struct Sender {
    service: PushService,
    http: HttpClient,
}

impl Sender {
    fn new() -> Self {
        let service = PushService::start(&PushServiceSettings::default()).unwrap();
        Self { service, http: HttpClient::new(&HttpSettings::default()).unwrap() }
    }

    fn send_as(&self, bearer: &str, message: &Value) -> HttpAnswer {
        let url = format!("{}/v1/projects/{}/messages:send", self.service.url(), self.service.project());
        let authorization = format!("Bearer {bearer}");
        let body = json!({ "message": message }).to_string();
        self.http.post(&url, &[("Authorization", &authorization)], "application/json", body.as_bytes()).unwrap()
    }

    fn send(&self, token: &str, command: &str) -> (u16, Value) {
        let message = json!({ "token": token, "data": { "command": command }, "android": { "priority": "high", "ttl": "3600s" } });
        let answer = self.send_as(&self.service.access_token(), &message);
        (answer.status, serde_json::from_slice(&answer.body).unwrap())
    }
}

#[test]
fn a_phone_gets_its_messages_once() {
    let sender = Sender::new();
    let mut phone = PushSubscription::new(sender.service.url(), "phone:a/b").unwrap();
    let (status, body) = sender.send("phone:a/b", "one");
    assert_eq!(status, 200);
    assert!(body["name"].as_str().unwrap().starts_with("projects/tsunagi-sandbox/messages/"));
    sender.send("another", "two");
    assert_eq!(phone.commands().unwrap(), ["one"]);
    assert!(phone.commands().unwrap().is_empty());
    assert_eq!(sender.service.messages().len(), 2);
}

#[test]
fn messages_are_dropped_delayed_and_refused_as_ordered() {
    let sender = Sender::new();
    let mut phone = PushSubscription::new(sender.service.url(), "p").unwrap();
    sender.service.set_behaviour("p", Behaviour::Drop);
    assert_eq!(sender.send("p", "dropped").0, 200);
    sender.service.set_behaviour("p", Behaviour::Delay { milliseconds: 200 });
    assert_eq!(sender.send("p", "delayed").0, 200);
    assert!(phone.commands().unwrap().is_empty());
    sender.service.set_behaviour("p", Behaviour::Dead);
    let (status, body) = sender.send("p", "dead");
    let details = &body["error"]["details"][0];
    assert_eq!((status, body["error"]["status"].as_str(), details["errorCode"].as_str()), (404, Some("NOT_FOUND"), Some("UNREGISTERED")));
    let later = Behaviour::TryLater { status: 503, retry_after: Some(7) };
    sender.service.order(BehaviourOrder { token: Some("p".to_owned()), behaviour: later, times: Some(1) });
    assert_eq!(sender.send("p", "later").0, 503);
    sender.service.set_behaviour("p", Behaviour::AnswerLate { milliseconds: 100 });
    let start = Instant::now();
    assert_eq!(sender.send("p", "late").0, 200);
    assert!(start.elapsed() >= Duration::from_millis(100));
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(phone.commands().unwrap(), ["delayed", "late"]);
    let fates: Vec<_> = sender.service.messages().into_iter().map(|message| message.fate).collect();
    assert_eq!(fates[0], Fate::Dropped);
    assert_eq!((fates[2], fates[3]), (Fate::Refused { status: 404 }, Fate::Refused { status: 503 }));
}

#[test]
fn an_order_for_every_token_ends_after_its_times() {
    let sender = Sender::new();
    let behaviour = Behaviour::TryLater { status: 429, retry_after: None };
    sender.service.order(BehaviourOrder { token: None, behaviour, times: Some(2) });
    assert_eq!(["a", "b", "c"].map(|token| sender.send(token, "x").0), [429, 429, 200]);
}

#[test]
fn what_fcm_refuses_is_refused() {
    let sender = Sender::new();
    let good = json!({ "token": "p", "data": { "command": "x" } });
    assert_eq!(sender.send_as("wrong", &good).status, 401);
    sender.service.set_access_token("another");
    assert_eq!(sender.send_as("another", &good).status, 200);
    for bad in [
        json!({ "data": {} }),
        json!({ "token": "" }),
        json!({ "token": "p", "data": { "n": 1 } }),
        json!({ "token": "p", "data": { "command": "x".repeat(5000) } }),
        json!({ "token": "p", "android": { "priority": "urgent" } }),
        json!({ "token": "p", "android": { "ttl": "1h" } }),
    ] {
        assert_eq!(sender.send_as("another", &bad).status, 400, "{bad}");
    }
    assert_eq!(sender.service.messages().len(), 1);
}
