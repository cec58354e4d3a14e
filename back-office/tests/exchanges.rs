//! The clients against a small HTTP server of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use back_office::{
    BackOffice, BackOfficeFault, BackOfficeSettings, CARD_STATES_AT_ONCE, CardName, CardReference, CardStatusClient, CardStatusSettings,
    ConnectionSettings, HttpBackOffice, NOTICES_AT_ONCE, Notice, NoticeText, Standing,
};
use chrono::{DateTime, Utc};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A request as the server saw it: first line, headers (names in lower case), body.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

type Answer = Arc<dyn Fn(&Seen) -> Option<Vec<u8>> + Send + Sync>;

/// Answers each request with what `answer` says, whole HTTP response octets; `None` closes the connection unanswered.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn plain(answer: impl Fn(&Seen) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::start(None, Arc::new(answer))
    }

    /// Gives the server and its CA certificate in PEM.
    fn tls(answer: impl Fn(&Seen) -> Option<Vec<u8>> + Send + Sync + 'static) -> (Self, String) {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        (Self::start(Some(Arc::new(config)), Arc::new(answer)), certified.cert.pem())
    }

    fn start(tls: Option<Arc<rustls::ServerConfig>>, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default(), connections: Arc::default() };
        let (seen, connections) = (server.seen.clone(), server.connections.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, answer, tls) = (seen.clone(), answer.clone(), tls.clone());
                std::thread::spawn(move || match tls {
                    None => converse(stream, &seen, &answer),
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config).unwrap();
                        converse(rustls::StreamOwned::new(connection, stream), &seen, &answer);
                    }
                });
            }
        });
        server
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn converse<S: Read + Write>(stream: S, seen: &Mutex<Vec<Seen>>, answer: &Answer) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if !matches!(stream.read_line(&mut line), Ok(length) if length > 0) {
            return;
        }
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).unwrap();
            match header.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
                None => break,
            }
        }
        let mut request = Seen { line: line.trim_end().to_owned(), headers, body: Vec::new() };
        let length = request.header("content-length").parse().unwrap_or(0);
        request.body = vec![0; length];
        stream.read_exact(&mut request.body).unwrap();
        seen.lock().unwrap().push(request.clone());
        match answer(&request) {
            Some(octets) => stream.get_mut().write_all(&octets).and_then(|()| stream.get_mut().flush()).unwrap_or_default(),
            None => return,
        }
    }
}

fn ok(body: &[u8]) -> Option<Vec<u8>> {
    let mut octets = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    octets.extend_from_slice(body);
    Some(octets)
}

fn settings(port: u16, ca: &str) -> BackOfficeSettings {
    let mut settings = BackOfficeSettings::new(format!("https://localhost:{port}/"), ca, "t0ken".to_owned().into());
    settings.connection.answer_timeout_ms = 2_000;
    settings
}

fn card() -> CardReference {
    CardReference { issuer_key_id: vec![0xaa, 1], serial: vec![0x7f], sha256: [9; 32] }
}

