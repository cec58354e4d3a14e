//! Positions go on without a gap. They are given out in the transaction of the event, in the order of commits, so a position that
//! the log does not have is an event that was left out of it.

use crate::export::Absent;

use super::super::event::Event;
use super::super::finding::Rule;
use super::super::unjudged::Why;
use super::Scene;

/// What the next position can be.
#[derive(Debug, Default)]
pub(super) struct Positions {
    /// The last position, and what stood between it and the next record; nothing where that is not known.
    last: Option<Last>,
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
        Self { last: Some(Last::default()) }
    }

    pub(super) fn present(&mut self, event: &Event<'_>, scene: &mut Scene<'_>) {
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
                    scene.find(Rule::Position, event, words);
                }
            }
            None => scene.unjudged.add(Rule::Position, Why::BeforeTheRecords),
        }
        self.last = Some(Last { position, purged: 0, lost: 0 });
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
