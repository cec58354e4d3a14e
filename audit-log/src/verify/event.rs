//! What a record says, as far as rules ask for it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::export::ReadContent;

/// Milliseconds since 1970, UTC.
pub type Milliseconds = i64;

/// A present record.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its leaf.
    pub leaf: u64,
    /// Its content.
    pub content: ReadContent<'a>,
    /// When it happened.
    pub at: Milliseconds,
}

impl<'a> Event<'a> {
    /// A record of a leaf; `None` if its time is none.
    pub fn new(leaf: u64, content: ReadContent<'a>) -> Option<Self> {
        Some(Self { leaf, content, at: milliseconds(content.at())? })
    }

    /// What happened.
    pub const fn kind(&self) -> &'a str {
        self.content.kind()
    }

    /// Whether its time is the RA's, who heard of it, and not the CA role's, who left the record.
    pub fn is_dated_by_ra(&self) -> bool {
        matches!(self.kind(), "application.accepted" | "application.rejected")
    }

    /// Its data, as far as `T` asks for them; `None` if they are not of that form.
    pub fn data<T: Deserialize<'a>>(&self) -> Option<T> {
        serde_json::from_str(self.content.data()).ok()
    }

    /// Whether its data are JSON at all.
    pub fn has_sound_data(&self) -> bool {
        self.data::<IgnoredAny>().is_some()
    }
}

/// The data of a `certificate.*` event. What an older program did not write is missing.
#[derive(Debug, Clone, Deserialize)]
pub struct CertificateData<'a> {
    /// `signature` or `authentication`.
    #[serde(borrow)]
    pub kind: Option<Cow<'a, str>>,
    /// Whose it is: a row number.
    pub holder: Option<u64>,
    /// Issued: the CA key that signed it, a row number.
    pub ca_key: Option<u64>,
    /// Issued: its serial number, in hexadecimal digits.
    #[serde(borrow)]
    pub serial: Option<Cow<'a, str>>,
    /// Issued: the card certificate it hangs on, a row number.
    pub card: Option<u64>,
    /// Issued: when it ends.
    #[serde(borrow)]
    pub not_after: Option<Cow<'a, str>>,
    /// Issued: the SHA-256 of its SubjectPublicKeyInfo.
    #[serde(borrow)]
    pub public_key_sha256: Option<Cow<'a, str>>,
    /// Issued: the SHA-256 of the application.
    #[serde(borrow)]
    pub application_sha256: Option<Cow<'a, str>>,
    /// Issued: an example for relying parties, held by nobody.
    #[serde(borrow)]
    pub test: Option<Cow<'a, str>>,
    /// Issued: by which profile.
    #[serde(borrow)]
    pub policy_sha256: Option<Cow<'a, str>>,
    /// Issued: what phone it is in.
    #[serde(borrow)]
    pub platform: Option<Cow<'a, str>>,
    /// Changed: by which life cycle policy.
    #[serde(borrow)]
    pub policy: Option<Cow<'a, str>>,
    /// Held, lifted, released: the cause.
    #[serde(borrow)]
    pub cause: Option<Cow<'a, str>>,
    /// Changed: by which instruction.
    #[serde(borrow)]
    pub instruction: Option<Cow<'a, str>>,
    /// Changed: by whom or what.
    #[serde(borrow)]
    pub by: Option<By<'a>>,
}

/// Who or what is behind a change.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct By<'a> {
    /// An operator's name.
    #[serde(borrow)]
    pub operator: Option<Cow<'a, str>>,
    /// The operator's role.
    #[serde(borrow)]
    pub role: Option<Cow<'a, str>>,
    /// The card event that brought it about.
    #[serde(borrow)]
    pub card_event: Option<Cow<'a, str>>,
    /// Whether a published list told it to a restored store.
    #[serde(default)]
    pub reconciliation: bool,
}

/// A time as records have it: RFC 3339 in UTC with any number of decimals. Below the millisecond is left out.
pub fn milliseconds(text: &str) -> Option<Milliseconds> {
    let octets = text.as_bytes();
    let (whole, rest) = octets.split_at_checked(19)?;
    let number = |from: usize, to: usize| {
        whole.get(from..to)?.iter().try_fold(0_i64, |number, digit| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0')))
    };
    let separators = [whole[4], whole[7], whole[10], whole[13], whole[16]] == *b"--T::";
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let possible = separators && (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    let decimals = match rest.strip_suffix(b"Z")? {
        [] => &[],
        [b'.', decimals @ ..] if !decimals.is_empty() && decimals.iter().all(u8::is_ascii_digit) => decimals,
        _ => return None,
    };
    let padded = decimals.iter().copied().chain(std::iter::repeat(b'0')).take(3);
    let thousandths = padded.fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'));
    possible.then(|| (((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + thousandths)
}

/// Days since 1970 in the Gregorian calendar, counted in years that begin in March.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A moment for people, to the second.
pub(super) fn told(at: Milliseconds) -> String {
    let time = chrono::DateTime::from_timestamp_millis(at);
    time.map_or_else(|| format!("{at} ms"), |time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

/// What others wrote, cut to a length that can be shown.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(80).map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect();
    cut
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, SecondsFormat};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_are_read_as_chrono_writes_them(at in -62_135_596_800_000_i64..253_402_300_799_999) {
            let time = DateTime::from_timestamp_millis(at).unwrap();
            prop_assert_eq!(milliseconds(&time.to_rfc3339_opts(SecondsFormat::Millis, true)), Some(at));
            prop_assert_eq!(milliseconds(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)), Some(at));
        }

        #[test]
        fn no_text_makes_the_reader_of_times_panic(text in ".{0,40}") {
            let _ = milliseconds(&text);
        }
    }

    #[test]
    fn what_is_no_time_in_utc_is_refused() {
        for text in ["", "2026-11-21", "2026-11-21T14:12:22", "2026-11-21T14:12:22+09:00", "2026-11-21T14:12:22.Z", "2026-13-21T14:12:22Z"]
        {
            assert_eq!(milliseconds(text), None, "{text}");
        }
        assert_eq!(milliseconds("1970-01-01T00:00:01.2345Z"), Some(1_234));
    }
}
