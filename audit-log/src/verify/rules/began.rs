//! The log begins once, and the key by which it is verified is the one it began under. A log that could not go on, because leaves that were signed
//! are gone for good, is followed by another with its leaves: that says so, and names the former one.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::event::Event;
use super::super::finding::Rule;
use super::Scene;

#[derive(Debug, Default)]
pub(super) struct Began {
    /// The last beginning: its leaf, and the key.
    last: Option<(u64, String)>,
    renewed: bool,
}

#[derive(Deserialize)]
struct BeganData<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    #[serde(borrow)]
    former: Option<Former<'a>>,
}

#[derive(Deserialize)]
struct Former<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
}

/// A verifier key is not longer.
const KEY_OCTETS: usize = 1_024;

impl Began {
    /// Whether the event says what it has to.
    pub(super) fn began(&mut self, event: &Event<'_>, scene: &mut Scene<'_>) -> bool {
        let Some(data) = event.data::<BeganData<'_>>().filter(|data| data.key.len() <= KEY_OCTETS) else { return false };
        match (&self.last, &data.former) {
            (Some((earlier, _)), None) => {
                scene.find(Rule::Began, event, format!("the log begins a second time: it began at leaf {earlier}"));
            }
            (Some((_, key)), Some(former)) if former.key != *key => {
                scene.find(Rule::Began, event, "it names another log as the one it follows");
            }
            _ => {}
        }
        self.renewed |= data.former.is_some();
        self.last = Some((event.leaf, data.key.into_owned()));
        true
    }

    /// Whether a log was followed by another.
    pub(super) fn is_renewed(&self) -> bool {
        self.renewed
    }

    /// The records are over, and so is the tree that this key signed.
    pub(super) fn end(&self, key: &str, scene: &mut Scene<'_>) {
        if let Some((leaf, _)) = self.last.as_ref().filter(|(_, began)| began != key) {
            scene.findings.add(Rule::Began, &scene.place.leaf(*leaf), "the log began under another key than it is verified by");
        }
    }
}
