//! Policies in force, by the SHA-256 of their text: profiles by which certificates were issued, life cycles by which they were changed.

use crate::verify::{CertificateData, Event};

use super::{Cell, Counter, Span, Tally};

#[derive(Debug, Default)]
pub(super) struct Policies(Counter<(&'static str, String, String), Span>);

impl Tally for Policies {
    fn count(&mut self, event: &Event<'_>) -> bool {
        let is_issued = match event.kind() {
            "certificate.issued" => true,
            kind if kind.starts_with("certificate.") => false,
            _ => return true,
        };
        let Some(data) = event.data::<CertificateData<'_>>() else { return false };
        // Examples for relying parties are issued by the profile of their kind, and do not name it.
        if data.test.is_some() {
            return true;
        }
        let (what, sha256) = if is_issued { ("profile", data.policy_sha256) } else { ("life cycle", data.policy) };
        let (Some(kind), Some(sha256)) = (data.kind, sha256) else { return false };
        self.0.at((what, kind.into(), sha256.into())).map(|span| span.add(event.at)).is_some()
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["policy", "kind", "sha256", "records", "first", "last"]
    }

    fn rows(&self) -> Vec<Vec<Cell>> {
        let row = |((what, kind, sha256), span): (&(&'static str, String, String), &Span)| {
            [Cell::text(*what), Cell::text(kind), Cell::text(sha256)].into_iter().chain(span.cells()).collect()
        };
        self.0.0.iter().map(row).collect()
    }
}
