//! Downloads over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpServer};
use ca_core::clock::SystemClock;
use ca_core::issuer::Issuer;
use ca_core::kind::CertificateKind;
use ca_core::revocation::{Revocation, RevocationReason};
use ca_core::signer::KeyType;
use chrono::{TimeDelta, Utc};
use crl_publisher::{CrlSettings, DownloadService, Filler, NoPublishSteps, Publisher, PublisherParts, Shelf, http};
use schema::testing::TestDatabase;
use support::{issuer, serial};

/// A CA with one published list, made on one machine and given out on another.
struct House {
    store: TestDatabase,
    issuer: Issuer,
    made_here: tempfile::TempDir,
    given_out_here: tempfile::TempDir,
    shelf: Arc<Shelf>,
}

fn house() -> House {
    let store = TestDatabase::sqlite();
    let issuer = issuer(1, CertificateKind::Signature, 1, KeyType::EcdsaP256, Utc::now());
    store.add_ca_key(issuer.ca_key(), Utc::now());
    let (made_here, given_out_here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let shelf = Arc::new(Shelf::open(given_out_here.path()).unwrap());
    House { store, issuer, made_here, given_out_here, shelf }
}

impl House {
    fn publish(&self) {
        let mut publisher = Publisher::new(PublisherParts {
            issuers: vec![self.issuer.clone()],
            reader: self.store.reader(),
            writer: self.store.writer(),
            clock: Arc::new(SystemClock),
            settings: CrlSettings { delay_milliseconds: 0, interval_seconds: 0, rest_multiple: 0, ..CrlSettings::default() },
            shelf: Arc::new(Shelf::open(self.made_here.path()).unwrap()),
            witness: None,
            steps: Arc::new(NoPublishSteps),
        })
        .unwrap();
        assert_eq!(publisher.run_once(None).unwrap().into_iter().map(Result::unwrap).count(), 1);
    }

    fn revoke(&self, number: &str) {
        let ca_key = self.issuer.ca_key().id();
        self.store.put_certificate(ca_key, &serial(number), Utc::now() + TimeDelta::days(30));
        self.store.revoke(ca_key, &serial(number), Revocation::new(Utc::now(), RevocationReason::KeyCompromise));
    }

    fn filler(&self) -> Filler {
        Filler::new(Arc::clone(&self.shelf), self.store.reader())
    }

    fn fill(&self) {
        let faults = self.filler().look().unwrap();
        assert!(faults.is_empty(), "{faults:?}");
    }

    fn service(&self) -> Arc<DownloadService> {
        let (shelf, reader) = (Arc::clone(&self.shelf), self.store.reader());
        Arc::new(DownloadService::new(shelf, reader, Arc::new(SystemClock), &CrlSettings::default()))
    }

    fn made(&self) -> Vec<u8> {
        std::fs::read(self.made_here.path().join("signature-1.crl")).unwrap()
    }
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

async fn ask(service: &Arc<DownloadService>, method: Method, path: &str, conditions: &[(HeaderName, &str)]) -> Answer {
    let app = init_service(App::new().configure(http::routes(Arc::clone(service)))).await;
    let mut request = TestRequest::default().method(method).uri(path);
    for condition in conditions {
        request = request.insert_header(condition.clone());
    }
    let response = call_service(&app, request.to_request()).await;
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, body: read_body(response).await.to_vec() }
}

#[actix_web::test]
async fn lists_and_certificates_are_sent_with_validators_and_not_sent_twice() {
    let house = house();
    let service = house.service();
    let get = |path: &'static str| ask(&service, Method::GET, path, &[]);
    assert_eq!(get("/crl/signature-1.crl").await.status, StatusCode::NOT_FOUND, "none is published yet");
    house.publish();
    let not_yet = get("/crl/signature-1.crl").await;
    assert_eq!(not_yet.status, StatusCode::SERVICE_UNAVAILABLE, "the store has it, the shelf has not");
    assert_eq!((not_yet.header(header::RETRY_AFTER), not_yet.header(header::CACHE_CONTROL)), ("1", "no-store"));
    assert_eq!(get("/crl/signature-1/1.crl").await.status, StatusCode::SERVICE_UNAVAILABLE);
    house.fill();

    let files = [
        ("/crl/signature-1.crl", "application/pkix-crl", "signature-1-1", house.made()),
        ("/crl/signature-1/1.crl", "application/pkix-crl", "signature-1-1", house.made()),
        ("/ca/signature-1.cer", "application/pkix-cert", "", house.issuer.ca_key().certificate_der().to_vec()),
    ];
    for (path, content_type, expected_tag, octets) in files {
        let answer = ask(&service, Method::GET, path, &[]).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header(header::CONTENT_TYPE), content_type);
        assert!(answer.header(header::CACHE_CONTROL).starts_with("public, max-age="));
        let (tag, modified) = (answer.header(header::ETAG).to_owned(), answer.header(header::LAST_MODIFIED).to_owned());
        assert!(tag.contains(expected_tag));
        assert_eq!(answer.body, octets);

        let weak = format!("\"other\", W/{tag}");
        let before = "Thu, 01 Jan 1970 00:00:01 GMT";
        for (name, condition, status) in [
            (header::IF_NONE_MATCH, tag.as_str(), StatusCode::NOT_MODIFIED),
            (header::IF_NONE_MATCH, &weak, StatusCode::NOT_MODIFIED),
            (header::IF_NONE_MATCH, "*", StatusCode::NOT_MODIFIED),
            (header::IF_NONE_MATCH, "\"other\"", StatusCode::OK),
            (header::IF_MODIFIED_SINCE, &modified, StatusCode::NOT_MODIFIED),
            (header::IF_MODIFIED_SINCE, before, StatusCode::OK),
            (header::IF_MATCH, "\"other\"", StatusCode::PRECONDITION_FAILED),
            (header::IF_MATCH, &tag, StatusCode::OK),
            (header::IF_UNMODIFIED_SINCE, before, StatusCode::PRECONDITION_FAILED),
        ] {
            let answer = ask(&service, Method::GET, path, &[(name, condition)]).await;
            assert_eq!(answer.status, status, "{path} {condition}");
            assert_eq!(answer.header(header::ETAG), tag);
            assert_eq!(answer.body.is_empty(), status != StatusCode::OK);
        }
    }
}

