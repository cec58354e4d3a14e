//! What a request makes of what was found: all of it, a part of it, or nothing because the client has it (RFC 9110 sections 13, 14).

use std::time::{Duration, SystemTime};

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCEPT_ENCODING, EntityTag, Header, HeaderMap, HeaderName, HttpDate, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, IfMatch, IfModifiedSince, IfNoneMatch, IfRange, IfUnmodifiedSince, RANGE, Range,
};

/// What tells one representation from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Validators {
    /// The entity tag, strong, without its quotes.
    pub(super) tag: String,
    /// Whole seconds.
    pub(super) modified: SystemTime,
}

/// What is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// All of it.
    Whole,
    /// The octets from `first` to `last`, both included.
    Part { first: u64, last: u64 },
    /// Nothing: the client has it.
    Known,
    /// Nothing: the client wanted another.
    Refused,
    /// Nothing: the part asked for lies beyond the end.
    BeyondTheEnd,
}

/// The order of RFC 9110 section 13.2.2. Several ranges at once, and a range that is not understood, are passed over, which section
/// 14.2 allows: all of it is sent.
pub(super) fn judge(request: &HttpRequest, validators: &Validators, length: u64) -> Judged {
    let has = |name: HeaderName| request.headers().contains_key(name);
    let tag = EntityTag::new_strong(validators.tag.clone());
    if has(IF_MATCH) {
        let matches = match IfMatch::parse(request) {
            Ok(IfMatch::Any) => true,
            Ok(IfMatch::Items(tags)) => tags.iter().any(|wanted| wanted.strong_eq(&tag)),
            Err(_) => false,
        };
        if !matches {
            return Judged::Refused;
        }
    } else if has(IF_UNMODIFIED_SINCE)
        && IfUnmodifiedSince::parse(request).is_ok_and(|since| validators.modified > SystemTime::from(since.0))
    {
        return Judged::Refused;
    }
    if has(IF_NONE_MATCH) {
        let known = match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
            Err(_) => false,
        };
        if known {
            return Judged::Known;
        }
    } else if has(IF_MODIFIED_SINCE) && IfModifiedSince::parse(request).is_ok_and(|since| SystemTime::from(since.0) >= validators.modified)
    {
        return Judged::Known;
    }
    if request.method() != Method::GET || !has(RANGE) || !range_holds(request, &tag, validators.modified) {
        return Judged::Whole;
    }
    match Range::parse(request) {
        Ok(Range::Bytes(ranges)) => match ranges.as_slice() {
            [only] => match only.to_satisfiable_range(length) {
                Some((first, last)) => Judged::Part { first, last },
                None => Judged::BeyondTheEnd,
            },
            _ => Judged::Whole,
        },
        _ => Judged::Whole,
    }
}

/// If-Range: the tag must be the same, strongly; a date must be that of Last-Modified and no later one (RFC 9110 section 13.1.5).
fn range_holds(request: &HttpRequest, tag: &EntityTag, modified: SystemTime) -> bool {
    if !request.headers().contains_key(IF_RANGE) {
        return true;
    }
    match IfRange::parse(request) {
        Ok(IfRange::EntityTag(wanted)) => wanted.strong_eq(tag),
        // Last-Modified is a strong validator if it lies a minute or more back (section 8.8.2.2).
        Ok(IfRange::Date(date)) => date == HttpDate::from(modified) && modified.elapsed().is_ok_and(|age| age >= Duration::from_secs(60)),
        Err(_) => false,
    }
}

/// Whether a compressed answer is welcome (RFC 9110 section 12.5.3).
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(ACCEPT_ENCODING).filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let (mut named, mut any) = (None, None);
    for coding in codings {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.filter_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q="))).any(is_zero);
        if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            named = Some(!refused);
        } else if name == "*" {
            any = Some(!refused);
        }
    }
    named.or(any).unwrap_or(false)
}

fn is_zero(weight: &str) -> bool {
    weight.parse::<f32>().is_ok_and(|weight| weight == 0.0)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn gzip(value: &str) -> bool {
        accepts_gzip(TestRequest::default().insert_header((ACCEPT_ENCODING, value)).to_http_request().headers())
    }

    #[test]
    fn gzip_is_welcome_where_it_is_named_or_anything_is_and_not_where_it_is_refused() {
        for welcome in ["gzip", "deflate, GZIP;q=0.1", "x-gzip", "*", "br;q=1.0, *;q=0.5", "gzip;q=1, *;q=0"] {
            assert!(gzip(welcome), "{welcome}");
        }
        for refused in ["", "identity", "br", "gzip;q=0", "gzip; q=0.000", "*;q=0", "*, gzip;q=0", "gzipped"] {
            assert!(!gzip(refused), "{refused}");
        }
        assert!(!accepts_gzip(TestRequest::default().to_http_request().headers()));
    }
}
