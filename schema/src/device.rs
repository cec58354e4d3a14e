//! The registry of phones: what they are, which certificates are in them, and whether what ended was erased.

use ca_core::issuer::CaKeyId;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::certificate::{self, CertificateSummary};
use crate::connection::Session;
use crate::device_command::{self, DeviceCommand};
use crate::event::{EventKind, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, Parameter, sql};
use crate::transaction::Transaction;

/// So many certificates or devices of one device or holder are shown at most, the newest.
pub(crate) const SHOWN: i64 = 100;

/// A phone to be added with its first certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDevice {
    /// What it is called: 32 hexadecimal digits, random.
    pub public_id: String,
    /// Its platform's word, as "android".
    pub platform: String,
    /// Its model, as its maker calls it; may be empty.
    pub model: String,
    /// Where its keys live, in a word.
    pub key_storage: String,
    /// By which the push service finds it: 1 to 4,096 octets.
    pub push_token: Option<String>,
    /// The SubjectPublicKeyInfo (DER) of the key by which it confirms commands.
    pub command_key: Option<Vec<u8>>,
}

/// A device's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId(pub i64);

/// How far a device is rid of its certificates that were revoked (or superseded, which is a revocation as well).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Erasure {
    /// None of its certificates was revoked.
    NotNeeded,
    /// Revoked but never erased: for one at least, neither a signed confirmation nor a claim came.
    Owed,
    /// For all of them something came, but for one at least no more than a claim that nobody signed.
    Claimed,
    /// The device's own signature confirms the erasure of all of them; another's does not.
    Confirmed,
}

impl Erasure {
    /// The word used in JSON and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotNeeded => "not-needed",
            Self::Owed => "owed",
            Self::Claimed => "claimed",
            Self::Confirmed => "confirmed",
        }
    }
}

/// Which devices are listed; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFilter {
    /// How far it is rid of what was revoked; "revoked but never erased" is [`Erasure::Owed`].
    pub erasure: Option<Erasure>,
    /// Its holder.
    pub holder_id: Option<String>,
}

/// A device in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSummary {
    /// Its row.
    pub id: DeviceId,
    /// What it is called: 32 hexadecimal digits.
    pub public_id: String,
    /// Its holder.
    pub holder_id: String,
    /// Its platform's word.
    pub platform: String,
    /// Its model.
    pub model: String,
    /// Where its keys live, in a word.
    pub key_storage: String,
    /// Whether the push service no longer knows its token.
    pub push_dead: bool,
    /// When it was added.
    pub added_at: DateTime<Utc>,
    /// How far it is rid of what was revoked.
    pub erasure: Erasure,
}

/// Everything about a device but what only the CA role needs: its push token and command key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceDetail {
    /// What lists show.
    pub summary: DeviceSummary,
    /// The certificates that were issued to it, oldest first; the newest hundred at most.
    pub certificates: Vec<CertificateSummary>,
    /// The commands to it, oldest first; the newest hundred at most.
    pub commands: Vec<DeviceCommand>,
}

impl Reader {
    /// The device of this name.
    pub fn device(&self, public_id: &str) -> Result<Option<DeviceDetail>, StoreFault> {
        self.read(|session| {
            let found = sql(select(&format!("{TABLES} WHERE d.public_id = ?"))).bind(public_id).optional(session, decode_summary)?;
            found.map(|summary| detail(session, summary)).transpose()
        })
    }

    /// The device to which a CA key issued the certificate with this serial number.
    pub fn device_of_certificate(&self, ca_key: CaKeyId, serial: &SerialNumber) -> Result<Option<DeviceSummary>, StoreFault> {
        self.read(|session| {
            sql(select(
                "certificate AS own JOIN certificate_body AS ob ON ob.certificate_id = own.id \
                 JOIN application AS oa ON oa.id = ob.application_id JOIN device AS d ON d.id = oa.device_id \
                 JOIN holder AS h ON h.id = d.holder WHERE own.serial = ? AND own.ca_key_id = ?",
            ))
            .bind(serial)
            .bind(ca_key.0)
            .optional(session, decode_summary)
        })
    }

