//! Commands to phones, and what phones say became of them. A revocation never waits for any of this.

mod result;

pub use ca_core::device_command::{DeviceAction, NamedCertificate};
use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::connection::Session;
use crate::device::{DeviceId, SHOWN};
use crate::event::{EventKind, EventPosition, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, Parameter, sql, value_rows};
use crate::transaction::Transaction;
pub use result::{CommandResult, NewCommandResult, Settlement};

/// How far a command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandState {
    /// Not handed to the push service yet.
    Pending,
    /// The push service took it. Whether it arrives is unknown.
    Sent,
    /// The device's own signature says that it was done.
    Confirmed,
    /// Somebody says so who could read the command, but nobody signed that.
    Claimed,
    /// The phone says that it could not.
    Failed,
    /// Nothing came in time.
    Expired,
}

impl CommandState {
    const ALL: [Self; 6] = [Self::Pending, Self::Sent, Self::Confirmed, Self::Claimed, Self::Failed, Self::Expired];

    /// The word used in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Confirmed => "confirmed",
            Self::Claimed => "claimed",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    fn code(self) -> i16 {
        match self {
            Self::Pending => 1,
            Self::Sent => 2,
            Self::Confirmed => 3,
            Self::Claimed => 4,
            Self::Failed => 5,
            Self::Expired => 6,
        }
    }

    fn from_code(code: i16) -> Result<Self, StoreFault> {
        Self::ALL.into_iter().find(|state| state.code() == code).ok_or(StoreFault::Corrupt("a command's state"))
    }
}

/// A signed command to be stored and sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeviceCommand {
    /// What it is called: 32 hexadecimal digits, random.
    pub public_id: String,
    /// The device's name.
    pub device: String,
    /// What the phone is to do.
    pub action: DeviceAction,
    /// The command as it goes out: a compact JWS.
    pub message: String,
    /// The certificates that it names: one at least, none twice.
    pub certificates: Vec<NamedCertificate>,
    /// Until when a phone should obey it.
    pub expires_at: DateTime<Utc>,
    /// The event it follows from, so that it is made once for each; `None` for an operator's, which its instruction makes once.
    pub event: Option<EventPosition>,
}

/// A command and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCommand {
    /// What it is called: 32 hexadecimal digits.
    pub public_id: String,
    /// The device's name.
    pub device: String,
    /// What the phone is to do.
    pub action: DeviceAction,
    /// How far it has come.
    pub state: CommandState,
    /// The certificates that it names.
    pub certificates: Vec<NamedCertificate>,
    /// The command as it goes out: a compact JWS.
    pub message: String,
    /// How often the push service was tried.
    pub attempts: u64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When the push service first took it.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it came to its end.
    pub settled_at: Option<DateTime<Utc>>,
    /// Until when a phone should obey it.
    pub expires_at: DateTime<Utc>,
}

/// A command that the push service should be given now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueCommand {
    /// What it is called.
    pub public_id: String,
    /// The device's name.
    pub device: String,
    /// By which the push service finds the device.
    pub push_token: String,
    /// The command as it goes out: a compact JWS.
    pub message: String,
    /// How often the push service was tried before.
    pub attempts: u64,
    /// Until when a phone should obey it.
    pub expires_at: DateTime<Utc>,
}

impl Reader {
    /// The command of this name.
    pub fn device_command(&self, public_id: &str) -> Result<Option<DeviceCommand>, StoreFault> {
        self.read(|session| Ok(select(session, "x.public_id = ?", vec![public_id.into()])?.pop()))
    }

    /// Commands that the push service should be given now, those due longest first; `limit` at most. None that a phone without a
    /// living push token would get: that one must ask.
    pub fn due_commands(&self, limit: u32, now: DateTime<Utc>) -> Result<Vec<DueCommand>, StoreFault> {
        self.read(|session| {
            sql("SELECT x.public_id, d.public_id, d.push_token, x.message, x.attempts, x.expires_at \
                 FROM device_command AS x JOIN device AS d ON d.id = x.device_id \
                 WHERE x.state IN (1, 2) AND x.next_attempt_at <= ? AND x.expires_at > ? AND d.push_token IS NOT NULL AND d.push_dead = 0 \
                 ORDER BY x.next_attempt_at, x.id LIMIT ?")
            .bind(now)
            .bind(now)
            .bind(i64::from(limit))
            .rows(session, |row| {
                Ok(DueCommand {
                    public_id: row.text()?,
                    device: row.text()?,
                    push_token: row.text()?,
                    message: row.text()?,
                    attempts: row.unsigned()?,
                    expires_at: row.time()?,
                })
            })
        })
    }

