//! The content of a leaf: what happened, as one canonical text.
//!
//! ```text
//! {"application":12,"at":"2026-11-21T14:12:22.123Z","certificate":34,"data":{…},"kind":"certificate.issued","position":56}
//! ```
//!
//! Canonical is the subset of RFC 8785 with objects, arrays, strings, booleans, null and integers: keys in order, no white space, the
//! shortest escapes. `application` and `certificate`, row numbers, are left out where there is none; `at` has three decimals and Z.

use std::fmt::Write as _;

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc};
use serde_json::Value;

/// What happened, in parts. Its text is what a [`crate::Commitment`] commits to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'a> {
    /// Row number of the application that it is about.
    pub application: Option<i64>,
    /// When, to the millisecond.
    pub at: DateTime<Utc>,
    /// Row number of the certificate that it is about.
    pub certificate: Option<i64>,
    /// The particulars: an object, canonical already.
    pub data: &'a str,
    /// What: `certificate.issued` and so on.
    pub kind: &'a str,
    /// Position of the event in the store. A restored store gives positions out again; the log's leaves never repeat.
    pub position: i64,
}

/// A text is no content of a leaf, in the one form that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no canonical content of a leaf")]
pub struct NotContent;

impl<'a> Content<'a> {
    /// Writes the text to the end of `text`. `data` and `kind` are taken as they are: `data` must be canonical, `kind` of small
    /// letters, dots and underscores.
    pub fn write(&self, text: &mut String) {
        text.push('{');
        if let Some(application) = self.application {
            text.push_str("\"application\":");
            write_integer(text, application);
            text.push(',');
        }
        text.push_str("\"at\":\"");
        write_time(text, self.at);
        text.push('"');
        if let Some(certificate) = self.certificate {
            text.push_str(",\"certificate\":");
            write_integer(text, certificate);
        }
        text.push_str(",\"data\":");
        text.push_str(self.data);
        text.push_str(",\"kind\":\"");
        text.push_str(self.kind);
        text.push_str("\",\"position\":");
        write_integer(text, self.position);
        text.push('}');
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(128 + self.data.len());
        self.write(&mut text);
        text
    }

    /// Takes a text apart, without copying. It must be what [`Content::write`] writes of the parts; that `data` is JSON at all is not
    /// looked at, only that it stands in braces.
    pub fn parse(text: &'a str) -> Result<Self, NotContent> {
        let rest = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or(NotContent)?;
        let (application, rest) = match rest.strip_prefix("\"application\":") {
            Some(rest) => {
                let (number, rest) = rest.split_once(',').ok_or(NotContent)?;
                (Some(parse_integer(number)?), rest)
            }
            None => (None, rest),
        };
        let rest = rest.strip_prefix("\"at\":\"").ok_or(NotContent)?;
        let (at, rest) = rest.split_at_checked(TIME_OCTETS).ok_or(NotContent)?;
        let at = parse_time(at)?;
        let rest = rest.strip_prefix("\",").ok_or(NotContent)?;
        let (certificate, rest) = match rest.strip_prefix("\"certificate\":") {
            Some(rest) => {
                let (number, rest) = rest.split_once(',').ok_or(NotContent)?;
                (Some(parse_integer(number)?), rest)
            }
            None => (None, rest),
        };
        let rest = rest.strip_prefix("\"data\":").ok_or(NotContent)?;
        // From the end: neither a number nor a kind contains what stands before it.
        let (rest, position) = rest.rsplit_once(",\"position\":").ok_or(NotContent)?;
        let position = parse_integer(position)?;
        let (data, kind) = rest.strip_suffix('"').and_then(|rest| rest.rsplit_once(",\"kind\":\"")).ok_or(NotContent)?;
        let is_object = data.len() >= 2 && data.starts_with('{') && data.ends_with('}');
        let is_kind = !kind.is_empty() && kind.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'.' || octet == b'_');
        if is_object && is_kind { Ok(Self { application, at, certificate, data, kind, position }) } else { Err(NotContent) }
    }
}

/// Octets of a time.
const TIME_OCTETS: usize = "2026-11-21T14:12:22.123Z".len();

