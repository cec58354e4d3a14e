//! What a restored store lost is accounted for: `log.leaves_lost` names the leaves, in the log itself, after `store.epoch_began`. It names what
//! is lost and nothing else: leaves that this export has with content were not lost before it was taken.

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
    /// The first leaf that the export at hand tells: earlier ones may have been lost since they were told.
    since: u64,
    /// The first leaf that was told at all.
    first: u64,
    /// Where the log last told that the store was restored.
    restored: Option<u64>,
    /// There was no room for a run, so that nothing can be said of what is named.
    has_no_room: bool,
}

#[derive(Deserialize)]
pub(in super::super) struct LostData {
    pub(in super::super) from: u64,
    pub(in super::super) to: u64,
}

impl Lost {
    /// The records begin with this leaf.
    pub(super) fn first_told(&mut self, leaf: u64) {
        self.first = leaf;
    }

    /// An export begins, and tells leaves from this one on.
    pub(super) fn begin(&mut self, since: u64) {
        self.since = since;
    }

    pub(super) fn lost(&mut self, leaf: u64, room: &mut Room, unjudged: &mut Unjudged) {
        match self.unnamed.last_mut() {
            Some((_, to)) if *to == leaf => *to += 1,
            _ if room.take(RUN_OCTETS).is_ok() => self.unnamed.push((leaf, leaf + 1)),
            _ => {
                self.has_no_room = true;
                unjudged.add(Rule::Lost, Why::NoRoom);
            }
        }
    }

    /// `store.epoch_began`.
    pub(super) fn restored(&mut self, event: &Event<'_>) {
        self.restored = Some(event.leaf);
    }

    /// Whether the event says what it has to.
    pub(super) fn announced(&mut self, event: &Event<'_>, scene: &mut Scene<'_>) -> bool {
        let Some(named) = event.data::<LostData>() else { return false };
        if named.from >= named.to || named.to > event.leaf {
            scene.find(Rule::Lost, event, format!("it names leaves {} to {}, which cannot have been lost then", named.from, named.to));
            return true;
        }
        if named.to >= self.first && self.restored.is_none_or(|restored| restored < named.to) {
            scene.find(Rule::Lost, event, "it names lost leaves, and nothing after those tells that the store was restored");
        }
        if named.to > self.since && !self.has_no_room && !self.carve(named.from.max(self.since), named.to, scene) {
            let words = format!("it names leaves {} to {} as lost, and not all of these are", named.from, named.to - 1);
            scene.find(Rule::Lost, event, words);
        }
        true
    }

    /// Takes named leaves out of a run of lost ones; `false` if there is no run that has them all.
    fn carve(&mut self, from: u64, to: u64, scene: &mut Scene<'_>) -> bool {
        let Some(at) = self.unnamed.iter().rposition(|run| run.0 <= from && to <= run.1) else { return false };
        let run = self.unnamed.remove(at);
        scene.room.give(RUN_OCTETS);
        for rest in [(run.0, from), (to, run.1)].into_iter().filter(|rest| rest.0 < rest.1) {
            let taken = scene.room.take(RUN_OCTETS);
            if scene.kept(Rule::Lost, taken).is_some() {
                self.unnamed.push(rest);
            } else {
                self.has_no_room = true;
            }
        }
        true
    }

    /// The tree is at its end: nothing can name them any more.
    pub(super) fn end(&mut self, scene: &mut Scene<'_>) {
        for (from, to) in self.unnamed.drain(..) {
            scene.findings.add(Rule::Lost, &scene.place.leaves(from, to), "said to be lost, and no record of the log says so");
        }
    }
}
