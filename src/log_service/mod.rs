//! The issuance log over HTTP, beside OCSP and the CRLs (C2SP tlog-tiles):
//!
//! - `GET`, `HEAD /log/checkpoint`: the last signed checkpoint, `text/plain; charset=utf-8`, kept for a second
//! - `GET`, `HEAD /log/tile/<L>/<N>[.p/<W>]`: hashes of the tree, `application/octet-stream`, for ever the same
//! - `GET`, `HEAD /log/tile/entries/<N>[.p/<W>]`: the entries, which are commitments and show nothing
//!
//! With ETag and conditional requests. Everything comes from a directory of files. What is beyond the checkpoint, or has any other path, is
//! 404; a fault, and more questions at once than there are places for, are 503.

mod mirror;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::error::BlockingError;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETAG, EntityTag, Header as _, IF_NONE_MATCH, IfNoneMatch, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use audit_log::{Checkpoint, TileDirectory, TileFault, TileKind, TilePath};
use ca_core::chain::Chain;
use ca_core::digest::Sha256Digest;
use tokio::sync::{Semaphore, SemaphorePermit};

pub(crate) use mirror::Mirror;

/// So many threads read files at once at most, however many ask: others of the same pool send lists.
const PLACES: usize = 16;

/// So long a question waits for a place.
const PATIENCE: Duration = Duration::from_secs(2);

/// Gives out the log.
pub(crate) struct LogService {
    directory: TileDirectory,
    /// Leaves under the largest checkpoint that was seen: it is read anew only for what is beyond it.
    seen: AtomicU64,
    places: Semaphore,
}

/// Something to be given out.
struct Download {
    content_type: &'static str,
    /// Whether the address never gives anything else.
    immutable: bool,
    octets: Vec<u8>,
}

impl LogService {
    /// Of what is in the directory, now or later.
    pub(crate) fn new(directory: TileDirectory) -> Self {
        Self { directory, seen: AtomicU64::new(0), places: Semaphore::new(PLACES) }
    }

    fn checkpoint(&self) -> Result<Option<Download>, TileFault> {
        let Some(note) = self.directory.checkpoint()? else { return Ok(None) };
        Ok(Some(Download { content_type: "text/plain; charset=utf-8", immutable: false, octets: note.into_bytes() }))
    }

    /// The tile, if the checkpoint has all of it: what lies beyond may not be signed for yet.
    fn tile(&self, path: TilePath) -> Result<Option<Download>, TileFault> {
        if !is_within(path, self.seen.load(Ordering::Relaxed)) && !is_within(path, self.look()?) {
            return Ok(None);
        }
        // Written before the checkpoint: if it is not there, that is a fault.
        let octets = self.directory.read(path)?.ok_or(TileFault::Absent(path))?;
        Ok(Some(Download { content_type: "application/octet-stream", immutable: true, octets }))
    }

    /// Leaves under the checkpoint as it is now.
    fn look(&self) -> Result<u64, TileFault> {
        let Some(note) = self.directory.checkpoint()? else { return Ok(0) };
        let (text, _) = note.split_once("\n\n").ok_or(audit_log::NoteRefusal::Malformed)?;
        let size = Checkpoint::parse(&format!("{text}\n"))?.size;
        self.seen.fetch_max(size, Ordering::Relaxed);
        Ok(size)
    }

    /// A place to read files, waited for without a thread.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(PATIENCE, self.places.acquire()).await.ok()?.ok()
    }
}

/// Whether the tree of that size has all that the path names.
fn is_within(path: TilePath, size: u64) -> bool {
    let level = match path.kind {
        TileKind::Hashes { level } => u32::from(level),
        TileKind::Entries => 0,
    };
    let there = size.checked_shr(8 * level).unwrap_or(0);
    path.number.checked_mul(256).and_then(|first| first.checked_add(path.width.into())).is_some_and(|end| end <= there)
}

/// The routes, to be composed into an application.
pub(crate) fn routes(service: Arc<LogService>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config
            .app_data(web::Data::from(service))
            .service(web::resource("/log/checkpoint").route(web::get().to(checkpoint)).route(web::head().to(checkpoint)))
            .service(web::resource("/log/tile/{path:.*}").route(web::get().to(tile)).route(web::head().to(tile)));
    }
}