    /// The open commands to the phone to which certificates were issued on this application, oldest first: for the phone that asks.
    /// Asking marks nothing.
    pub fn commands_of_application(&self, application: &Sha256Digest, now: DateTime<Utc>) -> Result<Vec<DeviceCommand>, StoreFault> {
        self.read(|session| {
            let condition = "x.device_id = (SELECT device_id FROM application WHERE digest = ?) AND x.state IN (1, 2) AND x.expires_at > ?";
            select(session, condition, vec![application.into(), now.into()])
        })
    }
}

impl Transaction<'_> {
    /// Stores a command, once for each device and event, and leaves the event of it. Whether it is new. A new lock closes the open
    /// unlocks of its certificates, and a new unlock the open locks, as expired: what is over is not sent any more.
    ///
    /// Errors: [`StoreFault::Misuse`] if there is no such device, or the command names no certificate.
    pub fn create_device_command(&mut self, new: &NewDeviceCommand, now: DateTime<Utc>) -> Result<bool, StoreFault> {
        if new.certificates.is_empty() {
            return Err(StoreFault::Misuse("a command that names no certificate"));
        }
        let lock = self.session.update_lock();
        let (device, reachable) = sql(format!(
            "SELECT id, CASE WHEN push_token IS NOT NULL AND push_dead = 0 THEN 1 ELSE 0 END FROM device WHERE public_id = ?{lock}"
        ))
        .bind(new.device.as_str())
        .optional(self.session, |row| Ok((row.big()?, row.int()? != 0)))?
        .ok_or(StoreFault::Misuse("there is no such device"))?;
        let command = sql("INSERT INTO device_command (public_id, device_id, action, message, next_attempt_at, created_at, expires_at, \
             event_position) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device_id, event_position) DO NOTHING RETURNING id")
        .bind(new.public_id.as_str())
        .bind(device)
        .bind(i16::from(new.action.code()))
        .bind(new.message.as_str())
        .bind(reachable.then_some(now))
        .bind(now)
        .bind(new.expires_at)
        .bind(new.event.map(|position| position.0))
        .optional(self.session, |row| row.big())?;
        let Some(command) = command else { return Ok(false) };
        let rows = value_rows(new.certificates.len(), 3);
        let mut insert = sql(format!("INSERT INTO device_command_certificate (command_id, kind, serial) VALUES {rows}"));
        for certificate in &new.certificates {
            insert = insert.bind(command).bind(certificate.kind).bind(&certificate.serial);
        }
        insert.execute(self.session)?;
        match new.action {
            DeviceAction::Erase => {}
            DeviceAction::Lock => self.close_commands(device, DeviceAction::Unlock, &new.certificates, now)?,
            DeviceAction::Unlock => self.close_commands(device, DeviceAction::Lock, &new.certificates, now)?,
        }
        let told = Told { command: new.public_id.clone(), device: new.device.clone(), action: new.action };
        self.emit(told.event(EventKind::DeviceCommandCreated, now));
        Ok(true)
    }

    /// Closes the open commands of this action that name any of these certificates.
    fn close_commands(
        &mut self,
        device: i64,
        action: DeviceAction,
        certificates: &[NamedCertificate],
        now: DateTime<Utc>,
    ) -> Result<(), StoreFault> {
        for certificate in certificates {
            let closed = sql(format!(
                "UPDATE device_command SET state = 6, settled_at = ?, next_attempt_at = NULL WHERE device_id = ? AND action = ? \
                 AND state IN (1, 2) AND id IN (SELECT command_id FROM device_command_certificate WHERE serial = ? AND kind = ?) \
                 RETURNING {TOLD}"
            ))
            .bind(now)
            .bind(device)
            .bind(i16::from(action.code()))
            .bind(&certificate.serial)
            .bind(certificate.kind)
            .rows(self.session, Told::decode)?;
            for told in &closed {
                self.emit(told.event(EventKind::DeviceCommandExpired, now));
            }
        }
        Ok(())
    }

    /// Whether the last word to phones about a certificate's key was to lock it, whatever became of that.
    pub fn is_locked(&mut self, certificate: &NamedCertificate) -> Result<bool, StoreFault> {
        let last = sql("SELECT action FROM device_command WHERE action IN (2, 3) AND id IN (SELECT command_id \
             FROM device_command_certificate WHERE serial = ? AND kind = ?) ORDER BY id DESC LIMIT 1")
        .bind(&certificate.serial)
        .bind(certificate.kind)
        .optional(self.session, |row| action(row.small()?))?;
        Ok(last == Some(DeviceAction::Lock))
    }

    /// The push service took a command; `next` is when to give it once more if nothing has come by then.
    pub fn command_sent(&mut self, public_id: &str, next: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), StoreFault> {
        let first = sql(format!(
            "UPDATE device_command SET state = 2, sent_at = ?, attempts = attempts + 1, next_attempt_at = ? \
             WHERE public_id = ? AND state = 1 RETURNING {TOLD}"
        ))
        .bind(now)
        .bind(next)
        .bind(public_id)
        .optional(self.session, Told::decode)?;
        match first {
            Some(told) => self.emit(told.event(EventKind::DeviceCommandSent, now)),
            None => self.command_tried(public_id, next)?,
        }
        Ok(())
    }

    /// The push service did not take a command; it is due again at `next`.
    pub fn command_try_later(&mut self, public_id: &str, next: DateTime<Utc>) -> Result<(), StoreFault> {
        self.command_tried(public_id, Some(next))
    }

    fn command_tried(&mut self, public_id: &str, next: Option<DateTime<Utc>>) -> Result<(), StoreFault> {
        sql("UPDATE device_command SET attempts = attempts + 1, next_attempt_at = ? WHERE public_id = ? AND state IN (1, 2)")
            .bind(next)
            .bind(public_id)
            .execute(self.session)?;
        Ok(())
    }

    /// Closes open commands whose time has passed, `limit` at most, and leaves their events; how many there were.
    pub fn expire_commands(&mut self, limit: u32, now: DateTime<Utc>) -> Result<usize, StoreFault> {
        let expired = sql(format!(
            "UPDATE device_command SET state = 6, settled_at = ?, next_attempt_at = NULL WHERE id IN (SELECT id FROM device_command \
             WHERE state IN (1, 2) AND expires_at <= ? ORDER BY expires_at LIMIT ?) AND state IN (1, 2) RETURNING {TOLD}"
        ))
        .bind(now)
        .bind(now)
        .bind(i64::from(limit))
        .rows(self.session, Told::decode)?;
        for told in &expired {
            self.emit(told.event(EventKind::DeviceCommandExpired, now));
        }
        Ok(expired.len())
    }
}

