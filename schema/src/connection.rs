//! One connection to either database, and what every connection is told before use.

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::{Connection, MultiConnection};

use crate::fault::{FaultClass, StoreFault};
use crate::location::Location;

/// A connection to either database.
#[derive(MultiConnection)]
pub(crate) enum AnyConnection {
    /// SQLite, bundled.
    Sqlite(diesel::SqliteConnection),
    /// PostgreSQL through libpq.
    #[cfg(feature = "postgres")]
    Postgres(diesel::PgConnection),
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reading only: the database itself refuses writes on it.
    Read,
    /// Writing, durably.
    Write,
}

/// A connection with the memory of its last failure.
///
/// After a failure no further statement is run until [`Session::settle`]: PostgreSQL would refuse it, and SQLite may have
/// rolled the whole transaction back by itself, so that it would take effect outside of any.
pub(crate) struct Session {
    pub(crate) connection: AnyConnection,
    trouble: Option<StoreFault>,
}

impl Session {
    /// Connects; a SQLite file must exist.
    pub(crate) fn connect(location: &Location, purpose: Purpose) -> Result<Self, StoreFault> {
        let connection = match location {
            Location::Sqlite(path) => AnyConnection::Sqlite(connect_sqlite(path, purpose)?),
            #[cfg(feature = "postgres")]
            Location::Postgres(url) => AnyConnection::Postgres(connect_postgres(url, purpose)?),
        };
        Ok(Self { connection, trouble: None })
    }

    /// Runs statements that have no parameters and give no rows.
    pub(crate) fn batch(&mut self, statements: &str) -> Result<(), StoreFault> {
        self.checked(|connection| Ok(connection.batch_execute(statements)?))
    }

    /// Several looks at one and the same moment; for short ones only, for nothing is cleaned up behind it meanwhile.
    pub(crate) fn snapshot<T>(&mut self, look: impl FnOnce(&mut Self) -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        self.batch(match self.connection {
            AnyConnection::Sqlite(_) => "BEGIN DEFERRED",
            #[cfg(feature = "postgres")]
            AnyConnection::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })?;
        let seen = look(self);
        if seen.is_ok() {
            self.batch("COMMIT")?;
        } else {
            let trouble = self.settle();
            // Fails where the database has rolled back by itself.
            let _ = self.batch("ROLLBACK");
            self.trouble = trouble;
        }
        seen
    }

    /// Runs something on the connection, unless something failed before; remembers its failure.
    pub(crate) fn checked<T>(&mut self, run: impl FnOnce(&mut AnyConnection) -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        if let Some(trouble) = &self.trouble {
            return Err(trouble.clone());
        }
        let result = run(&mut self.connection);
        if let Err(fault) = &result {
            self.trouble = Some(fault.clone());
        }
        result
    }

    /// Forgets and returns the last failure.
    pub(crate) fn settle(&mut self) -> Option<StoreFault> {
        self.trouble.take()
    }

    /// The last failure, if not yet forgotten.
    pub(crate) fn trouble(&self) -> Option<&StoreFault> {
        self.trouble.as_ref()
    }

    /// Whether a failure may pass when everything is tried again from the start of the transaction.
    ///
    /// diesel does not tell PostgreSQL's deadlocks (40P01) from other failures, hence `Other`.
    pub(crate) fn may_pass(&self, fault: &StoreFault) -> bool {
        let passing = matches!(fault.class(), Some(FaultClass::Serialization | FaultClass::Other));
        passing && !matches!(self.connection, AnyConnection::Sqlite(_))
    }

    /// What opens a transaction that will write.
    pub(crate) fn begin_statement(&self) -> &'static str {
        match self.connection {
            AnyConnection::Sqlite(_) => "BEGIN IMMEDIATE",
            // Rows that decisions rest on are locked one by one (see `issuance`), so nothing stricter is needed.
            #[cfg(feature = "postgres")]
            AnyConnection::Postgres(_) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        }
    }

    /// What makes a SELECT keep its rows from changing until the end of the transaction; SQLite has only one writer anyway.
    pub(crate) fn share_lock(&self) -> &'static str {
        match self.connection {
            AnyConnection::Sqlite(_) => "",
            #[cfg(feature = "postgres")]
            AnyConnection::Postgres(_) => " FOR SHARE",
        }
    }

    /// The same for the rows of one table of a join, by the name that it has there.
    pub(crate) fn share_lock_of(&self, table: &str) -> String {
        match self.share_lock() {
            "" => String::new(),
            lock => format!("{lock} OF {table}"),
        }
    }

    /// Whether the database lets some users read what others may not.
    pub(crate) fn has_users(&self) -> bool {
        match self.connection {
            AnyConnection::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            AnyConnection::Postgres(_) => true,
        }
    }

    /// What makes a SELECT wait for whoever is changing its rows, see them as they then are, and keep them so.
    pub(crate) fn update_lock(&self) -> &'static str {
        match self.connection {
            AnyConnection::Sqlite(_) => "",
            #[cfg(feature = "postgres")]
            AnyConnection::Postgres(_) => " FOR UPDATE",
        }
    }

    /// The same for the rows of one table of a join, by the name that it has there.
    pub(crate) fn update_lock_of(&self, table: &str) -> String {
        match self.update_lock() {
            "" => String::new(),
            lock => format!("{lock} OF {table}"),
        }
    }
}

