//! CRL numbers rise within their scope, which is a CA key and a shard (RFC 5280 section 5.2.3), and thisUpdate does not fall.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;

use super::super::event::{Event, Milliseconds, milliseconds, told};
use super::super::finding::Rule;
use super::Scene;

/// What one more scope takes, about.
const SCOPE_OCTETS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct CrlNumbers {
    last: HashMap<(u64, u64), (u64, Option<Milliseconds>)>,
}

#[derive(Deserialize)]
struct CrlData<'a> {
    ca_key: u64,
    shard: u64,
    number: u64,
    #[serde(borrow)]
    this_update: Option<Cow<'a, str>>,
}

impl CrlNumbers {
    /// Whether the event says what it has to.
    pub(super) fn published(&mut self, event: &Event<'_>, scene: &mut Scene<'_>) -> bool {
        let Some(data) = event.data::<CrlData<'_>>() else { return false };
        let this_update = data.this_update.as_deref().and_then(milliseconds);
        if this_update.is_none() {
            scene.poorer(Rule::CrlNumber);
        }
        let scope = (data.ca_key, data.shard);
        let (ca_key, shard, number) = (data.ca_key, data.shard, data.number);
        match self.last.get(&scope) {
            Some((last, _)) if number <= *last => {
                let words = format!("CRL {number} of CA key {ca_key}, shard {shard}, was published after CRL {last}");
                scene.find(Rule::CrlNumber, event, words);
            }
            Some((last, Some(earlier))) if this_update.is_some_and(|this_update| this_update < *earlier) => {
                let words = format!(
                    "CRL {number} of CA key {ca_key}, shard {shard}, is dated {} where CRL {last} is dated {}",
                    this_update.map(told).unwrap_or_default(),
                    told(*earlier)
                );
                scene.find(Rule::CrlNumber, event, words);
            }
            Some(_) => {}
            None => {
                let taken = scene.room.take(SCOPE_OCTETS);
                if scene.kept(Rule::CrlNumber, taken).is_none() {
                    return true;
                }
            }
        }
        let (highest, earlier) = self.last.get(&scope).copied().unwrap_or((number, None));
        self.last.insert(scope, (number.max(highest), this_update.or(earlier)));
        true
    }
}
