//! The clock of the database's machine.

use chrono::{DateTime, Utc};

use crate::connection::AnyConnection;
use crate::fault::StoreFault;
use crate::reader::Reader;
#[cfg(feature = "postgres")]
use crate::sql::sql;

impl Reader {
    /// What the database's clock says; `None` where the database has no other clock than this process.
    pub fn database_clock(&self) -> Result<Option<DateTime<Utc>>, StoreFault> {
        self.read(|session| match session.connection {
            AnyConnection::Sqlite(_) => Ok(None),
            #[cfg(feature = "postgres")]
            AnyConnection::Postgres(_) => {
                sql("SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)").optional(session, |row| row.time())
            }
        })
    }
}
