//! The log begins once, and the key by which it is verified is the one it began under. A log that could not go on, because leaves that were signed
//! are gone for good, is followed by another with its leaves: that says so, and names the former one.

use std::borrow::Cow;

use serde::Deserialize;

use crate::hash::Hash;

use super::super::event::Event;
use super::super::finding::Rule;
use super::Scene;
use super::accepted::digest;

#[derive(Debug, Default)]
pub(super) struct Began {
    /// The last beginning: its leaf, and the key.
    last: Option<(u64, String)>,
    followed: Vec<Followed>,
}

/// A log that could not go on, and is followed by this one.
#[derive(Debug)]
pub(in super::super) struct Followed {
    pub(in super::super) origin: String,
    pub(in super::super) key: String,
    /// The leaves that were taken over, and the root of these; an older program did not say.
    pub(in super::super) tree: Option<(u64, Hash)>,
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
    origin: Cow<'a, str>,
    #[serde(borrow)]
    key: Cow<'a, str>,
    size: Option<u64>,
    #[serde(borrow)]
    root: Option<Cow<'a, str>>,
}

/// A verifier key is not longer.
const KEY_OCTETS: usize = 1_024;

/// So many logs are remembered.
const LOGS: usize = 256;

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
        if let Some(Former { origin, key, size, root }) = data.former {
            let is_sound = size.is_none_or(|size| size <= event.leaf) && size.is_some() == root.is_some();
            let root = root.map(|root| digest(&root));
            if !is_sound || root == Some(None) || origin.len() > KEY_OCTETS || key.len() > KEY_OCTETS {
                return false;
            }
            if self.followed.len() < LOGS {
                let tree = size.zip(root.flatten());
                self.followed.push(Followed { origin: origin.into_owned(), key: key.into_owned(), tree });
            }
        }
        self.last = Some((event.leaf, data.key.into_owned()));
        true
    }

    /// The logs that were followed by another.
    pub(super) fn followed(&self) -> &[Followed] {
        &self.followed
    }

    /// The records are over, and so is the tree that this key signed.
    pub(super) fn end(&self, key: &str, is_whole: bool, scene: &mut Scene<'_>) {
        if is_whole && self.last.is_none() {
            scene.findings.add(Rule::Began, scene.place, "no record of the log says that it began, nor under which key");
        }
        if let Some((leaf, _)) = self.last.as_ref().filter(|(_, began)| began != key) {
            scene.findings.add(Rule::Began, &scene.place.leaf(*leaf), "the log began under another key than it is verified by");
        }
    }
}
