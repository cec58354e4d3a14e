//! The two databases of a copy: opened, kept from being served, made ready, and settled.

use std::fmt;
use std::fs::File;
#[cfg(feature = "postgres")]
use std::{thread, time::Duration};

use serde_json::{Value as Json, json};

use super::catalogue::Table;
use super::{CopyFailure, CopyRefusal, META, PROGRESS, SOURCE, of, set_progress};
use crate::connection::{AnyConnection, Purpose, Session};
use crate::database::{make_file, serve_alone};
use crate::event;
use crate::fault::StoreFault;
use crate::location::Location;
use crate::migrations;
use crate::sql::sql;

/// How long processes that were just stopped may take to be gone.
#[cfg(feature = "postgres")]
const PATIENCE: u32 = 50;
#[cfg(feature = "postgres")]
const STEP: Duration = Duration::from_millis(100);

/// One of the two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The store that is copied.
    From,
    /// What becomes its copy.
    To,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::From => "the source",
            Self::To => "the target",
        })
    }
}

/// Keeps a database from being served, or copied by another, until it is dropped.
#[expect(dead_code, reason = "held, and not asked")]
pub(super) enum Guard {
    File(Option<File>),
    Session(Session),
    None,
}

pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) guard: Guard,
}

/// Opens both, and makes the target's tables if it has none.
pub(super) fn open(from: &str, to: &str) -> Result<(Opened, Opened), CopyFailure> {
    let source = Location::parse(from).map_err(of(Side::From))?;
    let target = Location::parse(to).map_err(of(Side::To))?;
    if source == target {
        return Err(CopyFailure::Refused(CopyRefusal::Itself));
    }
    let mut session = connect(&source, Purpose::Read).map_err(of(Side::From))?;
    migrations::check(&mut session).map_err(of(Side::From))?;
    let guard = keep_from_being_served(&source, Side::From)?;
    let source = Opened { session, guard };
    let target = open_target(&target)?;
    Ok((source, target))
}

fn open_target(target: &Location) -> Result<Opened, CopyFailure> {
    match target {
        Location::Sqlite(path) if !path.exists() => make_file(path).map_err(of(Side::To))?,
        _ => {}
    }
    let mut session = connect(target, Purpose::Write).map_err(of(Side::To))?;
    // Looked at before anything is locked: a store that is served is no target, and is not to be told to stop.
    refuse_store(&mut session)?;
    let guard = keep_from_being_served(target, Side::To)?;
    refuse_store(&mut session)?;
    migrations::finish(&mut session).map_err(of(Side::To))?;
    make_fast(&mut session).map_err(of(Side::To))?;
    Ok(Opened { session, guard })
}

fn refuse_store(session: &mut Session) -> Result<(), CopyFailure> {
    if has_table(session, META).map_err(of(Side::To))? {
        let stores = sql(format!("SELECT COUNT(*) FROM {META}")).optional(session, |row| row.big()).map_err(of(Side::To))?;
        return if stores.unwrap_or(0) > 0 { Err(CopyFailure::Refused(CopyRefusal::TargetIsStore)) } else { Ok(()) };
    }
    let tables = sql(match session.connection {
        AnyConnection::Sqlite(_) => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name <> '__diesel_schema_migrations'",
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => {
            "SELECT COUNT(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename <> '__diesel_schema_migrations'"
        }
    });
    let tables = tables.optional(session, |row| row.big()).map_err(of(Side::To))?;
    if tables.unwrap_or(0) > 0 { Err(CopyFailure::Refused(CopyRefusal::TargetNotEmpty)) } else { Ok(()) }
}

fn connect(location: &Location, purpose: Purpose) -> Result<Session, StoreFault> {
    let mut session = Session::connect(location, purpose)?;
    session.batch(match session.connection {
        AnyConnection::Sqlite(_) => "PRAGMA cache_size = -131072;",
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => "SET application_name = 'tsunagi store copy'; SET statement_timeout = 0;",
    })?;
    Ok(session)
}

/// What is not on disk before the copy is finished is copied again.
fn make_fast(session: &mut Session) -> Result<(), StoreFault> {
    session.batch(match session.connection {
        AnyConnection::Sqlite(_) => "PRAGMA synchronous = NORMAL;",
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => "SET synchronous_commit = off;",
    })
}

