//! Downloads over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::sync::Arc;

use actix_web::http::{Method, StatusCode, header};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, body::MessageBody};
use ca_core::clock::SystemClock;
use ca_core::kind::CertificateKind;
use ca_core::signer::KeyType;
use chrono::Utc;
use crl_publisher::{CrlSettings, DownloadService, Publisher, http};
use schema::testing::TestDatabase;
use support::issuer;

#[actix_web::test]
async fn lists_and_certificates_are_sent_with_validators_and_not_sent_twice() {
    let now = Utc::now();
    let (store, settings) = (TestDatabase::sqlite(), CrlSettings::default());
    let issuer = issuer(1, CertificateKind::Signature, 1, KeyType::EcdsaP256, now);
    store.add_ca_key(issuer.ca_key(), now);
    let (reader, writer) = (store.reader(), store.writer());
    let service = Arc::new(DownloadService::new(reader.clone(), Arc::new(SystemClock), &settings));
    let app = init_service(App::new().configure(http::routes(service))).await;
    let ask = |method: Method, path: &str, condition: Option<(header::HeaderName, String)>| {
        let mut request = TestRequest::default().method(method).uri(path);
        if let Some(condition) = condition {
            request = request.insert_header(condition);
        }
        call_service(&app, request.to_request())
    };

    assert_eq!(ask(Method::GET, "/crl/signature-1.crl", None).await.status(), StatusCode::NOT_FOUND, "none is published yet");
    let mut publisher = Publisher::new(vec![issuer.clone()], reader.clone(), writer, Arc::new(SystemClock), settings).unwrap();
    publisher.run_once(None).unwrap();
    let crl = reader.latest_crl(issuer.ca_key().id()).unwrap().unwrap();

    let files = [
        ("/crl/signature-1.crl", "application/pkix-crl", crl.der),
        ("/ca/signature-1.cer", "application/pkix-cert", issuer.ca_key().certificate_der().to_vec()),
    ];
    for (path, content_type, octets) in files {
        let response = ask(Method::GET, path, None).await;
        assert_eq!(response.status(), StatusCode::OK);
        let value = |name: header::HeaderName| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(value(header::CONTENT_TYPE), content_type);
        assert!(value(header::CACHE_CONTROL).starts_with("public, max-age="));
        let (tag, modified) = (value(header::ETAG), value(header::LAST_MODIFIED));
        assert_eq!(read_body(response).await, octets);

        let head = ask(Method::HEAD, path, None).await;
        assert_eq!(head.status(), StatusCode::OK);
        assert_eq!(head.headers().get(header::ETAG).unwrap().to_str().unwrap(), tag);

        for (name, condition, status) in [
            (header::IF_NONE_MATCH, tag.clone(), StatusCode::NOT_MODIFIED),
            (header::IF_NONE_MATCH, format!("\"other\", W/{tag}"), StatusCode::NOT_MODIFIED),
            (header::IF_NONE_MATCH, "*".to_owned(), StatusCode::NOT_MODIFIED),
            (header::IF_NONE_MATCH, "\"other\"".to_owned(), StatusCode::OK),
            (header::IF_MODIFIED_SINCE, modified, StatusCode::NOT_MODIFIED),
            (header::IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:01 GMT".to_owned(), StatusCode::OK),
        ] {
            let response = ask(Method::GET, path, Some((name, condition.clone()))).await;
            assert_eq!(response.status(), status, "{path} {condition}");
            if status == StatusCode::NOT_MODIFIED {
                assert_eq!(response.headers().get(header::ETAG).unwrap().to_str().unwrap(), tag);
                assert!(response.into_body().try_into_bytes().unwrap().is_empty());
            }
        }
    }
}

#[actix_web::test]
async fn whatever_else_is_asked_for_is_not_found() {
    let now = Utc::now();
    let store = TestDatabase::sqlite();
    let issuer = issuer(1, CertificateKind::Signature, 1, KeyType::EcdsaP256, now);
    store.add_ca_key(issuer.ca_key(), now);
    let service = DownloadService::new(store.reader(), Arc::new(SystemClock), &CrlSettings::default());
    let app = init_service(App::new().configure(http::routes(Arc::new(service)))).await;
    for path in [
        "/crl/signature-2.crl",
        "/crl/signature-01.crl",
        "/crl/authentication-1.crl",
        "/crl/signature-1.cer",
        "/crl/signature-1",
        "/crl/..%2Fstore.sqlite",
        "/ca/signature-1.crl",
        "/ca/signature-1.cer/x",
        "/ca/",
    ] {
        let response = call_service(&app, TestRequest::get().uri(path).to_request()).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let response = call_service(&app, TestRequest::post().uri("/ca/signature-1.cer").to_request()).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}
