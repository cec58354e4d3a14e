//! Problem details (RFC 9457): what every failure of both listeners looks like.

mod catalogue;
mod document;
mod responses;

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use ca_core::chain::Chain;
use ca_core::refusal::Refusal;

pub use catalogue::{CATALOGUE, Entry, Group};
pub(crate) use document::{ProblemCode, ProblemDocument};
pub(crate) use responses::{
    ApplicationProblems, CardEventProblems, ChallengeProblems, CommandProblems, CommandResultProblems, ExportFileProblems, FigureProblems,
    HealthProblems, InstructionProblems, InstructionStatusProblems, KeyCompromiseProblems, LookProblems, QuestionProblems,
    ReadinessProblems, ReceiptProblems, StatusProblems,
};

use crate::edge::CorrelationId;

/// A failure on its way to the caller: a stable code, and a sentence without personal data.
///
/// As an actix error it answers with its status and no body; [`crate::edge`], through which every answer passes, writes the
/// document, because only there is the correlation id known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub(crate) struct Problem {
    code: Cow<'static, str>,
    status: StatusCode,
    title: &'static str,
    detail: Cow<'static, str>,
    retry_after_seconds: Option<u64>,
    allow: Option<&'static str>,
}

impl Problem {
    /// The problem with this code of the [`CATALOGUE`]; `detail` is a sentence for people about this occurrence.
    ///
    /// A code that the catalogue does not have (one that an older program stored) is told as it is, with status 422.
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        let code = code.into();
        let (status, title) = catalogue::find(&code).map_or((422, "Refused"), |entry| (entry.status, entry.title));
        Self {
            code,
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY),
            title,
            detail: detail.into(),
            retry_after_seconds: None,
            allow: None,
        }
    }

    /// A refusal of the domain.
    pub(crate) fn refusal(refusal: &impl Refusal) -> Self {
        Self::new(refusal.code(), refusal.to_string())
    }

    /// A fault of ours: logged in full, told in general.
    pub(crate) fn fault(doing: &'static str, fault: &dyn std::error::Error) -> Self {
        tracing::error!(doing, fault = %Chain(fault), "fault");
        Self::new(
            "internal_fault",
            "The request could not be completed because of a fault on our side; the same request may be sent again.",
        )
    }

    /// Tells the caller when asking again makes sense.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Tells which methods are allowed (RFC 9110 section 15.5.6).
    #[must_use]
    pub(crate) fn allow(mut self, methods: &'static str) -> Self {
        self.allow = Some(methods);
        self
    }

    /// The stable code.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The problem of an answer that failed before any code of ours saw it.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            404 => Self::new("route_unknown", "There is nothing at this path."),
            405 => Self::new("method_not_allowed", "The path does not have this method."),
            408 => Self::new("request_too_slow", "The request did not arrive in time."),
            413 => Self::new("body_too_large", "The body is larger than allowed."),
            415 => Self::new("content_type_unsupported", "The body has a content type that is not accepted here."),
            400..=499 => Self::new("http_malformed", "The request cannot be understood."),
            _ => Self::new("internal_fault", "The request could not be completed because of a fault on our side."),
        }
    }

    /// The whole answer.
    pub(crate) fn answer(&self, correlation: CorrelationId) -> HttpResponse {
        let document = ProblemDocument {
            kind: format!("urn:tsunagi:problem:{}", self.code),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail.clone().into_owned(),
            code: self.code.clone().into_owned(),
            correlation_id: correlation.to_string(),
        };
        // `json` keeps a content type that is set already.
        let mut answer = HttpResponse::build(self.status).insert_header((CONTENT_TYPE, "application/problem+json")).json(document);
        if let Some(seconds) = self.retry_after_seconds {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(methods) = self.allow {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
        }
        answer
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::new(self.status);
        answer.extensions_mut().insert(self.clone());
        answer
    }
}
