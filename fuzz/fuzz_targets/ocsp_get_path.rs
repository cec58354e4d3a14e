//! Octets as the path of a GET: what is read out of it, and what comes of it over HTTP.

#![no_main]

use std::cell::OnceCell;

use actix_http::StatusCode;
use actix_web::http::Uri;
use actix_web::test::TestRequest;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fuzz::{Http, Stage};
use libfuzzer_sys::fuzz_target;
use ocsp::get_path::request_of_path;

/// As the settings have it by default.
const MOST: usize = 4096;

thread_local! {
    static STAGE: OnceCell<(Stage, Http)> = const { OnceCell::new() };
}

fuzz_target!(|path: &[u8]| {
    let read = request_of_path(path, MOST);
    if let Ok(octets) = &read {
        let standard = STANDARD.encode(octets);
        let percent = standard.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
        for form in [percent, URL_SAFE_NO_PAD.encode(octets)] {
            assert_eq!(request_of_path(form.as_bytes(), 2 * MOST).as_ref(), Ok(octets), "{form}");
        }
    }
    let Some(uri) = std::str::from_utf8(path).ok().map(|path| format!("/ocsp/{path}")) else { return };
    // Whatever is no URI does not come so far; and beyond `?` it is the path no longer.
    let Ok(parsed) = Uri::try_from(uri.as_str()) else { return };
    STAGE.with(|stage| {
        let (stage, http) = stage.get_or_init(|| {
            let stage = Stage::set();
            let http = stage.http();
            (stage, http)
        });
        let (status, answered) = http(TestRequest::get().uri(&uri).to_request());
        match request_of_path(&parsed.path().as_bytes()["/ocsp/".len()..], MOST) {
            _ if status != StatusCode::OK => assert!(status.is_client_error(), "{status}"),
            Ok(octets) => drop(stage.check(&octets, &answered)),
            Err(_) => assert!(!stage.check(b"", &answered), "answered what cannot be read"),
        }
    });
});
