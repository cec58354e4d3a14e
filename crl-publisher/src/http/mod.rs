//! Downloads over plain HTTP: CRLs (RFC 5280 section 4.2.1.13) and CA certificates (section 4.2.2.1).
//!
//! - `GET`, `HEAD /crl/{label}.crl`: the list in force, `application/pkix-crl` (RFC 2585 section 4.2)
//! - `GET`, `HEAD /crl/{label}/{number}.crl`: a list by its number, as long as it is kept
//! - `GET`, `HEAD /ca/{kind}-{generation}.cer`: the CA certificate in DER, `application/pkix-cert` (RFC 2585 section 4.1)
//!
//! With ETag, Last-Modified, conditional requests, one range, and compressed where that is asked for. A list comes from the shelf,
//! piece by piece: however long it is and whoever reads it slowly, memory stays as it is. Whatever else is asked for is 404; a list
//! that the store has and the shelf has not yet, and a fault, are 503.

mod conditions;
mod file_body;

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use actix_web::body::BoxBody;
use actix_web::error::BlockingError;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HttpDate, LAST_MODIFIED, RETRY_AFTER, VARY,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use ca_core::chain::Chain;
use ca_core::clock::Clock;
use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKey;
use chrono::{DateTime, Utc};
use schema::{Reader, StoreFault};

use self::conditions::{Judged, Validators, accepts_gzip, judge};
use self::file_body::FileBody;
use crate::settings::CrlSettings;
use crate::shelf::{Shelf, ShelfFault, ShelvedList, canonical, label};

/// Gives out what is to be downloaded.
pub struct DownloadService {
    shelf: Arc<Shelf>,
    reader: Reader,
    clock: Arc<dyn Clock>,
    cache_seconds: i64,
    /// Those read so far: another generation is another key.
    ca_keys: RwLock<Vec<CaKey>>,
    /// Questions that the store may be asked at once.
    questions: AtomicUsize,
}

