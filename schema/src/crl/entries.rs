//! What belongs on a list.

use ca_core::issuer::CaKeyId;
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::codes;
use crate::connection::Session;
use crate::event::{self, EventPosition};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};

/// So many certificates whose status changed during the making of one list are looked at; more are a fault. A flood of 80,000 changes a
/// second reaches it in half a minute, in which a list of ten million is made.
pub const GATE_CHANGES: usize = 2_500_000;

/// A line of a CRL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRevocation {
    /// The certificate's serial number.
    pub serial: SerialNumber,
    /// Its revocation or hold.
    pub revocation: Revocation,
}

/// What a list must have, at one moment, and what has changed since it was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateCount {
    /// The moment.
    pub position: EventPosition,
    /// How many certificates belong on the list.
    pub count: u64,
    /// Every certificate of the scope whose status changed after the position asked for, and whether it belongs on the list; by
    /// rising serial number.
    pub changed: Vec<(SerialNumber, bool)>,
}

impl Reader {
    /// Gives `visit` what belongs on the list of a scope: the revoked and held certificates that end after `ended_by`, and the
    /// forgotten revocations, by rising serial number (as octets) from beyond `after`; about `limit` of them. Returns the last serial
    /// number, from beyond which to go on; `None` if there are no more.
    ///
    /// Each call is a look of its own, at another moment than the one before. For `ended_by` see RFC 5280 section 3.3: a revocation
    /// stays until it was on a regular list issued after the certificate's end.
    pub fn revoked_in_scope(
        &self,
        ca_key: CaKeyId,
        shard: u16,
        ended_by: DateTime<Utc>,
        after: Option<&SerialNumber>,
        limit: u32,
        mut visit: impl FnMut(&ListedRevocation),
    ) -> Result<Option<SerialNumber>, StoreFault> {
        let start: &[u8] = after.map_or(&[], SerialNumber::as_bytes);
        let scope = |text: &'static str| sql(text).bind(ca_key.0).bind(codes::shard_code(shard)).bind(start);
        // A lost connection makes the look begin again, so nothing is shown before it has ended well.
        let (mut listed, forgotten) = self.read(|session| {
            let listed = scope(
                "SELECT serial, revoked_at, reason, invalidity_at FROM certificate \
                 WHERE ca_key_id = ? AND shard = ? AND state IN (2, 3) AND serial > ? AND not_after > ? ORDER BY serial LIMIT ?",
            )
            .bind(ended_by)
            .bind(i64::from(limit))
            .rows(session, decode)?;
            let forgotten = scope(
                "SELECT serial, revoked_at, reason, invalidity_at FROM forgotten_revocation \
                 WHERE ca_key_id = ? AND shard = ? AND serial > ? ORDER BY serial LIMIT ?",
            )
            .bind(i64::from(limit))
            .rows(session, decode)?;
            Ok((listed, forgotten))
        })?;
        let full = limit.max(1) as usize;
        // What is beyond the end of a full page may have others before it.
        let ends = [&listed, &forgotten].into_iter().filter(|page| page.len() >= full).filter_map(|page| page.last());
        let end = ends.map(|last| last.serial.clone()).min();
        if !forgotten.is_empty() {
            listed = merge(listed, forgotten);
        }
        for entry in listed.iter().take_while(|entry| end.as_ref().is_none_or(|end| entry.serial <= *end)) {
            visit(entry);
        }
        Ok(end)
    }

    /// How many certificates belong on a scope's list now, and which ones' status changed after `since`; all of one moment.
    ///
    /// Errors: [`StoreFault::TooManyChanges`] if more than [`GATE_CHANGES`] changed.
    pub fn gate_count(&self, ca_key: CaKeyId, shard: u16, ended_by: DateTime<Utc>, since: EventPosition) -> Result<GateCount, StoreFault> {
        self.read(|session| {
            session.snapshot(|session| {
                let position = event::position(session)?;
                let count = count(session, ca_key, shard, ended_by)?;
                let changed = changed(session, ca_key, shard, ended_by, since)?;
                Ok(GateCount { position, count, changed })
            })
        })
    }
}

fn count(session: &mut Session, ca_key: CaKeyId, shard: u16, ended_by: DateTime<Utc>) -> Result<u64, StoreFault> {
    let known = sql("SELECT COUNT(*) FROM certificate WHERE ca_key_id = ? AND shard = ? AND state IN (2, 3) AND not_after > ?")
        .bind(ca_key.0)
        .bind(codes::shard_code(shard))
        .bind(ended_by)
        .optional(session, |row| row.unsigned())?;
    let forgotten = sql("SELECT COUNT(*) FROM forgotten_revocation AS f WHERE f.ca_key_id = ? AND f.shard = ? AND NOT EXISTS \
         (SELECT 1 FROM certificate AS c WHERE c.serial = f.serial AND c.ca_key_id = f.ca_key_id AND c.shard = f.shard \
         AND c.state IN (2, 3) AND c.not_after > ?)")
    .bind(ca_key.0)
    .bind(codes::shard_code(shard))
    .bind(ended_by)
    .optional(session, |row| row.unsigned())?;
    Ok(known.unwrap_or(0) + forgotten.unwrap_or(0))
}

fn changed(
    session: &mut Session,
    ca_key: CaKeyId,
    shard: u16,
    ended_by: DateTime<Utc>,
    since: EventPosition,
) -> Result<Vec<(SerialNumber, bool)>, StoreFault> {
    let changed = sql("SELECT DISTINCT c.serial, CASE WHEN (c.state IN (2, 3) AND c.not_after > ?) OR EXISTS \
         (SELECT 1 FROM forgotten_revocation AS f WHERE f.ca_key_id = c.ca_key_id AND f.serial = c.serial) THEN 1 ELSE 0 END \
         FROM event AS e CROSS JOIN certificate AS c WHERE e.position > ? AND c.id = e.certificate_id \
         AND c.ca_key_id = ? AND c.shard = ? \
         AND e.kind IN ('certificate.revoked', 'certificate.held', 'certificate.released', 'certificate.expired') \
         ORDER BY c.serial LIMIT ?")
    .bind(ended_by)
    .bind(since.0)
    .bind(ca_key.0)
    .bind(codes::shard_code(shard))
    .bind(GATE_CHANGES as i64 + 1)
    .rows(session, |row| Ok((row.serial()?, row.int()? != 0)))?;
    if changed.len() > GATE_CHANGES {
        return Err(StoreFault::TooManyChanges);
    }
    Ok(changed)
}

/// Both in one order; what is in both, as it is known.
fn merge(listed: Vec<ListedRevocation>, forgotten: Vec<ListedRevocation>) -> Vec<ListedRevocation> {
    let mut both = listed;
    both.extend(forgotten);
    // Stable: of two with one serial number the known one comes first.
    both.sort_by(|one, other| one.serial.cmp(&other.serial));
    both.dedup_by(|later, earlier| later.serial == earlier.serial);
    both
}

fn decode(row: &mut Fields<'_, '_, '_>) -> Result<ListedRevocation, StoreFault> {
    let serial = row.serial()?;
    let revocation = codes::certificate_revocation(row.optional_big()?, row.optional_small()?, row.optional_big()?)?;
    Ok(ListedRevocation { serial, revocation: revocation.ok_or(StoreFault::Corrupt("a revoked certificate without revocation"))? })
}
