//! Rows of any table, some at a time: read by rising key, written as they are, and summed up.

use std::borrow::Cow;

use ca_core::digest::Sha256Digest;
use serde_json::{Value as Json, json};

use super::catalogue::{Kind, Table};
use crate::connection::{AnyConnection, Session};
use crate::fault::StoreFault;
use crate::sql::{Parameter, few_sizes, placeholders, sql, value_rows};

/// Rows, column by column.
pub(super) struct Page {
    columns: Vec<Values>,
    pub(super) rows: usize,
}

/// A column's values.
enum Values {
    Integers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Blobs(Vec<Option<Vec<u8>>>),
}

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl Page {
    /// The next rows after a key, `limit` at most.
    pub(super) fn read(session: &mut Session, table: &Table, after: Option<&[Value]>, limit: usize) -> Result<Self, StoreFault> {
        Self::read_where(session, table, after, limit, "")
    }

    /// The same of those rows that refer to rows of the same table.
    pub(super) fn read_to_itself(session: &mut Session, table: &Table, after: Option<&[Value]>, limit: usize) -> Result<Self, StoreFault> {
        let refers: Vec<String> = table.to_itself.iter().map(|place| format!("{} IS NOT NULL", table.column(*place))).collect();
        Self::read_where(session, table, after, limit, &format!("({})", refers.join(" OR ")))
    }

    fn read_where(session: &mut Session, table: &Table, after: Option<&[Value]>, limit: usize, which: &str) -> Result<Self, StoreFault> {
        let cast = |(place, kind): (usize, Kind)| match kind {
            Kind::Integer => format!("CAST({} AS BIGINT)", table.column(place)),
            _ => table.column(place),
        };
        let columns: Vec<String> = table.columns.iter().map(|column| column.kind).enumerate().map(cast).collect();
        let key = table.key_columns();
        let beyond = after.map(|after| format!("({key}) > ({})", placeholders(after.len())));
        let conditions: Vec<&str> = beyond.as_deref().into_iter().chain((!which.is_empty()).then_some(which)).collect();
        let condition = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        let mut statement =
            sql(format!("SELECT {} FROM {}{condition} ORDER BY {key} LIMIT {limit}", columns.join(", "), table.quoted_name()));
        for value in after.into_iter().flatten() {
            statement = statement.bind(value.parameter());
        }
        let mut page = Self { columns: table.columns.iter().map(|column| Values::none_of(column.kind)).collect(), rows: 0 };
        statement.rows(session, |row| {
            for column in &mut page.columns {
                match column {
                    Values::Integers(values) => values.push(row.optional_big()?),
                    Values::Texts(values) => values.push(row.optional_text()?),
                    Values::Blobs(values) => values.push(row.optional_bytes()?),
                }
            }
            Ok(())
        })?;
        page.rows = page.columns.first().map_or(0, Values::len);
        Ok(page)
    }

    /// The key of the last row.
    pub(super) fn last_key(&self, table: &Table) -> Option<Vec<Value>> {
        let row = self.rows.checked_sub(1)?;
        table.key.iter().map(|place| self.columns[*place].key_value(row)).collect()
    }

    /// The octets of all its values, about.
    pub(super) fn octets(&self) -> usize {
        self.columns.iter().map(Values::octets).sum()
    }

    /// Inserts the rows; references to the same table are left for [`Self::write_to_itself`], as what they refer to may come later.
    pub(super) fn insert(&self, session: &mut Session, table: &Table) -> Result<(), StoreFault> {
        if self.rows == 0 {
            return Ok(());
        }
        let empty: Vec<Values> = table.to_itself.iter().map(|place| self.columns[*place].emptied()).collect();
        let filled = |place: usize| table.to_itself.iter().position(|own| *own == place).map_or(&self.columns[place], |own| &empty[own]);
        let columns: Vec<&Values> = (0..table.columns.len()).map(filled).collect();
        let names: Vec<String> = (0..table.columns.len()).map(|place| table.column(place)).collect();
        let into = format!("INSERT INTO {} ({})", table.quoted_name(), names.join(", "));
        let set: Vec<String> = names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let instead = match table.has_rows {
            true => format!(" ON CONFLICT ({}) DO UPDATE SET {}", table.key_columns(), set.join(", ")),
            false => String::new(),
        };
        match session.connection {
            AnyConnection::Sqlite(_) => insert_values(session, &into, &columns, self.rows, &instead),
            #[cfg(feature = "postgres")]
            AnyConnection::Postgres(_) => insert_arrays(session, &into, &columns, self.rows, &instead),
        }
    }

    /// Sets the references to rows of the same table.
    pub(super) fn write_to_itself(&self, session: &mut Session, table: &Table) -> Result<(), StoreFault> {
        let set: Vec<String> = table.to_itself.iter().map(|place| format!("{} = ?", table.column(*place))).collect();
        let text = format!(
            "UPDATE {} SET {} WHERE ({}) = ({})",
            table.quoted_name(),
            set.join(", "),
            table.key_columns(),
            placeholders(table.key.len())
        );
        for row in 0..self.rows {
            let mut statement = sql(text.clone());
            for place in table.to_itself.iter().chain(&table.key) {
                statement = statement.bind(self.columns[*place].parameter(row));
            }
            if statement.execute(session)? != 1 {
                return Err(StoreFault::Corrupt("a row that was copied is not there"));
            }
        }
        Ok(())
    }

    /// Adds the rows to a sum.
    pub(super) fn add_to(&self, sum: &mut Sum) {
        let mut octets = Vec::new();
        for row in 0..self.rows {
            octets.clear();
            self.columns.iter().for_each(|column| column.encode(row, &mut octets));
            sum.add(&octets);
        }
    }
}

