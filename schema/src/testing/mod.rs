//! Throwaway databases and sample rows for tests, of this package and others (feature `testing`).
//!
//! PostgreSQL is the server whose superuser's URL is in `TSUNAGI_TEST_POSTGRES`; `scripts/with-postgres` makes one.
#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

mod log_population;
mod one_card_event;
mod population;
mod replay;
mod samples;
mod statuses;

use std::sync::atomic::{AtomicU32, Ordering};

use ca_core::issuer::CaKeyId;
use tempfile::TempDir;

use crate::connection::{AnyConnection, Purpose, Session};
use crate::database::{Database, OpenOptions};
use crate::fault::StoreFault;
use crate::location::Location;
use crate::reader::Reader;
use crate::sql::{placeholders, sql};
use crate::writer::Writer;

pub use log_population::{populate_events, populate_leaves};
pub use population::{Populated, Population, populate, population_is_revoked, population_serial};
pub use replay::{replayed, stored};
pub use samples::{Sample, add_ca_keys, jpki, moment, new_ca_key};

/// A fresh database that is gone when this is dropped.
pub struct TestDatabase {
    url: String,
    database: Option<Database>,
    place: Place,
}

enum Place {
    Directory(#[expect(dead_code, reason = "kept so that it is removed at the end")] TempDir),
    #[cfg(feature = "postgres")]
    Server {
        url: String,
        name: String,
    },
}

impl TestDatabase {
    /// On SQLite, in a directory of its own.
    pub fn sqlite() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite://{}/store.db", directory.path().display());
        let database = Database::create(&url).expect("a new SQLite database");
        Self { url, database: Some(database), place: Place::Directory(directory) }
    }

    /// On the server of `TSUNAGI_TEST_POSTGRES`. Panics if that is not set: a test on PostgreSQL is never skipped.
    #[cfg(feature = "postgres")]
    pub fn postgres() -> Self {
        let server = std::env::var("TSUNAGI_TEST_POSTGRES")
            .expect("TSUNAGI_TEST_POSTGRES must hold the URL of a PostgreSQL superuser: run the tests under scripts/with-postgres");
        let name = unique("tsunagi_test");
        run(&server, &format!("CREATE DATABASE {name}")).expect("a new PostgreSQL database");
        let url = url_of(&server, &name);
        let database = Database::create(&url).expect("tables in a new PostgreSQL database");
        Self { url, database: Some(database), place: Place::Server { url: server, name } }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is on PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        !matches!(self.place, Place::Directory(_))
    }

    /// The database as opened by this process.
    pub fn database(&self) -> &Database {
        self.database.as_ref().expect("open until dropped")
    }

    /// For reading.
    pub fn reader(&self) -> Reader {
        self.database().reader()
    }

    /// For writing.
    pub fn writer(&self) -> Writer {
        self.database().writer()
    }

    /// Opens it once more, with a writing thread and readers of their own, as another process would.
    pub fn open_again(&self) -> Database {
        Database::open(&self.url, &OpenOptions::default()).expect("the database opens again")
    }

    /// Runs statements behind the store's back, as the owner.
    pub fn execute(&self, statements: &str) -> Result<(), StoreFault> {
        run(&self.url, statements)
    }

    /// The same, once what keeps events and the log from being changed has been taken away for good.
    pub fn tamper(&self, statements: &str) -> Result<(), StoreFault> {
        tamper_with(&self.url, statements)
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.database = None;
        #[cfg(feature = "postgres")]
        if let Place::Server { url, name } = &self.place {
            // A database left behind goes with the throwaway server.
            let _ = run(url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        }
    }
}

impl Reader {
    /// Runs statements on a reader's connection, to see them refused.
    pub fn execute_for_test(&self, statements: &str) -> Result<(), StoreFault> {
        self.read(|session| session.batch(statements))
    }

    /// The one number that a query gives: for what the product has no need to count.
    pub fn count_for_test(&self, query: &str) -> Result<i64, StoreFault> {
        let query = format!("SELECT CAST(({query}) AS BIGINT)");
        let found = self.read(|session| crate::sql::sql(query.clone()).optional(session, |row| row.big()))?;
        Ok(found.expect("a query that counts gives a row"))
    }

    /// The first column, octets, of whatever a query gives: for what the product has no need to ask.
    pub fn octets_for_test(&self, query: &'static str) -> Result<Vec<Vec<u8>>, StoreFault> {
        self.read(|session| crate::sql::sql(query).rows(session, |row| row.bytes()))
    }
}

/// The octets of the CRL that was published last in a scope.
pub fn latest_crl_der(reader: &Reader, ca_key: CaKeyId, shard: u16) -> Option<Vec<u8>> {
    let list = reader.latest_crl_in(ca_key, shard).expect("what is known of a CRL")?;
    let mut der = Vec::new();
    let read = reader.crl_chunks(ca_key, list.number, |chunk| -> Result<(), StoreFault> {
        der.extend_from_slice(chunk);
        Ok(())
    });
    assert_eq!(read.expect("a CRL's chunks"), list.octets);
    Some(der)
}

/// A name that no other test uses: `prefix`, process and number.
pub fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs statements on a database of ours, once what keeps events and the log from being changed has been taken away for good.
pub fn tamper_with(url: &str, statements: &str) -> Result<(), StoreFault> {
    let tables = ["event", "log_leaf", "log_tile", "log_head"];
    let mut session = Session::connect(&Location::parse(url)?, Purpose::Write)?;
    match session.connection {
        AnyConnection::Sqlite(_) => {
            let of_table =
                format!("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ({})", placeholders(tables.len()));
            let select = tables.iter().fold(sql(of_table), |select, table| select.bind(*table));
            for name in select.rows(&mut session, |row| row.text())? {
                session.batch(&format!("DROP TRIGGER {name}"))?;
            }
        }
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => {
            tables.iter().try_for_each(|table| session.batch(&format!("ALTER TABLE {table} DISABLE TRIGGER USER")))?;
        }
    }
    session.batch(statements)
}

/// Runs statements on whatever database, which need not be one of ours.
pub fn execute_on(url: &str, statements: &str) -> Result<(), StoreFault> {
    run(url, statements)
}

fn run(url: &str, statements: &str) -> Result<(), StoreFault> {
    Session::connect(&Location::parse(url)?, Purpose::Write)?.batch(statements)
}

/// The URL with another database's name.
#[cfg(feature = "postgres")]
fn url_of(server: &str, name: &str) -> String {
    let (address, options) = server.split_once('?').map_or((server, None), |(address, options)| (address, Some(options)));
    let (scheme, rest) = address.split_once("://").expect("a URL");
    let host = rest.split('/').next().unwrap_or(rest);
    let options = options.map(|options| format!("?{options}")).unwrap_or_default();
    format!("{scheme}://{host}/{name}{options}")
}

/// Writes each test once and runs it on each database: `fn what_is_true(store) { … }`, where `store` is a `&TestDatabase`.
///
/// The tests on PostgreSQL are there if the *calling* package has a feature `postgres` and it is on.
#[macro_export]
macro_rules! on_each_database {
    ($(fn $name:ident($store:ident) $body:block)*) => {
        $(
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                fn check($store: &$crate::testing::TestDatabase) $body

                #[test]
                fn on_sqlite() {
                    check(&$crate::testing::TestDatabase::sqlite());
                }

                #[cfg(feature = "postgres")]
                #[test]
                fn on_postgres() {
                    check(&$crate::testing::TestDatabase::postgres());
                }
            }
        )*
    };
}
