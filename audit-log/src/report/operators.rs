//! What operators did: instructions that were carried out, refused or wait for approval, by name, role and action; and what they changed.

use std::borrow::Cow;

use serde::Deserialize;

use crate::verify::{By, Event};

use super::{Cell, Counter, Span, Tally};

#[derive(Debug, Default)]
pub(super) struct Operators(Counter<(String, String, String, &'static str), Span>);

#[derive(Deserialize)]
struct Done<'a> {
    #[serde(borrow)]
    by: Option<By<'a>>,
    #[serde(borrow)]
    action: Option<Cow<'a, str>>,
}

impl Tally for Operators {
    fn count(&mut self, event: &Event<'_>) -> bool {
        let (outcome, changed) = match event.kind() {
            "instruction.done" => ("done", None),
            "instruction.refused" => ("refused", None),
            "instruction.awaiting_approval" => ("awaiting approval", None),
            // What one instruction does to many is told of each.
            kind if kind.starts_with("certificate.") => ("certificate", Some(kind)),
            _ => return true,
        };
        let Some(done) = event.data::<Done<'_>>() else { return false };
        let Some(operator) = done.by.as_ref().and_then(|by| by.operator.as_deref()) else { return true };
        let role = done.by.as_ref().and_then(|by| by.role.as_deref()).unwrap_or_default();
        let action = changed.map(str::to_owned).or(done.action.map(Cow::into_owned)).unwrap_or_default();
        self.0.at((operator.to_owned(), role.to_owned(), action, outcome)).map(|span| span.add(event.at)).is_some()
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["operator", "role", "action", "outcome", "count", "first", "last"]
    }

    fn rows(&self) -> Vec<Vec<Cell>> {
        let row = |((operator, role, action, outcome), span): (&(String, String, String, &'static str), &Span)| {
            let action = if action.is_empty() { Cell::Nothing } else { Cell::text(action) };
            [Cell::text(operator), Cell::text(role), action, Cell::text(*outcome)].into_iter().chain(span.cells()).collect()
        };
        self.0.0.iter().map(row).collect()
    }
}
