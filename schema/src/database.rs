//! The database as a whole: creating it, opening it, and what it gives out.

use std::fs::{File, TryLockError};
use std::sync::Arc;

use chrono::Utc;
use ring::rand::{SecureRandom, SystemRandom};

use crate::connection::{Purpose, Session};
use crate::copy;
use crate::event;
use crate::fault::StoreFault;
use crate::location::Location;
use crate::migrations;
use crate::reader::Reader;
use crate::sql::sql;
use crate::wake::Wake;
use crate::writer::Writer;

/// How a database is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    /// So many connections for reading at most; they are made when needed.
    pub readers: u32,
    /// Whether this process serves: a SQLite file is served by one process at a time, for the parts of one process wake each
    /// other and no other's. Whoever only looks does not ask for this. Nothing on PostgreSQL.
    pub sole_server: bool,
}

impl Default for OpenOptions {
    /// Eight connections for reading, by whoever only looks.
    fn default() -> Self {
        Self { readers: 8, sole_server: false }
    }
}

/// An open database. Cheap to clone; all clones share the writing threads and one pool of readers.
#[derive(Clone)]
pub struct Database {
    reader: Reader,
    writer: Writer,
    wake: Arc<Wake>,
    instance: Arc<str>,
    /// Locked while it is open: of no other use.
    _served: Option<Arc<File>>,
}

impl Database {
    /// Makes the tables in an empty database (for SQLite: in a new file, readable by its owner only) and opens it.
    ///
    /// Errors: [`StoreFault::Exists`] if there are tables of ours already, or for SQLite any file.
    pub fn create(url: &str) -> Result<Self, StoreFault> {
        let location = Location::parse(url)?;
        #[cfg_attr(not(feature = "postgres"), expect(irrefutable_let_patterns, reason = "there is only SQLite then"))]
        if let Location::Sqlite(path) = &location {
            make_file(path)?;
        }
        let mut session = Session::connect(&location, Purpose::Write)?;
        migrations::create(&mut session)?;
        let mut octets = [0; 16];
        SystemRandom::new().fill(&mut octets).map_err(|_| StoreFault::Misuse("no randomness"))?;
        sql("INSERT INTO store_meta (id, instance_id, created_at) VALUES (1, ?, ?)")
            .bind(hex::encode(octets).as_str())
            .bind(Utc::now())
            .execute(&mut session)?;
        drop(session);
        Self::open(url, &OpenOptions::default())
    }

    /// Opens an existing database.
    ///
    /// Errors: a version other than this program's ([`StoreFault::Newer`], [`StoreFault::Older`],
    /// [`StoreFault::NotInitialised`]), another process that serves the file ([`StoreFault::Served`]), or a server that is not
    /// reached or, as soon as something is written, found unsafe.
    pub fn open(url: &str, options: &OpenOptions) -> Result<Self, StoreFault> {
        let location = Location::parse(url)?;
        let mut session = Session::connect(&location, Purpose::Read)?;
        migrations::check(&mut session)?;
        let instance = match sql("SELECT instance_id FROM store_meta").optional(&mut session, |row| row.text())? {
            Some(instance) => instance,
            None if copy::is_unfinished(&mut session)? => return Err(StoreFault::Unfinished),
            None => return Err(StoreFault::Corrupt("store_meta is empty")),
        };
        let served = if options.sole_server { serve_alone(&location)? } else { None };
        let wake = Arc::new(Wake::new(event::position(&mut session)?));
        let writer = Writer::start(location.clone(), Arc::clone(&wake))?;
        Ok(Self { reader: Reader::new(location, options.readers), writer, wake, instance: instance.into(), _served: served.map(Arc::new) })
    }

    /// Runs the migrations that a database of an older program lacks; their versions, none if it is up to date. Each migration is done
    /// or not done at all, so whatever stops it, it can be called again.
    ///
    /// Errors: a database that a newer program made ([`StoreFault::Newer`]) or nobody ([`StoreFault::NotInitialised`]), or a process
    /// that serves the file ([`StoreFault::Served`]).
    pub fn upgrade(url: &str) -> Result<Vec<String>, StoreFault> {
        let location = Location::parse(url)?;
        let mut session = Session::connect(&location, Purpose::Write)?;
        let _served = serve_alone(&location)?;
        migrations::upgrade(&mut session)
    }

    /// For reading.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// For writing.
    pub fn writer(&self) -> Writer {
        self.writer.clone()
    }

    /// Notice of this process's commits.
    pub fn wake(&self) -> Arc<Wake> {
        Arc::clone(&self.wake)
    }

    /// What this store is called, from its creation on: 32 hexadecimal digits.
    pub fn instance(&self) -> &str {
        &self.instance
    }
}

/// Locks the file beside a SQLite database that its serving process holds. The system lets go of it with the process, however that
/// ends; the file stays.
pub(crate) fn serve_alone(location: &Location) -> Result<Option<File>, StoreFault> {
    #[cfg_attr(not(feature = "postgres"), expect(irrefutable_let_patterns, reason = "there is only SQLite then"))]
    let Location::Sqlite(path) = location else { return Ok(None) };
    let mut name = path.clone().into_os_string();
    name.push(".serve");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&name).map_err(|error| StoreFault::Unreachable(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StoreFault::Served),
        Err(TryLockError::Error(error)) => Err(StoreFault::Unreachable(error.to_string())),
    }
}

pub(crate) fn make_file(path: &std::path::Path) -> Result<(), StoreFault> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(StoreFault::Exists),
        Err(error) => Err(StoreFault::Unreachable(error.to_string())),
    }
}
