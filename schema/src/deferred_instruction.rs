//! Instructions that were found in order at a time when they could not be carried out: the CA role's own memory of that, which the RA
//! cannot write.

use ca_core::digest::Sha256Digest;
use ca_core::lifecycle::HoldCause;
use chrono::{DateTime, Utc};

use crate::certificate::CertificateId;
use crate::connection::Session;
use crate::fault::{StoreFault, WriteError};
use crate::instruction::InstructionRefusal;
use crate::reader::Reader;
use crate::sql::{few_sizes, placeholders, sql};
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

/// Now, or the time of the latest lift that waits if some clock was ahead then: a hold of this time came after all of them.
pub(crate) fn after_all(session: &mut Session, now: DateTime<Utc>) -> Result<DateTime<Utc>, StoreFault> {
    let latest = sql("SELECT d.since FROM deferred_instruction AS d JOIN instruction AS i ON i.id = d.instruction_id \
         WHERE i.state = 1 ORDER BY d.since DESC LIMIT 1");
    Ok(latest.optional(session, |row| row.time())?.map_or(now, |latest| latest.max(now)))
}

/// Those of some certificates whose hold for this cause was asked for after an instruction was put off, if it was: it must not lift that.
pub(crate) fn held_since(
    session: &mut Session,
    digest: &Sha256Digest,
    cause: HoldCause,
    certificates: &[CertificateId],
) -> Result<Vec<CertificateId>, StoreFault> {
    let mut held = Vec::new();
    for some in few_sizes(certificates) {
        let text = format!(
            "SELECT h.certificate_id FROM instruction AS i JOIN deferred_instruction AS d ON d.instruction_id = i.id \
             JOIN hold AS h ON h.placed_at >= d.since WHERE i.digest = ? AND h.cause = ? AND h.certificate_id IN ({})",
            placeholders(some.len())
        );
        let select = sql(text).bind(digest).bind(i16::from(cause.code()));
        let select = some.iter().fold(select, |select, id| select.bind(id.0));
        held.extend(select.rows(session, |row| Ok(CertificateId(row.big()?)))?);
    }
    Ok(held)
}
