//! What a leaf commits to: the text, and the parts it is made of.

use crate::Content;
use crate::canonical::NotContent;

/// A content as text together with its parts. Nothing is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadContent<'a> {
    text: &'a str,
    parts: Content<'a>,
}

impl<'a> ReadContent<'a> {
    /// Takes a text apart.
    ///
    /// # Errors
    /// If it has another form than the canonical one, or numbers rows below zero.
    pub fn parse(text: &'a str) -> Result<Self, NotContent> {
        let parts = Content::parse(text)?;
        let rows = [parts.application, parts.certificate, Some(parts.position)];
        if rows.into_iter().flatten().any(i64::is_negative) { Err(NotContent) } else { Ok(Self { text, parts }) }
    }

    /// Writes the text of its parts, into `text` and nothing else.
    pub fn write(parts: Content<'a>, text: &'a mut String) -> Self {
        text.clear();
        parts.write(text);
        Self { text, parts }
    }

    /// The whole.
    pub const fn text(&self) -> &'a str {
        self.text
    }

    /// The parts.
    pub const fn parts(&self) -> &Content<'a> {
        &self.parts
    }

    /// Which application it is about: its row number.
    pub fn application(&self) -> Option<u64> {
        self.parts.application.map(i64::unsigned_abs)
    }

    /// When it happened: RFC 3339, UTC, milliseconds.
    pub fn at(&self) -> &'a str {
        // Nothing but a number stands before it.
        self.text.split_once("\"at\":\"").and_then(|(_, rest)| rest.split_once('"')).map_or("", |(at, _)| at)
    }

    /// Which certificate it is about: its row number.
    pub fn certificate(&self) -> Option<u64> {
        self.parts.certificate.map(i64::unsigned_abs)
    }

    /// What else is told: a JSON object.
    pub const fn data(&self) -> &'a str {
        self.parts.data
    }

    /// What happened.
    pub const fn kind(&self) -> &'a str {
        self.parts.kind
    }

    /// The event's position.
    pub const fn position(&self) -> u64 {
        self.parts.position.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_is_told_as_it_is_written() {
        let text = r#"{"application":3,"at":"2026-11-21T14:12:22.123Z","certificate":9,"data":{"at":"x"},"kind":"certificate.issued","position":42}"#;
        let content = ReadContent::parse(text).unwrap();
        assert_eq!((content.application(), content.certificate(), content.position()), (Some(3), Some(9), 42));
        assert_eq!((content.at(), content.kind(), content.data()), ("2026-11-21T14:12:22.123Z", "certificate.issued", r#"{"at":"x"}"#));
        let mut written = "earlier".to_owned();
        assert_eq!(ReadContent::write(*content.parts(), &mut written), content);
        assert!(ReadContent::parse(&text.replace("42", "-42")).is_err());
    }
}
