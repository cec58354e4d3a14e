//! Positions go on without a gap. They are given out in the transaction of the event, in the order of commits, so a position that
//! the log does not have is an event that was left out of it.
//!
//! A store that was restored from a backup gives positions out again, from that of the last leaf on that it has not lost. Leaves that were lost
//! count for none, so positions never fall: neither where the lost leaves have no content, nor where an earlier export has it, for then the rules
//! forget what those said (see [`super::forgotten`]).

use crate::export::Absent;

use super::super::event::Event;
use super::super::finding::Rule;
use super::super::unjudged::Why;
use super::Scene;

/// What the next position can be.
#[derive(Debug, Clone, Default)]
pub(super) struct Positions {
    /// The last position, and how many purged leaves stood between it and the next record; nothing where that is not known.
    last: Option<Last>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Last {
    position: u64,
    purged: u64,
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
                let due = last.position.saturating_add(1).saturating_add(last.purged);
                if position > due {
                    let words = format!("its position is {position} where {due} is due: what is between was left out of the log");
                    scene.find(Rule::Position, event, words);
                } else if position < due {
                    let words = format!(
                        "its position is {position} where {due} is due: it was given out before, and the log names no lost leaves from there on"
                    );
                    scene.find(Rule::Position, event, words);
                }
            }
            None => scene.unjudged.add(Rule::Position, Why::BeforeTheRecords),
        }
        self.last = Some(Last { position, purged: 0 });
    }

    pub(super) fn absent(&mut self, absent: Absent) {
        if let Some(last) = &mut self.last {
            last.purged += u64::from(absent == Absent::Purged);
        }
    }

    /// A record could not be read.
    pub(super) fn unknown(&mut self) {
        self.last = None;
    }
}
