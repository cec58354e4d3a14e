//! Octets as the body of a POST and, base64, in the path of a GET: to a responder for everybody and to one for verifiers, who sign.

#![no_main]

use std::cell::OnceCell;

use actix_http::StatusCode;
use actix_web::test::TestRequest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fuzz::{Http, Stage};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static STAGE: OnceCell<(Stage, Http)> = const { OnceCell::new() };
}

fuzz_target!(|octets: &[u8]| {
    STAGE.with(|stage| {
        let (stage, http) = stage.get_or_init(|| {
            let stage = Stage::set();
            let http = stage.http();
            (stage, http)
        });
        stage.ask(octets);
        if !octets.is_empty() {
            let path = format!("/ocsp/{}", URL_SAFE_NO_PAD.encode(octets));
            let (status, answered) = http(TestRequest::get().uri(&path).to_request());
            assert_eq!(status, StatusCode::OK);
            stage.check(octets, &answered);
        }
    });
});
