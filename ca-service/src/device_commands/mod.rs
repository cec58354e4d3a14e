//! Erase, lock and unlock commands to phones. What ended, or is on hold because the phone is lost, should also lose its key; that may
//! never arrive, so no revocation waits for it, and how far each command has come is kept apart.

mod making;
mod results;
mod sending;

use schema::command_key::CommandKey;

use crate::CaFault;
use crate::role::CaRole;
pub(crate) use making::{Ordered, random_public_id};

impl CaRole {
    /// Puts the public half of the key that signs commands where the RA shows it to phones.
    pub(crate) fn publish_command_key(&self) -> Result<(), CaFault> {
        let key = CommandKey { key_id: self.command_key.key_id().to_owned(), public_key: self.command_key.public_key_info().to_vec() };
        if self.reader.command_keys()?.contains(&key) {
            return Ok(());
        }
        let now = self.clock.now();
        self.write(move |tx| tx.add_command_key(&key, now))
    }
}
