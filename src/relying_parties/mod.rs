//! The page for relying parties, beside OCSP and the CRLs: what there is, where it is, and what may be relied on.
//!
//! - `GET /`: the page, in Japanese or English (`Accept-Language`, or `?lang=ja` and `?lang=en`), without scripts.
//! - `GET /index.json`: the same for programs.
//! - `GET /test/{kind}-{status}.cer`: test certificates.

mod content;
mod html;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::{
    ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EntityTag, Header as _, IfNoneMatch,
    VARY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use ca_core::digest::Sha256Digest;
use chrono::Utc;
use schema::{Reader, StoreFault};

use self::content::{Content, Gathered};
use self::words::{Language, Words};
use crate::installation::Installation;
pub(crate) use content::Promises;

/// How long a page is kept, here and by HTTP caches: lists change within the second, and nobody waits for the page to say so.
const KEPT: Duration = Duration::from_secs(10);
/// After it could not be made it is not tried again for so long: each attempt may hold a thread for as long as the store lets it wait.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// So long the first who ask wait for the first page.
const FIRST: Duration = Duration::from_secs(2);
/// The page loads nothing and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Makes the pages from the store, at most one each few seconds.
pub(crate) struct RelyingParties {
    reader: Reader,
    promises: Promises,
    kept: Mutex<Kept>,
    /// Held by whoever makes them. One thread at most waits for the store, so that others are left for the lists.
    making: Arc<tokio::sync::Mutex<()>>,
}

/// What there is to be served.
#[derive(Default)]
struct Kept {
    /// The last that could be made.
    pages: Option<Arc<Pages>>,
    /// Until when no others are made.
    until: Option<Instant>,
}

/// Everything that is served, as octets.
struct Pages {
    html: HashMap<Language, Page>,
    json: Page,
    /// By file name.
    certificates: HashMap<String, Page>,
}

struct Page {
    content_type: &'static str,
    language: Option<Language>,
    tag: String,
    octets: web::Bytes,
}

impl Page {
    fn new(content_type: &'static str, language: Option<Language>, octets: Vec<u8>) -> Self {
        Self { content_type, language, tag: Sha256Digest::of(&octets).to_string(), octets: octets.into() }
    }
}

impl RelyingParties {
    /// Of an installation, with the promises that follow from its settings.
    pub(crate) fn new(installation: &Installation) -> Self {
        Self {
            reader: installation.database.reader(),
            promises: Promises::of(installation),
            kept: Mutex::default(),
            making: Arc::default(),
        }
    }