    /// Devices that pass the filter, in the order of their rows from beyond `after`; `limit` at most.
    pub fn list_devices(&self, filter: &DeviceFilter, after: Option<DeviceId>, limit: u32) -> Result<Vec<DeviceSummary>, StoreFault> {
        self.read(|session| {
            let mut text = select(&format!("{TABLES} WHERE d.id > ?"));
            let mut parameters: Vec<Parameter<'_>> = vec![after.map_or(0, |id| id.0).into()];
            if let Some(holder_id) = &filter.holder_id {
                text += " AND h.holder_id = ?";
                parameters.push(holder_id.as_str().into());
            }
            if let Some(erasure) = filter.erasure {
                text += &format!(" AND {ERASURE} = ?");
                parameters.push(erasure_code(erasure).into());
            }
            text += " ORDER BY d.id LIMIT ?";
            parameters.push(i64::from(limit).into());
            parameters.into_iter().fold(sql(text), |statement, parameter| statement.bind(parameter)).rows(session, decode_summary)
        })
    }

    /// The SubjectPublicKeyInfo (DER) of the key by which a device confirms commands.
    pub fn device_command_key(&self, public_id: &str) -> Result<Option<Vec<u8>>, StoreFault> {
        self.read(|session| {
            let found =
                sql("SELECT command_key FROM device WHERE public_id = ?").bind(public_id).optional(session, |row| row.optional_bytes())?;
            Ok(found.flatten())
        })
    }
}

impl Transaction<'_> {
    /// The push service finds the device by another token from now on; commands that are still open are due at once. Whether
    /// there is such a device.
    pub fn set_push_token(&mut self, public_id: &str, push_token: &str, now: DateTime<Utc>) -> Result<bool, StoreFault> {
        let device = sql("UPDATE device SET push_token = ?, push_dead = 0 WHERE public_id = ? RETURNING id")
            .bind(push_token)
            .bind(public_id)
            .optional(self.session, |row| row.big())?;
        let Some(device) = device else { return Ok(false) };
        sql("UPDATE device_command SET next_attempt_at = ? WHERE device_id = ? AND state IN (1, 2)")
            .bind(now)
            .bind(device)
            .execute(self.session)?;
        Ok(true)
    }

    /// The push service no longer knows this token. Nothing happens if the device has another by now. Commands that are open wait for
    /// another token, or for the phone to ask.
    pub fn mark_push_dead(&mut self, public_id: &str, push_token: &str) -> Result<(), StoreFault> {
        let device = sql("UPDATE device SET push_dead = 1 WHERE public_id = ? AND push_token = ? RETURNING id")
            .bind(public_id)
            .bind(push_token)
            .optional(self.session, |row| row.big())?;
        if let Some(device) = device {
            sql("UPDATE device_command SET next_attempt_at = NULL WHERE device_id = ? AND state IN (1, 2)")
                .bind(device)
                .execute(self.session)?;
        }
        Ok(())
    }
}

/// Adds a holder's phone. The caller leaves [`added`], for it has the events.
pub(crate) fn insert(session: &mut Session, holder: i64, new: &NewDevice, now: DateTime<Utc>) -> Result<i64, StoreFault> {
    sql("INSERT INTO device (public_id, holder, platform, model, key_storage, push_token, command_key, added_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id")
    .bind(new.public_id.as_str())
    .bind(holder)
    .bind(new.platform.as_str())
    .bind(new.model.as_str())
    .bind(new.key_storage.as_str())
    .bind(new.push_token.as_deref())
    .bind(new.command_key.as_deref())
    .bind(now)
    .optional(session, |row| row.big())?
    .ok_or(StoreFault::Corrupt("an insert returned no row"))
}

/// The event of a device's having been added.
pub(crate) fn added(new: &NewDevice, now: DateTime<Utc>) -> NewEvent {
    NewEvent::new(EventKind::DeviceAdded, now, json!({"device": new.public_id, "platform": new.platform}))
}

