//! What is kept of lists besides the one in force: earlier ones for download, and why some were never published.

use std::collections::BTreeMap;

use ca_core::issuer::CaKeyId;
use chrono::{DateTime, Utc};

use super::PublishedCrl;
use super::lists::{COLUMNS, decode};
use crate::codes;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

/// A list that was not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrlFailure {
    /// The number that was reserved for it.
    pub number: u64,
    /// When it was given up.
    pub at: DateTime<Utc>,
    /// Why, in words for operators.
    pub reason: String,
}

/// So much is kept of a reason, in octets.
const REASON_OCTETS: usize = 1_000;

impl Reader {
    /// The published lists of a scope whose octets are still here, newest first.
    pub fn crls_kept(&self, ca_key: CaKeyId, shard: u16) -> Result<Vec<PublishedCrl>, StoreFault> {
        self.read(|session| {
            sql(format!(
                "SELECT {COLUMNS} FROM crl WHERE ca_key_id = ? AND shard = ? AND state = 2 AND pruned_at IS NULL ORDER BY number DESC"
            ))
            .bind(ca_key.0)
            .bind(codes::shard_code(shard))
            .rows(session, decode)
        })
    }

    /// Why no list of a scope was published after the one in force, if it was tried last and failed.
    pub fn crl_failure(&self, ca_key: CaKeyId, shard: u16) -> Result<Option<CrlFailure>, StoreFault> {
        let last = self.read(|session| {
            sql("SELECT number, failed_at, failure FROM crl WHERE ca_key_id = ? AND shard = ? AND pruned_at IS NULL \
                 AND (state = 2 OR failure IS NOT NULL) ORDER BY number DESC LIMIT 1")
            .bind(ca_key.0)
            .bind(codes::shard_code(shard))
            .optional(session, |row| Ok((row.unsigned()?, row.optional_time()?, row.optional_text()?)))
        })?;
        Ok(match last {
            Some((number, Some(at), Some(reason))) => Some(CrlFailure { number, at, reason }),
            _ => None,
        })
    }
}

impl Reader {
    /// The same for all scopes of which it is so.
    pub fn crl_failures(&self) -> Result<BTreeMap<(CaKeyId, u16), CrlFailure>, StoreFault> {
        let failures = self.read(|session| {
            sql("SELECT ca_key_id, shard, number, failed_at, failure FROM crl WHERE (ca_key_id, number) IN (SELECT s.ca_key_id, \
                 (SELECT MAX(l.number) FROM crl AS l WHERE l.ca_key_id = s.ca_key_id AND l.shard = s.shard AND l.pruned_at IS NULL \
                 AND (l.state = 2 OR l.failure IS NOT NULL)) FROM crl_shard AS s) AND failure IS NOT NULL")
            .rows(session, |row| {
                let scope = (CaKeyId(row.int()?), codes::shard(row.small()?)?);
                Ok((scope, CrlFailure { number: row.unsigned()?, at: row.time()?, reason: row.text()? }))
            })
        })?;
        Ok(failures.into_iter().collect())
    }
}

impl Transaction<'_> {
    /// Records that a list was not published under its reserved number, and why. What was stored of it goes.
    ///
    /// Errors: [`StoreFault::Misuse`] if the number is not reserved, or the list was published.
    pub fn fail_crl(&mut self, ca_key: CaKeyId, number: u64, reason: &str, now: DateTime<Utc>) -> Result<(), StoreFault> {
        let number = codes::stored(number)?;
        let end = (1..=REASON_OCTETS.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
        let reason = end.map_or("no reason was given", |end| &reason[..end]);
        let failed = sql("UPDATE crl SET failed_at = ?, failure = ? WHERE ca_key_id = ? AND number = ? AND state = ?")
            .bind(now)
            .bind(reason)
            .bind(ca_key.0)
            .bind(number)
            .bind(codes::RESERVED)
            .execute(self.session)?;
        if failed != 1 {
            return Err(StoreFault::Misuse("the CRL's number is not reserved, or its list is published"));
        }
        sql("DELETE FROM crl_chunk WHERE ca_key_id = ? AND number = ?").bind(ca_key.0).bind(number).execute(self.session)?;
        Ok(())
    }

    /// Removes what was stored of lists that were never published, of every number given out to a scope so far. For a new leader:
    /// what one before was making when it died. Returns how many pieces there were.
    pub fn clear_unpublished_crls(&mut self, ca_key: CaKeyId, shard: u16) -> Result<usize, StoreFault> {
        sql("DELETE FROM crl_chunk WHERE ca_key_id = ? AND number IN \
             (SELECT number FROM crl WHERE ca_key_id = ? AND shard = ? AND state = ? AND pruned_at IS NULL)")
        .bind(ca_key.0)
        .bind(ca_key.0)
        .bind(codes::shard_code(shard))
        .bind(codes::RESERVED)
        .execute(self.session)
    }
}
