//! How long a caller prefers to wait: `Prefer: wait=N` (RFC 7240 section 4.3).

use std::time::{Duration, Instant};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header that says which preference was applied.
pub(crate) const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// Longer than this no answer is held.
pub(crate) const LONGEST: u64 = 10;

/// A caller's wish to wait for an answer, from the time the request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    seconds: u64,
    until: Instant,
}

impl Wait {
    /// The wish of a request that came just now; `None` if it has none that can be understood. What is beyond [`LONGEST`] is that.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let preferences = headers.get_all(PREFER).filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        // The first of several is the one that counts (section 2).
        let seconds = preferences.filter_map(wait).next()??.min(LONGEST);
        Some(Self { seconds, until: Instant::now() + Duration::from_secs(seconds) })
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// What the answer says of it.
    pub(crate) fn applied(&self) -> HeaderValue {
        HeaderValue::from_str(&format!("wait={}", self.seconds)).unwrap_or_else(|_| HeaderValue::from_static("wait"))
    }
}

/// The value of a preference if it is `wait`; the inner is `None` if it is no number.
fn wait(preference: &str) -> Option<Option<u64>> {
    let (name, value) = preference.split(';').next()?.split_once('=')?;
    if !name.trim().eq_ignore_ascii_case("wait") {
        return None;
    }
    let value = value.trim();
    let digits = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
    let sound = (1..=9).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
    Some(if sound { digits.parse().ok() } else { None })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn seconds(values: &[&str]) -> Option<u64> {
        let request = values.iter().fold(TestRequest::default(), |request, value| request.append_header(("prefer", *value)));
        Wait::of(request.to_http_request().headers()).map(|wait| wait.seconds)
    }

    #[test]
    fn the_wish_to_wait_is_read_wherever_it_stands_and_bounded() {
        assert_eq!(seconds(&["wait=7"]), Some(7));
        assert_eq!(seconds(&["respond-async, Wait = \"3\"; why=not"]), Some(3));
        assert_eq!(seconds(&["return=minimal", "wait=0"]), Some(0));
        assert_eq!(seconds(&["wait=999999999"]), Some(LONGEST));
        assert_eq!(seconds(&["wait=2, wait=9", "wait=5"]), Some(2));
    }

    #[test]
    fn what_is_no_wish_to_wait_is_none() {
        for value in ["", "wait", "wait=", "wait=-1", "wait=1.5", "wait=soon", "wait=9999999999", "waiting=3", "handling=lenient"] {
            assert_eq!(seconds(&[value]), None, "{value}");
        }
        assert_eq!(seconds(&[]), None);
        assert_eq!(seconds(&["wait=soon, wait=3"]), None, "the first counts");
    }
}
