//! Leaves, one by one: each is what its event makes of it, none is missing, and together they make the tree and its tiles.

use std::collections::BTreeMap;

use audit_log::{Commitment, Content, Edge, Hash, Salt};
use chrono::{DateTime, TimeDelta, Utc};
use schema::log::{EventRow, LeafContent, LogHead, LogRecord};
use schema::{EventPosition, Reader, StoreFault};
use serde_json::Value;

use super::Findings;

/// Leaves appended to the tree at a time.
const SOME: usize = 4_096;
/// Rows that do not decode are gone around so often.
const DETOURS: u32 = 1_000;

/// The tree as the leaves make it.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Its root at each size that was signed.
    pub(crate) roots: BTreeMap<u64, Hash>,
    pub(crate) records: u64,
    pub(crate) purged: u64,
    pub(crate) lost: u64,
    /// Events that have no leaf yet.
    pub(crate) waiting: u64,
}

pub(super) struct Leaves<'a> {
    reader: &'a Reader,
    head: &'a LogHead,
    findings: &'a mut Findings,
    tree: Tree,
    marks: Vec<u64>,
    edge: Edge,
    pending: Vec<Commitment>,
    /// Tiles that are not full, by level and number.
    growing: BTreeMap<(u8, u64), Vec<u8>>,
    /// Whether a leaf was passed over: from there on there is no tree.
    has_gap: bool,
    next: u64,
    /// The last event seen, and how many were purged since.
    position: i64,
    purged_since: i64,
    at: Option<DateTime<Utc>>,
    /// The youngest event before purged leaves, and the first of these.
    youngest_purged: Option<(DateTime<Utc>, u64)>,
    first_purged: Option<u64>,
    lost: Vec<u64>,
    told_purged: u64,
    told_before: Option<DateTime<Utc>>,
    told_lost: Vec<(u64, u64)>,
    text: String,
}

impl<'a> Leaves<'a> {
    pub(super) fn new(reader: &'a Reader, head: &'a LogHead, marks: &[u64], findings: &'a mut Findings) -> Self {
        let mut marks: Vec<u64> = marks.iter().copied().chain([head.size]).filter(|mark| *mark <= head.size).collect();
        marks.sort_unstable();
        Self {
            reader,
            head,
            findings,
            tree: Tree::default(),
            marks,
            edge: Edge::empty(),
            pending: Vec::with_capacity(SOME),
            growing: BTreeMap::new(),
            has_gap: false,
            next: 0,
            position: 0,
            purged_since: 0,
            at: None,
            youngest_purged: None,
            first_purged: None,
            lost: Vec::new(),
            told_purged: 0,
            told_before: None,
            told_lost: Vec::new(),
            text: String::new(),
        }
    }

    /// Looks at each; `progress` hears how many.
    pub(super) fn examine(&mut self, mut progress: impl FnMut(u64)) -> Result<(), StoreFault> {
        let (reader, mut detours) = (self.reader, 0);
        while self.next < self.head.size {
            let from = self.next;
            let read = reader.log_records(from, self.head.size - from, |record| {
                if record.leaf % 8_192 == 0 {
                    progress(record.leaf);
                }
                self.visit(&record)
            });
            match read {
                Ok(_) if self.next > from => {}
                Ok(_) => {
                    self.findings.leaf(from, "leaf_missing", format!("it is not there, and the log has {} leaves", self.head.size));
                    self.has_gap = true;
                    break;
                }
                Err(StoreFault::Corrupt(what)) if detours < DETOURS => {
                    detours += 1;
                    self.go_around(what)?;
                }
                Err(fault) => return Err(fault),
            }
        }
        progress(self.head.size);
        self.flush()
    }

    /// A leaf that does not decode is named; what it commits to may be there all the same.
    fn go_around(&mut self, what: &str) -> Result<(), StoreFault> {
        let leaf = self.next;
        // Where positions stand, were nothing wrong.
        let position = self.position + 1 + self.purged_since;
        let next = self.reader.events_after(EventPosition(position - 1), 1);
        let words = match next {
            Ok(events) if events.first().is_none_or(|event| event.position.0 != position) => {
                format!("event {position}, which it is of, is not there")
            }
            _ => format!("it, or its event, cannot be read: {what}"),
        };
        self.findings.leaf(leaf, "leaf_unreadable", words);
        self.next += 1;
        self.purged_since += 1;
        match self.reader.log_commitments(leaf, 1) {
            Ok(found) if found.len() == 1 => self.push(Commitment(found[0])),
            _ => {
                self.has_gap = true;
                Ok(())
            }
        }
    }