#[test]
fn a_look_up_carries_the_token_and_the_cards_and_reads_the_holders() {
    let (server, ca) = Server::tls(|_| ok(br#"{"results":[{"found":true,"holder_id":"h-1","authentication_certificate":"MAA="}]}"#));
    let client = HttpBackOffice::new(&settings(server.port, &ca)).unwrap();
    let holders = client.look_up(&[card()]).unwrap();
    assert_eq!(holders[0].as_ref().unwrap().holder_id, "h-1");
    let request = &server.seen()[0];
    assert_eq!(request.line, "POST /v1/card-certificates/lookup HTTP/1.1");
    assert_eq!(request.header("authorization"), "Bearer t0ken");
    assert_eq!(request.header("content-type"), "application/json");
    let expected = format!(r#"{{"cards":[{{"issuer_key_id":"aa01","serial":"7f","sha256":"{}"}}]}}"#, "09".repeat(32));
    assert_eq!(String::from_utf8(request.body.clone()).unwrap(), expected);
}

#[test]
fn the_feed_is_asked_for_with_an_escaped_cursor() {
    let (server, ca) = Server::tls(|_| ok(br#"{"events":[],"cursor":"a b&c","more":false}"#));
    let client = HttpBackOffice::new(&settings(server.port, &ca)).unwrap();
    let page = client.card_events("a b&c", 50).unwrap();
    assert_eq!((page.cursor.as_str(), page.more, page.items.len()), ("a b&c", false, 0));
    assert_eq!(server.seen()[0].line, "GET /v1/card-events?after=a%20b%26c&limit=50 HTTP/1.1");
}

#[test]
fn the_comparison_asks_for_the_states_of_cards_by_issuer_and_serial() {
    let (server, ca) = Server::tls(|_| ok(br#"{"states":[{"known":true,"state":"good","sequence":4}]}"#));
    let client = HttpBackOffice::new(&settings(server.port, &ca)).unwrap();
    let states = client.card_states(&[CardName { issuer_key_id: vec![0xaa, 1], serial: vec![0x7f] }]).unwrap();
    let state = states[0].as_ref().unwrap();
    assert_eq!((&state.standing, state.sequence), (&Standing::Good, 4));
    let request = &server.seen()[0];
    assert_eq!(request.line, "POST /v1/card-certificates/states HTTP/1.1");
    assert_eq!(request.header("authorization"), "Bearer t0ken");
    assert_eq!(String::from_utf8(request.body.clone()).unwrap(), r#"{"cards":[{"issuer_key_id":"aa01","serial":"7f"}]}"#);
}

#[test]
fn notices_carry_both_languages_and_only_those_asked_for_are_taken_as_accepted() {
    let (server, ca) = Server::tls(|_| ok(br#"{"accepted":["n-2"]}"#));
    let client = HttpBackOffice::new(&settings(server.port, &ca)).unwrap();
    assert_eq!(client.notify(&[notice("n-1"), notice("n-2")]).unwrap(), ["n-2"]);
    assert!(matches!(client.notify(&[notice("n-1")]), Err(BackOfficeFault::Malformed(_))));
    let request = &server.seen()[0];
    assert_eq!(request.line, "POST /v1/notices HTTP/1.1");
    let told = |id| {
        format!(
            r#"{{"notice_id":"{id}","holder_id":"h-1","template":"held","occurred_at":"2026-11-20T00:00:00.000Z","text":{{"ja":{{"title":"一時保留","body":"本文"}},"en":{{"title":"On hold","body":"Text"}}}}}}"#
        )
    };
    let expected = format!(r#"{{"notices":[{},{}]}}"#, told("n-1"), told("n-2"));
    assert_eq!(String::from_utf8(request.body.clone()).unwrap(), expected);
}

#[test]
fn the_clock_is_the_date_of_an_answer_that_is_nobodys_copy() {
    let dated =
        |headers: &'static str| move |_: &Seen| Some(format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: 2\r\n\r\n{{}}").into_bytes());
    let asked = |headers| {
        let (server, ca) = Server::tls(dated(headers));
        let clock = HttpBackOffice::new(&settings(server.port, &ca)).unwrap().clock();
        assert_eq!(server.seen()[0].line, "GET /v1/card-events?after=&limit=1 HTTP/1.1");
        assert_eq!(server.seen()[0].header("authorization"), "Bearer t0ken");
        clock
    };
    assert_eq!(asked("Date: Sat, 21 Nov 2026 14:12:22 GMT\r\n").unwrap(), "2026-11-21T14:12:22Z".parse::<DateTime<Utc>>().unwrap());
    for none in ["", "Date: yesterday\r\n", "Date: Sat, 21 Nov 2026 14:12:22 GMT\r\nAge: 0\r\n"] {
        assert!(matches!(asked(none), Err(BackOfficeFault::Malformed(_))), "{none}");
    }
}

#[test]
fn nothing_is_asked_about_nothing_nor_about_too_much() {
    let (server, ca) = Server::tls(|_| None);
    let client = HttpBackOffice::new(&settings(server.port, &ca)).unwrap();
    assert!(client.card_states(&[]).unwrap().is_empty());
    assert!(client.notify(&[]).unwrap().is_empty());
    let cards = vec![CardName { issuer_key_id: vec![1], serial: vec![1] }; CARD_STATES_AT_ONCE + 1];
    assert!(matches!(client.card_states(&cards), Err(BackOfficeFault::TooMany { limit: 1_000 })));
    let notices = vec![notice("n"); NOTICES_AT_ONCE + 1];
    assert!(matches!(client.notify(&notices), Err(BackOfficeFault::TooMany { limit: 100 })));
    assert!(server.seen().is_empty());
}

#[test]
fn a_notice_in_a_log_names_no_holder_and_tells_nothing() {
    let written = format!("{:?}", notice("n-1"));
    assert!(written.contains("n-1") && !written.contains("h-1") && !written.contains("On hold"), "{written}");
}

fn notice(id: &str) -> Notice {
    let text = |title: &str, body: &str| NoticeText { title: title.into(), body: body.into() };
    Notice {
        notice_id: id.into(),
        holder_id: "h-1".into(),
        template: "held".into(),
        occurred_at: "2026-11-20T00:00:00Z".parse().unwrap(),
        japanese: text("一時保留", "本文"),
        english: text("On hold", "Text"),
    }
}

#[test]
fn a_connection_serves_many_questions() {
    let (server, ca) = Server::tls(|_| ok(br#"{"results":[{"found":false}]}"#));
    let client = HttpBackOffice::new(&settings(server.port, &ca)).unwrap();
    for _ in 0..5 {
        assert_eq!(client.look_up(&[card()]).unwrap(), [None]);
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_server_under_another_ca_is_not_asked() {
    let (server, _) = Server::tls(|_| ok(b"{}"));
    let (_, other_ca) = Server::tls(|_| ok(b"{}"));
    let client = HttpBackOffice::new(&settings(server.port, &other_ca)).unwrap();
    assert!(matches!(client.look_up(&[card()]), Err(BackOfficeFault::Unreachable(_))));
    assert!(server.seen().is_empty());
}

#[test]
fn a_status_other_than_success_is_a_fault_with_that_status_and_redirects_are_not_followed() {
    let (server, ca) = Server::tls(|request| {
        let answer = if request.line.contains("lookup") {
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
        } else {
            "HTTP/1.1 302 Found\r\nLocation: https://localhost:1/\r\nContent-Length: 0\r\n\r\n"
        };
        Some(answer.into())
    });
    let client = HttpBackOffice::new(&settings(server.port, &ca)).unwrap();
    assert!(matches!(client.look_up(&[card()]), Err(BackOfficeFault::Refused { status: 401 })));
    assert!(matches!(client.card_events("", 1), Err(BackOfficeFault::Refused { status: 302 })));
}

#[test]
fn an_answer_longer_than_allowed_is_not_read_to_its_end() {
    let (server, ca) = Server::tls(|_| ok(&[b' '; 2048]));
    let mut settings = settings(server.port, &ca);
    settings.answer_octets = 1024;
    let client = HttpBackOffice::new(&settings).unwrap();
    assert!(matches!(client.look_up(&[card()]), Err(BackOfficeFault::TooLarge { limit: 1024 })));
}

#[test]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    let server = Server::plain(|_| {
        std::thread::sleep(Duration::from_secs(3));
        None
    });
    let client = CardStatusClient::new(&CardStatusSettings {
        connection: ConnectionSettings { answer_timeout_ms: 200, ..ConnectionSettings::default() },
        ..CardStatusSettings::default()
    });
    let begin = std::time::Instant::now();
    assert!(matches!(client.fetch_crl(&format!("http://127.0.0.1:{}/x.crl", server.port)), Err(BackOfficeFault::TimedOut)));
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[test]
fn ocsp_is_posted_and_its_answer_comes_back_as_received() {
    let server = Server::plain(|request| ok(&request.body.iter().rev().copied().collect::<Vec<u8>>()));
    let client = CardStatusClient::new(&CardStatusSettings::default());
    let url = format!("http://127.0.0.1:{}/ocsp/signature", server.port);
    assert_eq!(client.fetch_ocsp(&url, &[1, 2, 3]).unwrap(), [3, 2, 1]);
    let request = &server.seen()[0];
    assert_eq!(request.line, "POST /ocsp/signature HTTP/1.1");
    assert_eq!(request.header("content-type"), "application/ocsp-request");
}

#[test]
fn a_kept_connection_that_the_server_has_closed_is_replaced() {
    let count = AtomicUsize::new(0);
    // Every second request finds its connection closed instead of an answer.
    let server = Server::plain(move |_| if count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) { ok(b"crl") } else { None });
    let client = CardStatusClient::new(&CardStatusSettings::default());
    for _ in 0..4 {
        assert_eq!(client.fetch_crl(&format!("http://127.0.0.1:{}/x.crl", server.port)).unwrap(), b"crl");
    }
}

#[test]
fn nobody_listening_is_a_passing_fault() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let fault = CardStatusClient::new(&CardStatusSettings::default()).fetch_crl(&format!("http://127.0.0.1:{port}/x.crl")).unwrap_err();
    assert!(fault.is_passing(), "{fault}");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn settings_that_would_weaken_the_connection_are_refused() {
    let (_, ca) = Server::tls(|_| None);
    for (url, ca, token) in [
        ("http://localhost:1", ca.as_str(), "t"),
        ("https://localhost:1", "", "t"),
        ("https://localhost:1", "no pem", "t"),
        ("https://localhost:1", ca.as_str(), ""),
        ("https://localhost:1", ca.as_str(), "line\r\nbreak"),
    ] {
        let settings = BackOfficeSettings::new(url, ca, token.to_owned().into());
        assert!(matches!(HttpBackOffice::new(&settings), Err(BackOfficeFault::Settings(_))), "{url}");
    }
}
