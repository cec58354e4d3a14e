//! The responder over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use actix_http::body::{BodySize, MessageBody, to_bytes};
use actix_http::{Request, Response};
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::dev::AppConfig;
use actix_web::http::{Method, StatusCode, header};
use actix_web::test::TestRequest;
use actix_web::{App, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use ca_core::ocsp::{CertIdHash, Nonce, OcspResponseStatus};
use chrono::TimeDelta;
use ocsp::OcspSettings;
use ocsp::http::Front;
use support::house::{House, LATER, Told, start, told};
use support::{TestCa, basic, request, serial};

/// A house whose threads are at work.
struct Served {
    house: House,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Served {
    fn new(settings: OcspSettings) -> Self {
        let house = House::new(settings);
        let stop = Arc::new(AtomicBool::new(false));
        let threads = house.service.start(house.store.database().wake(), &stop).unwrap();
        Self { house, stop, threads }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

type Answered = Response<Bytes>;

/// The service of one worker, with somebody else's route beside it.
async fn front(house: &House) -> impl AsyncFn(TestRequest) -> Answered {
    let others = App::new().route("/crl/{name}", web::get().to(|| async { HttpResponse::Ok().body("a list") }));
    let front = Front::new(Arc::clone(&house.service), map_config(others, |()| AppConfig::default()));
    let service = front.new_service(()).await.unwrap();
    async move |request: TestRequest| {
        let request: Request = request.to_request();
        let (head, body) = service.call(request).await.unwrap().into_parts();
        assert!(matches!(body.size(), BodySize::Sized(_) | BodySize::None));
        let body = to_bytes(body).await.unwrap();
        head.map_body(|_, ()| body)
    }
}

fn value(response: &Answered, name: header::HeaderName) -> String {
    response.headers().get(name).unwrap().to_str().unwrap().to_owned()
}

fn get(text: &str) -> TestRequest {
    TestRequest::get().uri(&format!("/ocsp/{text}"))
}

fn post(body: impl Into<Bytes>) -> TestRequest {
    TestRequest::post().uri("/ocsp").insert_header((header::CONTENT_TYPE, "application/ocsp-request")).set_payload(body)
}

#[actix_web::test]
async fn the_forms_of_a_get_and_a_post_are_answered_and_only_a_get_without_nonce_may_be_repeated() {
    let served = Served::new(OcspSettings::default());
    let (house, ask) = (&served.house, front(&served.house).await);
    let octets = house.ask(0xFFFF_FFFF_FFFF_FFFE);
    let standard = STANDARD.encode(&octets);
    let escaped = standard.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    let nonce = Nonce::new(&[1; 32]).unwrap();
    let with_nonce = request(vec![house.ca.id(CertIdHash::Sha1, &serial(1))], Some(&nonce));

    for text in [standard.clone(), escaped, URL_SAFE_NO_PAD.encode(&octets), format!("/{standard}")] {
        // The first is signed, the second given again.
        let mut tags = Vec::new();
        for _ in 0..2 {
            let response = ask(get(&text)).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(value(&response, header::CONTENT_TYPE), "application/ocsp-response");
            assert_eq!(value(&response, header::CACHE_CONTROL), "max-age=1, public, no-transform, must-revalidate");
            assert_eq!(value(&response, header::LAST_MODIFIED), "Sun, 01 Mar 2026 12:00:00 GMT");
            let body = response.body();
            assert_eq!(value(&response, header::ETAG), format!("\"{}\"", Sha256Digest::of(body)));
            assert_eq!(told(body), Told::NeverIssued, "{text}");
            tags.push(value(&response, header::ETAG));
        }
        assert_eq!(tags[0], tags[1]);
    }

    let response = ask(get(&URL_SAFE_NO_PAD.encode(&with_nonce))).await;
    assert_eq!(value(&response, header::CACHE_CONTROL), "no-store");
    assert!(response.headers().get(header::ETAG).is_none());
    assert_eq!(basic(response.body()).response_data().nonce(), Ok(Some(nonce)));

    for (uri, kind) in [("/ocsp", "application/ocsp-request"), ("/ocsp/", "Application/OCSP-Request; x=y")] {
        for _ in 0..2 {
            let response = ask(post(octets.clone()).uri(uri).insert_header((header::CONTENT_TYPE, kind))).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(value(&response, header::CACHE_CONTROL), "no-store");
            assert_eq!(told(response.body()), Told::NeverIssued);
        }
    }
}

#[actix_web::test]
async fn whoever_has_the_answer_already_is_told_so_and_head_is_get_without_a_body() {
    let served = Served::new(OcspSettings::default());
    let (house, ask) = (&served.house, front(&served.house).await);
    let text = STANDARD.encode(house.ask(1));
    let first = ask(get(&text)).await;
    let (tag, modified) = (value(&first, header::ETAG), value(&first, header::LAST_MODIFIED));
    for (name, value_of) in [
        (header::IF_NONE_MATCH, tag.clone()),
        (header::IF_NONE_MATCH, format!("\"other\", W/{tag}")),
        (header::IF_NONE_MATCH, "*".to_owned()),
    ] {
        let response = ask(get(&text).insert_header((name, value_of))).await;
        assert_eq!((response.status(), response.body().len()), (StatusCode::NOT_MODIFIED, 0));
        assert_eq!(value(&response, header::ETAG), tag);
        assert_eq!(value(&response, header::CACHE_CONTROL), "max-age=1, public, no-transform, must-revalidate");
    }
    for (name, value_of) in [
        (header::IF_NONE_MATCH, "\"other\""),
        // Passed over: seconds do not tell answers apart.
        (header::IF_MODIFIED_SINCE, modified.as_str()),
        (header::IF_MODIFIED_SINCE, "yesterday"),
    ] {
        let response = ask(get(&text).insert_header((name, value_of))).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.body(), first.body());
    }
    let head = ask(get(&text).method(Method::HEAD)).await;
    assert_eq!((head.status(), value(&head, header::ETAG)), (StatusCode::OK, tag));
    // When the status changes, what the client has is not the answer any more.
    house.issue(1);
    house.service.look().unwrap();
    let changed = ask(get(&text).insert_header((header::IF_NONE_MATCH, value(&first, header::ETAG)))).await;
    assert_eq!((changed.status(), told(changed.body())), (StatusCode::OK, Told::Good));
}

#[actix_web::test]
async fn garbage_is_malformed_other_types_and_methods_are_refused_and_other_paths_are_others() {
    let served = Served::new(OcspSettings::default());
    let (house, ask) = (&served.house, front(&served.house).await);
    let malformed = Told::Nothing(OcspResponseStatus::MalformedRequest);
    for body in [vec![], vec![0x30; 10], vec![0; 4097], vec![0; 100_000], house.ask(1)[1..].to_vec()] {
        let response = ask(post(body)).await;
        assert_eq!((response.status(), told(response.body())), (StatusCode::OK, malformed));
    }
    for text in ["%25%25", "MDAwMA==", "*", "A".repeat(20_000).as_str()] {
        let response = ask(get(text)).await;
        assert_eq!((response.status(), told(response.body())), (StatusCode::OK, malformed), "{text}");
        assert_eq!(value(&response, header::CACHE_CONTROL), "no-store");
    }
    let other = TestCa::new(9, CertificateKind::Authentication, 1, start());
    let foreign = ask(post(request(vec![other.id(CertIdHash::Sha1, &serial(1))], None))).await;
    assert_eq!(told(foreign.body()), Told::Nothing(OcspResponseStatus::Unauthorized));
    for kind in [Some("text/plain"), Some("application/ocsp-requests"), None] {
        let mut posted = TestRequest::post().uri("/ocsp").set_payload(house.ask(1));
        if let Some(kind) = kind {
            posted = posted.insert_header((header::CONTENT_TYPE, kind));
        }
        assert_eq!(ask(posted).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind:?}");
    }
    for (method, uri, allowed) in
        [(Method::GET, "/ocsp", "POST"), (Method::PUT, "/ocsp/", "POST"), (Method::POST, "/ocsp/MDAw", "GET, HEAD")]
    {
        let response = ask(TestRequest::default().method(method).uri(uri)).await;
        assert_eq!((response.status(), value(&response, header::ALLOW).as_str()), (StatusCode::METHOD_NOT_ALLOWED, allowed), "{uri}");
    }
    let list = ask(TestRequest::get().uri("/crl/one")).await;
    assert_eq!((list.status(), list.body().as_ref()), (StatusCode::OK, b"a list".as_slice()));
    for uri in ["/ocspx", "/", "/ocs"] {
        assert_eq!(ask(TestRequest::get().uri(uri)).await.status(), StatusCode::NOT_FOUND, "{uri}");
    }
}

#[actix_web::test]
async fn more_than_may_wait_are_told_to_try_later_and_what_is_remembered_is_answered_even_so() {
    let house = House::new(OcspSettings { max_in_flight: 2, lookup_milliseconds: 100, ..OcspSettings::default() });
    let ask = front(&house).await;
    assert_eq!(house.told(1), Told::NeverIssued);
    // Nobody is there to read the store: two wait in vain, more are not let in, and none waits longer than the time limit.
    let asked = std::time::Instant::now();
    for number in 2..10 {
        let response = ask(post(house.ask(number))).await;
        assert_eq!(told(response.body()), LATER);
    }
    assert!(asked.elapsed().as_millis() < 1_000, "only the first two waited");
    assert_eq!(told(ask(post(house.ask(1))).await.body()), Told::NeverIssued);
    // Now somebody reads.
    let stop = Arc::new(AtomicBool::new(false));
    let threads = house.service.start(house.store.database().wake(), &stop).unwrap();
    let mut reply = LATER;
    for _ in 0..100 {
        reply = told(ask(post(house.ask(20))).await.body());
        if reply != LATER {
            break;
        }
        actix_web::rt::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(reply, Told::NeverIssued);
    stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[actix_web::test]
async fn many_questions_at_once_are_each_answered_about_their_own_certificate() {
    let served = Served::new(OcspSettings::default());
    let (house, ask) = (&served.house, front(&served.house).await);
    for number in 0..40 {
        house.issue(number);
        if number % 3 == 0 {
            house.revoke(number);
        }
    }
    house.service.look().unwrap();
    let asked = (0..40_u64).chain(0..60).map(|number| {
        let (ask, octets) = (&ask, house.ask(number));
        async move { (number, told(ask(post(octets)).await.body())) }
    });
    for (number, told) in support::together(asked).await {
        let expected = if number >= 40 {
            Told::NeverIssued
        } else if number % 3 == 0 {
            support::house::COMPROMISED
        } else {
            Told::Good
        };
        assert_eq!(told, expected, "{number}");
    }
}

#[actix_web::test]
async fn cut_off_from_the_store_what_is_remembered_is_answered_at_once_and_the_rest_is_not() {
    let served = Served::new(OcspSettings::default());
    let (house, ask) = (&served.house, front(&served.house).await);
    assert_eq!(told(ask(post(house.ask(1))).await.body()), Told::NeverIssued);
    house.store.execute("ALTER TABLE store_meta RENAME TO lost").unwrap();
    house.service.look().unwrap_err();
    assert_eq!(told(ask(post(house.ask(1))).await.body()), Told::NeverIssued);
    assert_eq!(told(ask(post(house.ask(2))).await.body()), LATER);
    house.time.pass(TimeDelta::seconds(61));
    assert_eq!(told(ask(post(house.ask(1))).await.body()), LATER);
}

/// A server that listens.
struct Running {
    handle: actix_web::dev::ServerHandle,
    thread: JoinHandle<()>,
}

impl Running {
    fn stop(self) {
        drop(self.handle.stop(false));
        self.thread.join().unwrap();
    }
}

fn listening(served: &Served) -> (SocketAddr, Running) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let service = Arc::clone(&served.house.service);
    let (handle, handed) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = ocsp::http::server(service, listener, |_| ()).unwrap();
            handle.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    (address, Running { handle: handed.recv().unwrap(), thread })
}

#[test]
fn over_a_socket_requests_follow_each_other_and_a_body_in_pieces_is_read() {
    let served = Served::new(OcspSettings::default());
    let (address, running) = listening(&served);
    let octets = served.house.ask(5);
    let head =
        format!("POST /ocsp HTTP/1.1\r\nHost: x\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n", octets.len());
    let mut stream = TcpStream::connect(address).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let mut answer = || {
        let mut octets = Vec::new();
        while !octets.windows(4).any(|window| window == b"\r\n\r\n") {
            let mut one = [0];
            stream.read_exact(&mut one).unwrap();
            octets.push(one[0]);
        }
        let text = String::from_utf8(octets).unwrap().to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        if !text.contains(" 304 ") {
            stream.read_exact(&mut body).unwrap();
        }
        (text, body)
    };
    // In pieces, and another request behind it at once.
    writing.write_all(head.as_bytes()).unwrap();
    writing.write_all(&octets[..10]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let get = format!("GET /ocsp/{} HTTP/1.1\r\nHost: x\r\n\r\n", URL_SAFE_NO_PAD.encode(&octets));
    writing.write_all(&[&octets[10..], get.as_bytes()].concat()).unwrap();
    let (first, body) = answer();
    assert!(first.starts_with("http/1.1 200"), "{first}");
    assert_eq!(told(&body), Told::NeverIssued);
    let (second, body) = answer();
    assert!(second.contains("max-age=1") && second.contains("etag: "), "{second}");
    assert_eq!(told(&body), Told::NeverIssued);
    drop((stream, writing));
    running.stop();
}

/// MiB.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_024
}

#[cfg(target_os = "linux")]
#[test]
fn of_a_client_that_reads_nothing_no_more_requests_are_read_and_all_are_answered_once_it_reads() {
    let served = Served::new(OcspSettings::default());
    let (address, running) = listening(&served);
    let text = URL_SAFE_NO_PAD.encode(served.house.ask(5));
    let (put, get) = ("PUT /ocsp/x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), format!("GET /ocsp/{text} HTTP/1.1\r\nHost: x\r\n\r\n"));
    let known = get.replace("\r\n\r\n", "\r\nIf-None-Match: *\r\n\r\n");
    let before = resident();
    for (request, status) in [(put, "405"), (known, "304"), (get, "200")] {
        let many = request.repeat((1 << 20) / request.len());
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_write_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
        // In whole requests, until the sockets' own memory is full: some MiB, which is the system's.
        let (mut sent, mut accepted) = (0, true);
        while accepted && sent < 200 {
            accepted = stream.write_all(many.as_bytes()).is_ok();
            sent += usize::from(accepted);
        }
        assert!(!accepted, "{status}: {sent} MiB of requests were read though no response was");
        assert!(resident() < before + 50, "{status}: {before} MiB before, {} after", resident());
        stream.set_read_timeout(Some(std::time::Duration::from_secs(2))).unwrap();
        let mut answers = 0;
        let mut piece = vec![0; 1 << 20];
        let line = format!("HTTP/1.1 {status} ");
        while let Ok(count @ 1..) = stream.read(&mut piece) {
            answers += piece[..count].windows(line.len()).filter(|window| *window == line.as_bytes()).count();
        }
        // Those at the seams of pieces are not counted.
        let whole = sent * (many.len() / request.len());
        assert!(answers >= whole - whole / 100, "{status}: {answers} answers to {whole} requests");
    }
    running.stop();
}