fn insert_values(session: &mut Session, into: &str, columns: &[&Values], rows: usize, instead: &str) -> Result<(), StoreFault> {
    let rows: Vec<usize> = (0..rows).collect();
    for some in few_sizes(&rows) {
        let mut statement = sql(format!("{into} VALUES {}{instead}", value_rows(some.len(), columns.len())));
        for row in some {
            for column in columns {
                statement = statement.bind(column.parameter(*row));
            }
        }
        statement.execute(session)?;
    }
    Ok(())
}

/// One parameter for each column: many times faster than one for each value.
#[cfg(feature = "postgres")]
fn insert_arrays(session: &mut Session, into: &str, columns: &[&Values], rows: usize, instead: &str) -> Result<(), StoreFault> {
    use diesel::RunQueryDsl as _;
    use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text};
    let array = |(place, column): (usize, &&Values)| match column {
        Values::Integers(_) => format!("CAST(${} AS BIGINT[])", place + 1),
        Values::Texts(_) => format!("CAST(${} AS TEXT[])", place + 1),
        Values::Blobs(_) => format!("CAST(${} AS BYTEA[])", place + 1),
    };
    let arrays: Vec<String> = columns.iter().enumerate().map(array).collect();
    session.checked(|connection| {
        let AnyConnection::Postgres(connection) = connection else { return Err(StoreFault::Misuse("arrays are PostgreSQL's")) };
        let mut query = diesel::sql_query(format!("{into} SELECT * FROM unnest({}){instead}", arrays.join(", "))).into_boxed();
        for column in columns {
            query = match column {
                Values::Integers(values) => query.bind::<Array<Nullable<BigInt>>, _>(values.as_slice()),
                Values::Texts(values) => query.bind::<Array<Nullable<Text>>, _>(values.as_slice()),
                Values::Blobs(values) => query.bind::<Array<Nullable<Binary>>, _>(values.as_slice()),
            };
        }
        if query.execute(connection)? == rows { Ok(()) } else { Err(StoreFault::Corrupt("an insert of other rows")) }
    })
}

