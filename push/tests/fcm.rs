//! The client against a small HTTP server of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use push::{ErrorCode, FcmClient, PushFault, PushGateway, PushMessage, PushOutcome, PushSettings};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A push service that gives every request the same answer; `None` closes the connection unanswered.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: Option<String>) -> Self {
        Self::over(None, answer)
    }

    /// Gives the server and its CA certificate in PEM.
    fn tls(answer: Option<String>) -> (Self, String) {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        (Self::over(Some(Arc::new(config)), answer), certified.cert.pem())
    }

    fn over(tls: Option<Arc<rustls::ServerConfig>>, answer: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), seen: Arc::default() };
        let seen = server.seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                match &tls {
                    None => converse(stream, &seen, answer.as_deref()),
                    Some(config) => {
                        let connection = rustls::ServerConnection::new(config.clone()).unwrap();
                        converse(rustls::StreamOwned::new(connection, stream), &seen, answer.as_deref());
                    }
                }
            }
        });
        server
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

/// One exchange on one connection: headers and body are kept as one text.
fn converse<S: Read + Write>(stream: S, seen: &Mutex<Vec<String>>, answer: Option<&str>) {
    let mut reader = BufReader::new(stream);
    let mut text = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if !matches!(reader.read_line(&mut line), Ok(length) if length > 0) {
            return;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        text.push_str(&line);
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    text.push_str(std::str::from_utf8(&body).unwrap());
    seen.lock().unwrap().push(text);
    if let Some(answer) = answer {
        reader.get_mut().write_all(answer.as_bytes()).and_then(|()| reader.get_mut().flush()).unwrap_or_default();
    }
}

fn answer(status: &str, headers: &str, body: &str) -> Option<String> {
    Some(format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()))
}

