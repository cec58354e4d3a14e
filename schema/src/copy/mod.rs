//! Copying a store into an empty database, of the same sort or the other: from SQLite to PostgreSQL and back.
//!
//! Table after table in the order of their references, page after page by rising key. How far it has come stands in the target and is
//! committed with each page, so a copy that was killed is simply begun again. Triggers and foreign keys stay on. What was read is summed
//! up, and the target is read back against it. A target has no `store_meta` before all of that is done: nobody opens half a store.

mod catalogue;
mod page;
mod sides;

use serde_json::{Value as Json, json};

use ca_core::chain::Chain;

use crate::connection::Session;
use crate::fault::StoreFault;
use crate::sql::sql;
use catalogue::{Catalogue, Table};
use page::{Page, Sum, Value};
pub use sides::Side;
use sides::{Guard, Source};

/// The table of a target in which the progress of its copy stands, until that is finished.
const PROGRESS: &str = "store_copy";

/// The table that makes a database a store, and is copied last.
const META: &str = "store_meta";

/// The name of what the target knows of its source, among the tables' names.
const SOURCE: &str = "";

/// A page has so many octets, about.
const PAGE_OCTETS: usize = 4 << 20;
/// A page has so many rows at most.
const PAGE_ROWS: usize = 4096;

/// Why a copy cannot be made: the caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyRefusal {
    /// Both URLs are one.
    #[error("a store cannot be copied onto itself")]
    Itself,
    /// Somebody is connected to the source, or to the target.
    #[error("{0} is in use: stop every process that serves it, and try again")]
    InUse(Side),
    /// The target is a store.
    #[error("the target is a store already: it needs an empty database")]
    TargetIsStore,
    /// The target has tables of something else.
    #[error("the target is not empty: it needs a database without tables, or one that an earlier copy of this store left unfinished")]
    TargetNotEmpty,
    /// The target is a copy of another store that was not finished.
    #[error("the target is an unfinished copy of another store: it needs an empty database")]
    OtherSource,
    /// The source has gone on.
    #[error("the source has gone on since this copy was begun: begin again with an empty database")]
    SourceWentOn,
    /// What was written is not what was read.
    #[error("the rows of {0} are not the same on both sides: begin again with an empty database")]
    Different(String),
}

/// Why a copy was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CopyFailure {
    /// The caller's fault.
    #[error(transparent)]
    Refused(CopyRefusal),
    /// One of the databases failed.
    #[error("{side}: {fault}")]
    Fault {
        /// Which.
        side: Side,
        /// What happened.
        fault: StoreFault,
    },
}

/// How many rows a table has, on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCopied {
    /// The table's name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
}

/// A copy on its way.
pub struct StoreCopy {
    from: Session,
    to: Session,
    source: Source,
    tables: Vec<Table>,
    resumed: bool,
    _guards: [Guard; 2],
}

impl StoreCopy {
    /// Begins a copy, or goes on with one: makes the target's tables if it has none. Nobody may serve either side from now on until it is
    /// over: the file's lock, or on PostgreSQL a lock on all tables, sees to that.
    pub fn begin(from: &str, to: &str) -> Result<Self, CopyFailure> {
        let (mut source, mut target) = sides::open(from, to)?;
        let tables = Catalogue::read(&mut target.session)
            .map_err(of(Side::To))
            .and_then(|there| Catalogue::read(&mut source.session).and_then(|here| here.in_order(&there)).map_err(of(Side::From)))?;
        let known = Source::read(&mut source.session).map_err(of(Side::From))?;
        let found = progress(&mut target.session, SOURCE).map_err(of(Side::To))?;
        let resumed = match found {
            None => {
                sides::begin_target(&mut target.session, &known).map_err(of(Side::To))?;
                false
            }
            Some(found) => known.goes_on(&found).map(|()| true)?,
        };
        let _guards = [source.guard, target.guard];
        Ok(Self { from: source.session, to: target.session, source: known, tables, resumed, _guards })
    }