#[actix_web::test]
async fn one_range_is_sent_alone_and_what_cannot_be_is_told_or_passed_over() {
    let house = house();
    house.publish();
    house.fill();
    let (service, octets) = (house.service(), house.made());
    let length = octets.len();
    let path = "/crl/signature-1.crl";
    for (range, first, last) in [
        ("bytes=0-0".to_owned(), 0, 0),
        ("bytes=5-9".to_owned(), 5, 9),
        ("bytes=-7".to_owned(), length - 7, length - 1),
        (format!("bytes={}-9999999", length - 3), length - 3, length - 1),
    ] {
        let answer = ask(&service, Method::GET, path, &[(header::RANGE, &range)]).await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(answer.header(header::CONTENT_RANGE), format!("bytes {first}-{last}/{length}"));
        assert_eq!(answer.body, octets[first..=last]);
    }
    let beyond = ask(&service, Method::GET, path, &[(header::RANGE, "bytes=9999999-")]).await;
    assert_eq!(
        (beyond.status, beyond.header(header::CONTENT_RANGE)),
        (StatusCode::RANGE_NOT_SATISFIABLE, format!("bytes */{length}").as_str())
    );
    for passed_over in ["bytes=0-1,4-5", "bytes=x", "lines=1-2"] {
        let answer = ask(&service, Method::GET, path, &[(header::RANGE, passed_over)]).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, length), "{passed_over}");
        assert_eq!(answer.header(header::ACCEPT_RANGES), "bytes");
    }
    let whole = ask(&service, Method::GET, path, &[]).await;
    let (tag, modified) = (whole.header(header::ETAG).to_owned(), whole.header(header::LAST_MODIFIED).to_owned());
    let weak = format!("W/{tag}");
    for (condition, status) in [
        (tag.as_str(), StatusCode::PARTIAL_CONTENT),
        (weak.as_str(), StatusCode::OK),
        ("\"signature-1-99\"", StatusCode::OK),
        ("Thu, 01 Jan 1970 00:00:01 GMT", StatusCode::OK),
        // Made less than a minute ago: another may have been made in the same second (RFC 9110 section 8.8.2.2).
        (modified.as_str(), StatusCode::OK),
    ] {
        let conditions = [(header::RANGE, "bytes=0-9"), (header::IF_RANGE, condition)];
        assert_eq!(ask(&service, Method::GET, path, &conditions).await.status, status, "{condition}");
    }
    // The certificate comes from memory, in parts too.
    let part = ask(&service, Method::GET, "/ca/signature-1.cer", &[(header::RANGE, "bytes=2-3")]).await;
    assert_eq!(part.body, house.issuer.ca_key().certificate_der()[2..4]);
}

