//! Where the database is: a URL.

use std::path::PathBuf;

use crate::fault::StoreFault;

/// A database's URL, read. Not shown in messages: it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// `sqlite:///absolute/path` or `sqlite://relative/path`.
    Sqlite(PathBuf),
    /// `postgres://…` or `postgresql://…`, as libpq reads it.
    #[cfg(feature = "postgres")]
    Postgres(String),
}

impl Location {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> Result<Self, StoreFault> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            // An empty name and names with a colon mean other things to SQLite than files.
            if path.is_empty() || path.contains('\0') || path.starts_with(':') || path.starts_with("file:") {
                return Err(StoreFault::Location("a sqlite:// URL names a file"));
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            #[cfg(feature = "postgres")]
            return Ok(Self::Postgres(url.to_owned()));
            #[cfg(not(feature = "postgres"))]
            return Err(StoreFault::Location("this program was built without PostgreSQL (feature \"postgres\")"));
        }
        Err(StoreFault::Location("a database URL begins with sqlite:// or postgres://"))
    }

    /// How many connections of a process write. SQLite has one writer. On PostgreSQL two keep the server busy while one waits for
    /// its commit; more would only wait for each other, as each commit updates the event counter last.
    pub(crate) fn writing_connections(&self) -> u32 {
        match self {
            Self::Sqlite(_) => 1,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_urls_name_absolute_and_relative_files() {
        assert!(
            matches!(Location::parse("sqlite:///var/lib/t.db"), Ok(Location::Sqlite(path)) if path.as_path() == std::path::Path::new("/var/lib/t.db"))
        );
        assert!(matches!(Location::parse("sqlite://t.db"), Ok(Location::Sqlite(path)) if path.as_path() == std::path::Path::new("t.db")));
    }

    #[test]
    fn what_is_no_database_url_is_a_fault() {
        for url in ["", "sqlite://", "sqlite://:memory:", "sqlite://file:x", "mysql://x", "/var/lib/t.db"] {
            assert!(Location::parse(url).is_err(), "{url}");
        }
    }
}
