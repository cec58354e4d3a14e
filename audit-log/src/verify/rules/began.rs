//! The log begins once, and under the key by which it is verified.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::event::Event;
use super::super::finding::Rule;
use super::Scene;

#[derive(Debug, Default)]
pub(super) struct Began {
    at: Option<u64>,
}

#[derive(Deserialize)]
struct BeganData<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

impl Began {
    /// Whether the event says what it has to.
    pub(super) fn began(&mut self, event: &Event<'_>, key: &str, scene: &mut Scene<'_>) -> bool {
        let Some(data) = event.data::<BeganData<'_>>() else { return false };
        if let Some(earlier) = self.at {
            scene.find(Rule::Began, event, format!("the log begins a second time: it began at leaf {earlier}"));
        }
        self.at = self.at.or(Some(event.leaf));
        if data.key != key {
            scene.find(Rule::Began, event, "the log began under another key than it is verified by");
        }
        true
    }
}
