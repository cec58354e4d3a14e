//! OCSP over HTTP (RFC 6960 appendix A, RFC 5019).
//!
//! - `POST /ocsp` with `Content-Type: application/ocsp-request`. Any other type is HTTP 415: then it is no OCSP request at all.
//! - `GET /ocsp/{request in base64}`, in the forms that [`crate::get_path`] lists.
//!
//! A request that is too long, or no request, is answered by OCSP's own `malformedRequest` under HTTP 200: OCSP clients read the
//! response and few look at the status line (RFC 6960 appendix A.2). A body that does not arrive in time is HTTP 408.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HttpDate, LAST_MODIFIED};
use actix_web::{HttpRequest, HttpResponse, rt, web};
use ca_core::digest::Sha256Digest;

use crate::get_path::request_of_path;
use crate::question::QuestionRefusal;
use crate::service::{OcspService, Reply};

const REQUEST_TYPE: &str = "application/ocsp-request";
const RESPONSE_TYPE: &str = "application/ocsp-response";

/// The routes, to be composed into an application: `App::new().configure(ocsp::http::routes(service))`.
pub fn routes(service: Arc<OcspService>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config
            .app_data(web::Data::from(service))
            .service(web::resource("/ocsp").route(web::post().to(post)))
            .service(web::resource("/ocsp/").route(web::post().to(post)))
            .service(web::resource("/ocsp/{request:.+}").route(web::get().to(get)));
    }
}

async fn post(service: web::Data<OcspService>, request: HttpRequest, body: web::Payload) -> HttpResponse {
    if !is_ocsp_request(&request) {
        metrics::counter!("tsunagi_ocsp_http_refusals_total", "code" => "wrong_content_type").increment(1);
        return HttpResponse::UnsupportedMediaType().finish();
    }
    let limit = service.settings().max_request_octets;
    let timeout = Duration::from_secs(u64::from(service.settings().body_timeout_seconds));
    match rt::time::timeout(timeout, body.to_bytes_limited(limit)).await {
        Ok(Ok(Ok(octets))) => plain(reply(service, octets.to_vec()).await),
        Ok(Err(_too_long)) => plain(service.refusal_reply(&QuestionRefusal::TooLong)),
        Ok(Ok(Err(_broken_off))) => HttpResponse::BadRequest().finish(),
        Err(_elapsed) => {
            metrics::counter!("tsunagi_ocsp_http_refusals_total", "code" => "slow_body").increment(1);
            HttpResponse::RequestTimeout().finish()
        }
    }
}

async fn get(service: web::Data<OcspService>, request: HttpRequest) -> HttpResponse {
    let path = request.match_info().query("request");
    let octets = match request_of_path(path, service.settings().max_request_octets) {
        Ok(octets) => octets,
        Err(refusal) => return plain(service.refusal_reply(&refusal)),
    };
    let cache_seconds = service.settings().cache_seconds;
    repeatable(reply(service, octets).await, cache_seconds)
}

/// Looking up and signing block for tens of microseconds to milliseconds: not on the threads that serve connections.
async fn reply(service: web::Data<OcspService>, octets: Vec<u8>) -> Reply {
    let Some(admitted) = service.admit() else { return service.busy_reply() };
    let answering = Arc::clone(&service);
    let replied = web::block(move || {
        let reply = answering.reply(&octets);
        drop(admitted);
        reply
    });
    replied.await.unwrap_or_else(|_stopping| service.busy_reply())
}

fn is_ocsp_request(request: &HttpRequest) -> bool {
    let Some(Ok(value)) = request.headers().get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(REQUEST_TYPE))
}

/// An answer to this asker alone.
fn plain(reply: Reply) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, RESPONSE_TYPE)).insert_header((CACHE_CONTROL, "no-store")).body(reply.der)
}

/// An answer that caches may repeat for a while (RFC 5019 section 6.2), unless it has a nonce or is none.
fn repeatable(reply: Reply, cache_seconds: u32) -> HttpResponse {
    let Some((this_update, next_update)) = reply.repeatable else { return plain(reply) };
    let seconds = i64::from(cache_seconds).min((next_update - this_update).num_seconds()).max(0);
    let expires = this_update + chrono::TimeDelta::seconds(seconds);
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, RESPONSE_TYPE))
        .insert_header((CACHE_CONTROL, format!("max-age={seconds}, public, no-transform, must-revalidate")))
        .insert_header((LAST_MODIFIED, HttpDate::from(std::time::SystemTime::from(this_update))))
        .insert_header((EXPIRES, HttpDate::from(std::time::SystemTime::from(expires))))
        .insert_header((ETAG, format!("\"{}\"", Sha256Digest::of(&reply.der))))
        .body(reply.der)
}
