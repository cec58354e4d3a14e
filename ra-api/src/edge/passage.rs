//! The one way in and out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::Instrument;

use super::{AddressLimits, CORRELATION_HEADER, CorrelationId};
use crate::problem::Problem;
use crate::settings::ListenerSettings;

/// The bounds of one listener, shared by all its workers.
pub(crate) struct Edge {
    listener: &'static str,
    concurrent: Semaphore,
    addresses: AddressLimits,
    timeout: Duration,
}

impl Edge {
    /// The bounds that `settings` say, for the listener of this name.
    pub(crate) fn new(listener: &'static str, settings: &ListenerSettings) -> Arc<Self> {
        Arc::new(Self {
            listener,
            concurrent: Semaphore::new(settings.concurrent_requests.min(Semaphore::MAX_PERMITS)),
            addresses: AddressLimits::new(settings.requests_per_second, settings.requests_at_once),
            timeout: settings.request_timeout(),
        })
    }
}

/// Lets a request through to its handler, within the bounds, and its answer out: with a correlation id, and as problem details
/// if it is a failure. To be the outermost middleware.
pub(crate) async fn pass(
    edge: Arc<Edge>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let begin = Instant::now();
    let correlation = CorrelationId::draw();
    request.extensions_mut().insert(correlation);
    // The pattern, not the path: paths name applications.
    let route = request.match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let method = request.method().as_str().to_owned();
    let span = tracing::info_span!(
        "request",
        listener = edge.listener,
        correlation_id = %correlation,
        method,
        route,
        operator = tracing::field::Empty,
    );
    let answer = guarded(&edge, request, next, correlation).instrument(span.clone()).await;
    let (status, code) = match &answer {
        Ok(answer) => (answer.status(), answer.response().extensions().get::<Problem>().map(|problem| problem.code().to_owned())),
        Err(error) => (error.as_response_error().status_code(), error.as_error::<Told>().map(|told| told.0.code().to_owned())),
    };
    let elapsed = begin.elapsed();
    span.in_scope(|| match &code {
        Some(code) => tracing::info!(status = status.as_u16(), code, elapsed_ms = elapsed.as_millis() as u64, "answered"),
        None => tracing::debug!(status = status.as_u16(), elapsed_ms = elapsed.as_millis() as u64, "answered"),
    });
    count(edge.listener, known_method(&method), route, status, code, elapsed);
    answer
}

async fn guarded(
    edge: &Edge,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
    correlation: CorrelationId,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Err(seconds) = edge.addresses.check(request.peer_addr().map(|address| address.ip())) {
        let problem = Problem::new("rate_limited", "Too many requests from this address.").retry_after(seconds);
        return Ok(told(request, problem, correlation));
    }
    let Ok(_place) = edge.concurrent.try_acquire() else {
        let problem = Problem::new("too_busy", "Too many requests are under way.").retry_after(1);
        return Ok(told(request, problem, correlation));
    };
    match timeout(edge.timeout, next.call(request)).await {
        Ok(Ok(answer)) => Ok(dress(answer, correlation)),
        Ok(Err(error)) => Err(Told(problem_of(&error.error_response()), correlation).into()),
        Err(_) => {
            let problem = Problem::new("request_timed_out", "The answer was not ready in time. The same request may be sent again.");
            Err(Told(problem.retry_after(1), correlation).into())
        }
    }
}

fn told(request: ServiceRequest, problem: Problem, correlation: CorrelationId) -> ServiceResponse<BoxBody> {
    request.into_response(Told(problem, correlation).error_response())
}

/// Gives an answer its correlation id, and a failure its document.
fn dress(answer: ServiceResponse<impl MessageBody + 'static>, correlation: CorrelationId) -> ServiceResponse<BoxBody> {
    let status = answer.status();
    if status.is_client_error() || status.is_server_error() {
        let problem = problem_of(answer.response());
        return answer.into_response(Told(problem, correlation).error_response());
    }
    let mut answer = answer.map_into_boxed_body();
    dress_headers(answer.headers_mut(), correlation);
    answer
}

fn dress_headers(headers: &mut HeaderMap, correlation: CorrelationId) {
    if let Ok(value) = HeaderValue::from_str(&correlation.to_string()) {
        headers.insert(CORRELATION_HEADER, value);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn problem_of<B>(answer: &HttpResponse<B>) -> Problem {
    answer.extensions().get::<Problem>().cloned().unwrap_or_else(|| Problem::of_status(answer.status()))
}

/// A problem with its correlation id: as an error it answers in full, since it leaves past every middleware.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Told(Problem, CorrelationId);

impl ResponseError for Told {
    fn status_code(&self) -> StatusCode {
        self.0.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = self.0.answer(self.1);
        dress_headers(answer.headers_mut(), self.1);
        answer.extensions_mut().insert(self.0.clone());
        answer
    }
}

/// Callers choose the method's text: it must not make counters.
fn known_method(method: &str) -> &'static str {
    ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"].into_iter().find(|known| *known == method).unwrap_or("other")
}

fn count(listener: &'static str, method: &'static str, route: String, status: StatusCode, code: Option<String>, elapsed: Duration) {
    metrics::counter!(
        "tsunagi_http_requests_total",
        "listener" => listener,
        "method" => method,
        "route" => route.clone(),
        "status" => status.as_u16().to_string(),
    )
    .increment(1);
    metrics::histogram!("tsunagi_http_request_seconds", "listener" => listener, "route" => route).record(elapsed.as_secs_f64());
    if let Some(code) = code {
        metrics::counter!("tsunagi_http_problems_total", "listener" => listener, "code" => code).increment(1);
    }
}