#[actix_web::test]
async fn whoever_accepts_gzip_gets_it_under_another_tag_once_it_is_made() {
    let house = house();
    house.publish();
    house.fill();
    let service = house.service();
    let path = "/crl/signature-1.crl";
    let asked = [(header::ACCEPT_ENCODING, "gzip")];
    let before = ask(&service, Method::GET, path, &asked).await;
    assert_eq!((before.header(header::CONTENT_ENCODING), before.header(header::VARY)), ("", "Accept-Encoding"));
    house.shelf.compress("signature-1", 1).unwrap();
    for (path, asked, encoding, tag) in [
        (path, "gzip", "gzip", "\"signature-1-1-gzip\""),
        ("/crl/signature-1/1.crl", "gzip", "gzip", "\"signature-1-1-gzip\""),
        (path, "identity", "", "\"signature-1-1\""),
        (path, "gzip;q=0", "", "\"signature-1-1\""),
    ] {
        let answer = ask(&service, Method::GET, path, &[(header::ACCEPT_ENCODING, asked)]).await;
        assert_eq!((answer.header(header::CONTENT_ENCODING), answer.header(header::ETAG)), (encoding, tag), "{path} {asked}");
        assert_eq!((answer.header(header::CONTENT_TYPE), answer.header(header::VARY)), ("application/pkix-crl", "Accept-Encoding"));
        let mut octets = Vec::new();
        if encoding.is_empty() {
            octets = answer.body;
        } else {
            flate2::read::GzDecoder::new(answer.body.as_slice()).read_to_end(&mut octets).unwrap();
        }
        assert_eq!(octets, house.made());
    }
    // Beside the list there is never the compressed one of another.
    let pair = |name: &str| house.given_out_here.path().join(name);
    assert!(pair("signature-1.crl.gz").exists());
    house.revoke("0A");
    house.publish();
    house.fill();
    assert_eq!(std::fs::read(pair("signature-1.crl")).unwrap(), house.made());
    assert!(!pair("signature-1.crl.gz").exists());
    assert_eq!(ask(&service, Method::GET, path, &asked).await.header(header::ETAG), "\"signature-1-2\"");
    assert_eq!(ask(&service, Method::GET, "/crl/signature-1/1.crl", &asked).await.header(header::ETAG), "\"signature-1-1-gzip\"");
}

