//! Reports that auditors ask for, from the records of an export: what was issued, what was refused, how long things took, what operators did, which
//! policies were in force.
//!
//! A report tells what the records say. That they say what happened is another question: [`crate::verify`] comes first.

mod certificates;
mod latency;
mod operators;
mod policies;
mod refusals;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value};

use crate::export::{MANIFEST_FILE, MANIFEST_OCTETS, Manifest, Record, RecordReader};
use crate::verify::Event;

/// The reports there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// Certificates issued, by month, kind and platform.
    Certificates,
    /// Applications and instructions refused, by reason.
    Refusals,
    /// How long cascades and holds took.
    Latency,
    /// What operators did.
    Operators,
    /// Policies by which certificates were issued and changed.
    Policies,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What its columns are called.
    pub columns: Vec<&'static str>,
    /// A cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// Records that say too little to be counted, being left by an older program.
    pub uncounted: u64,
    /// Records whose content is gone.
    pub absent: u64,
    /// What was read for it.
    pub range: Range,
}

/// The leaves that a report covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub from: u64,
    /// The leaf after the last.
    pub to: u64,
    /// The earliest and the latest time of a record that is there, in milliseconds since 1970.
    pub times: Option<(i64, i64)>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// A word.
    Text(String),
    /// A number.
    Number(u64),
    /// Nothing that is known.
    Nothing,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportFault {
    /// A file cannot be read.
    #[error("{file}: {error}")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// A file is not what it has to be.
    #[error("{file}: {problem}: verify the export")]
    Malformed {
        /// Which.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Between two exports leaves are missing.
    #[error("leaves {from} to {} are in none of the exports: {directory} begins after them. Name the export that has them as well", .to - 1)]
    Apart {
        /// The later export.
        directory: String,
        /// The first leaf that is missing.
        from: u64,
        /// The leaf after the last.
        to: u64,
    },
    /// An export begins before the one that was read before it.
    #[error("{directory} begins at leaf {from}, before the export named before it, at {earlier}: name exports in the order of your visits")]
    OutOfOrder {
        /// The export.
        directory: String,
        /// Where it begins.
        from: u64,
        /// Where the one before begins.
        earlier: u64,
    },
}

/// Who counts.
trait Tally {
    /// Counts a record; false if it says too little.
    fn count(&mut self, event: &Event<'_>) -> bool;

    /// The columns.
    fn columns(&self) -> Vec<&'static str>;

    /// What was counted.
    fn rows(&self) -> Vec<Vec<Cell>>;
}

/// The most rows that a report keeps: what a log has more of is counted as `uncounted`.
const ROWS: usize = 100_000;

impl Report {
    /// Reads the records of exports, one after the other, and reports. What overlaps is counted once.
    ///
    /// # Errors
    /// If one is none, or cannot be read to its end; if they are not in order, or leaves between them are missing.
    pub fn of(kind: ReportKind, directories: &[impl AsRef<Path>]) -> Result<Self, ReportFault> {
        let mut tally: Box<dyn Tally> = match kind {
            ReportKind::Certificates => Box::new(certificates::Certificates::default()),
            ReportKind::Refusals => Box::new(refusals::Refusals::default()),
            ReportKind::Latency => Box::new(latency::Latency::default()),
            ReportKind::Operators => Box::new(operators::Operators::default()),
            ReportKind::Policies => Box::new(policies::Policies::default()),
        };
        let (mut uncounted, mut absent, mut range, mut earlier) = (0, 0, Range { from: 0, to: 0, times: None }, None);
        for directory in directories {
            let directory = directory.as_ref();
            let manifest = manifest(directory)?;
            range.go_on(directory, &manifest, earlier)?;
            earlier = Some(manifest.from);
            for part in &manifest.parts {
                let missing = read(directory, &manifest, &part.records.name, &mut |record| {
                    if record.leaf() != range.to {
                        return record.leaf() < range.to;
                    }
                    range.to += 1;
                    match record {
                        Record::Present { leaf, content, .. } => {
                            let event = Event::new(*leaf, *content);
                            range.add(event.as_ref());
                            uncounted += u64::from(!event.is_some_and(|event| tally.count(&event)));
                        }
                        Record::Absent { .. } => absent += 1,
                    }
                    true
                })?;
                if missing || range.to < part.to {
                    let file = directory.join(&part.records.name).display().to_string();
                    return Err(ReportFault::Malformed { file, problem: format!("the record of leaf {} is missing", range.to) });
                }
            }
        }
        Ok(Self { columns: tally.columns(), rows: tally.rows(), uncounted, absent, range })
    }

    /// As CSV (RFC 4180): a header, CRLF at each line's end.
    pub fn to_csv(&self) -> String {
        let mut csv = self.columns.join(",") + "\r\n";
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|cell| quoted(&cell.to_string())).collect();
            csv.push_str(&cells.join(","));
            csv.push_str("\r\n");
        }
        csv
    }

    /// As JSON: `{"from_leaf":…,"to_leaf":…,"from":…,"to":…,"rows":[{"column":…},…],"uncounted":…,"absent":…}`; `to_leaf` is the leaf after the last,
    /// `from` and `to` are the times of the first and the last record.
    pub fn to_json(&self) -> Value {
        let row = |row: &Vec<Cell>| {
            let members = self.columns.iter().zip(row).map(|(column, cell)| ((*column).to_owned(), cell.to_json()));
            Value::Object(members.collect::<Map<_, _>>())
        };
        let (from, to) = self.range.times.unzip();
        serde_json::json!({
            "from_leaf": self.range.from, "to_leaf": self.range.to, "from": from.map(time), "to": to.map(time),
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(), "uncounted": self.uncounted, "absent": self.absent,
        })
    }
}

