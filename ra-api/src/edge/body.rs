//! Bodies, bounded in size and time before anything looks into them.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use actix_web::web::Payload;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::problem::Problem;

/// What a body may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoundedBody {
    /// The only content type accepted (RFC 9110 section 8.3); parameters do not count.
    pub content_type: &'static str,
    /// Octets at most.
    pub octets: usize,
    /// The time in which it must have arrived.
    pub timeout: Duration,
}

impl BoundedBody {
    /// Reads the body. Refuses by content type and announced length before it reads anything, and stops at the first octet too
    /// many.
    pub(crate) async fn read(&self, request: &HttpRequest, payload: Payload) -> Result<Vec<u8>, Problem> {
        if !content_type_is(request, self.content_type) {
            return Err(Problem::new("content_type_unsupported", format!("The body must be {}.", self.content_type)));
        }
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|octets| octets > self.octets as u64) {
            return Err(self.too_large());
        }
        match timeout(self.timeout, payload.to_bytes_limited(self.octets)).await {
            Err(_) => Err(Problem::new("request_too_slow", "The body did not arrive in time.")),
            Ok(Err(_)) => Err(self.too_large()),
            Ok(Ok(Err(_))) => Err(Problem::new("http_malformed", "The body broke off or is not encoded as announced.")),
            Ok(Ok(Ok(body))) => Ok(body.into()),
        }
    }

    fn too_large(&self) -> Problem {
        Problem::new("body_too_large", format!("The body has more than {} octets.", self.octets))
    }
}

/// Reads a question in JSON, of `octets` at most.
pub(crate) async fn read_question<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: Payload,
    octets: usize,
    timeout: Duration,
) -> Result<T, Problem> {
    let body = BoundedBody { content_type: "application/json", octets, timeout }.read(request, payload).await?;
    serde_json::from_slice(&body).map_err(|error| {
        // Where it goes wrong, without repeating what stands there.
        let (line, column) = (error.line(), error.column());
        Problem::new("question_malformed", format!("The body is not the JSON described for it (line {line}, column {column})."))
    })
}

/// Whether the request's content type is `expected`, whatever its parameters.
fn content_type_is(request: &HttpRequest, expected: &str) -> bool {
    let mut values = request.headers().get_all(CONTENT_TYPE);
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    let essence = value.to_str().ok().and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(expected))
}
