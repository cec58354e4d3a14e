//! The body of a refusal, as FCM HTTP v1 writes it: a google.rpc.Status whose details say, by type, what was wrong.
//! <https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode>

use serde::Deserialize;
use serde_json::Value;

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
/// The member of our request that holds the phone's token.
const TOKEN_FIELD: &str = "message.token";

/// What FCM calls a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ErrorCode {
    /// No more is known.
    UnspecifiedError,
    /// Something in the request is out of form.
    InvalidArgument,
    /// The app on that phone is not registered (any more).
    Unregistered,
    /// The token belongs to another sender.
    SenderIdMismatch,
    /// Too many messages.
    QuotaExceeded,
    /// Overloaded.
    Unavailable,
    /// Failed on its side.
    Internal,
    /// Apple's or the browser's push service refused FCM's credentials.
    ThirdPartyAuthError,
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::UnspecifiedError => "UNSPECIFIED_ERROR",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::Unregistered => "UNREGISTERED",
            Self::SenderIdMismatch => "SENDER_ID_MISMATCH",
            Self::QuotaExceeded => "QUOTA_EXCEEDED",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
            Self::ThirdPartyAuthError => "THIRD_PARTY_AUTH_ERROR",
        })
    }
}

/// A refusal, as far as it could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// Whether other members of the request than the token were complained of.
    pub(crate) blames_others: bool,
}

#[derive(Deserialize)]
struct Body {
    error: Status,
}

#[derive(Deserialize)]
struct Status {
    code: u16,
    #[serde(default)]
    details: Vec<Detail>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(rename = "@type")]
    kind: String,
    #[serde(flatten)]
    members: Value,
}

#[derive(Deserialize)]
struct FcmError {
    #[serde(rename = "errorCode")]
    error_code: ErrorCode,
}

#[derive(Deserialize)]
struct BadRequest {
    #[serde(rename = "fieldViolations", default)]
    field_violations: Vec<FieldViolation>,
}

#[derive(Deserialize)]
struct FieldViolation {
    field: String,
}

/// Reads the body of an answer with `status`. `None` unless it is about that status, has exactly one FcmError, and all details
/// of the types we know are in form: on the strength of it a phone may never be written to again.
pub(crate) fn decode(body: &[u8], status: u16) -> Option<Refusal> {
    let error = serde_json::from_slice::<Body>(body).ok()?.error;
    if error.code != status {
        return None;
    }
    let mut code = None;
    let mut blames_others = false;
    for detail in error.details {
        match detail.kind.as_str() {
            FCM_ERROR if code.is_some() => return None,
            FCM_ERROR => code = Some(serde_json::from_value::<FcmError>(detail.members).ok()?.error_code),
            BAD_REQUEST => {
                let violations = serde_json::from_value::<BadRequest>(detail.members).ok()?.field_violations;
                blames_others |= violations.iter().any(|violation| violation.field != TOKEN_FIELD);
            }
            // Google may add explanations of other types.
            _ => {}
        }
    }
    code.map(|code| Refusal { code, blames_others })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, details: &str) -> Option<Refusal> {
        let body = format!(r#"{{"error":{{"code":{status},"message":"m","status":"S","details":[{details}]}}}}"#);
        decode(body.as_bytes(), status)
    }

    fn fcm(code: &str) -> String {
        format!(r#"{{"@type":"{FCM_ERROR}","errorCode":"{code}"}}"#)
    }

    fn violation(field: &str) -> String {
        format!(r#"{{"@type":"{BAD_REQUEST}","fieldViolations":[{{"field":"{field}","description":"d"}}]}}"#)
    }

    #[test]
    fn a_code_is_read_by_its_type_among_other_details() {
        let details = format!(r#"{{"@type":"type.googleapis.com/google.rpc.Help","links":[]}},{}"#, fcm("UNREGISTERED"));
        assert_eq!(read(404, &details), Some(Refusal { code: ErrorCode::Unregistered, blames_others: false }));
    }

    #[test]
    fn every_code_has_the_name_it_is_read_by() {
        for name in "UNSPECIFIED_ERROR INVALID_ARGUMENT UNREGISTERED SENDER_ID_MISMATCH QUOTA_EXCEEDED UNAVAILABLE INTERNAL \
                     THIRD_PARTY_AUTH_ERROR"
            .split_whitespace()
        {
            assert_eq!(read(400, &fcm(name)).unwrap().code.to_string(), name);
        }
    }

    #[test]
    fn a_complaint_about_the_token_is_told_from_one_about_the_rest() {
        let about = |field| read(400, &format!("{},{}", fcm("INVALID_ARGUMENT"), violation(field))).unwrap().blames_others;
        assert!(!about("message.token"));
        assert!(about("message.android.ttl"));
    }

    #[test]
    fn what_is_out_of_form_says_nothing() {
        assert_eq!(read(400, ""), None);
        assert_eq!(read(400, &fcm("unregistered")), None);
        assert_eq!(read(404, &format!("{},{}", fcm("UNREGISTERED"), fcm("UNREGISTERED"))), None);
        assert_eq!(read(400, &format!(r#"{},{{"@type":"{BAD_REQUEST}","fieldViolations":[7]}}"#, fcm("INVALID_ARGUMENT"))), None);
        assert_eq!(decode(br#"{"error":{"code":404}}"#, 404), None);
        assert_eq!(decode(b"<!DOCTYPE html>", 404), None);
        let other = format!(r#"{{"error":{{"code":403,"details":[{}]}}}}"#, fcm("UNREGISTERED"));
        assert_eq!(decode(other.as_bytes(), 404), None);
    }
}
