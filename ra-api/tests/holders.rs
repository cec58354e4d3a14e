//! The public listener, over TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use ca_core::application::challenge::Challenge;
use ca_core::digest::Sha256Digest;
use common::{Authority, Caller, assert_described, challenge_key, serve_holders, store};
use ra_api::HolderSettings;

const APPLICATION: &str = "application/cms";

#[test]
fn a_challenge_is_ours_and_on_the_beacon_and_lasts_as_long_as_it() {
    let (store, tls) = (store(), Authority::new());
    let listener = serve_holders(&store, &tls, HolderSettings::default());
    let caller = Caller::new(&listener, &tls, None);

    let none = caller.post("/v1/challenges", "application/json", b"");
    assert_eq!((none.status, none.problem()), (503, "challenge_unavailable"));
    assert!(!none.header("retry-after").is_empty());
    assert_described("post", "/v1/challenges", &none);
    let not_ready = caller.get("/health/ready");
    assert_eq!((not_ready.status, not_ready.problem()), (503, "not_ready"));
    assert_described("get", "/health/ready", &not_ready);
    assert_eq!(caller.get("/health/live").status, 200);

    let beacon = store.draw_beacon();
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let answer = caller.post("/v1/challenges", "application/json", b"");
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("tsunagi-correlation-id").len(), 32);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_described("post", "/v1/challenges", &answer);
    let challenge = Challenge::from_base64(answer.body["challenge"].as_str().unwrap()).unwrap();
    assert_eq!(challenge_key().check(&challenge), Ok(()));
    assert_eq!(challenge.as_bytes()[..32], beacon.value);
    let expires_at: chrono::DateTime<chrono::Utc> = answer.body["expires_at"].as_str().unwrap().parse().unwrap();
    let lifetime = policies::shipped().unwrap().application.challenge.lifetime();
    assert!((beacon.drawn_at + lifetime - expires_at).num_milliseconds() < 1_000);
    assert_ne!(caller.post("/v1/challenges", "", b"").body["challenge"], answer.body["challenge"]);
    assert_eq!(caller.get("/health/ready").status, 200);
}

#[test]
fn whatever_is_no_application_is_refused_plainly() {
    let (store, tls) = (store(), Authority::new());
    let settings = HolderSettings { application_octets: 1_000, ..HolderSettings::default() };
    let listener = serve_holders(&store, &tls, settings);
    let caller = Caller::new(&listener, &tls, None);

    let malformed: [&[u8]; 4] = [b"", b"garbage", &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &[0; 1_000]];
    for octets in malformed {
        let answer = caller.post("/v1/applications", APPLICATION, octets);
        assert_eq!((answer.status, answer.problem()), (400, "cms_malformed"));
        assert_described("post", "/v1/applications", &answer);
    }
    for content_type in ["application/json", "text/plain", "application/cmsx"] {
        let answer = caller.post("/v1/applications", content_type, b"garbage");
        assert_eq!((answer.status, answer.problem()), (415, "content_type_unsupported"));
        assert_described("post", "/v1/applications", &answer);
    }
    assert_eq!(caller.post("/v1/applications", "Application/CMS; encapsulatingContent=x", b"garbage").problem(), "cms_malformed");
    let announced = caller.post("/v1/applications", APPLICATION, &[0; 1_001]);
    assert_eq!((announced.status, announced.problem()), (413, "body_too_large"));
    let chunked = caller.post_chunked("/v1/applications", APPLICATION, &[0; 1_001]);
    assert_eq!((chunked.status, chunked.problem()), (413, "body_too_large"));
    assert_described("post", "/v1/applications", &chunked);
    assert_eq!(store.database.reader().position().unwrap().0, 0, "something was written");
}

#[test]
fn an_unknown_application_and_a_wrong_token_get_one_answer() {
    let (store, tls) = (store(), Authority::new());
    let listener = serve_holders(&store, &tls, HolderSettings::default());
    let caller = Caller::new(&listener, &tls, None);
    let id = Sha256Digest::of(b"nobody's");
    let token = "A".repeat(43);
    for (id, headers) in [
        (id.to_string(), vec![("Tsunagi-Application-Token", token.as_str())]),
        (id.to_string(), vec![]),
        ("zz".to_owned(), vec![("Tsunagi-Application-Token", token.as_str())]),
    ] {
        let answer = caller.try_get(&format!("/v1/applications/{id}"), &headers).unwrap();
        assert_eq!((answer.status, answer.problem()), (404, "application_unknown"));
        assert_described("get", "/v1/applications/{id}", &answer);
    }
}

#[test]
fn paths_and_methods_that_do_not_exist_are_problems_too() {
    let (store, tls) = (store(), Authority::new());
    let listener = serve_holders(&store, &tls, HolderSettings::default());
    let caller = Caller::new(&listener, &tls, None);
    let unknown = caller.get("/v1/nothing");
    assert_eq!((unknown.status, unknown.problem()), (404, "route_unknown"));
    let method = caller.delete("/v1/challenges");
    assert_eq!((method.status, method.problem(), method.header("allow")), (405, "method_not_allowed", "POST"));
    assert_eq!(caller.get("/v1/applications").problem(), "method_not_allowed");
    // What operators do is not on this listener.
    assert_eq!(caller.post("/v1/card-events", "application/json", b"{}").problem(), "route_unknown");
}

#[test]
fn one_address_may_ask_so_often_and_no_more() {
    let (store, tls) = (store(), Authority::new());
    let mut settings = HolderSettings::default();
    settings.listener.requests_per_second = 1;
    settings.listener.requests_at_once = 3;
    let listener = serve_holders(&store, &tls, settings);
    let caller = Caller::new(&listener, &tls, None);
    let answers: Vec<_> = (0..6).map(|_| caller.get("/health/live")).collect();
    assert!(answers[..3].iter().all(|answer| answer.status == 200));
    let last = answers.last().unwrap();
    assert_eq!((last.status, last.problem()), (429, "rate_limited"));
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_described("get", "/health/live", last);
}

#[test]
fn a_body_that_does_not_arrive_is_given_up() {
    let (store, tls) = (store(), Authority::new());
    let mut settings = HolderSettings::default();
    settings.listener.body_timeout_ms = 200;
    let listener = serve_holders(&store, &tls, settings);
    let caller = Caller::new(&listener, &tls, None);
    /// Gives one octet and then waits longer than the server does.
    struct Slow(u32);
    impl std::io::Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 > 1 {
                std::thread::sleep(std::time::Duration::from_millis(600));
            }
            buffer[0] = 0;
            Ok(usize::from(self.0 < 4))
        }
    }
    // The server may also have closed the connection before all was sent: that is an answer, too.
    if let Ok(answer) = caller.try_post_reader("/v1/applications", APPLICATION, Slow(0)) {
        assert_eq!((answer.status, answer.problem()), (408, "request_too_slow"));
    }
    assert_eq!(caller.get("/health/live").status, 200);
}

#[test]
fn the_description_is_served() {
    let (store, tls) = (store(), Authority::new());
    let listener = serve_holders(&store, &tls, HolderSettings::default());
    let answer = Caller::new(&listener, &tls, None).get("/openapi.json");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, serde_json::to_value(ra_api::openapi()).unwrap());
    assert_eq!(answer.body["openapi"], "3.1.0");
}
