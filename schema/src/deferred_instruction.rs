//! Instructions that were found in order at a time when they could not be carried out: the CA role's own memory of that, which the RA
//! cannot write.

use ca_core::digest::Sha256Digest;
use chrono::{DateTime, Utc};

use crate::fault::{StoreFault, WriteError};
use crate::instruction::InstructionRefusal;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

impl Reader {
    /// Since when an instruction is put off, if it is: its challenge was fresh then, and is spent.
    pub fn deferred_since(&self, digest: &Sha256Digest) -> Result<Option<DateTime<Utc>>, StoreFault> {
        self.read(|session| {
            sql("SELECT d.since FROM deferred_instruction AS d JOIN instruction AS i ON i.id = d.instruction_id WHERE i.digest = ?")
                .bind(digest)
                .optional(session, |row| row.time())
        })
    }
}

impl Transaction<'_> {
    /// Remembers that an instruction that waits is in order; it goes on waiting. Belongs into the transaction that spends its challenge.
    /// After a refusal the closure must return it.
    pub fn defer_instruction(&mut self, digest: &Sha256Digest, now: DateTime<Utc>) -> Result<(), WriteError<InstructionRefusal>> {
        let deferred = sql("INSERT INTO deferred_instruction (instruction_id, since) \
             SELECT id, CAST(? AS BIGINT) FROM instruction WHERE digest = ? AND state = 1 ON CONFLICT DO NOTHING")
        .bind(now)
        .bind(digest)
        .execute(self.session)?;
        if deferred == 1 { Ok(()) } else { Err(WriteError::Refused(InstructionRefusal::AlreadyDecided)) }
    }
}
