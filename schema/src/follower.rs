//! How far the CA role's own followers have come in the order of events.

use crate::event::EventPosition;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

impl Reader {
    /// The last event that a follower has done with; 0 if it never did any.
    pub fn follower(&self, name: &str) -> Result<EventPosition, StoreFault> {
        self.read(|session| {
            let found = sql("SELECT position FROM follower WHERE name = ?").bind(name).optional(session, |row| row.big())?;
            Ok(EventPosition(found.unwrap_or(0)))
        })
    }
}

impl Transaction<'_> {
    /// A follower (a name of 1 to 64 octets) has done with the events up to `position`. Belongs into the transaction that stores
    /// what came of them; never goes back.
    pub fn advance_follower(&mut self, name: &str, position: EventPosition) -> Result<(), StoreFault> {
        sql("INSERT INTO follower (name, position) VALUES (?, ?) \
             ON CONFLICT (name) DO UPDATE SET position = excluded.position WHERE follower.position < excluded.position")
        .bind(name)
        .bind(position.0)
        .execute(self.session)?;
        Ok(())
    }
}
