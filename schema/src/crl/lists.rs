//! Lists: numbers, publishing, what is in force, and what is kept.

use ca_core::issuer::CaKeyId;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::{CrlCause, PublishedCrl};
use crate::codes;
use crate::event::{EventKind, EventPosition, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};
use crate::transaction::Transaction;

/// The columns that [`decode`] takes.
pub(super) const COLUMNS: &str = "ca_key_id, shard, number, this_update, next_update, entries, octets, sha256, event_position, cause";

/// Which published lists are kept for download. The two newest of each scope, and the last, always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlRetention {
    /// First and regular lists issued before this moment go.
    pub regular_before: DateTime<Utc>,
    /// Lists that were made at once go when the one after them was issued before this moment.
    pub at_once_before: DateTime<Utc>,
}

/// A list whose octets were removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrunedCrl {
    /// The key that signed it.
    pub ca_key: CaKeyId,
    /// Which of its certificates it covered.
    pub shard: u16,
    /// Its number.
    pub number: u64,
}

impl Reader {
    /// The CRL that was published last in a scope.
    pub fn latest_crl_in(&self, ca_key: CaKeyId, shard: u16) -> Result<Option<PublishedCrl>, StoreFault> {
        self.read(|session| {
            sql(format!("SELECT {COLUMNS} FROM crl WHERE ca_key_id = ? AND shard = ? AND state = 2 ORDER BY number DESC LIMIT 1"))
                .bind(ca_key.0)
                .bind(codes::shard_code(shard))
                .optional(session, decode)
        })
    }

    /// The highest number of the CRLs that were published of a CA key, whichever its shard: a cheap way to see that there is a new one.
    pub fn latest_crl_number(&self, ca_key: CaKeyId) -> Result<Option<u64>, StoreFault> {
        self.read(|session| {
            sql("SELECT number FROM crl WHERE ca_key_id = ? AND state = 2 ORDER BY number DESC LIMIT 1")
                .bind(ca_key.0)
                .optional(session, |row| row.unsigned())
        })
    }

    /// The CRL that was published last in each scope that has one, by CA key and shard: what is there for download.
    pub fn latest_crls(&self) -> Result<Vec<PublishedCrl>, StoreFault> {
        self.read(|session| {
            sql(format!(
                "SELECT {COLUMNS} FROM crl WHERE (ca_key_id, number) IN (SELECT s.ca_key_id, \
                 (SELECT MAX(l.number) FROM crl AS l WHERE l.ca_key_id = s.ca_key_id AND l.shard = s.shard AND l.state = 2) \
                 FROM crl_shard AS s) ORDER BY ca_key_id, shard"
            ))
            .rows(session, decode)
        })
    }

    /// A published CRL of a scope, pruned or not.
    pub fn crl_in(&self, ca_key: CaKeyId, shard: u16, number: u64) -> Result<Option<PublishedCrl>, StoreFault> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        self.read(|session| {
            sql(format!("SELECT {COLUMNS} FROM crl WHERE ca_key_id = ? AND number = ? AND shard = ? AND state = 2"))
                .bind(ca_key.0)
                .bind(number)
                .bind(codes::shard_code(shard))
                .optional(session, decode)
        })
    }
}

