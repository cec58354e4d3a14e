//! Leases: who leads, with an epoch that fences off whoever led before.

use chrono::{DateTime, TimeDelta, Utc};

use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

/// A lease as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is led.
    pub name: String,
    /// By whom.
    pub owner: String,
    /// Rises with each change of hands.
    pub epoch: i64,
    /// Until when, unless it is renewed.
    pub expires_at: DateTime<Utc>,
}

impl Reader {
    /// The lease as it stands, expired or not.
    pub fn lease(&self, name: &str) -> Result<Option<Lease>, StoreFault> {
        self.read(|session| {
            sql("SELECT owner, epoch, expires_at FROM lease WHERE name = ?").bind(name).optional(session, |row| {
                Ok(Lease { name: name.to_owned(), owner: row.text()?, epoch: row.big()?, expires_at: row.time()? })
            })
        })
    }
}

impl Transaction<'_> {
    /// Takes or renews a lease until `now + ttl`; `None` while another owner's stands.
    ///
    /// `owner` names one run of one process. Renewing in time keeps the epoch; after expiry everybody, the former owner too,
    /// gets a new epoch, and leases of former epochs are fenced off.
    pub fn acquire_lease(&mut self, name: &str, owner: &str, now: DateTime<Utc>, ttl: TimeDelta) -> Result<Option<Lease>, StoreFault> {
        let expires_at = now + ttl;
        let epoch = sql("INSERT INTO lease (name, owner, epoch, expires_at) VALUES (?, ?, 1, ?) \
             ON CONFLICT (name) DO UPDATE SET \
             epoch = CASE WHEN lease.expires_at > ? THEN lease.epoch ELSE lease.epoch + 1 END, \
             owner = excluded.owner, expires_at = excluded.expires_at \
             WHERE lease.owner = excluded.owner OR lease.expires_at <= ? RETURNING epoch")
        .bind(name)
        .bind(owner)
        .bind(expires_at)
        .bind(now)
        .bind(now)
        .optional(self.session, |row| row.big())?;
        Ok(epoch.map(|epoch| Lease { name: name.to_owned(), owner: owner.to_owned(), epoch, expires_at }))
    }

    /// Gives a lease back early, so that another owner need not wait; nothing happens if it has passed on already.
    pub fn release_lease(&mut self, lease: &Lease, now: DateTime<Utc>) -> Result<(), StoreFault> {
        sql("UPDATE lease SET expires_at = ? WHERE name = ? AND owner = ? AND epoch = ?")
            .bind(now)
            .bind(lease.name.as_str())
            .bind(lease.owner.as_str())
            .bind(lease.epoch)
            .execute(self.session)?;
        Ok(())
    }

    /// Fails with [`StoreFault::Fenced`] if the lease has passed on; otherwise nobody can take it before this transaction's
    /// end. To be called in each write that a leader makes as such.
    pub fn check_lease(&mut self, lease: &Lease) -> Result<(), StoreFault> {
        let lock = self.session.share_lock();
        let standing = sql(format!("SELECT epoch FROM lease WHERE name = ? AND owner = ? AND epoch = ?{lock}"))
            .bind(lease.name.as_str())
            .bind(lease.owner.as_str())
            .bind(lease.epoch)
            .optional(self.session, |row| row.big())?;
        if standing.is_some() {
            return Ok(());
        }
        // As a failure of the session, so that nothing more can be written even if the caller lets it pass.
        self.session.checked(|_| Err(StoreFault::Fenced(lease.name.clone())))
    }
}
