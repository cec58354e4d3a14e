//! What can go wrong with the store itself.

use ca_core::refusal::Refusal;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// The store failed, or holds what it should not: our fault, never the caller's.
///
/// Cloneable, because one failed commit is the fault of every write in it. The messages carry no stored values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// The URL is neither `sqlite://…` nor `postgres://…`, or the program was built without what it names.
    #[error("{0}")]
    Location(&'static str),
    /// No connection.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// The database has no tables of ours.
    #[error("the database is not initialised")]
    NotInitialised,
    /// It was to be created, and is there already.
    #[error("the database exists already")]
    Exists,
    /// It is a copy that was not finished.
    #[error("the database is a copy that is not finished: run \"tsunagi store copy\" again")]
    Unfinished,
    /// Another process serves the file.
    #[error("another process serves this database: a SQLite file is served by one process at a time")]
    Served,
    /// A newer program made or migrated the database.
    #[error("the database is newer than this program: it has migration {found}, which is unknown here")]
    Newer {
        /// The unknown migration's version.
        found: String,
    },
    /// Migrations are missing.
    #[error("the database is older than this program: migration {missing} has not been run; \"tsunagi store upgrade\" runs it")]
    Older {
        /// The first missing migration's version.
        missing: String,
    },
    /// The server would lose acknowledged writes.
    #[error("the database server is unsafe: {0}")]
    UnsafeServer(&'static str),
    /// A statement failed.
    #[error("the database refused a statement ({class:?}): {message}")]
    Database {
        /// Which sort of failure.
        class: FaultClass,
        /// What the database says.
        message: String,
    },
    /// A stored row does not decode.
    #[error("a stored row is corrupt: {0}")]
    Corrupt(&'static str),
    /// The connection was lost while committing: whether the write is stored is unknown.
    #[error("the connection was lost while committing; whether the write is stored is unknown")]
    OutcomeUnknown,
    /// The database was restored, and it is not yet known what it has forgotten: nothing is issued and no hold is lifted.
    #[error("store_reconciling: the database was restored and is not reconciled yet; \"tsunagi restore reconcile\" does it")]
    Reconciling,
    /// The database has forgotten what this process has seen committed: nothing is written on top of that before a new epoch begins.
    #[error("the database went back: it has forgotten events that this process has seen")]
    WentBack,
    /// More statuses changed than are counted at once: the same question with a later position can be answered.
    #[error("too many statuses changed meanwhile")]
    TooManyChanges,
    /// Another owner holds the lease now.
    #[error("the lease {0:?} has passed to another owner")]
    Fenced(String),
    /// Too many writes are waiting.
    #[error("the writer is overloaded")]
    Overloaded,
    /// The writer has ended.
    #[error("the writer has stopped")]
    Stopped,
    /// A write panicked; it was rolled back.
    #[error("a write panicked")]
    Panicked,
    /// The caller broke the store's terms.
    #[error("{0}")]
    Misuse(&'static str),
}

/// Sorts of failed statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultClass {
    /// A unique constraint.
    Unique,
    /// A foreign key.
    ForeignKey,
    /// A CHECK or NOT NULL constraint.
    Check,
    /// A write on a read-only connection.
    ReadOnly,
    /// A serialization failure: to be tried again.
    Serialization,
    /// The connection is gone.
    Closed,
    /// Anything else.
    Other,
}

impl StoreFault {
    /// Whether the connection is gone, so that another should be tried.
    pub(crate) fn is_closed(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Database { class: FaultClass::Closed, .. })
    }

    /// The class, if a statement failed.
    pub fn class(&self) -> Option<FaultClass> {
        match self {
            Self::Database { class, .. } => Some(*class),
            _ => None,
        }
    }
}

impl From<DieselError> for StoreFault {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(kind, information) => {
                let class = match kind {
                    DatabaseErrorKind::UniqueViolation => FaultClass::Unique,
                    DatabaseErrorKind::ForeignKeyViolation => FaultClass::ForeignKey,
                    DatabaseErrorKind::CheckViolation | DatabaseErrorKind::NotNullViolation => FaultClass::Check,
                    DatabaseErrorKind::ReadOnlyTransaction => FaultClass::ReadOnly,
                    DatabaseErrorKind::SerializationFailure => FaultClass::Serialization,
                    DatabaseErrorKind::ClosedConnection => FaultClass::Closed,
                    // SQLite has no kind of its own for this.
                    _ if information.message().contains("attempt to write a readonly database") => FaultClass::ReadOnly,
                    _ => FaultClass::Other,
                };
                Self::Database { class, message: information.message().to_owned() }
            }
            // Could quote the value that did not decode.
            DieselError::DeserializationError(_) => Self::Corrupt("a column's type"),
            other => Self::Database { class: FaultClass::Other, message: other.to_string() },
        }
    }
}

/// Why a write that can be refused did not happen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError<R> {
    /// The caller's fault; nothing was written.
    #[error(transparent)]
    Refused(R),
    /// Ours; nothing was written (see [`StoreFault::OutcomeUnknown`] for the one exception).
    #[error(transparent)]
    Fault(StoreFault),
}

impl<R> From<StoreFault> for WriteError<R> {
    fn from(fault: StoreFault) -> Self {
        Self::Fault(fault)
    }
}

impl<R: Refusal> WriteError<R> {
    /// Wraps a refusal; for `map_err`.
    pub fn refused(refusal: R) -> Self {
        Self::Refused(refusal)
    }
}