async fn checkpoint(service: web::Data<LogService>, request: HttpRequest) -> HttpResponse {
    give(service, &request, LogService::checkpoint).await
}

async fn tile(service: web::Data<LogService>, request: HttpRequest) -> HttpResponse {
    // As it was sent: nothing is decoded that could be another way to write the same.
    match request.uri().path().strip_prefix("/log/").and_then(TilePath::parse) {
        Some(path) => give(service, &request, move |service| service.tile(path)).await,
        None => told("not_found", nothing()),
    }
}

async fn give(
    service: web::Data<LogService>,
    request: &HttpRequest,
    read: impl FnOnce(&LogService) -> Result<Option<Download>, TileFault> + Send + 'static,
) -> HttpResponse {
    let Some(_place) = service.place().await else { return told("busy", unavailable()) };
    let reading = service.clone();
    let found: Result<_, BlockingError> = web::block(move || read(&reading)).await;
    match found {
        Ok(Ok(Some(download))) => sent(request, download),
        Ok(Ok(None)) => told("not_found", nothing()),
        Ok(Err(fault)) => {
            tracing::error!(fault = %Chain(&fault), "a part of the log could not be read");
            told("fault", unavailable())
        }
        Err(_stopping) => told("fault", unavailable()),
    }
}

fn sent(request: &HttpRequest, download: Download) -> HttpResponse {
    let tag = EntityTag::new_strong(Sha256Digest::of(&download.octets).to_string());
    if is_known(request, &tag) {
        return told("not_modified", headers(HttpResponse::NotModified(), &download, &tag).finish());
    }
    let response = headers(HttpResponse::Ok(), &download, &tag).body(download.octets);
    told("sent", response)
}

fn headers(mut response: HttpResponseBuilder, download: &Download, tag: &EntityTag) -> HttpResponseBuilder {
    let caching =
        if download.immutable { "public, max-age=31536000, immutable, no-transform" } else { "public, max-age=1, must-revalidate" };
    response
        .insert_header((CONTENT_TYPE, download.content_type))
        .insert_header((ETAG, tag.to_string()))
        .insert_header((CACHE_CONTROL, caching))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    response
}

fn is_known(request: &HttpRequest, tag: &EntityTag) -> bool {
    if !request.headers().contains_key(IF_NONE_MATCH) {
        return false;
    }
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        Err(_) => false,
    }
}

fn nothing() -> HttpResponse {
    HttpResponse::NotFound().insert_header((CACHE_CONTROL, "no-store")).finish()
}

fn unavailable() -> HttpResponse {
    HttpResponse::ServiceUnavailable().insert_header((CACHE_CONTROL, "no-store")).insert_header((RETRY_AFTER, "1")).finish()
}

fn told(outcome: &'static str, response: HttpResponse) -> HttpResponse {
    metrics::counter!("tsunagi_downloads_total", "what" => "log", "outcome" => outcome).increment(1);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_what_the_specification_says() {
        let has = |path: &str, size: u64| is_within(TilePath::parse(&format!("tile/{path}")).unwrap(), size);
        // "A tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile of width 112, …"
        assert!(has("0/272", 70_000) && !has("0/273", 70_000) && has("0/273.p/112", 70_000) && !has("0/273.p/113", 70_000));
        assert!(has("1/000", 70_000) && has("1/001.p/17", 70_000) && !has("1/001.p/18", 70_000));
        assert!(has("2/000.p/1", 70_000) && !has("2/000.p/2", 70_000) && !has("3/000.p/1", 70_000));
        assert!(has("entries/273.p/112", 70_000) && !has("entries/273.p/113", 70_000));
        // "A tree of size 256 will be represented by a full level 0 tile and a partial level 1 tile of width 1."
        assert!(has("0/000", 256) && has("1/000.p/1", 256) && !has("1/000.p/2", 256));
        assert!(
            !has("0/000.p/1", 0)
                && has("7/000.p/1", 1 << 56)
                && !has("7/000.p/2", 1 << 56)
                && !has("0/x018/x446/x744/x073/x709/x551/615", u64::MAX)
        );
    }
}