impl Transaction<'_> {
    /// Reserves the next CRL number of a CA key, for a list of one of its shards: higher than any given out before, published or not.
    ///
    /// Errors: [`StoreFault::Misuse`] if there is no such CA key; a fault of class `ForeignKey` if the shard is not open.
    pub fn reserve_crl_number_in(&mut self, ca_key: CaKeyId, shard: u16, now: DateTime<Utc>) -> Result<u64, StoreFault> {
        let number = sql("UPDATE ca_key SET last_crl_number = last_crl_number + 1 WHERE id = ? RETURNING last_crl_number")
            .bind(ca_key.0)
            .optional(self.session, |row| row.unsigned())?
            .ok_or(StoreFault::Misuse("there is no such CA key"))?;
        sql("INSERT INTO crl (ca_key_id, number, shard, state, reserved_at) VALUES (?, ?, ?, ?, ?)")
            .bind(ca_key.0)
            .bind(codes::stored(number)?)
            .bind(codes::shard_code(shard))
            .bind(codes::RESERVED)
            .bind(now)
            .execute(self.session)?;
        Ok(number)
    }

    /// Publishes a CRL whose chunks are stored under its reserved number.
    ///
    /// Errors: [`StoreFault::Misuse`] if the number is not reserved for this shard, a higher one of it is published already, or its
    /// chunks are not as many octets as they should be.
    pub fn publish_crl_in(&mut self, crl: &PublishedCrl, now: DateTime<Utc>) -> Result<(), StoreFault> {
        let number = codes::stored(crl.number)?;
        let published = sql("UPDATE crl SET state = ?, cause = ?, this_update = ?, next_update = ?, entries = ?, event_position = ?, \
             octets = ?, sha256 = ? WHERE ca_key_id = ? AND number = ? AND shard = ? AND state = ? AND NOT EXISTS \
             (SELECT 1 FROM crl AS later WHERE later.ca_key_id = ? AND later.shard = ? AND later.number > ? AND later.state = 2)")
        .bind(codes::PUBLISHED)
        .bind(crl.cause.as_str())
        .bind(crl.this_update)
        .bind(crl.next_update)
        .bind(codes::stored(crl.entries)?)
        .bind(crl.event_position.0)
        .bind(codes::stored(crl.octets)?)
        .bind(&crl.sha256)
        .bind(crl.ca_key.0)
        .bind(number)
        .bind(codes::shard_code(crl.shard))
        .bind(codes::RESERVED)
        .bind(crl.ca_key.0)
        .bind(codes::shard_code(crl.shard))
        .bind(number)
        .execute(self.session)?;
        if published != 1 {
            return Err(StoreFault::Misuse("the CRL's number is not reserved, or a later CRL is published already"));
        }
        let (count, end, octets) =
            sql("SELECT COUNT(*), COALESCE(MAX(sequence), -1) + 1, CAST(COALESCE(SUM(octet_length(octets)), 0) AS BIGINT) \
             FROM crl_chunk WHERE ca_key_id = ? AND number = ?")
            .bind(crl.ca_key.0)
            .bind(number)
            .optional(self.session, |row| Ok((row.unsigned()?, row.int()?, row.unsigned()?)))?
            .ok_or(StoreFault::Corrupt("a count gave no row"))?;
        if u64::try_from(end).ok() != Some(count) || octets != crl.octets {
            return Err(StoreFault::Misuse("the CRL's chunks are not all there"));
        }
        let data = json!({
            "ca_key": crl.ca_key.0, "shard": crl.shard, "number": crl.number, "entries": crl.entries, "cause": crl.cause.as_str(),
            "sha256": crl.sha256.to_string(), "this_update": crl.this_update,
        });
        self.emit(NewEvent::new(EventKind::CrlPublished, now, data));
        Ok(())
    }

    /// Removes the octets of published lists that need not be kept, of `limit` lists at most, and those that were stored under numbers
    /// reserved before `keep.at_once_before` and never published. What is known of the lists stays. Returns the published ones.
    pub fn prune_crls(&mut self, keep: &CrlRetention, limit: u32, now: DateTime<Utc>) -> Result<Vec<PrunedCrl>, StoreFault> {
        let next =
            "FROM crl AS next WHERE next.ca_key_id = l.ca_key_id AND next.shard = l.shard AND next.number > l.number AND next.state = 2";
        let lists = sql(format!(
            "SELECT l.ca_key_id, l.shard, l.number, l.state FROM crl AS l WHERE l.pruned_at IS NULL AND (\
             (l.state = 1 AND l.reserved_at < ?) OR (l.state = 2 AND (SELECT COUNT(*) {next}) >= 2 AND \
             ((l.cause IN ('first', 'regular') AND l.this_update < ?) OR \
             (l.cause = 'revocation' AND (SELECT MIN(next.this_update) {next}) < ?)))) \
             ORDER BY l.ca_key_id, l.shard, l.number LIMIT ?"
        ))
        .bind(keep.at_once_before)
        .bind(keep.regular_before)
        .bind(keep.at_once_before)
        .bind(i64::from(limit))
        .rows(self.session, |row| {
            let pruned = PrunedCrl { ca_key: CaKeyId(row.int()?), shard: codes::shard(row.small()?)?, number: row.unsigned()? };
            Ok((pruned, row.small()? == codes::PUBLISHED))
        })?;
        for (list, _) in &lists {
            sql("DELETE FROM crl_chunk WHERE ca_key_id = ? AND number = ?")
                .bind(list.ca_key.0)
                .bind(codes::stored(list.number)?)
                .execute(self.session)?;
            sql("UPDATE crl SET pruned_at = ? WHERE ca_key_id = ? AND number = ?")
                .bind(now)
                .bind(list.ca_key.0)
                .bind(codes::stored(list.number)?)
                .execute(self.session)?;
        }
        Ok(lists.into_iter().filter(|(_, is_published)| *is_published).map(|(list, _)| list).collect())
    }
}

pub(super) fn decode(row: &mut Fields<'_, '_, '_>) -> Result<PublishedCrl, StoreFault> {
    Ok(PublishedCrl {
        ca_key: CaKeyId(row.int()?),
        shard: codes::shard(row.small()?)?,
        number: row.unsigned()?,
        this_update: row.time()?,
        next_update: row.time()?,
        entries: row.unsigned()?,
        octets: row.unsigned()?,
        sha256: row.digest()?,
        event_position: EventPosition(row.big()?),
        cause: CrlCause::from_word(&row.text()?)?,
    })
}
