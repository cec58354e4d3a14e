//! The public halves of the keys that sign commands to phones.

use chrono::{DateTime, Utc};

use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

/// The public half of a key that signs commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandKey {
    /// What the commands call it (`kid`, RFC 7515 section 4.1.4): 1 to 128 octets.
    pub key_id: String,
    /// Its SubjectPublicKeyInfo in DER, 1,024 octets at most.
    pub public_key: Vec<u8>,
}

impl Reader {
    /// All of them, oldest first: phones keep commands for long.
    pub fn command_keys(&self) -> Result<Vec<CommandKey>, StoreFault> {
        self.read(|session| {
            sql("SELECT key_id, public_key FROM command_key ORDER BY added_at, key_id")
                .rows(session, |row| Ok(CommandKey { key_id: row.text()?, public_key: row.bytes()? }))
        })
    }
}

impl Transaction<'_> {
    /// Adds a key, once.
    pub fn add_command_key(&mut self, key: &CommandKey, now: DateTime<Utc>) -> Result<(), StoreFault> {
        sql("INSERT INTO command_key (key_id, public_key, added_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(key.key_id.as_str())
            .bind(key.public_key.as_slice())
            .bind(now)
            .execute(self.session)?;
        Ok(())
    }
}