fn error(status: u16, details: &str) -> Option<String> {
    answer(&format!("{status} X"), "", &format!(r#"{{"error":{{"code":{status},"message":"m","status":"S","details":[{details}]}}}}"#))
}

fn fcm_error(code: &str) -> String {
    format!(r#"{{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"{code}"}}"#)
}

fn violation(field: &str) -> String {
    format!(r#"{{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{{"field":"{field}","description":"d"}}]}}"#)
}

/// A client with its files.
struct Client {
    directory: tempfile::TempDir,
    settings: PushSettings,
}

impl Client {
    fn of(port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        std::fs::write(&token_file, "acc3ss\n").unwrap();
        let mut settings = PushSettings::new("tsunagi-test", token_file);
        settings.url = format!("http://127.0.0.1:{port}/");
        settings.timeout_ms = 2_000;
        Self { directory, settings }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn send(&self) -> Result<PushOutcome, PushFault> {
        FcmClient::new(&self.settings).unwrap().send(&message())
    }
}

fn message() -> PushMessage {
    PushMessage { token: "phone:T0KEN".into(), command_jws: "a.b.c".into(), ttl: Duration::from_millis(86_400_999) }
}

fn outcome(answer: Option<String>) -> Result<PushOutcome, PushFault> {
    Client::of(Server::start(answer).port).send()
}

#[test]
fn a_message_goes_out_as_the_interface_has_it() {
    let server = Server::start(answer("200 OK", "", r#"{"name":"projects/tsunagi-test/messages/0:1"}"#));
    assert_eq!(Client::of(server.port).send().unwrap(), PushOutcome::Sent);
    let request = &server.seen()[0];
    assert!(request.starts_with("POST /v1/projects/tsunagi-test/messages:send HTTP/1.1\r\n"), "{request}");
    assert!(request.to_ascii_lowercase().contains("\r\nauthorization: bearer acc3ss\r\n"), "{request}");
    let body = r#"{"message":{"token":"phone:T0KEN","data":{"command":"a.b.c"},"android":{"priority":"high","ttl":"86400s"}}}"#;
    assert!(request.ends_with(body), "{request}");
}

#[test]
fn only_the_ca_of_the_settings_vouches_for_the_push_service() {
    let (server, pem) = Server::tls(answer("200 OK", "", r#"{"name":"n"}"#));
    let (_, other) = Server::tls(None);
    let mut client = Client::of(server.port);
    client.settings.url = format!("https://localhost:{}", server.port);
    client.settings.ca_file = Some(client.file("other.pem", &other));
    let fault = client.send().unwrap_err();
    assert!(matches!(&fault, PushFault::Settings(complaint) if complaint.contains("vouched")), "{fault}");
    client.settings.ca_file = Some(client.file("ca.pem", &pem));
    assert_eq!(client.send().unwrap(), PushOutcome::Sent);
}

#[test]
fn the_access_token_is_read_again_for_each_message() {
    let server = Server::start(answer("200 OK", "", r#"{"name":"n"}"#));
    let client = Client::of(server.port);
    let fcm = FcmClient::new(&client.settings).unwrap();
    fcm.send(&message()).unwrap();
    client.file("token", "fresh3r");
    fcm.send(&message()).unwrap();
    assert!(server.seen()[1].contains("Bearer fresh3r"));
    for wrong in ["", "two words", "a\r\nb", &"x".repeat(9_000)] {
        client.file("token", wrong);
        assert!(matches!(fcm.send(&message()), Err(PushFault::AccessToken(_))));
    }
    std::fs::remove_file(&client.settings.token_file).unwrap();
    assert!(matches!(fcm.send(&message()), Err(PushFault::AccessToken(_))));
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_phone_that_is_gone_has_a_dead_token() {
    assert_eq!(outcome(error(404, &fcm_error("UNREGISTERED"))).unwrap(), PushOutcome::DeadToken);
    assert_eq!(outcome(error(400, &fcm_error("INVALID_ARGUMENT"))).unwrap(), PushOutcome::DeadToken);
    let named = format!("{},{}", fcm_error("INVALID_ARGUMENT"), violation("message.token"));
    assert_eq!(outcome(error(400, &named)).unwrap(), PushOutcome::DeadToken);
}

#[test]
fn what_is_not_about_the_phone_kills_no_token() {
    let other_field = format!("{},{}", violation("message.android.ttl"), fcm_error("INVALID_ARGUMENT"));
    for (status, details, expected) in [
        (400, other_field, Some(ErrorCode::InvalidArgument)),
        (400, String::new(), None),
        (404, String::new(), None),
        (401, fcm_error("THIRD_PARTY_AUTH_ERROR"), Some(ErrorCode::ThirdPartyAuthError)),
        (403, fcm_error("SENDER_ID_MISMATCH"), Some(ErrorCode::SenderIdMismatch)),
        (403, fcm_error("UNREGISTERED"), Some(ErrorCode::Unregistered)),
    ] {
        let fault = outcome(error(status, &details)).unwrap_err();
        assert!(matches!(fault, PushFault::Refused { status: s, code } if s == status && code == expected), "{fault}");
    }
    assert!(matches!(outcome(answer("302 Found", "Location: http://127.0.0.1:1/\r\n", "")), Err(PushFault::Refused { status: 302, .. })));
}

#[test]
fn a_push_service_with_too_much_to_do_is_asked_later() {
    let later = |seconds| PushOutcome::TryLater { after: Some(Duration::from_secs(seconds)) };
    let body = "<!DOCTYPE html>";
    assert_eq!(outcome(answer("429 X", "Retry-After: 17\r\n", body)).unwrap(), later(17));
    assert_eq!(outcome(answer("503 X", "Retry-After: 999999999\r\n", body)).unwrap(), later(86_400));
    for headers in ["", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\n", "Retry-After: -1\r\n"] {
        assert_eq!(outcome(answer("500 X", headers, body)).unwrap(), PushOutcome::TryLater { after: None });
    }
}

#[test]
fn a_push_service_out_of_reach_is_asked_later() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(Client::of(port).send().unwrap(), PushOutcome::TryLater { after: None });
    assert_eq!(outcome(None).unwrap(), PushOutcome::TryLater { after: None });
}

#[test]
fn a_push_service_that_does_not_answer_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = Client::of(listener.local_addr().unwrap().port());
    client.settings.timeout_ms = 200;
    let begin = std::time::Instant::now();
    assert_eq!(client.send().unwrap(), PushOutcome::TryLater { after: None });
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_success_that_is_none_is_not_believed() {
    for body in ["", "{}", r#"{"name":""}"#, r#"{"name":7}"#] {
        assert!(matches!(outcome(answer("200 OK", "", body)), Err(PushFault::Malformed(_))), "{body}");
    }
    assert!(matches!(outcome(answer("200 OK", "", &" ".repeat(70_000))), Err(PushFault::Malformed(_))));
}

#[test]
fn a_command_longer_than_a_message_may_be_is_not_sent() {
    let server = Server::start(answer("200 OK", "", r#"{"name":"n"}"#));
    let fcm = FcmClient::new(&Client::of(server.port).settings).unwrap();
    let long = PushMessage { command_jws: "x".repeat(4_096), ..message() };
    assert!(matches!(fcm.send(&long), Err(PushFault::TooLong { limit: 4_096 })));
    assert!(server.seen().is_empty());
}

#[test]
fn a_message_in_a_log_names_no_phone() {
    let written = format!("{:?}", message());
    assert!(!written.contains("T0KEN") && !written.contains("a.b.c"), "{written}");
}

#[test]
fn settings_that_would_weaken_the_connection_are_refused() {
    let client = Client::of(1);
    let pem = client.file("ca.pem", "no certificate");
    for (url, project, ca_file) in [
        ("http://fcm.example.org", "p", None),
        ("http://localhost.example.org", "p", None),
        ("ftp://127.0.0.1", "p", None),
        ("127.0.0.1", "p", None),
        ("https://fcm.example.org", "p", None),
        ("https://fcm.example.org", "p", Some(pem)),
        ("https://fcm.example.org", "p", Some("does-not-exist".into())),
        ("http://127.0.0.1:1", "", None),
        ("http://127.0.0.1:1", "../x", None),
    ] {
        let settings = PushSettings { url: url.into(), project: project.into(), ca_file, ..client.settings.clone() };
        assert!(matches!(FcmClient::new(&settings), Err(PushFault::Settings(_))), "{url} {project}");
    }
    for url in ["http://localhost:1", "http://[::1]:1", "http://127.0.0.1:1"] {
        let settings = PushSettings { url: url.into(), ..client.settings.clone() };
        assert!(FcmClient::new(&settings).is_ok(), "{url}");
    }
}