/// Nothing could be given out.
#[derive(Debug, thiserror::Error)]
enum DownloadFault {
    #[error(transparent)]
    Store(#[from] StoreFault),
    #[error(transparent)]
    Shelf(#[from] ShelfFault),
    #[error("too many wait for the store")]
    Busy,
}

/// What was found.
enum Found {
    Download(Box<Download>),
    /// The store has it, the shelf will have it soon.
    NotYet,
    Nothing,
}

/// Something to be downloaded: one representation.
struct Download {
    content_type: &'static str,
    validators: Validators,
    /// Seconds.
    max_age: i64,
    /// Whether the same address never gives anything else.
    immutable: bool,
    /// Whether there is a compressed representation, too, or may be.
    varies: bool,
    compressed: bool,
    octets: Octets,
}

enum Octets {
    Here(Vec<u8>),
    File(File, u64),
}

/// What never changes: another generation, and another list, have another address.
const FOR_EVER: i64 = 86_400;

/// So many threads wait for the store at most, however many ask for what is not here: a store that does not answer holds each for long, and
/// lists are sent by threads of the same pool.
const QUESTIONS: usize = 4;

/// Leave to ask the store.
struct Leave<'s>(&'s AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl DownloadService {
    /// Downloads from the shelf. The settings' cache time is the only one that matters here.
    pub fn new(shelf: Arc<Shelf>, reader: Reader, clock: Arc<dyn Clock>, settings: &CrlSettings) -> Self {
        let cache_seconds = i64::from(settings.cache_seconds);
        Self { shelf, reader, clock, cache_seconds, ca_keys: RwLock::default(), questions: AtomicUsize::new(QUESTIONS) }
    }

    fn ask(&self) -> Result<Leave<'_>, DownloadFault> {
        let one_less = self.questions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        one_less.map(|_| Leave(&self.questions)).map_err(|_none| DownloadFault::Busy)
    }

    fn list_in_force(&self, file: &str, gzip: bool) -> Result<Found, DownloadFault> {
        let Some(asked) = file.strip_suffix(".crl") else { return Ok(Found::Nothing) };
        let Some(list) = self.shelf.in_force(asked) else { return self.missing(asked, None) };
        let fresh = (list.next_update - self.clock.now()).num_seconds();
        opened(&list, gzip, self.cache_seconds.min(fresh).max(0), false)
    }

    fn list_by_number(&self, asked: &str, file: &str, gzip: bool) -> Result<Found, DownloadFault> {
        let Some(number) = file.strip_suffix(".crl").and_then(canonical) else { return Ok(Found::Nothing) };
        match self.shelf.look(asked, number)? {
            Some(list) => opened(&list, gzip, FOR_EVER, true),
            None => self.missing(asked, Some(number)),
        }
    }

    /// What is not on the shelf may be in the store.
    fn missing(&self, asked: &str, number: Option<u64>) -> Result<Found, DownloadFault> {
        let _leave = self.ask()?;
        for ca_key in self.reader.ca_keys()? {
            let Some(shard) = shard_of(asked, &ca_key) else { continue };
            let list = match number {
                Some(number) => {
                    self.reader.crls_kept(ca_key.id(), shard)?.iter().any(|list| list.number == number && list.is_for_every_shelf())
                }
                None => self.reader.latest_crl_in(ca_key.id(), shard)?.is_some(),
            };
            return Ok(if list { Found::NotYet } else { Found::Nothing });
        }
        Ok(Found::Nothing)
    }

    /// From memory, for it never changes; else from the store.
    fn ca_key(&self, asked: &str) -> Result<Option<CaKey>, DownloadFault> {
        let find = |ca_keys: &[CaKey]| ca_keys.iter().find(|ca_key| ca_key.label() == asked).cloned();
        if let Some(known) = find(&self.ca_keys.read().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(Some(known));
        }
        let _leave = self.ask()?;
        let ca_keys = self.reader.ca_keys()?;
        let found = find(&ca_keys);
        *self.ca_keys.write().unwrap_or_else(PoisonError::into_inner) = ca_keys;
        Ok(found)
    }

    fn ca_certificate(&self, file: &str) -> Result<Found, DownloadFault> {
        let Some(asked) = file.strip_suffix(".cer") else { return Ok(Found::Nothing) };
        let Some(ca_key) = self.ca_key(asked)? else { return Ok(Found::Nothing) };
        Ok(Found::Download(Box::new(Download {
            content_type: "application/pkix-cert",
            validators: Validators { tag: Sha256Digest::of(ca_key.certificate_der()).to_string(), modified: whole(ca_key.not_before()) },
            max_age: FOR_EVER,
            immutable: false,
            varies: false,
            compressed: false,
            octets: Octets::Here(ca_key.certificate_der().to_vec()),
        })))
    }
}

/// The shard whose list has that label.
fn shard_of(asked: &str, ca_key: &CaKey) -> Option<u16> {
    let rest = asked.strip_prefix(&ca_key.label())?;
    let shard = if rest.is_empty() { 0 } else { rest.strip_prefix('-')?.parse().ok()? };
    (label(ca_key, shard) == asked).then_some(shard)
}

fn opened(list: &ShelvedList, gzip: bool, max_age: i64, immutable: bool) -> Result<Found, DownloadFault> {
    let compressed = list.compressed_octets.filter(|_| gzip);
    let path = if compressed.is_some() { list.compressed_path() } else { list.path.clone() };
    let file = match File::open(&path) {
        Ok(file) => file,
        // Just removed: it is no longer kept.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(ShelfFault::at(&path)(error).into()),
    };
    // A number is never given out twice, and compressed octets are other octets (RFC 9110 section 8.8.3.3).
    let coding = if compressed.is_some() { "-gzip" } else { "" };
    Ok(Found::Download(Box::new(Download {
        content_type: "application/pkix-crl",
        validators: Validators { tag: format!("{}-{}{coding}", list.label, list.number), modified: whole(list.this_update) },
        max_age,
        immutable,
        varies: true,
        compressed: compressed.is_some(),
        octets: Octets::File(file, compressed.unwrap_or(list.octets)),
    })))
}

fn whole(moment: DateTime<Utc>) -> SystemTime {
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(moment.timestamp()).unwrap_or(0))
}

/// The routes, to be composed into an application: `App::new().configure(crl_publisher::http::routes(service))`.
pub fn routes(service: Arc<DownloadService>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config
            .app_data(web::Data::from(service))
            .service(web::resource("/crl/{file}").route(web::get().to(crl)).route(web::head().to(crl)))
            .service(web::resource("/crl/{label}/{file}").route(web::get().to(crl_by_number)).route(web::head().to(crl_by_number)))
            .service(web::resource("/ca/{file}").route(web::get().to(ca_certificate)).route(web::head().to(ca_certificate)));
    }
}

