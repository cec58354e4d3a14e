//! What was refused after a valid signature, by who refused it and the reason's code.

use std::borrow::Cow;

use serde::Deserialize;

use crate::verify::Event;

use super::{Cell, Counter, Span, Tally};

#[derive(Debug, Default)]
pub(super) struct Refusals(Counter<(&'static str, String), Span>);

#[derive(Deserialize)]
struct Refused<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

impl Tally for Refusals {
    fn count(&mut self, event: &Event<'_>) -> bool {
        let what = match event.kind() {
            "application.rejected" => "application, by the RA",
            "application.refused" => "application, by the CA",
            "instruction.refused" => "instruction, by the CA",
            _ => return true,
        };
        let Some(refused) = event.data::<Refused<'_>>() else { return false };
        self.0.at((what, refused.code.into_owned())).map(|span| span.add(event.at)).is_some()
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["refused", "reason", "count", "first", "last"]
    }

    fn rows(&self) -> Vec<Vec<Cell>> {
        let row = |((what, code), span): (&(&'static str, String), &Span)| {
            [Cell::text(*what), Cell::text(code)].into_iter().chain(span.cells()).collect()
        };
        self.0.0.iter().map(row).collect()
    }
}