/// A holder's devices, oldest first; the newest hundred at most.
pub(crate) fn of_holder(session: &mut Session, holder_id: &str) -> Result<Vec<DeviceSummary>, StoreFault> {
    let mut newest_first = sql(select(&format!("{TABLES} WHERE h.holder_id = ? ORDER BY d.id DESC LIMIT ?")))
        .bind(holder_id)
        .bind(SHOWN)
        .rows(session, decode_summary)?;
    newest_first.reverse();
    Ok(newest_first)
}

/// The device of a row.
pub(crate) fn by_row(session: &mut Session, id: DeviceId) -> Result<Option<DeviceSummary>, StoreFault> {
    sql(select(&format!("{TABLES} WHERE d.id = ?"))).bind(id.0).optional(session, decode_summary)
}

const TABLES: &str = "device AS d JOIN holder AS h ON h.id = d.holder";

/// 0 if none of the device's certificates was revoked; else the least that is known of the erasure of any: 1 nothing, 2 claimed,
/// 3 confirmed. What another device says, which names the certificate as left behind in it, is a claim, whatever signs it:
/// anybody may name what was never there.
const ERASURE: &str = "COALESCE((SELECT MIN(CASE \
     WHEN EXISTS (SELECT 1 FROM device_command_certificate AS n JOIN device_command AS x ON x.id = n.command_id \
                  WHERE n.serial = c.serial AND n.kind = c.kind AND x.action = 1 AND x.state = 3 AND x.device_id = d.id) THEN 3 \
     WHEN EXISTS (SELECT 1 FROM device_command_certificate AS n JOIN device_command AS x ON x.id = n.command_id \
                  WHERE n.serial = c.serial AND n.kind = c.kind AND x.action = 1 AND x.state IN (3, 4)) THEN 2 \
     ELSE 1 END) FROM application AS a JOIN certificate_body AS b ON b.application_id = a.id \
     JOIN certificate AS c ON c.id = b.certificate_id WHERE a.device_id = d.id AND c.state = 3), 0)";

/// Reads devices, with the columns that [`decode_summary`] takes of `device AS d` and `holder AS h`; `rest` follows FROM.
fn select(rest: &str) -> String {
    format!("SELECT d.id, d.public_id, h.holder_id, d.platform, d.model, d.key_storage, d.push_dead, d.added_at, {ERASURE} FROM {rest}")
}

fn decode_summary(row: &mut Fields<'_, '_, '_>) -> Result<DeviceSummary, StoreFault> {
    Ok(DeviceSummary {
        id: DeviceId(row.big()?),
        public_id: row.text()?,
        holder_id: row.text()?,
        platform: row.text()?,
        model: row.text()?,
        key_storage: row.text()?,
        push_dead: row.small()? != 0,
        added_at: row.time()?,
        erasure: match row.int()? {
            0 => Erasure::NotNeeded,
            1 => Erasure::Owed,
            2 => Erasure::Claimed,
            3 => Erasure::Confirmed,
            _ => return Err(StoreFault::Corrupt("an erasure")),
        },
    })
}

fn detail(session: &mut Session, summary: DeviceSummary) -> Result<DeviceDetail, StoreFault> {
    let mut certificates = sql(format!(
        "SELECT {} FROM application AS a JOIN certificate_body AS b ON b.application_id = a.id \
         JOIN certificate AS c ON c.id = b.certificate_id JOIN holder AS h ON h.id = c.holder \
         WHERE a.device_id = ? ORDER BY c.id DESC LIMIT ?",
        certificate::SUMMARY_COLUMNS
    ))
    .bind(summary.id.0)
    .bind(SHOWN)
    .rows(session, certificate::decode_summary)?;
    certificates.reverse();
    let commands = device_command::of_device(session, summary.id)?;
    Ok(DeviceDetail { summary, certificates, commands })
}

fn erasure_code(erasure: Erasure) -> i32 {
    match erasure {
        Erasure::NotNeeded => 0,
        Erasure::Owed => 1,
        Erasure::Claimed => 2,
        Erasure::Confirmed => 3,
    }
}
