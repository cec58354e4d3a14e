//! Reading: a pool of connections on which the database refuses writes.

use diesel::r2d2::{ManageConnection, Pool};

use crate::connection::{Purpose, Session};
use crate::fault::StoreFault;
use crate::location::Location;

/// Reads. It has no method that writes, and its connections could not. Cheap to clone; blocks while it reads.
///
/// Each method is one look, or a few, at what is committed; no snapshot is held between calls.
#[derive(Clone)]
pub struct Reader {
    pool: Pool<Connections>,
}

impl Reader {
    pub(crate) fn new(location: Location, connections: u32) -> Self {
        let pool = Pool::builder()
            .max_size(connections.max(1))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(std::time::Duration::from_secs(10))
            .error_handler(Box::new(diesel::r2d2::NopErrorHandler))
            .build_unchecked(Connections { location });
        Self { pool }
    }

    /// Runs statements on one connection; once more on a new one if the connection turns out to be gone.
    pub(crate) fn read<T>(&self, look: impl Fn(&mut Session) -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        let first = self.read_once(&look);
        match first {
            Err(fault) if fault.is_closed() => self.read_once(&look),
            result => result,
        }
    }

    fn read_once<T>(&self, look: impl Fn(&mut Session) -> Result<T, StoreFault>) -> Result<T, StoreFault> {
        let mut session = self.pool.get().map_err(|error| StoreFault::Unreachable(error.to_string()))?;
        session.settle();
        look(&mut session)
    }
}

/// Makes the pool's connections.
struct Connections {
    location: Location,
}

impl ManageConnection for Connections {
    type Connection = Session;
    type Error = StoreFault;

    fn connect(&self) -> Result<Session, StoreFault> {
        Session::connect(&self.location, Purpose::Read)
    }

    fn is_valid(&self, session: &mut Session) -> Result<(), StoreFault> {
        session.settle();
        session.batch("SELECT 1")
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.trouble().is_some_and(StoreFault::is_closed)
    }
}
