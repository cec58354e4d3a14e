//! The tables' versions: embedded migrations for both databases, and the refusal of any other version.

use diesel::migration::{Migration, MigrationSource};
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
    let run = match &mut session.connection {
        AnyConnection::Sqlite(connection) => connection.run_pending_migrations(SQLITE).map(|_| ()),
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(connection) => connection.run_pending_migrations(POSTGRES).map(|_| ()),
    };
    run.map_err(|error| StoreFault::Database { class: FaultClass::Other, message: error.to_string() })
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
