//! What a restored store lost is accounted for: `log.leaves_lost` names the leaves, in the log itself.

use serde::Deserialize;

use super::super::event::Event;
use super::super::finding::Rule;
use super::super::table::Room;
use super::super::unjudged::{Unjudged, Why};
use super::Scene;

/// What one more run of lost leaves takes, about.
const RUN_OCTETS: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Lost {
    /// Runs of lost leaves that no record has named yet: first, and after the last.
    unnamed: Vec<(u64, u64)>,
}

#[derive(Deserialize)]
struct LostData {
    from: u64,
    to: u64,
}

impl Lost {
    pub(super) fn lost(&mut self, leaf: u64, room: &mut Room, unjudged: &mut Unjudged) {
        match self.unnamed.last_mut() {
            Some((_, to)) if *to == leaf => *to += 1,
            _ if room.take(RUN_OCTETS).is_ok() => self.unnamed.push((leaf, leaf + 1)),
            _ => unjudged.add(Rule::Lost, Why::NoRoom),
        }
    }

    /// Whether the event says what it has to.
    pub(super) fn announced(&mut self, event: &Event<'_>, scene: &mut Scene<'_>) -> bool {
        let Some(named) = event.data::<LostData>() else { return false };
        if named.from >= named.to || named.to > event.leaf {
            scene.find(Rule::Lost, event, format!("it names leaves {} to {}, which cannot have been lost then", named.from, named.to));
        }
        let before = self.unnamed.len();
        self.unnamed.retain(|(from, to)| *from < named.from || *to > named.to);
        scene.room.give((before - self.unnamed.len()) * RUN_OCTETS);
        true
    }

    /// The tree is at its end: nothing can name them any more.
    pub(super) fn end(&mut self, scene: &mut Scene<'_>) {
        for (from, to) in self.unnamed.drain(..) {
            scene.findings.add(Rule::Lost, &scene.place.leaves(from, to), "said to be lost, and no record of the log says so");
        }
    }
}