impl Values {
    fn none_of(kind: Kind) -> Self {
        match kind {
            Kind::Integer => Self::Integers(Vec::new()),
            Kind::Text => Self::Texts(Vec::new()),
            Kind::Blob => Self::Blobs(Vec::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Integers(values) => values.len(),
            Self::Texts(values) => values.len(),
            Self::Blobs(values) => values.len(),
        }
    }

    fn octets(&self) -> usize {
        match self {
            Self::Integers(values) => values.len() * 8,
            Self::Texts(values) => values.iter().map(|text| text.as_ref().map_or(1, String::len)).sum(),
            Self::Blobs(values) => values.iter().map(|octets| octets.as_ref().map_or(1, Vec::len)).sum(),
        }
    }

    fn key_value(&self, row: usize) -> Option<Value> {
        match self {
            Self::Integers(values) => values[row].map(Value::Integer),
            Self::Texts(values) => values[row].clone().map(Value::Text),
            Self::Blobs(values) => values[row].clone().map(Value::Blob),
        }
    }

    fn parameter(&self, row: usize) -> Parameter<'_> {
        match self {
            Self::Integers(values) => Parameter::OptionalBig(values[row]),
            Self::Texts(values) => Parameter::OptionalText(values[row].as_deref()),
            Self::Blobs(values) => Parameter::OptionalBytes(values[row].as_deref()),
        }
    }

    /// As many times nothing.
    fn emptied(&self) -> Self {
        match self {
            Self::Integers(values) => Self::Integers(vec![None; values.len()]),
            Self::Texts(values) => Self::Texts(vec![None; values.len()]),
            Self::Blobs(values) => Self::Blobs(vec![None; values.len()]),
        }
    }

    /// Tag, and for what is there its length and octets: no two rows have one encoding.
    fn encode(&self, row: usize, octets: &mut Vec<u8>) {
        let (tag, value): (u8, Option<Cow<'_, [u8]>>) = match self {
            Self::Integers(values) => (1, values[row].map(|value| Cow::Owned(value.to_be_bytes().to_vec()))),
            Self::Texts(values) => (2, values[row].as_ref().map(|text| Cow::Borrowed(text.as_bytes()))),
            Self::Blobs(values) => (3, values[row].as_ref().map(|blob| Cow::Borrowed(blob.as_slice()))),
        };
        match value {
            None => octets.push(0),
            Some(value) => {
                octets.push(tag);
                octets.extend_from_slice(&(value.len() as u64).to_be_bytes());
                octets.extend_from_slice(&value);
            }
        }
    }
}

impl Value {
    fn parameter(&self) -> Parameter<'_> {
        match self {
            Self::Integer(value) => Parameter::Big(*value),
            Self::Text(value) => Parameter::Text(value),
            Self::Blob(value) => Parameter::Bytes(value),
        }
    }

    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::Integer(value) => json!(value),
            Self::Text(value) => json!(value),
            Self::Blob(value) => json!({"hex": hex::encode(value)}),
        }
    }

    pub(super) fn from_json(json: &Json) -> Option<Self> {
        match json {
            Json::Number(number) => number.as_i64().map(Self::Integer),
            Json::String(text) => Some(Self::Text(text.clone())),
            other => hex::decode(other.get("hex")?.as_str()?).ok().map(Self::Blob),
        }
    }
}

impl Table {
    pub(super) fn quoted_name(&self) -> String {
        format!("\"{}\"", self.name)
    }

    fn column(&self, place: usize) -> String {
        format!("\"{}\"", self.columns[place].name)
    }

    fn key_columns(&self) -> String {
        let columns: Vec<String> = self.key.iter().map(|place| self.column(*place)).collect();
        columns.join(", ")
    }
}

/// A number that any set of rows has, in whatever order they come: the sum of their SHA-256 digests, in four parts of 64 bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) rows: u64,
    parts: [u64; 4],
}

impl Sum {
    fn add(&mut self, row: &[u8]) {
        let digest = Sha256Digest::of(row);
        for (part, octets) in self.parts.iter_mut().zip(digest.as_bytes().chunks_exact(8)) {
            *part = octets.iter().fold(0, |value, octet| value << 8 | u64::from(*octet)).wrapping_add(*part);
        }
        self.rows += 1;
    }

    pub(super) fn to_json(self) -> Json {
        json!({"rows": self.rows, "parts": self.parts})
    }

    pub(super) fn from_json(json: &Json) -> Option<Self> {
        let parts: Vec<u64> = json.get("parts")?.as_array()?.iter().map(Json::as_u64).collect::<Option<_>>()?;
        Some(Self { rows: json.get("rows")?.as_u64()?, parts: parts.try_into().ok()? })
    }
}