/// What the events of a command tell.
struct Told {
    command: String,
    device: String,
    action: DeviceAction,
}

/// The columns that [`Told::decode`] takes, of an updated `device_command`.
const TOLD: &str = "public_id, (SELECT d.public_id FROM device AS d WHERE d.id = device_command.device_id), action";

impl Told {
    fn decode(row: &mut Fields<'_, '_, '_>) -> Result<Self, StoreFault> {
        Ok(Self { command: row.text()?, device: row.text()?, action: action(row.small()?)? })
    }

    fn event(&self, kind: EventKind, now: DateTime<Utc>) -> NewEvent {
        NewEvent::new(kind, now, json!({"command": self.command, "device": self.device, "action": self.action.as_str()}))
    }
}

fn action(code: i16) -> Result<DeviceAction, StoreFault> {
    u8::try_from(code).ok().and_then(DeviceAction::from_code).ok_or(StoreFault::Corrupt("a command's action"))
}

/// The commands to a device, oldest first; the newest hundred at most.
pub(crate) fn of_device(session: &mut Session, device: DeviceId) -> Result<Vec<DeviceCommand>, StoreFault> {
    select(session, "x.device_id = ?", vec![device.0.into()])
}

/// The commands that name a certificate, oldest first; the newest hundred at most.
pub(crate) fn of_certificate(
    session: &mut Session,
    kind: CertificateKind,
    serial: &SerialNumber,
) -> Result<Vec<DeviceCommand>, StoreFault> {
    let condition = "x.id IN (SELECT command_id FROM device_command_certificate WHERE serial = ? AND kind = ?)";
    select(session, condition, vec![serial.into(), kind.into()])
}

fn select(session: &mut Session, condition: &str, parameters: Vec<Parameter<'_>>) -> Result<Vec<DeviceCommand>, StoreFault> {
    let statement = sql(format!(
        "SELECT x.id, x.public_id, d.public_id, x.action, x.state, x.message, x.attempts, x.created_at, x.sent_at, x.settled_at, x.expires_at \
         FROM device_command AS x JOIN device AS d ON d.id = x.device_id WHERE {condition} ORDER BY x.id DESC LIMIT ?"
    ));
    let statement = parameters.into_iter().fold(statement, |statement, parameter| statement.bind(parameter)).bind(SHOWN);
    let newest_first = statement.rows(session, |row| {
        let id = row.big()?;
        let command = DeviceCommand {
            public_id: row.text()?,
            device: row.text()?,
            action: action(row.small()?)?,
            state: CommandState::from_code(row.small()?)?,
            certificates: Vec::new(),
            message: row.text()?,
            attempts: row.unsigned()?,
            created_at: row.time()?,
            sent_at: row.optional_time()?,
            settled_at: row.optional_time()?,
            expires_at: row.time()?,
        };
        Ok((id, command))
    })?;
    let complete = |(id, command): (i64, DeviceCommand)| {
        let certificates = sql("SELECT kind, serial FROM device_command_certificate WHERE command_id = ? ORDER BY kind, serial")
            .bind(id)
            .rows(session, |row| Ok(NamedCertificate { kind: row.kind()?, serial: row.serial()? }))?;
        Ok(DeviceCommand { certificates, ..command })
    };
    newest_first.into_iter().rev().map(complete).collect()
}
