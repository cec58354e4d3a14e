//! The page for relying parties, beside OCSP and the CRLs: what there is, where it is, and what may be relied on.
//!
//! - `GET /`: the page, in Japanese or English (`Accept-Language`, or `?lang=ja` and `?lang=en`), without scripts.
//! - `GET /index.json`: the same for programs.
//! - `GET /test/{kind}-{status}.cer`: test certificates.

mod content;
mod html;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
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
/// The page loads nothing and runs nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Makes the pages from the store, at most one each few seconds.
pub(crate) struct RelyingParties {
    reader: Reader,
    promises: Promises,
    kept: Mutex<Option<(Instant, Arc<Pages>)>>,
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
        Self { reader: installation.database.reader(), promises: Promises::of(installation), kept: Mutex::default() }
    }

    /// The pages, made anew if they are too old. Blocks on the store then; the others wait, for one is enough.
    fn pages(&self) -> Result<Arc<Pages>, PageFault> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, pages)) = kept.as_ref()
            && made.elapsed() < KEPT
        {
            return Ok(Arc::clone(pages));
        }
        let pages = Arc::new(Pages::make(content::gather(&self.reader, &self.promises, Utc::now())?)?);
        *kept = Some((Instant::now(), Arc::clone(&pages)));
        Ok(pages)
    }
}

/// The pages cannot be made now.
#[derive(Debug, thiserror::Error)]
enum PageFault {
    #[error("the store cannot be read")]
    Store(#[from] StoreFault),
    #[error("the page cannot be written as JSON")]
    Json(#[from] serde_json::Error),
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

async fn pages(service: web::Data<RelyingParties>) -> Result<Arc<Pages>, PageFault> {
    web::block(move || service.pages()).await.unwrap_or(Err(PageFault::Stopping))
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
        Err(fault) => {
            tracing::error!(fault = %ca_core::chain::Chain(fault), "the page for relying parties could not be made");
            ("fault", HttpResponse::ServiceUnavailable().insert_header((CACHE_CONTROL, "no-store")).finish())
        }
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
