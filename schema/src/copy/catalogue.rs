//! Which tables there are, as either database's own catalogue tells: columns, keys, and what refers to what.

use std::collections::{BTreeMap, BTreeSet};

use crate::connection::{AnyConnection, Session};
use crate::fault::StoreFault;
use crate::sql::sql;

/// References that triggers keep: the table, and the one that it needs.
const KEPT_BY_TRIGGERS: [(&str, &str); 2] = [("certificate", "crl_shard"), ("log_head", "log_leaf")];

/// Tables that have a row from the beginning.
const MADE_WITH_A_ROW: [&str; 2] = ["event_counter", "log_head"];

/// What is no table of the store: the migrations', whose rows are made with the tables, and a copy's own.
const NOT_COPIED: [&str; 2] = ["__diesel_schema_migrations", super::PROGRESS];

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    Blob,
}

/// A table's column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// A table; columns by rising name, which is the same on both databases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// The places of the primary key's columns, in the key's order.
    pub(super) key: Vec<usize>,
    /// The places of columns that refer to rows of this same table.
    pub(super) to_itself: Vec<usize>,
    /// Whether an empty store has rows in it already, in whose place those of the source come.
    pub(super) has_rows: bool,
}

/// The tables of a database and their references: from which, to which, by which column.
pub(super) struct Catalogue {
    tables: BTreeMap<String, Table>,
    references: BTreeSet<(String, String, String)>,
}

impl Catalogue {
    /// Reads it.
    pub(super) fn read(session: &mut Session) -> Result<Self, StoreFault> {
        let (columns, references) = match session.connection {
            AnyConnection::Sqlite(_) => (SQLITE_COLUMNS, SQLITE_REFERENCES),
            #[cfg(feature = "postgres")]
            AnyConnection::Postgres(_) => (POSTGRES_COLUMNS, POSTGRES_REFERENCES),
        };
        let found = sql(columns).rows(session, |row| Ok((row.text()?, row.text()?, row.text()?, row.big()?)))?;
        let mut tables: BTreeMap<String, Vec<(Column, i64)>> = BTreeMap::new();
        for (table, name, kind, place) in found {
            if !NOT_COPIED.contains(&table.as_str()) {
                tables.entry(table).or_default().push((Column { name, kind: kind_of(&kind)? }, place));
            }
        }
        let references: BTreeSet<_> =
            sql(references).rows(session, |row| Ok((row.text()?, row.text()?, row.text()?)))?.into_iter().collect();
        let tables = tables.into_iter().map(|(name, columns)| Ok((name.clone(), table_of(name, columns, &references)?)));
        Ok(Self { tables: tables.collect::<Result<_, StoreFault>>()?, references })
    }

    /// The tables of both, each after all that its rows refer to.
    ///
    /// Errors: other tables or columns there than here ([`StoreFault::Corrupt`]).
    pub(super) fn in_order(self, other: &Self) -> Result<Vec<Table>, StoreFault> {
        if self.tables != other.tables {
            return Err(StoreFault::Corrupt("the tables of the two databases are not the same"));
        }
        let by_trigger = KEPT_BY_TRIGGERS.iter().map(|(from, to)| (*from, *to));
        let known = self.references.iter().chain(&other.references).map(|(from, to, _)| (from.as_str(), to.as_str()));
        let references: BTreeSet<(&str, &str)> = known.chain(by_trigger).filter(|(from, to)| from != to).collect();
        let mut ordered: Vec<Table> = Vec::new();
        while ordered.len() < self.tables.len() {
            let is_done = |name: &str| ordered.iter().any(|table| table.name == name);
            let may_come = |name: &str| references.iter().all(|(from, to)| *from != name || is_done(to));
            let next = self.tables.values().find(|table| !is_done(&table.name) && may_come(&table.name));
            ordered.push(next.ok_or(StoreFault::Corrupt("tables refer to each other in a circle"))?.clone());
        }
        Ok(ordered)
    }
}

fn table_of(name: String, mut columns: Vec<(Column, i64)>, references: &BTreeSet<(String, String, String)>) -> Result<Table, StoreFault> {
    columns.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let mut key: Vec<usize> = (0..columns.len()).filter(|place| columns[*place].1 > 0).collect();
    key.sort_by_key(|place| columns[*place].1);
    if key.is_empty() {
        return Err(StoreFault::Corrupt("a table without a primary key"));
    }
    let refers_to_itself = |column: &str| references.contains(&(name.clone(), name.clone(), column.to_owned()));
    let to_itself = (0..columns.len()).filter(|place| refers_to_itself(&columns[*place].0.name)).collect();
    Ok(Table {
        columns: columns.into_iter().map(|(column, _)| column).collect(),
        key,
        to_itself,
        has_rows: MADE_WITH_A_ROW.contains(&name.as_str()),
        name,
    })
}

fn kind_of(word: &str) -> Result<Kind, StoreFault> {
    match word {
        "INTEGER" | "int2" | "int4" | "int8" => Ok(Kind::Integer),
        "TEXT" | "text" => Ok(Kind::Text),
        "BLOB" | "bytea" => Ok(Kind::Blob),
        _ => Err(StoreFault::Corrupt("a column of a type that the store does not use")),
    }
}

const SQLITE_COLUMNS: &str = "SELECT m.name, c.name, c.type, c.pk FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c \
     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, c.cid";

const SQLITE_REFERENCES: &str = "SELECT m.name, f.\"table\", f.\"from\" FROM sqlite_master AS m JOIN pragma_foreign_key_list(m.name) AS f \
     WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'";

#[cfg(feature = "postgres")]
const POSTGRES_COLUMNS: &str = "SELECT CAST(c.relname AS TEXT), CAST(a.attname AS TEXT), CAST(t.typname AS TEXT), \
     CAST(COALESCE(array_position(i.indkey::int2[], a.attnum) + 1, 0) AS BIGINT) \
     FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
     LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = c.oid AND i.indisprimary \
     WHERE c.relkind = 'r' AND c.relnamespace = CAST(current_schema() AS regnamespace) ORDER BY c.relname, a.attnum";

#[cfg(feature = "postgres")]
const POSTGRES_REFERENCES: &str = "SELECT CAST(f.relname AS TEXT), CAST(t.relname AS TEXT), CAST(a.attname AS TEXT) \
     FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_class AS f ON f.oid = k.conrelid \
     JOIN pg_catalog.pg_class AS t ON t.oid = k.confrelid \
     JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.oid AND a.attnum = ANY (k.conkey) \
     WHERE k.contype = 'f' AND f.relnamespace = CAST(current_schema() AS regnamespace)";
