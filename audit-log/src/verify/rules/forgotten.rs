//! What a restored store has forgotten, and an earlier export of the log still tells. The store goes on from where its backup was made, so the
//! rules do too: what the lost leaves say is judged with what was before them, and after the last of them the rules stand where they stood
//! before the first. Which leaves these are a later export tells; it is asked beforehand.

use super::super::table::Room;
use super::super::unjudged::Why;
use super::accepted::Applications;
use super::cascade::Cascade;
use super::certificates::Certificates;
use super::holders::Holders;
use super::positions::Positions;

/// So many times can a store have lost leaves between the first visit and the last.
const RUNS: usize = 1_024;

/// Leaves that a later export calls lost.
#[derive(Debug, Clone, Copy)]
struct Run {
    from: u64,
    to: u64,
    /// The leaf that says so.
    told_at: u64,
    /// Whether they were come to.
    is_entered: bool,
}

/// Runs of leaves that will turn out to be lost, and where the rules stood before those of them that are being told.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    runs: Vec<Run>,
    before: Vec<Before>,
    /// The leaf after the last of the export at hand, which was taken before anything that is told later.
    export_to: u64,
    /// The leaf at which something begins or ends.
    turn: Option<u64>,
}

#[derive(Debug)]
pub(super) struct Before {
    from: u64,
    to: u64,
    /// `None` if there was no room for it.
    pub(super) stood: Option<Box<Stood>>,
}

/// Where the rules stood.
#[derive(Debug)]
pub(super) struct Stood {
    pub(super) gap: Option<Why>,
    pub(super) room: Room,
    pub(super) positions: Positions,
    pub(super) accepted: Applications,
    pub(super) certificates: Certificates,
    pub(super) holders: Holders,
    pub(super) cascade: Cascade,
}

impl Before {
    /// How many leaves are forgotten.
    pub(super) fn leaves(&self) -> u64 {
        self.to - self.from
    }
}

impl Forgotten {
    /// Leaves that a later export calls lost, at its leaf `told_at`.
    pub(super) fn foresee(&mut self, from: u64, to: u64, told_at: u64) {
        if self.runs.len() < RUNS && from < to && to <= told_at {
            self.runs.push(Run { from, to, told_at, is_entered: false });
        }
    }

    /// An export begins, with leaves up to this one. Runs that it names itself it does not have, or ought not to.
    pub(super) fn begin(&mut self, export_to: u64) {
        self.export_to = export_to;
        self.set_turn();
    }

    /// What was foreseen, for rules that begin anew.
    pub(super) fn again(&mut self) -> Self {
        Self { runs: std::mem::take(&mut self.runs), ..Self::default() }
    }

    /// Whether something begins or ends at this leaf.
    pub(super) fn is_turn(&self, leaf: u64) -> bool {
        self.turn.is_some_and(|turn| turn <= leaf)
    }

    /// A run that is over at this leaf.
    pub(super) fn ended(&mut self, leaf: u64) -> Option<Before> {
        let ended = self.before.pop_if(|before| before.to <= leaf);
        self.set_turn();
        ended
    }

    /// A run that this leaf is the first of that is told: where it begins and ends. Of several, the longest.
    pub(super) fn begun(&mut self, leaf: u64) -> Option<(u64, u64)> {
        let export_to = self.export_to;
        let here = |run: &&mut Run| !run.is_entered && run.told_at >= export_to && (run.from..run.to).contains(&leaf);
        let run = self.runs.iter_mut().filter(here).max_by_key(|run| run.to)?;
        run.is_entered = true;
        Some((leaf, run.to))
    }

    /// Such a run is told from here on, by rules that stood so.
    pub(super) fn enter(&mut self, (from, to): (u64, u64), stood: Option<Box<Stood>>) {
        self.before.push(Before { from, to, stood });
        self.set_turn();
    }

    fn set_turn(&mut self) {
        let to_come = self.runs.iter().filter(|run| !run.is_entered && run.told_at >= self.export_to).map(|run| run.from);
        self.turn = to_come.chain(self.before.last().map(|before| before.to)).min();
    }

    /// Whether leaves are told whose end the rules could not go back from.
    pub(super) fn is_blind(&self) -> bool {
        self.before.last().is_some_and(|before| before.stood.is_none())
    }

    /// Whether the export at hand, or one before it, says itself that the leaf is lost.
    pub(super) fn is_named(&self, leaf: u64) -> bool {
        self.runs.iter().any(|run| (run.from..run.to).contains(&leaf) && run.told_at < self.export_to)
    }
}
