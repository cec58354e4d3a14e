//! Another log in the place of one that cannot go on.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{LogIdentity, LogNote, head::head};
use crate::codes;
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::sql::sql;
use crate::transaction::Transaction;

impl Transaction<'_> {
    /// The log ends, and another goes on with its leaves under another name: where leaves were signed that nobody has any more, what would
    /// follow under the same name would be a second tree. `note` is the other log's first, of all leaves; none if there are no leaves.
    /// Leaves the event of it, which names the former log.
    ///
    /// Errors: [`StoreFault::Misuse`] if the log has not begun, has that name already, or another size.
    pub fn renew_log(&mut self, identity: &LogIdentity, note: Option<&LogNote>, now: DateTime<Utc>) -> Result<(), StoreFault> {
        let head = head(self.session)?;
        let former = head.identity.filter(|former| former.origin != identity.origin);
        let former = former.ok_or(StoreFault::Misuse("a log that goes on in another has begun, under another name"))?;
        if note.map_or(0, |note| note.size) != head.size {
            return Err(StoreFault::Misuse("the log has another size"));
        }
        sql("UPDATE log_head SET origin = ?, verifier_key = ?, note = ?, note_size = ?, note_position = position, noted_at = ?")
            .bind(identity.origin.as_str())
            .bind(identity.verifier_key.as_str())
            .bind(note.map(|note| note.text.as_str()))
            .bind(codes::stored(head.size)?)
            .bind(note.map(|note| note.at))
            .execute(self.session)?;
        let root = hex::encode(head.root);
        let former = json!({"origin": former.origin, "key": former.verifier_key, "size": head.size, "root": root});
        let data = json!({"origin": identity.origin, "key": identity.verifier_key, "former": former});
        self.emit(NewEvent::new(EventKind::LogBegan, now, data));
        Ok(())
    }
}
