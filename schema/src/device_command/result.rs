//! What phones say became of commands.

use chrono::{DateTime, Utc};

use super::{CommandState, TOLD, Told};
use crate::event::EventKind;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

/// What a phone says became of a command, as the RA received it: to be judged by the CA role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommandResult {
    /// The command it is about: 32 octets.
    pub command: String,
    /// What came, 8,192 octets at most.
    pub body: String,
    /// Whether it brings a signature.
    pub signed: bool,
}

/// A stored result that was not taken up yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandResult {
    /// Its row.
    pub id: i64,
    /// The result as the RA received it.
    pub result: NewCommandResult,
    /// When, as the RA says.
    pub received_at: DateTime<Utc>,
}

/// What a result proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// Done, by the device's own signature.
    Confirmed,
    /// Done, as somebody says.
    Claimed,
    /// The phone could not.
    Failed,
}

impl Reader {
    /// Results that were not taken up yet, oldest first; `limit` at most.
    pub fn untaken_results(&self, limit: u32) -> Result<Vec<CommandResult>, StoreFault> {
        self.read(|session| {
            sql("SELECT id, command_public_id, body, signed, received_at FROM device_command_result \
                 WHERE taken_at IS NULL ORDER BY id LIMIT ?")
            .bind(i64::from(limit))
            .rows(session, |row| {
                let id = row.big()?;
                let result = NewCommandResult { command: row.text()?, body: row.text()?, signed: row.small()? != 0 };
                Ok(CommandResult { id, result, received_at: row.time()? })
            })
        })
    }
}

impl Transaction<'_> {
    /// Stores what a phone says became of a command, for the CA role to judge.
    pub fn receive_command_result(&mut self, result: &NewCommandResult, now: DateTime<Utc>) -> Result<(), StoreFault> {
        sql("INSERT INTO device_command_result (command_public_id, body, signed, received_at) VALUES (?, ?, ?, ?)")
            .bind(result.command.as_str())
            .bind(result.body.as_str())
            .bind(i16::from(result.signed))
            .bind(now)
            .execute(self.session)?;
        Ok(())
    }

    /// Takes up a result: once, with what it proves (`None`: nothing). Whether the command changed; if so, its event is left.
    ///
    /// What is better proved is never undone by less: a confirmation stands, a claim gives way to a confirmation only. A command
    /// that failed or expired can still be confirmed or claimed.
    pub fn settle_command(&mut self, result: i64, settlement: Option<Settlement>, now: DateTime<Utc>) -> Result<bool, StoreFault> {
        let command = sql("UPDATE device_command_result SET taken_at = ? WHERE id = ? AND taken_at IS NULL RETURNING command_public_id")
            .bind(now)
            .bind(result)
            .optional(self.session, |row| row.text())?;
        let (Some(command), Some(settlement)) = (command, settlement) else { return Ok(false) };
        let (state, from, kind) = match settlement {
            Settlement::Confirmed => (CommandState::Confirmed, "1, 2, 4, 5, 6", EventKind::DeviceCommandConfirmed),
            Settlement::Claimed => (CommandState::Claimed, "1, 2, 5, 6", EventKind::DeviceCommandClaimed),
            Settlement::Failed => (CommandState::Failed, "1, 2, 6", EventKind::DeviceCommandFailed),
        };
        let settled = sql(format!(
            "UPDATE device_command SET state = ?, settled_at = ?, next_attempt_at = NULL \
             WHERE public_id = ? AND state IN ({from}) RETURNING {TOLD}"
        ))
        .bind(state.code())
        .bind(now)
        .bind(command.as_str())
        .optional(self.session, Told::decode)?;
        if let Some(told) = &settled {
            self.emit(told.event(kind, now));
        }
        Ok(settled.is_some())
    }
}