    fn visit(&mut self, record: &LogRecord<'_>) -> Result<(), StoreFault> {
        if record.leaf > self.next {
            self.findings.leaf(self.next, "leaf_missing", format!("it is not there; the next is {}", record.leaf));
            self.has_gap = true;
        }
        self.next = record.leaf + 1;
        self.tree.records += 1;
        match record.content {
            LeafContent::Present { event, salt } => self.present(record, &event, salt),
            LeafContent::Purged => {
                self.tree.purged += 1;
                self.purged_since += 1;
                self.first_purged.get_or_insert(record.leaf);
                if let Some(at) = self.at
                    && self.youngest_purged.is_none_or(|(youngest, _)| at > youngest)
                {
                    self.youngest_purged = Some((at, record.leaf));
                }
            }
            LeafContent::Lost => {
                self.tree.lost += 1;
                self.lost.push(record.leaf);
            }
        }
        self.push(Commitment(record.commitment))
    }

    fn present(&mut self, record: &LogRecord<'_>, event: &EventRow<'_>, salt: [u8; 32]) {
        let position = event.position.0;
        self.text.clear();
        let content = Content {
            application: event.application.map(|id| id.0),
            at: event.at,
            certificate: event.certificate.map(|id| id.0),
            data: event.data,
            kind: event.kind,
            position,
        };
        content.write(&mut self.text);
        if Commitment::of(&Salt(salt), &self.text).0 != record.commitment {
            let words = format!("event {position} or its salt is not what the leaf commits to");
            self.findings.leaf(record.leaf, "leaf_content", words);
        } else {
            self.told(event);
        }
        if position != self.position + 1 + self.purged_since {
            let words =
                format!("it is of event {position}, and the one before of {}, with {} purged between", self.position, self.purged_since);
            self.findings.leaf(record.leaf, "leaf_position", words);
        }
        (self.position, self.purged_since, self.at) = (position, 0, Some(event.at));
    }

    /// What the log itself says of leaves without content.
    fn told(&mut self, event: &EventRow<'_>) {
        if !matches!(event.kind, "log.purged" | "log.leaves_lost") {
            return;
        }
        let Ok(data) = serde_json::from_str::<Value>(event.data) else { return };
        if let (Some(leaves), Some(before)) = (data["leaves"].as_u64(), data["before"].as_str().and_then(|text| text.parse().ok())) {
            self.told_purged += leaves;
            self.told_before = self.told_before.max(Some(before));
        }
        if let (Some(from), Some(to)) = (data["from"].as_u64(), data["to"].as_u64()) {
            self.told_lost.push((from, to));
        }
    }