    /// Whether an earlier copy is gone on with.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// What the store is called that is copied.
    pub fn instance(&self) -> &str {
        self.source.instance()
    }

    /// The source's rows, of all tables.
    pub fn rows(&mut self) -> Result<u64, CopyFailure> {
        let Self { from, tables, .. } = self;
        tables.iter().map(|table| count(from, table)).sum::<Result<u64, _>>().map_err(of(Side::From))
    }

    /// Copies what is not copied yet; `progress` hears the table and how many rows of all tables are there.
    pub fn copy(&mut self, mut progress: impl FnMut(&str, u64)) -> Result<(), CopyFailure> {
        let mut before = 0;
        for table in self.tables.clone() {
            if table.name == META {
                continue;
            }
            let mut state = self.state(&table)?;
            progress(&table.name, before + state.sum.rows);
            let mut limit = 4;
            while !state.is_done {
                let page = Page::read(&mut self.from, &table, state.after.as_deref(), limit).map_err(of(Side::From))?;
                page.add_to(&mut state.sum);
                state.is_done = page.rows < limit;
                state.after = page.last_key(&table).or(state.after);
                self.keep(&table, &page, &state).map_err(of(Side::To))?;
                limit = (PAGE_OCTETS / (page.octets() / page.rows.max(1)).max(1)).clamp(1, PAGE_ROWS).min(limit * 4);
                progress(&table.name, before + state.sum.rows);
            }
            self.copy_to_itself(&table)?;
            before += state.sum.rows;
        }
        sides::set_sequences(&mut self.from, &mut self.to, &self.tables)
    }

    /// Reads the target back and counts the source again: every table must have the same rows on both sides. `progress` hears the table
    /// and how many rows of all tables were read back.
    pub fn compare(&mut self, mut progress: impl FnMut(&str, u64)) -> Result<Vec<TableCopied>, CopyFailure> {
        let (mut compared, mut before) = (Vec::new(), 0);
        for table in self.tables.clone() {
            if table.name == META {
                continue;
            }
            let copied = self.state(&table)?.sum;
            let (mut sum, mut after, mut limit) = (Sum::default(), None, 4);
            loop {
                let page = Page::read(&mut self.to, &table, after.as_deref(), limit).map_err(of(Side::To))?;
                page.add_to(&mut sum);
                progress(&table.name, before + sum.rows);
                if page.rows < limit {
                    break;
                }
                after = page.last_key(&table);
                limit = (PAGE_OCTETS / (page.octets() / page.rows).max(1)).clamp(1, PAGE_ROWS).min(limit * 4);
            }
            let counted = count(&mut self.from, &table).map_err(of(Side::From))?;
            if sum != copied || counted != copied.rows {
                return Err(CopyFailure::Refused(CopyRefusal::Different(table.name)));
            }
            before += sum.rows;
            compared.push(TableCopied { table: table.name, rows: sum.rows });
        }
        let now = Source::read(&mut self.from).map_err(of(Side::From))?;
        if now != self.source {
            return Err(CopyFailure::Refused(CopyRefusal::SourceWentOn));
        }
        Ok(compared)
    }

    /// The size and root of the log's tree as one side has it on record.
    pub fn log_head(&mut self, side: Side) -> Result<(u64, [u8; 32]), CopyFailure> {
        sides::log_head(self.session(side)).map_err(of(side))
    }

    /// The commitments of one side's leaves from `first` on, `count` at most.
    pub fn log_commitments(&mut self, side: Side, first: u64, count: u32) -> Result<Vec<[u8; 32]>, CopyFailure> {
        sides::log_commitments(self.session(side), first, count).map_err(of(side))
    }

