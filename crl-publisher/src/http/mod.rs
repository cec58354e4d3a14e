//! Downloads over plain HTTP: CRLs (RFC 5280 section 4.2.1.13) and CA certificates (section 4.2.2.1).
//!
//! - `GET`, `HEAD /crl/{kind}-{generation}.crl`: the list published last, `application/pkix-crl` (RFC 2585 section 4.2)
//! - `GET`, `HEAD /ca/{kind}-{generation}.cer`: the CA certificate in DER, `application/pkix-cert` (RFC 2585 section 4.1)
//!
//! With ETag, Last-Modified and conditional requests. Whatever else is asked for is 404; a fault of the store is 503.

use std::sync::Arc;
use std::time::SystemTime;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EntityTag, Header, HeaderValue, HttpDate, IfModifiedSince, IfNoneMatch, LAST_MODIFIED,
};
use actix_web::{HttpRequest, HttpResponse, web};
use ca_core::clock::Clock;
use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKey;
use chrono::{DateTime, Utc};
use schema::{Reader, StoreFault};

use crate::settings::CrlSettings;

/// Reads from the store what is to be downloaded.
pub struct DownloadService {
    reader: Reader,
    clock: Arc<dyn Clock>,
    cache_seconds: i64,
}

impl DownloadService {
    /// Downloads from the store. The settings' cache time is the only one that matters here.
    pub fn new(reader: Reader, clock: Arc<dyn Clock>, settings: &CrlSettings) -> Self {
        Self { reader, clock, cache_seconds: i64::from(settings.cache_seconds) }
    }

    fn ca_key(&self, label: &str) -> Result<Option<CaKey>, StoreFault> {
        Ok(self.reader.ca_keys()?.into_iter().find(|ca_key| ca_key.label() == label))
    }

    fn crl(&self, file: &str) -> Result<Option<Download>, StoreFault> {
        let Some(label) = file.strip_suffix(".crl") else { return Ok(None) };
        let Some(ca_key) = self.ca_key(label)? else { return Ok(None) };
        let Some(crl) = self.reader.latest_crl(ca_key.id())? else { return Ok(None) };
        let fresh = (crl.next_update - self.clock.now()).num_seconds();
        Ok(Some(Download {
            content_type: "application/pkix-crl",
            // A number is never given out twice.
            tag: format!("{label}-{}", crl.number),
            modified: crl.this_update,
            max_age: self.cache_seconds.min(fresh).max(0),
            octets: crl.der,
        }))
    }

    fn ca_certificate(&self, file: &str) -> Result<Option<Download>, StoreFault> {
        let Some(label) = file.strip_suffix(".cer") else { return Ok(None) };
        Ok(self.ca_key(label)?.map(|ca_key| Download {
            content_type: "application/pkix-cert",
            tag: Sha256Digest::of(ca_key.certificate_der()).to_string(),
            modified: ca_key.not_before(),
            // It never changes: another generation has another address.
            max_age: 86_400,
            octets: ca_key.certificate_der().to_vec(),
        }))
    }
}

/// Something to be downloaded.
struct Download {
    content_type: &'static str,
    tag: String,
    modified: DateTime<Utc>,
    /// Seconds.
    max_age: i64,
    octets: Vec<u8>,
}

/// The routes, to be composed into an application: `App::new().configure(crl_publisher::http::routes(service))`.
pub fn routes(service: Arc<DownloadService>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config
            .app_data(web::Data::from(service))
            .service(web::resource("/crl/{file}").route(web::get().to(crl)).route(web::head().to(crl)))
            .service(web::resource("/ca/{file}").route(web::get().to(ca_certificate)).route(web::head().to(ca_certificate)));
    }
}

async fn crl(service: web::Data<DownloadService>, request: HttpRequest, file: web::Path<String>) -> HttpResponse {
    let file = file.into_inner();
    let found = web::block(move || service.crl(&file)).await;
    respond(&request, found, "crl")
}

async fn ca_certificate(service: web::Data<DownloadService>, request: HttpRequest, file: web::Path<String>) -> HttpResponse {
    let file = file.into_inner();
    let found = web::block(move || service.ca_certificate(&file)).await;
    respond(&request, found, "ca")
}

fn respond(
    request: &HttpRequest,
    found: Result<Result<Option<Download>, StoreFault>, actix_web::error::BlockingError>,
    what: &'static str,
) -> HttpResponse {
    let (outcome, response) = match found {
        Ok(Ok(Some(download))) if is_known(request, &download) => ("not_modified", {
            let mut response = HttpResponse::NotModified();
            headers(&mut response, &download);
            response.finish()
        }),
        Ok(Ok(Some(download))) => ("sent", {
            let mut response = HttpResponse::Ok();
            headers(&mut response, &download);
            response.insert_header((CONTENT_TYPE, download.content_type)).body(download.octets)
        }),
        Ok(Ok(None)) => ("not_found", HttpResponse::NotFound().insert_header((CACHE_CONTROL, "no-store")).finish()),
        Ok(Err(fault)) => {
            tracing::error!(%fault, "a download could not be read from the store");
            ("fault", HttpResponse::ServiceUnavailable().insert_header((CACHE_CONTROL, "no-store")).finish())
        }
        Err(_stopping) => ("fault", HttpResponse::ServiceUnavailable().insert_header((CACHE_CONTROL, "no-store")).finish()),
    };
    metrics::counter!("tsunagi_downloads_total", "what" => what, "outcome" => outcome).increment(1);
    response
}

fn headers(response: &mut actix_web::HttpResponseBuilder, download: &Download) {
    response
        .insert_header((ETAG, HeaderValue::from_str(&format!("\"{}\"", download.tag)).unwrap_or(HeaderValue::from_static("\"\""))))
        .insert_header((LAST_MODIFIED, HttpDate::from(SystemTime::from(download.modified))))
        .insert_header((CACHE_CONTROL, format!("public, max-age={}, must-revalidate, no-transform", download.max_age)));
}

/// Whether the client has it already (RFC 9110 section 13.2.2: If-None-Match goes before If-Modified-Since).
fn is_known(request: &HttpRequest, download: &Download) -> bool {
    if request.headers().contains_key(actix_web::http::header::IF_NONE_MATCH) {
        let tag = EntityTag::new_strong(download.tag.clone());
        return match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
            Err(_) => false,
        };
    }
    IfModifiedSince::parse(request).is_ok_and(|since| SystemTime::from(since.0) >= SystemTime::from(download.modified))
        && request.headers().contains_key(actix_web::http::header::IF_MODIFIED_SINCE)
}
