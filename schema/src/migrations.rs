//! The tables' versions: embedded migrations for both databases, and the refusal of any other version.

use ca_core::digest::Sha256Digest;
use diesel::migration::{Migration, MigrationSource};
use diesel::sql_types::{Binary, Nullable};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::connection::{AnyConnection, Session};
use crate::fault::{FaultClass, StoreFault};
use crate::sql::sql;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
#[cfg(feature = "postgres")]
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// Runs all migrations on an empty database.
pub(crate) fn create(session: &mut Session) -> Result<(), StoreFault> {
    if tables_exist(session)? {
        return Err(StoreFault::Exists);
    }
    run(session).map(|_| ())
}

/// Runs the migrations that an empty database lacks, also where somebody broke off before the last.
pub(crate) fn finish(session: &mut Session) -> Result<(), StoreFault> {
    run(session).map(|_| ())
}

/// Runs the migrations that have not been run, each in a transaction of its own; their versions. A database that a newer program
/// made is refused.
pub(crate) fn upgrade(session: &mut Session) -> Result<Vec<String>, StoreFault> {
    match check(session) {
        Ok(()) => Ok(Vec::new()),
        Err(StoreFault::Older { .. }) => run(session),
        Err(fault) => Err(fault),
    }
}

fn run(session: &mut Session) -> Result<Vec<String>, StoreFault> {
    let run = match &mut session.connection {
        AnyConnection::Sqlite(connection) => {
            sha256_utils::register_impl(connection, sha256_of)?;
            connection.run_pending_migrations(SQLITE).map(|versions| versions.iter().map(ToString::to_string).collect())
        }
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(connection) => {
            connection.run_pending_migrations(POSTGRES).map(|versions| versions.iter().map(ToString::to_string).collect())
        }
    };
    run.map_err(|error| StoreFault::Database { class: FaultClass::Other, message: error.to_string() })
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// PostgreSQL has it: for migrations that need it on SQLite.
    fn sha256(octets: Nullable<Binary>) -> Nullable<Binary>;
}

fn sha256_of(octets: Option<Vec<u8>>) -> Option<Vec<u8>> {
    octets.map(|octets| Sha256Digest::of(&octets).0.to_vec())
}

/// Refuses a database whose migrations are not exactly this program's.
pub(crate) fn check(session: &mut Session) -> Result<(), StoreFault> {
    if !tables_exist(session)? {
        return Err(StoreFault::NotInitialised);
    }
    let found = sql("SELECT version FROM __diesel_schema_migrations ORDER BY version").rows(session, |row| row.text())?;
    let known = known_versions(session)?;
    if let Some(version) = found.iter().find(|version| !known.contains(version)) {
        return Err(StoreFault::Newer { found: version.clone() });
    }
    match known.into_iter().find(|version| !found.contains(version)) {
        Some(missing) => Err(StoreFault::Older { missing }),
        None => Ok(()),
    }
}

fn known_versions(session: &Session) -> Result<Vec<String>, StoreFault> {
    fn versions<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Result<Vec<String>, StoreFault> {
        let migrations: Vec<Box<dyn Migration<DB>>> =
            source.migrations().map_err(|_| StoreFault::Misuse("the embedded migrations cannot be read"))?;
        Ok(migrations.iter().map(|migration| migration.name().version().to_string()).collect())
    }
    match session.connection {
        AnyConnection::Sqlite(_) => versions::<diesel::sqlite::Sqlite>(&SQLITE),
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => versions::<diesel::pg::Pg>(&POSTGRES),
    }
}

fn tables_exist(session: &mut Session) -> Result<bool, StoreFault> {
    let question = match session.connection {
        AnyConnection::Sqlite(_) => {
            "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name IN ('__diesel_schema_migrations', 'store_meta')"
        }
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => {
            "SELECT COUNT(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema() \
             AND tablename IN ('__diesel_schema_migrations', 'store_meta')"
        }
    };
    Ok(sql(question).optional(session, |row| row.big())?.unwrap_or(0) > 0)
}
