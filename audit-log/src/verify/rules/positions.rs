//! Positions go on without a gap. They are given out in the transaction of the event, in the order of commits, so a position that
//! the log does not have is an event that was left out of it.

use crate::export::Absent;

use super::super::event::Event;
use super::super::finding::Rule;
use super::Scene;

/// What the next position can be.
#[derive(Debug, Default)]
pub(super) struct Positions {
    /// The last position, and what stood between it and the next record.
    last: Option<Last>,
    /// The beginning of the log is an event of a store that may have had others: it stands first, whatever its position.
    began: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    position: u64,
    purged: u64,
    lost: u64,
}

impl Positions {
    pub(super) fn present(&mut self, event: &Event<'_>, scene: &mut Scene<'_>) {
        let position = event.content.position();
        if event.leaf == 0 && event.kind() == "log.began" {
            self.began = Some(position);
            self.last = Some(Last { position: 0, purged: 0, lost: 0 });
            return;
        }
        if let Some(last) = self.last {
            // What the first leaf had is passed over where it would have come.
            let skip = |position: u64| if Some(position) == self.began { position + 1 } else { position };
            let first = skip(last.position.saturating_add(1).saturating_add(last.purged));
            // A restored store gives the positions of what it lost out again.
            let furthest = first.saturating_add(last.lost).saturating_add(u64::from(last.lost > 0));
            let begins_behind = last.position == 0 && self.began.is_some_and(|began| position == began + 1);
            if !(first..=furthest).contains(&position) && !begins_behind {
                let words = if position > furthest {
                    format!("its position is {position} where {first} is due: what is between was left out of the log")
                } else {
                    format!("its position is {position} where {first} is due: it was given out before")
                };
                scene.find(Rule::Position, event, words);
            }
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