fn connect_sqlite(path: &Path, purpose: Purpose) -> Result<diesel::SqliteConnection, StoreFault> {
    // SQLite would make an empty database of a missing file.
    if !path.is_file() {
        return Err(StoreFault::NotInitialised);
    }
    let name = path.to_str().ok_or(StoreFault::Location("a database's path is UTF-8"))?;
    // A path that begins like a URI would be read as one.
    let name = if path.is_absolute() { name.to_owned() } else { format!("./{name}") };
    let mut connection = diesel::SqliteConnection::establish(&name).map_err(|error| StoreFault::Unreachable(error.to_string()))?;
    // Checkpoints are made rarer than by default: each writes every changed page into the database and syncs both files.
    let pragmas = match purpose {
        Purpose::Write => {
            "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
             PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -16384; \
             PRAGMA temp_store = MEMORY;"
        }
        Purpose::Read => {
            "PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; \
             PRAGMA query_only = ON;"
        }
    };
    connection.batch_execute(pragmas)?;
    Ok(connection)
}

#[cfg(feature = "postgres")]
fn connect_postgres(url: &str, purpose: Purpose) -> Result<diesel::PgConnection, StoreFault> {
    let mut connection = diesel::PgConnection::establish(&with_time_limits(url)).map_err(|_| {
        // libpq's message can quote the URL.
        StoreFault::Unreachable("PostgreSQL does not answer or refuses the user".to_owned())
    })?;
    connection.batch_execute("SET client_min_messages = warning; SET application_name = 'tsunagi';")?;
    refuse_unsafe(&mut connection)?;
    // Statements are planned once and kept. Planned while the tables are small, a sequential scan looks cheap, and stays in the
    // plan when they are large: every statement of ours has an index to go by, but for tables of one row. Compiling plans never
    // pays for statements this short.
    connection.batch_execute("SET enable_seqscan = off; SET jit = off;")?;
    if purpose == Purpose::Read {
        connection.batch_execute("SET default_transaction_read_only = on; SET statement_timeout = '60s';")?;
    }
    Ok(connection)
}

/// A connection that died silently is found dead within seconds, and not when TCP gives up after a quarter of an hour.
#[cfg(feature = "postgres")]
const TIME_LIMITS: [(&str, &str); 5] = [
    ("connect_timeout", "3"),
    ("keepalives_idle", "5"),
    ("keepalives_interval", "2"),
    ("keepalives_count", "3"),
    ("tcp_user_timeout", "5000"),
];

/// The URL with [`TIME_LIMITS`], those excepted that it sets itself.
#[cfg(feature = "postgres")]
fn with_time_limits(url: &str) -> String {
    // A password may have a question mark in it (libpq reads the user's part up to the first `@` before a slash).
    let start = url.find("://").map_or(0, |place| place + 3);
    let host = url[start..].split('/').next().and_then(|part| part.find('@')).map_or(start, |place| start + place + 1);
    let query = url[host..].find('?').map(|place| host + place + 1);
    let parameters = query.map_or("", |place| &url[place..]);
    let is_set = |name: &str| parameters.split('&').any(|parameter| parameter.split('=').next() == Some(name));
    let mut limited = url.to_owned();
    let mut separator = match query {
        None => "?",
        Some(_) if parameters.is_empty() || parameters.ends_with('&') => "",
        Some(_) => "&",
    };
    for (name, value) in TIME_LIMITS.into_iter().filter(|(name, _)| !is_set(name)) {
        limited += &format!("{separator}{name}={value}");
        separator = "&";
    }
    limited
}

/// Refuses a server that would forget what it acknowledged, or that tells what another one said a while ago.
#[cfg(feature = "postgres")]
fn refuse_unsafe(connection: &mut diesel::PgConnection) -> Result<(), StoreFault> {
    use diesel::prelude::*;
    let (in_recovery, fsync, full_page_writes) = diesel::select((
        diesel::dsl::sql::<diesel::sql_types::Bool>("pg_is_in_recovery()"),
        diesel::dsl::sql::<diesel::sql_types::Text>("current_setting('fsync')"),
        diesel::dsl::sql::<diesel::sql_types::Text>("current_setting('full_page_writes')"),
    ))
    .get_result::<(bool, String, String)>(connection)?;
    if in_recovery {
        return Err(StoreFault::UnsafeServer("it is a standby (in recovery), which lags behind its primary; store.url names the primary"));
    }
    if fsync != "on" {
        return Err(StoreFault::UnsafeServer("fsync is off"));
    }
    if full_page_writes != "on" {
        return Err(StoreFault::UnsafeServer("full_page_writes is off"));
    }
    // Every other setting than `off` waits at least for the local disk.
    connection
        .batch_execute("SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';")?;
    Ok(())
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::with_time_limits;

    const ALL: &str = "connect_timeout=3&keepalives_idle=5&keepalives_interval=2&keepalives_count=3&tcp_user_timeout=5000";

    #[test]
    fn a_url_gets_the_time_limits_that_it_does_not_set() {
        for (url, separator) in [
            ("postgres://ca@db/tsunagi", "?"),
            ("postgresql://ca:a?b@db:5433/tsunagi", "?"),
            ("postgres:///tsunagi?host=/run/postgresql", "&"),
            ("postgres://db?", ""),
        ] {
            assert_eq!(with_time_limits(url), format!("{url}{separator}{ALL}"));
        }
        let own = with_time_limits("postgres://db/t?connect_timeout=30&tcp_user_timeout=0");
        assert_eq!(own, "postgres://db/t?connect_timeout=30&tcp_user_timeout=0&keepalives_idle=5&keepalives_interval=2&keepalives_count=3");
    }
}
