//! What a leaf commits to, as far as its form shows it.

/// A leaf's content: canonical JSON, and the values that frame its data. Nothing is copied.
///
/// `{"application":A,"at":"2026-11-21T14:12:22.123Z","certificate":C,"data":{…},"kind":"certificate.issued","position":N}`, where application and
/// certificate may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadContent<'a> {
    text: &'a str,
    application: Option<u64>,
    at: &'a str,
    certificate: Option<u64>,
    data: &'a str,
    kind: &'a str,
    position: u64,
}

/// The text has not the form of a leaf's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the canonical content of a leaf")]
pub struct ContentFault;

/// The characters of a time: `2026-11-21T14:12:22.123Z`.
const TIME_CHARACTERS: usize = 24;

impl<'a> ReadContent<'a> {
    /// Finds the values in a content. What is found is exact, for everything around the data has one form only; whether the data is canonical
    /// JSON is not looked at.
    ///
    /// # Errors
    /// If the text has another form.
    pub fn parse(text: &'a str) -> Result<Self, ContentFault> {
        Self::take_apart(text).ok_or(ContentFault)
    }

    fn take_apart(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix('{')?;
        let (application, rest) = match rest.strip_prefix("\"application\":") {
            Some(rest) => leading_number(rest).map(|(number, rest)| Some((Some(number), rest.strip_prefix(',')?)))??,
            None => (None, rest),
        };
        let (at, rest) = rest.strip_prefix("\"at\":\"")?.split_at_checked(TIME_CHARACTERS)?;
        let rest = rest.strip_prefix("\",")?;
        let (certificate, rest) = match rest.strip_prefix("\"certificate\":") {
            Some(rest) => leading_number(rest).map(|(number, rest)| Some((Some(number), rest.strip_prefix(',')?)))??,
            None => (None, rest),
        };
        let rest = rest.strip_prefix("\"data\":")?.strip_suffix('}')?;
        // From here the end is sought: the data may hold anything, but neither a kind nor a number holds a quotation mark.
        let (rest, position) = rest.rsplit_once(",\"position\":")?;
        let (position, "") = leading_number(position)? else { return None };
        let (data, kind) = rest.strip_suffix('"')?.rsplit_once(",\"kind\":\"")?;
        let is_kind = !kind.is_empty() && kind.bytes().all(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_'));
        let is_time = at.ends_with('Z') && at.bytes().all(|octet| matches!(octet, b'0'..=b'9' | b'-' | b':' | b'.' | b'T' | b'Z'));
        let is_object = data.starts_with('{') && data.ends_with('}');
        (is_kind && is_time && is_object).then_some(Self { text, application, at, certificate, data, kind, position })
    }

    /// The whole.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// Which application it is about: its row number.
    pub const fn application(&self) -> Option<u64> {
        self.application
    }

    /// When it happened: RFC 3339, UTC, milliseconds.
    pub const fn at(&self) -> &'a str {
        self.at
    }

    /// Which certificate it is about: its row number.
    pub const fn certificate(&self) -> Option<u64> {
        self.certificate
    }

    /// What else is told: a JSON object.
    pub const fn data(&self) -> &'a str {
        self.data
    }

    /// What happened.
    pub const fn kind(&self) -> &'a str {
        self.kind
    }

    /// The event's position.
    pub const fn position(&self) -> u64 {
        self.position
    }
}

/// The number that a text begins with, without a sign or a leading zero, and what follows it.
pub(super) fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    if digits > 1 && number.starts_with('0') {
        return None;
    }
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_whatever_the_data_says() {
        let data = r#"{"a":"\",\"kind\":\"x","position":5,"z":{"kind":"no","position":7}}"#;
        let text = format!(
            r#"{{"application":3,"at":"2026-11-21T14:12:22.123Z","certificate":0,"data":{data},"kind":"certificate.issued","position":42}}"#
        );
        let content = ReadContent::parse(&text).unwrap();
        assert_eq!((content.application(), content.certificate(), content.position()), (Some(3), Some(0), 42));
        assert_eq!((content.at(), content.kind(), content.data()), ("2026-11-21T14:12:22.123Z", "certificate.issued", data));

        let bare = r#"{"at":"2026-11-21T14:12:22.123Z","data":{},"kind":"log.began","position":1}"#;
        let content = ReadContent::parse(bare).unwrap();
        assert_eq!((content.application(), content.certificate(), content.data(), content.text()), (None, None, "{}", bare));
    }

    #[test]
    fn other_forms_are_none() {
        let sound = r#"{"application":3,"at":"2026-11-21T14:12:22.123Z","certificate":9,"data":{},"kind":"log.began","position":1}"#;
        assert!(ReadContent::parse(sound).is_ok());
        for (old, new) in [
            ("{\"app", "{ \"app"),
            (":3,", ":03,"),
            (":3,", ":+3,"),
            (":3,", ":,"),
            ("Z\"", "\""),
            ("2026", "２026"),
            ("9,", "9"),
            ("{},", "[],"),
            ("log.began", "Log"),
            ("log.began", ""),
            ("1}", "1 }"),
            ("1}", "1}}"),
            ("1}", "99999999999999999999}"),
            ("1}", "}"),
        ] {
            let other = sound.replace(old, new);
            assert!(other != sound && ReadContent::parse(&other).is_err(), "{other}");
        }
    }
}
