//! Positions go on without a gap. They are given out in the transaction of the event, in the order of commits, so a position that
//! the log does not have is an event that was left out of it.
//!
//! A store that was restored from a backup gives positions out again. Where the leaves that it lost are in an earlier export with their content, positions
//! fall: that is in order if the log says of the restoration, `store.epoch_began` or `log.leaves_lost`.

use crate::export::Absent;

use super::super::event::Event;
use super::super::finding::{Findings, Place, Rule};
use super::super::unjudged::Why;
use super::Scene;

/// What the next position can be.
#[derive(Debug, Default)]
pub(super) struct Positions {
    /// The last position, and what stood between it and the next record; nothing where that is not known.
    last: Option<Last>,
    /// Where positions fell, and nothing has told of a restoration yet.
    fell: Option<(Place, String)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Last {
    position: u64,
    purged: u64,
    lost: u64,
}

impl Positions {
    /// From the first leaf of the log on: positions are counted from 1.
    pub(super) fn from_the_first() -> Self {
        Self { last: Some(Last::default()), fell: None }
    }

    /// Whether the record tells that a restored store has forgotten records that were told.
    pub(super) fn present(&mut self, event: &Event<'_>, scene: &mut Scene<'_>) -> bool {
        let position = event.content.position();
        match self.last {
            Some(last) => {
                let first = last.position.saturating_add(1).saturating_add(last.purged);
                // A restored store gives the positions of what it lost out again.
                let furthest = first.saturating_add(last.lost);
                if position > furthest {
                    let words = format!("its position is {position} where {first} is due: what is between was left out of the log");
                    scene.find(Rule::Position, event, words);
                } else if position < first {
                    let words = format!("its position is {position} where {first} is due: it was given out before");
                    self.fell.get_or_insert((scene.place.leaf(event.leaf), words));
                }
            }
            None => scene.unjudged.add(Rule::Position, Why::BeforeTheRecords),
        }
        self.last = Some(Last { position, purged: 0, lost: 0 });
        let tells = matches!(event.kind(), "store.epoch_began" | "log.leaves_lost");
        let has_forgotten = tells && self.fell.take().is_some();
        if has_forgotten {
            scene.unjudged.add(Rule::Position, Why::Lost);
        }
        has_forgotten
    }

    /// The records are over: nothing has told why positions fell.
    pub(super) fn end(&mut self, findings: &mut Findings) {
        if let Some((place, words)) = self.fell.take() {
            findings.add(Rule::Position, &place, words);
        }
    }

    pub(super) fn absent(&mut self, absent: Absent) {
        if let Some(last) = &mut self.last {
            match absent {
                Absent::Purged => last.purged += 1,
                Absent::Lost => last.lost += 1,
            }
        }
    }

    /// A record could not be read.
    pub(super) fn unknown(&mut self) {
        self.last = None;
    }
}