fn keep_from_being_served(location: &Location, side: Side) -> Result<Guard, CopyFailure> {
    let in_use = || CopyFailure::Refused(CopyRefusal::InUse(side));
    match location {
        Location::Sqlite(_) => match serve_alone(location) {
            Ok(file) => Ok(Guard::File(file)),
            Err(StoreFault::Served) => Err(in_use()),
            Err(fault) => Err(of(side)(fault)),
        },
        #[cfg(feature = "postgres")]
        Location::Postgres(_) => {
            let mut session = connect(location, Purpose::Write).map_err(of(side))?;
            // Ours, as others' sessions: whoever copies to or from here at the same time has it.
            const ONE_COPY: &str = "SELECT CAST(CAST(pg_try_advisory_lock(8390042619472) AS INTEGER) AS BIGINT)";
            const OTHERS: &str = "SELECT COUNT(*) FROM pg_catalog.pg_stat_activity \
                 WHERE datname = current_database() AND application_name = 'tsunagi' AND pid <> pg_backend_pid()";
            let asked = |session: &mut Session, question: &'static str| sql(question).optional(session, |row| row.big()).map_err(of(side));
            if asked(&mut session, ONE_COPY)? != Some(1) {
                return Err(in_use());
            }
            let mut looks = 0;
            while asked(&mut session, OTHERS)? != Some(0) {
                looks += 1;
                if looks > PATIENCE {
                    return Err(in_use());
                }
                thread::sleep(STEP);
            }
            if side == Side::From {
                lock_tables(&mut session).map_err(of(side))?;
            }
            Ok(Guard::Session(session))
        }
    }
}

/// Nobody writes to the source until this session ends.
#[cfg(feature = "postgres")]
fn lock_tables(session: &mut Session) -> Result<(), StoreFault> {
    let names = sql("SELECT CAST(tablename AS TEXT) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() ORDER BY tablename")
        .rows(session, |row| row.text())?;
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    session.batch("BEGIN")?;
    session.batch("SET LOCAL lock_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = 0;")?;
    session.batch(&format!("LOCK TABLE {} IN SHARE MODE", names.join(", ")))
}

/// A source, as far as it tells whether it is still the one that it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    instance: String,
    epoch: i64,
    position: i64,
    event: Option<String>,
    log_size: i64,
}

impl Source {
    pub(super) fn read(session: &mut Session) -> Result<Self, StoreFault> {
        let position = event::position(session)?;
        let event = event::digest_at(session, position)?.map(|digest| digest.to_string());
        sql("SELECT m.instance_id, m.epoch, l.size FROM store_meta AS m CROSS JOIN log_head AS l")
            .optional(session, |row| {
                let (instance, epoch, log_size) = (row.text()?, row.big()?, row.big()?);
                Ok(Self { instance, epoch, position: position.0, event: event.clone(), log_size })
            })?
            .ok_or(StoreFault::Corrupt("store_meta is empty"))
    }

    pub(super) fn instance(&self) -> &str {
        &self.instance
    }

    fn to_json(&self) -> Json {
        json!([self.instance, self.epoch, self.position, self.event, self.log_size])
    }

    /// Refuses a target that was begun from another store, or from this one before something happened in it.
    pub(super) fn goes_on(&self, begun: &Json) -> Result<(), CopyFailure> {
        match begun.get(0).and_then(Json::as_str) {
            Some(instance) if instance != self.instance => Err(CopyFailure::Refused(CopyRefusal::OtherSource)),
            _ if *begun != self.to_json() => Err(CopyFailure::Refused(CopyRefusal::SourceWentOn)),
            _ => Ok(()),
        }
    }
}

/// Marks the target as a copy that is not finished.
pub(super) fn begin_target(session: &mut Session, source: &Source) -> Result<(), StoreFault> {
    transaction(session, |session| {
        session.batch(&format!("CREATE TABLE {PROGRESS} (name TEXT PRIMARY KEY, progress TEXT NOT NULL)"))?;
        set_progress(session, SOURCE, &source.to_json())
    })
}

/// Numbers that a database gives out by itself go on above those that were given out: rows with the highest may be gone.
pub(super) fn set_sequences(from: &mut Session, to: &mut Session, tables: &[Table]) -> Result<(), CopyFailure> {
    let given = sequences(from).map_err(of(Side::From))?;
    let set = |to: &mut Session| {
        for (table, _) in sequences(to)? {
            let known = given.iter().find(|(name, _)| *name == table).map_or(0, |(_, last)| *last);
            let table = tables.iter().find(|known| known.name == table).ok_or(StoreFault::Corrupt("a sequence of no table"))?;
            let key = table.key.first().map(|place| table.columns[*place].name.as_str()).unwrap_or_default();
            set_sequence(to, &table.name, key, known)?;
        }
        Ok(())
    };
    set(to).map_err(of(Side::To))
}