    /// The pages as they are kept, and whether they will do.
    fn kept(&self) -> (Option<Arc<Pages>>, bool) {
        let kept = self.lock();
        (kept.pages.clone(), kept.until.is_some_and(|until| Instant::now() < until))
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the pages anew. Blocks on the store. If that fails, those that there are stay.
    fn make(&self) -> Result<Arc<Pages>, PageFault> {
        let made = content::gather(&self.reader, &self.promises, Utc::now()).map_err(PageFault::from).and_then(Pages::make);
        let mut kept = self.lock();
        match made {
            Ok(pages) => {
                let pages = Arc::new(pages);
                *kept = Kept { pages: Some(Arc::clone(&pages)), until: Some(Instant::now() + KEPT) };
                Ok(pages)
            }
            Err(fault) => {
                kept.until = Some(Instant::now() + AFTER_FAILURE);
                tracing::error!(fault = %ca_core::chain::Chain(&fault), "the page for relying parties could not be made");
                kept.pages.clone().ok_or(fault)
            }
        }
    }
}

/// The pages cannot be made now.
#[derive(Debug, thiserror::Error)]
enum PageFault {
    #[error("the store cannot be read")]
    Store(#[from] StoreFault),
    #[error("the page cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("the page is being made, or could not be made a moment ago")]
    NotYet,
    #[error("the process is about to end")]
    Stopping,
}

impl Pages {
    fn make(gathered: Gathered) -> Result<Self, PageFault> {
        let content: &Content = &gathered.content;
        let html = Language::ALL.map(|language| {
            let text = html::page(content, Words::of(language)).into_string();
            (language, Page::new("text/html; charset=utf-8", Some(language), text.into_bytes()))
        });
        let json = Page::new("application/json", None, serde_json::to_vec_pretty(content)?);
        let certificate = |(name, der)| (name, Page::new("application/pkix-cert", None, der));
        Ok(Self { html: html.into(), json, certificates: gathered.certificates.into_iter().map(certificate).collect() })
    }
}

/// The routes, to be composed into an application.
pub(crate) fn routes(service: Arc<RelyingParties>) -> impl FnOnce(&mut web::ServiceConfig) {
    move |config| {
        config
            .app_data(web::Data::from(service))
            .service(web::resource("/").route(web::get().to(page)).route(web::head().to(page)))
            .service(web::resource("/index.json").route(web::get().to(index)).route(web::head().to(index)))
            .service(web::resource("/test/{file}").route(web::get().to(certificate)).route(web::head().to(certificate)));
    }
}

async fn page(service: web::Data<RelyingParties>, request: HttpRequest) -> HttpResponse {
    let accepted = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let language = Language::wanted(request.query_string(), accepted.unwrap_or_default());
    respond(&request, pages(service).await, |pages| pages.html.get(&language))
}

async fn index(service: web::Data<RelyingParties>, request: HttpRequest) -> HttpResponse {
    respond(&request, pages(service).await, |pages| Some(&pages.json))
}

async fn certificate(service: web::Data<RelyingParties>, request: HttpRequest, file: web::Path<String>) -> HttpResponse {
    respond(&request, pages(service).await, |pages| pages.certificates.get(file.as_str()))
}

/// The pages, made anew if they are too old; whoever comes while that is done gets the old ones.
async fn pages(service: web::Data<RelyingParties>) -> Result<Arc<Pages>, PageFault> {
    let making = match service.kept() {
        (pages, true) => return pages.ok_or(PageFault::NotYet),
        (Some(pages), false) => match Arc::clone(&service.making).try_lock_owned() {
            Ok(making) => making,
            Err(_) => return Ok(pages),
        },
        // No thread is held by those who wait.
        (None, false) => match tokio::time::timeout(FIRST, Arc::clone(&service.making).lock_owned()).await {
            Ok(making) => making,
            Err(_elapsed) => return Err(PageFault::NotYet),
        },
    };
    // Somebody may have made them in between.
    if let (pages, true) = service.kept() {
        return pages.ok_or(PageFault::NotYet);
    }
    let make = move || {
        let made = service.make();
        drop(making);
        made
    };
    web::block(make).await.unwrap_or(Err(PageFault::Stopping))
}

fn respond(
    request: &HttpRequest,
    pages: Result<Arc<Pages>, PageFault>,
    choose: impl for<'p> FnOnce(&'p Pages) -> Option<&'p Page>,
) -> HttpResponse {
    let (outcome, response) = match pages.as_deref().map(choose) {
        Ok(Some(page)) if is_known(request, page) => ("not_modified", headers(HttpResponse::NotModified(), page).finish()),
        Ok(Some(page)) => ("sent", headers(HttpResponse::Ok(), page).body(page.octets.clone())),
        Ok(None) => ("not_found", HttpResponse::NotFound().insert_header((CACHE_CONTROL, "no-store")).finish()),
        // Told of where it is tried.
        Err(_fault) => ("fault", HttpResponse::ServiceUnavailable().insert_header((CACHE_CONTROL, "no-store")).finish()),
    };
    metrics::counter!("tsunagi_downloads_total", "what" => "page", "outcome" => outcome).increment(1);
    response
}

fn headers(mut response: HttpResponseBuilder, page: &Page) -> HttpResponseBuilder {
    response
        .insert_header((CONTENT_TYPE, page.content_type))
        .insert_header((ETAG, EntityTag::new_strong(page.tag.clone()).to_string()))
        .insert_header((CACHE_CONTROL, format!("public, max-age={}, must-revalidate", KEPT.as_secs())))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if let Some(language) = page.language {
        response.insert_header((CONTENT_LANGUAGE, language.as_str())).insert_header((VARY, "Accept-Language"));
    }
    response
}

fn is_known(request: &HttpRequest, page: &Page) -> bool {
    if !request.headers().contains_key(actix_web::http::header::IF_NONE_MATCH) {
        return false;
    }
    let tag = EntityTag::new_strong(page.tag.clone());
    match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    }
}
