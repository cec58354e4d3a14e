//! What HTTP caches are told.

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime};

use actix_http::{HttpMessage as _, Request, Response, StatusCode};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderValue, HttpDate, IF_NONE_MATCH, LAST_MODIFIED};
use bytes::Bytes;

use crate::answers::Repeat;
use crate::service::Reply;

const RESPONSE_TYPE: HeaderValue = HeaderValue::from_static("application/ocsp-response");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// An answer to this asker alone.
pub(super) fn plain(der: Bytes) -> Response<Bytes> {
    let mut response = Response::with_body(StatusCode::OK, der);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, RESPONSE_TYPE);
    headers.insert(CACHE_CONTROL, NO_STORE);
    response
}

/// The headers of answers that caches may repeat for a while (RFC 5019 section 6.2).
#[derive(Clone)]
pub(super) struct Caching {
    seconds: u32,
    control: HeaderValue,
}

thread_local! {
    /// What `Expires` says at present, and until when: it changes once in a second.
    static EXPIRES_NOW: RefCell<Option<(Instant, u32, HeaderValue)>> = const { RefCell::new(None) };
}

impl Caching {
    /// For `seconds`.
    pub(super) fn new(seconds: u32) -> Self {
        let control = format!("max-age={seconds}, public, no-transform, must-revalidate");
        Self { seconds, control: HeaderValue::from_maybe_shared(Bytes::from(control)).unwrap_or(NO_STORE) }
    }

    /// The reply to a GET or HEAD.
    pub(super) fn respond(&self, request: &Request, reply: Reply) -> Response<Bytes> {
        let Some(answer) = &reply.repeatable else { return plain(reply.der) };
        let Some(repeat) = &answer.repeat else { return plain(reply.der) };
        let is_known = is_known(request.headers(), repeat);
        let mut response = if is_known {
            Response::with_body(StatusCode::NOT_MODIFIED, Bytes::new())
        } else {
            Response::with_body(StatusCode::OK, reply.der)
        };
        let headers = response.headers_mut();
        if !is_known {
            headers.insert(CONTENT_TYPE, RESPONSE_TYPE);
        }
        headers.insert(CACHE_CONTROL, self.control.clone());
        headers.insert(LAST_MODIFIED, repeat.last_modified.clone());
        if let Some(expires) = self.expires() {
            headers.insert(EXPIRES, expires);
        }
        headers.insert(ETAG, repeat.tag.clone());
        response
    }

    /// The end of the seconds, for caches that know nothing of `Cache-Control`.
    fn expires(&self) -> Option<HeaderValue> {
        EXPIRES_NOW.with_borrow_mut(|kept| {
            let now = Instant::now();
            if let Some((until, seconds, value)) = kept
                && now < *until
                && *seconds == self.seconds
            {
                return Some(value.clone());
            }
            let date = HttpDate::from(SystemTime::now() + Duration::from_secs(u64::from(self.seconds))).to_string();
            let value = HeaderValue::from_maybe_shared(Bytes::from(date)).ok()?;
            *kept = Some((now + Duration::from_millis(500), self.seconds, value.clone()));
            Some(value)
        })
    }
}

/// Whether the client has it already, by its entity tag alone. `If-Modified-Since` is passed over, which RFC 9110 section 13.1.3 allows:
/// it counts in seconds, and of two answers within one second the second may be *revoked*.
fn is_known(headers: &HeaderMap, repeat: &Repeat) -> bool {
    let mut tags = headers.get_all(IF_NONE_MATCH).flat_map(|value| value.as_bytes().split(|octet| *octet == b','));
    tags.any(|tag| {
        let tag = tag.trim_ascii();
        // Weak comparison (RFC 9110 section 13.1.2).
        tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == repeat.tag.as_bytes()
    })
}