    fn push(&mut self, commitment: Commitment) -> Result<(), StoreFault> {
        if self.has_gap {
            return Ok(());
        }
        self.pending.push(commitment);
        let size = self.edge.size() + self.pending.len() as u64;
        if self.pending.len() == SOME || self.marks.contains(&size) { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), StoreFault> {
        for tile in self.edge.append(&std::mem::take(&mut self.pending)) {
            if tile.hashes.len() == 256 * 32 {
                self.growing.remove(&(tile.level, tile.number));
                self.compare(tile.level, tile.number, &tile.hashes)?;
            } else {
                self.growing.insert((tile.level, tile.number), tile.hashes);
            }
        }
        if self.marks.contains(&self.edge.size()) {
            self.tree.roots.insert(self.edge.size(), self.edge.root());
        }
        Ok(())
    }

    /// Whether the log has grown since this began. Asked after whatever it is to explain was read.
    fn has_grown(&self) -> Result<bool, StoreFault> {
        Ok(self.reader.log_head()?.size > self.head.size)
    }

    /// Holds a tile against the one that is stored, which may have grown since.
    fn compare(&mut self, level: u8, number: u64, hashes: &[u8]) -> Result<(), StoreFault> {
        let place = format!("log_tile {level}/{number}");
        let span = 1_u64 << (8 * u32::from(level));
        let Some(stored) = self.reader.log_tile(level, number)? else {
            self.findings.add(place, Some(number * 256 * span), "tile_missing", "it is not in the store");
            return Ok(());
        };
        let is_same = stored == hashes || stored.starts_with(hashes) && self.has_grown()?;
        if !is_same {
            let same = stored.chunks(32).zip(hashes.chunks(32)).take_while(|(one, other)| one == other).count() as u64;
            let words = format!("its hash {same} is not that of the leaves from {} on", (number * 256 + same) * span);
            self.findings.add(place, Some((number * 256 + same) * span), "tile_other", words);
        }
        Ok(())
    }

    /// What can be said at the end of them all.
    pub(super) fn finish(mut self) -> Result<Tree, StoreFault> {
        if !self.reader.log_commitments(self.head.size, 1)?.is_empty() && !self.has_grown()? {
            self.findings.leaf(self.head.size, "leaf_beyond", format!("it is there, and the log has {} leaves", self.head.size));
        }
        if !self.has_gap {
            for ((level, number), hashes) in std::mem::take(&mut self.growing) {
                self.compare(level, number, &hashes)?;
            }
            if self.tree.roots.get(&self.head.size).is_some_and(|root| *root != self.head.root) {
                let words = "the root on record is not that of the leaves";
                self.findings.add("log_head", None, "head_root", words);
            }
        }
        self.no_tiles_beyond()?;
        if self.head.position.0 != self.position + self.purged_since {
            let words = format!("it says that event {} is the last with a leaf, and that is {}", self.head.position.0, self.position);
            self.findings.add("log_head", None, "head_position", words);
        }
        self.waiting_events()?;
        self.purged_and_lost();
        for position in self.reader.events_without_leaf(self.head.position, 100)? {
            let place = format!("event {}", position.0);
            self.findings.add(place, None, "event_without_leaf", "it is there, and no leaf is of it");
        }
        Ok(self.tree)
    }

    fn no_tiles_beyond(&mut self) -> Result<(), StoreFault> {
        for level in 1..=7_u8 {
            let number = (self.head.size >> (8 * u32::from(level))).div_ceil(256);
            if self.reader.log_tile(level, number)?.is_some() && !self.has_grown()? {
                self.findings.add(
                    format!("log_tile {level}/{number}"),
                    None,
                    "tile_beyond",
                    "it is there, and the tree does not reach so far",
                );
            }
        }
        Ok(())
    }

    /// Events that wait for a leaf have no gaps either, up to the counter as it was before they are read; those that come meanwhile are not
    /// waited for.
    fn waiting_events(&mut self) -> Result<(), StoreFault> {
        let counter = self.reader.position()?;
        let mut last = self.head.position;
        while last < counter {
            let before = last;
            let mut purged = Vec::new();
            self.reader.events_to_sequence(last, 4_096, |event| -> Result<(), StoreFault> {
                last = event.position;
                if event.kind == "log.purged" {
                    purged.push(event.data.to_owned());
                }
                Ok(())
            })?;
            for data in purged {
                self.told(&EventRow {
                    position: last,
                    at: Utc::now(),
                    kind: "log.purged",
                    certificate: None,
                    application: None,
                    data: &data,
                });
            }
            if last == before {
                break;
            }
            self.tree.waiting += u64::try_from(last.0 - before.0).unwrap_or(0);
        }
        self.no_event_beyond(last)?;
        if last < counter {
            let missing = EventPosition(last.0 + 1);
            self.findings.add(
                format!("event {}", missing.0),
                None,
                "event_missing",
                format!("it is not there, and there were {}", counter.0),
            );
        }
        Ok(())
    }

    /// No event is there that the counter has not come to: the events after `last` are read first, and then the counter.
    fn no_event_beyond(&mut self, last: EventPosition) -> Result<(), StoreFault> {
        let mut beyond = last;
        self.reader.events_to_sequence(last, 4_096, |event| -> Result<(), StoreFault> {
            beyond = event.position;
            Ok(())
        })?;
        let counter = self.reader.position()?;
        if beyond > counter {
            let words = format!("it is there, and there were {}", counter.0);
            self.findings.add(format!("event {}", beyond.0), None, "event_beyond", words);
        }
        Ok(())
    }

    fn purged_and_lost(&mut self) {
        if self.tree.purged > self.told_purged {
            let words = format!("{} leaves are purged, and the log tells of {}", self.tree.purged, self.told_purged);
            let young = self.youngest_purged.filter(|(at, _)| self.told_before.is_none_or(|before| *at > before + TimeDelta::days(1)));
            let leaf = young.map(|(_, leaf)| leaf).or(self.first_purged).unwrap_or_default();
            self.findings.leaf(leaf, "purged_untold", words);
        }
        let is_told = |leaf: &u64| self.told_lost.iter().any(|(from, to)| (*from..*to).contains(leaf));
        if let Some(leaf) = self.lost.iter().find(|leaf| !is_told(leaf)) {
            self.findings.leaf(*leaf, "lost_untold", "it is marked as lost, and the log does not tell of that");
        }
    }
}