    /// Makes a store of the target: what was compared before is now whole.
    pub fn finish(mut self) -> Result<(), CopyFailure> {
        let meta = self.tables.iter().find(|table| table.name == META).ok_or(StoreFault::Corrupt("there is no store_meta"));
        let meta = meta.map_err(of(Side::From))?.clone();
        let page = Page::read(&mut self.from, &meta, None, 2).map_err(of(Side::From))?;
        sides::make_durable(&mut self.to).map_err(of(Side::To))?;
        sides::transaction(&mut self.to, |session| {
            page.insert(session, &meta)?;
            session.batch(&format!("DROP TABLE {PROGRESS}"))
        })
        .map_err(of(Side::To))?;
        // It is a store now, whatever comes.
        if let Err(fault) = sides::settle(&mut self.to) {
            tracing::warn!(fault = %Chain(&fault), "the copy is whole, but the target could not be tidied up: on PostgreSQL run VACUUM ANALYZE");
        }
        Ok(())
    }

    fn session(&mut self, side: Side) -> &mut Session {
        match side {
            Side::From => &mut self.from,
            Side::To => &mut self.to,
        }
    }

    fn state(&mut self, table: &Table) -> Result<State, CopyFailure> {
        let found = progress(&mut self.to, &table.name).map_err(of(Side::To))?;
        let state = found.map_or(Some(State::default()), |json| State::from_json(&json));
        state.ok_or(StoreFault::Corrupt("the progress of a copy")).map_err(of(Side::To))
    }

    fn keep(&mut self, table: &Table, page: &Page, state: &State) -> Result<(), StoreFault> {
        sides::transaction(&mut self.to, |session| {
            page.insert(session, table)?;
            set_progress(session, &table.name, &state.to_json())
        })
    }

    /// Once all rows are there, those that refer to others of the same table are told which.
    fn copy_to_itself(&mut self, table: &Table) -> Result<(), CopyFailure> {
        let mut after = None;
        while !table.to_itself.is_empty() {
            let page = Page::read_to_itself(&mut self.from, table, after.as_deref(), 64).map_err(of(Side::From))?;
            if page.rows == 0 {
                break;
            }
            after = page.last_key(table);
            sides::transaction(&mut self.to, |session| page.write_to_itself(session, table)).map_err(of(Side::To))?;
        }
        Ok(())
    }
}

/// How far a table's copy has come.
#[derive(Default)]
struct State {
    after: Option<Vec<Value>>,
    sum: Sum,
    is_done: bool,
}

impl State {
    fn to_json(&self) -> Json {
        let after = self.after.as_ref().map(|after| after.iter().map(Value::to_json).collect::<Vec<_>>());
        json!({"after": after, "sum": self.sum.to_json(), "done": self.is_done})
    }

    fn from_json(json: &Json) -> Option<Self> {
        let after = match json.get("after")? {
            Json::Null => None,
            after => Some(after.as_array()?.iter().map(Value::from_json).collect::<Option<Vec<_>>>()?),
        };
        Some(Self { after, sum: Sum::from_json(json.get("sum")?)?, is_done: json.get("done")?.as_bool()? })
    }
}

/// For `map_err`: which side failed.
fn of(side: Side) -> impl Fn(StoreFault) -> CopyFailure {
    move |fault| CopyFailure::Fault { side, fault }
}

fn count(session: &mut Session, table: &Table) -> Result<u64, StoreFault> {
    let counted = sql(format!("SELECT COUNT(*) FROM {}", table.quoted_name())).optional(session, |row| row.unsigned())?;
    counted.ok_or(StoreFault::Corrupt("a count without a number"))
}

fn progress(session: &mut Session, name: &str) -> Result<Option<Json>, StoreFault> {
    if !sides::has_table(session, PROGRESS)? {
        return Ok(None);
    }
    sql(format!("SELECT progress FROM {PROGRESS} WHERE name = ?")).bind(name).optional(session, |row| row.json())
}

fn set_progress(session: &mut Session, name: &str, progress: &Json) -> Result<(), StoreFault> {
    sql(format!("INSERT INTO {PROGRESS} (name, progress) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET progress = excluded.progress"))
        .bind(name)
        .bind(progress.to_string().as_str())
        .execute(session)?;
    Ok(())
}

/// Whether a database is a copy that was not finished: it has no `store_meta`, and will get one.
pub(crate) fn is_unfinished(session: &mut Session) -> Result<bool, StoreFault> {
    sides::has_table(session, PROGRESS)
}