impl Range {
    /// Whether an export goes on where those before it ended; `earlier` is where the last of them begins.
    fn go_on(&mut self, directory: &Path, manifest: &Manifest, earlier: Option<u64>) -> Result<(), ReportFault> {
        let (directory, from) = (directory.display().to_string(), manifest.from);
        match earlier {
            Some(earlier) if from < earlier => return Err(ReportFault::OutOfOrder { directory, from, earlier }),
            Some(_) if from > self.to => return Err(ReportFault::Apart { directory, from: self.to, to: from }),
            Some(_) => {}
            None => (self.from, self.to) = (from, from),
        }
        Ok(())
    }

    fn add(&mut self, event: Option<&Event<'_>>) {
        let Some(at) = event.map(|event| event.at) else { return };
        let (first, last) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), last.max(at)));
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "leaves {} to {}", self.from, self.to.saturating_sub(1))?;
        match self.times {
            Some((first, last)) => write!(f, ", {} to {}", time(first), time(last)),
            None => Ok(()),
        }
    }
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    fn or_nothing(text: Option<String>) -> Self {
        text.map_or(Self::Nothing, Self::Text)
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Number(number) => Value::from(*number),
            Self::Nothing => Value::Null,
        }
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Nothing => Ok(()),
        }
    }
}

/// A cell of CSV. What a spreadsheet would take for a formula gets an apostrophe before it, as people do who mean text.
fn quoted(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '-', '@', '\t']) { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains([',', '"', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// The manifest as it stands there; its signature is not looked at.
fn manifest(directory: &Path) -> Result<Manifest, ReportFault> {
    let path = directory.join(MANIFEST_FILE);
    let file = path.display().to_string();
    let mut note = String::new();
    let read = File::open(&path).and_then(|file| file.take(MANIFEST_OCTETS as u64 + (1 << 16)).read_to_string(&mut note));
    read.map_err(|error| ReportFault::Unreadable { file: file.clone(), error })?;
    let text = note.split_once("\n\n").map(|(text, _)| format!("{text}\n"));
    let text = text.ok_or_else(|| ReportFault::Malformed { file: file.clone(), problem: "no signed note".to_owned() })?;
    Manifest::parse(&text).map_err(|fault| ReportFault::Malformed { file, problem: fault.to_string() })
}

/// Tells all records of a file, until it is told that one is missing before: whether one is.
fn read(directory: &Path, manifest: &Manifest, name: &str, tell: &mut dyn FnMut(&Record<'_>) -> bool) -> Result<bool, ReportFault> {
    let path = directory.join(name);
    let file = path.display().to_string();
    let opened = File::open(&path).map_err(|error| ReportFault::Unreadable { file: file.clone(), error })?;
    let mut reader = RecordReader::new(manifest.format, BufReader::with_capacity(1 << 18, opened));
    while let Some(record) =
        reader.next_record().map_err(|fault| ReportFault::Malformed { file: file.clone(), problem: fault.to_string() })?
    {
        if !tell(&record) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A counter by keys, of bounded size.
#[derive(Debug)]
struct Counter<K, V>(std::collections::BTreeMap<K, V>);

impl<K, V> Default for Counter<K, V> {
    fn default() -> Self {
        Self(std::collections::BTreeMap::new())
    }
}

impl<K: Ord, V: Default> Counter<K, V> {
    /// What stands at a key; `None` if there are too many keys.
    fn at(&mut self, key: K) -> Option<&mut V> {
        if self.0.len() >= ROWS && !self.0.contains_key(&key) {
            return None;
        }
        Some(self.0.entry(key).or_default())
    }
}

/// From the first to the last time of something, and how often.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    count: u64,
    first: i64,
    last: i64,
}

impl Span {
    fn add(&mut self, at: i64) {
        self.first = if self.count == 0 { at } else { self.first.min(at) };
        self.last = if self.count == 0 { at } else { self.last.max(at) };
        self.count += 1;
    }

    fn cells(&self) -> [Cell; 3] {
        [Cell::Number(self.count), Cell::text(time(self.first)), Cell::text(time(self.last))]
    }
}

/// A moment in RFC 3339, to the second.
fn time(at: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at).map_or_else(String::new, |at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}