/// RFC 3339 with three decimals and Z; what is below the millisecond is left out.
fn write_time(text: &mut String, at: DateTime<Utc>) {
    let mut written = *b"0000-00-00T00:00:00.000Z";
    let mut put = |from: usize, digits: usize, number: u32| {
        let mut number = number;
        for place in written[from..from + digits].iter_mut().rev() {
            *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
        }
    };
    put(0, 4, u32::try_from(at.year()).unwrap_or_default());
    put(5, 2, at.month());
    put(8, 2, at.day());
    put(11, 2, at.hour());
    put(14, 2, at.minute());
    put(17, 2, at.second());
    put(20, 3, (at.nanosecond() / 1_000_000).min(999));
    text.push_str(std::str::from_utf8(&written).unwrap_or_default());
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, NotContent> {
    let octets: &[u8; TIME_OCTETS] = text.as_bytes().try_into().map_err(|_| NotContent)?;
    let mut form = *octets;
    form.iter_mut().filter(|octet| octet.is_ascii_digit()).for_each(|octet| *octet = b'0');
    if &form != b"0000-00-00T00:00:00.000Z" {
        return Err(NotContent);
    }
    let number = |from: usize, to: usize| octets[from..to].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    NaiveDate::from_ymd_opt(number(0, 4).cast_signed(), number(5, 7), number(8, 10))
        .and_then(|date| date.and_hms_milli_opt(number(11, 13), number(14, 16), number(17, 19), number(20, 23)))
        .map(|time| time.and_utc())
        .ok_or(NotContent)
}

fn write_integer(text: &mut String, number: i64) {
    // Writing into a String cannot fail.
    let _ = write!(text, "{number}");
}

/// Decimal without leading zeros.
fn parse_integer(text: &str) -> Result<i64, NotContent> {
    let number: i64 = text.parse().map_err(|_| NotContent)?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let shortest = !digits.starts_with('+') && (digits == "0" || !digits.starts_with('0')) && text != "-0";
    if shortest { Ok(number) } else { Err(NotContent) }
}

/// The canonical text of a value; `None` if it holds a number that is no integer, which has no place here.
pub fn canonical_text(value: &Value) -> Option<String> {
    // serde_json keeps objects sorted and writes the escapes that RFC 8785 demands.
    has_integers_only(value).then(|| value.to_string())
}

/// Whether all numbers in it are integers that can be written again as they were read.
pub(crate) fn has_integers_only(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_i64() || number.is_u64(),
        Value::Array(values) => values.iter().all(has_integers_only),
        Value::Object(members) => members.values().all(has_integers_only),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const FULL: &str = r#"{"application":12,"at":"2026-11-21T14:12:22.120Z","certificate":34,"data":{"kind":"signature","a":"\",\"position\":1"},"kind":"certificate.issued","position":56}"#;

    #[test]
    fn a_content_is_written_and_read_in_one_form() {
        let content = Content::parse(FULL).unwrap();
        assert_eq!((content.application, content.certificate, content.position), (Some(12), Some(34), 56));
        assert_eq!(content.data, r#"{"kind":"signature","a":"\",\"position\":1"}"#);
        assert_eq!(content.text(), FULL);

        let bare = Content { application: None, certificate: None, data: "{}", ..content };
        let text = r#"{"at":"2026-11-21T14:12:22.120Z","data":{},"kind":"certificate.issued","position":56}"#;
        assert_eq!(bare.text(), text);
        assert_eq!(Content::parse(text), Ok(bare));
    }

    #[test]
    fn any_other_form_is_none() {
        for (from, to) in [
            ("12,", "012,"),
            ("12,", "+12,"),
            ("22.120Z", "22.12Z"),
            ("22.120Z", "22.120z"),
            ("11-21", "13-21"),
            ("\"kind\":\"certificate.issued\"", "\"kind\":\"Certificate\""),
            ("56}", "56 }"),
            ("{\"application\"", "{ \"application\""),
            ("\"data\":{", "\"data\":["),
        ] {
            let other = FULL.replacen(from, to, 1);
            assert_ne!(other, FULL);
            assert_eq!(Content::parse(&other), Err(NotContent), "{other}");
        }
    }

    #[test]
    fn canonical_text_has_sorted_keys_and_no_fractions() {
        let value = json!({"b": [1, "é\n\u{1}", true], "a": {"d": null, "c": -5}});
        assert_eq!(canonical_text(&value).unwrap(), "{\"a\":{\"c\":-5,\"d\":null},\"b\":[1,\"é\\n\\u0001\",true]}");
        assert_eq!(canonical_text(&json!([0.5])), None);
    }

    proptest! {
        #[test]
        fn contents_survive_their_text(
            numbers in prop::array::uniform3(any::<i64>()), milliseconds in -62_135_596_800_000_i64..253_402_300_799_999,
            key in "[a-z\"\\\\,:{}]{0,12}", kind in "[a-z._]{1,24}", has in any::<[bool; 2]>(),
        ) {
            let data = json!({ key: "position" }).to_string();
            let content = Content {
                application: has[0].then_some(numbers[0]),
                at: DateTime::from_timestamp_millis(milliseconds).unwrap(),
                certificate: has[1].then_some(numbers[1]),
                data: &data,
                kind: &kind,
                position: numbers[2],
            };
            let text = content.text();
            prop_assert_eq!(Content::parse(&text), Ok(content));
            let parsed: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(canonical_text(&parsed), Some(text));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}", cut in 0_usize..200) {
            let _ = Content::parse(&text);
            if FULL.is_char_boundary(cut) && cut <= FULL.len() {
                let _ = Content::parse(&format!("{}{text}{}", &FULL[..cut], &FULL[cut..]));
            }
        }
    }
}