/// The tables whose keys the database gives out, and the last that it gave out: 0 if not known.
fn sequences(session: &mut Session) -> Result<Vec<(String, i64)>, StoreFault> {
    match session.connection {
        AnyConnection::Sqlite(_) => sql("SELECT m.name, COALESCE(s.seq, 0) FROM sqlite_master AS m \
             LEFT JOIN sqlite_sequence AS s ON s.name = m.name WHERE m.type = 'table' AND m.sql LIKE '%AUTOINCREMENT%'")
        .rows(session, |row| Ok((row.text()?, row.big()?))),
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => sql("SELECT CAST(c.relname AS TEXT), CAST(COALESCE(pg_sequence_last_value(CAST( \
             pg_get_serial_sequence(quote_ident(c.relname), a.attname) AS regclass)), 0) AS BIGINT) \
             FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attidentity <> '' \
             WHERE c.relkind = 'r' AND c.relnamespace = CAST(current_schema() AS regnamespace)")
        .rows(session, |row| Ok((row.text()?, row.big()?))),
    }
}

fn set_sequence(session: &mut Session, table: &str, key: &str, given: i64) -> Result<(), StoreFault> {
    let highest = format!("(SELECT COALESCE(MAX(\"{key}\"), 0) FROM \"{table}\")");
    match session.connection {
        AnyConnection::Sqlite(_) => {
            let updated = sql(format!("UPDATE sqlite_sequence SET seq = MAX(seq, ?, {highest}) WHERE name = ?")).bind(given).bind(table);
            if updated.execute(session)? == 0 {
                sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)").bind(table).bind(given).execute(session)?;
            }
        }
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => {
            sql(format!(
                "SELECT CAST(setval(pg_get_serial_sequence('\"{table}\"', '{key}'), n.last, true) AS BIGINT) \
                 FROM (SELECT GREATEST(CAST(? AS BIGINT), {highest}) AS last) AS n WHERE n.last > 0"
            ))
            .bind(given)
            .optional(session, |row| row.big())?;
        }
    }
    Ok(())
}

/// The log's size and root.
pub(super) fn log_head(session: &mut Session) -> Result<(u64, [u8; 32]), StoreFault> {
    sql("SELECT size, root FROM log_head")
        .optional(session, |row| Ok((row.unsigned()?, row.digest()?.0)))?
        .ok_or(StoreFault::Corrupt("log_head is empty"))
}

/// The commitments of the leaves from `first` on.
pub(super) fn log_commitments(session: &mut Session, first: u64, count: u32) -> Result<Vec<[u8; 32]>, StoreFault> {
    sql("SELECT commitment FROM log_leaf WHERE leaf >= ? ORDER BY leaf LIMIT ?")
        .bind(crate::codes::stored(first)?)
        .bind(i64::from(count))
        .rows(session, |row| Ok(row.digest()?.0))
}

/// Runs something in a transaction of its own.
pub(super) fn transaction(session: &mut Session, run: impl FnOnce(&mut Session) -> Result<(), StoreFault>) -> Result<(), StoreFault> {
    session.batch(session.begin_statement())?;
    let done = run(session);
    match &done {
        Ok(()) => session.batch("COMMIT"),
        Err(_) => {
            session.settle();
            // Fails where the database has rolled back by itself.
            let _ = session.batch("ROLLBACK");
            session.settle();
            done
        }
    }
}

/// What is committed from now on is on disk, and everything before it.
pub(super) fn make_durable(session: &mut Session) -> Result<(), StoreFault> {
    session.batch(match session.connection {
        AnyConnection::Sqlite(_) => "PRAGMA synchronous = FULL;",
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => "SET synchronous_commit = on;",
    })
}

/// What is planned by the numbers of rows is to be planned by these.
pub(super) fn settle(session: &mut Session) -> Result<(), StoreFault> {
    session.batch(match session.connection {
        AnyConnection::Sqlite(_) => "PRAGMA wal_checkpoint(TRUNCATE);",
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => "VACUUM ANALYZE",
    })
}

pub(super) fn has_table(session: &mut Session, name: &str) -> Result<bool, StoreFault> {
    let found = sql(match session.connection {
        AnyConnection::Sqlite(_) => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => "SELECT COUNT(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() AND tablename = ?",
    });
    Ok(found.bind(name).optional(session, |row| row.big())?.unwrap_or(0) > 0)
}