#[actix_web::test]
async fn the_shelf_is_filled_and_compressed_by_itself_and_octets_that_are_not_the_lists_never_come_on_it() {
    let house = house();
    house.publish();
    let stop = Arc::new(AtomicBool::new(false));
    let wake = house.store.database().wake();
    let filling = std::thread::spawn({
        let (mut filler, stop) = (house.filler(), Arc::clone(&stop));
        move || filler.run(&wake, &stop)
    });
    let compressing = std::thread::spawn({
        let (shelf, stop) = (Arc::clone(&house.shelf), Arc::clone(&stop));
        move || Filler::run_compressor(&shelf, &stop)
    });
    let on_shelf = |number: u64| {
        for _ in 0..500 {
            if house.shelf.in_force("signature-1").is_some_and(|list| list.number == number && list.compressed_octets.is_some()) {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        false
    };
    assert!(on_shelf(1));
    house.revoke("0A");
    house.publish();
    assert!(on_shelf(2));
    stop.store(true, Ordering::Relaxed);
    filling.join().unwrap();
    compressing.join().unwrap();

    house.revoke("0B");
    house.publish();
    house.store.execute("UPDATE crl_chunk SET octets = x'3003020101' WHERE number = 3").unwrap();
    assert_eq!(house.filler().look().unwrap().len(), 1);
    assert_eq!(house.shelf.in_force("signature-1").unwrap().number, 2);
    assert_eq!(house.shelf.numbers("signature-1").unwrap(), [1, 2]);
    let octets = std::fs::read(house.given_out_here.path().join("signature-1.crl")).unwrap();
    assert_eq!(octets, std::fs::read(house.made_here.path().join("signature-1").join("2.crl")).unwrap());
}

#[actix_web::test]
async fn whatever_else_is_asked_for_is_not_found() {
    let house = house();
    house.publish();
    house.fill();
    let service = house.service();
    std::fs::write(house.given_out_here.path().join("secret.crl"), b"secret").unwrap();
    for path in [
        "/crl/signature-2.crl",
        "/crl/signature-01.crl",
        "/crl/signature-1-0.crl",
        "/crl/signature-1-1.crl",
        "/crl/authentication-1.crl",
        "/crl/signature-1.cer",
        "/crl/signature-1",
        "/crl/signature-1.crl.gz",
        "/crl/signature-1/2.crl",
        "/crl/signature-1/01.crl",
        "/crl/signature-1/1",
        "/crl/..%2Fstore.sqlite",
        "/crl/..%2fsecret.crl",
        "/crl/secret.crl",
        "/crl/work/lock.crl",
        "/crl/%2e%2e/1.crl",
        "/crl/signature-1/../../secret.crl",
        "/ca/signature-1.crl",
        "/ca/signature-1.cer/x",
        "/ca/",
    ] {
        assert_eq!(ask(&service, Method::GET, path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(ask(&service, Method::POST, "/ca/signature-1.cer", &[]).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// Over a real connection, where HEAD and lengths are what they are; and a list of 20 MB, of which little is in memory at a time.
#[test]
fn a_long_list_is_sent_as_it_is_and_head_sends_nothing_but_its_length() {
    let house = house();
    let directory = tempfile::tempdir().unwrap();
    // Named as a list, and beginning as one: what is sent is not read.
    let mut long = vec![0_u8; 20_000_000];
    for (place, octet) in long.iter_mut().enumerate() {
        *octet = (place * 31 % 251) as u8;
    }
    house.publish();
    let small = house.made();
    let head_octets = long_head(&small, long.len());
    long[..head_octets.len()].copy_from_slice(&head_octets);
    std::fs::create_dir(directory.path().join("signature-1")).unwrap();
    std::fs::write(directory.path().join("signature-1").join("7.crl"), &long).unwrap();
    let shelf = Arc::new(Shelf::open(directory.path()).unwrap());
    assert_eq!(shelf.in_force("signature-1").unwrap().octets, 20_000_000);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let service = Arc::new(DownloadService::new(shelf, house.store.reader(), Arc::new(SystemClock), &CrlSettings::default()));
    let (started, handle) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || App::new().configure(http::routes(Arc::clone(&service)))).workers(1);
            let server = server.disable_signals().listen(listener).unwrap().run();
            started.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    let handle = handle.recv().unwrap();
    let exchange = |request: &str| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(format!("{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let head = String::from_utf8(all[..end].to_vec()).unwrap().to_lowercase();
        (head, all[end..].to_vec())
    };
    let (head, body) = exchange("GET /crl/signature-1.crl");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-length: 20000000\r\n"), "{head}");
    assert_eq!(body, long);
    let (head, body) = exchange("HEAD /crl/signature-1.crl");
    assert!(head.starts_with("http/1.1 200") && head.contains("content-length: 20000000\r\n"), "{head}");
    assert_eq!(body.len(), 0);
    let (head, body) = exchange("HEAD /ca/signature-1.cer");
    assert!(head.contains(&format!("content-length: {}\r\n", house.issuer.ca_key().certificate_der().len())), "{head}");
    assert_eq!(body.len(), 0);
    drop(handle.stop(true));
    server.join().unwrap();
}

/// The beginning of a list as long as `octets`, with the fields of `small`.
fn long_head(small: &[u8], octets: usize) -> Vec<u8> {
    // SEQUENCE { SEQUENCE { version …: both with lengths of four octets.
    let skip = |at: usize| at + 2 + usize::from(if small[at + 1] < 0x80 { 0 } else { small[at + 1] & 0x7f });
    let fields = &small[skip(skip(0))..];
    let length = |length: usize| {
        let [.., a, b, c, d] = length.to_be_bytes();
        vec![0x30, 0x84, a, b, c, d]
    };
    let mut head = length(octets - 6);
    head.extend(length(octets - 200));
    head.extend_from_slice(&fields[..fields.len().min(250)]);
    head
}