async fn crl(service: web::Data<DownloadService>, request: HttpRequest, file: web::Path<String>) -> HttpResponse {
    let (file, gzip) = (file.into_inner(), accepts_gzip(request.headers()));
    let found = web::block(move || service.list_in_force(&file, gzip)).await;
    respond(&request, found, "crl")
}

async fn crl_by_number(service: web::Data<DownloadService>, request: HttpRequest, path: web::Path<(String, String)>) -> HttpResponse {
    let ((asked, file), gzip) = (path.into_inner(), accepts_gzip(request.headers()));
    let found = web::block(move || service.list_by_number(&asked, &file, gzip)).await;
    respond(&request, found, "crl")
}

async fn ca_certificate(service: web::Data<DownloadService>, request: HttpRequest, file: web::Path<String>) -> HttpResponse {
    let file = file.into_inner();
    let found = web::block(move || service.ca_certificate(&file)).await;
    respond(&request, found, "ca")
}

fn respond(request: &HttpRequest, found: Result<Result<Found, DownloadFault>, BlockingError>, what: &'static str) -> HttpResponse {
    let unavailable =
        || HttpResponse::ServiceUnavailable().insert_header((CACHE_CONTROL, "no-store")).insert_header((RETRY_AFTER, "1")).finish();
    let (outcome, response) = match found {
        Ok(Ok(Found::Download(download))) => sent(request, *download),
        Ok(Ok(Found::Nothing)) => ("not_found", HttpResponse::NotFound().insert_header((CACHE_CONTROL, "no-store")).finish()),
        Ok(Ok(Found::NotYet)) => ("not_yet", unavailable()),
        Ok(Err(DownloadFault::Busy)) => ("busy", unavailable()),
        Ok(Err(fault)) => {
            tracing::error!(fault = %Chain(&fault), "a download could not be read");
            ("fault", unavailable())
        }
        Err(_stopping) => ("fault", unavailable()),
    };
    metrics::counter!("tsunagi_downloads_total", "what" => what, "outcome" => outcome).increment(1);
    response
}

fn sent(request: &HttpRequest, download: Download) -> (&'static str, HttpResponse) {
    let length = match &download.octets {
        Octets::Here(octets) => octets.len() as u64,
        Octets::File(_, length) => *length,
    };
    let judged = judge(request, &download.validators, length);
    let (outcome, status) = match judged {
        Judged::Known => ("not_modified", StatusCode::NOT_MODIFIED),
        Judged::Refused => ("precondition_failed", StatusCode::PRECONDITION_FAILED),
        Judged::BeyondTheEnd => ("beyond_the_end", StatusCode::RANGE_NOT_SATISFIABLE),
        Judged::Part { .. } => ("part", StatusCode::PARTIAL_CONTENT),
        Judged::Whole => ("sent", StatusCode::OK),
    };
    let mut response = HttpResponse::build(status);
    headers(&mut response, &download);
    let (first, count) = match judged {
        Judged::Known | Judged::Refused => return (outcome, response.finish()),
        Judged::BeyondTheEnd => return (outcome, response.insert_header((CONTENT_RANGE, format!("bytes */{length}"))).finish()),
        Judged::Whole => (0, length),
        Judged::Part { first, last } => {
            response.insert_header((CONTENT_RANGE, format!("bytes {first}-{last}/{length}")));
            (first, last - first + 1)
        }
    };
    response.insert_header((CONTENT_TYPE, download.content_type)).insert_header((ACCEPT_RANGES, "bytes"));
    if download.compressed {
        response.insert_header((CONTENT_ENCODING, "gzip"));
    }
    let body = if request.method() == Method::HEAD {
        BoxBody::new(FileBody::length_only(count))
    } else {
        match download.octets {
            Octets::File(file, _) => BoxBody::new(FileBody::new(file, first, count)),
            Octets::Here(octets) => {
                let part = octets.into_iter().skip(first as usize).take(count as usize);
                BoxBody::new(part.collect::<Vec<u8>>())
            }
        }
    };
    (outcome, response.body(body))
}

fn headers(response: &mut HttpResponseBuilder, download: &Download) {
    let age = download.max_age;
    let renewal = if download.immutable { "immutable" } else { "must-revalidate" };
    response
        .insert_header((ETAG, format!("\"{}\"", download.validators.tag)))
        .insert_header((LAST_MODIFIED, HttpDate::from(download.validators.modified)))
        .insert_header((CACHE_CONTROL, format!("public, max-age={age}, {renewal}, no-transform")));
    if download.varies {
        response.insert_header((VARY, "Accept-Encoding"));
    }
}
