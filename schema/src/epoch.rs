//! Epochs: what tells a database that was restored from the one that it was before.
//!
//! A restored database goes on from the positions that it had when it was saved, and gives out positions again that others have
//! seen with another meaning. So whoever keeps a position outside of the database keeps the epoch with it.

use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::codes;
use crate::event::{self, EventKind, EventPosition, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{placeholders, sql};
use crate::transaction::Transaction;

/// Where the store stands, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreState {
    /// Rises when the database is found restored; from 1 on.
    pub epoch: u64,
    /// The last committed event.
    pub position: EventPosition,
    /// What tells that event from any other; `None` before the first.
    pub event: Option<Sha256Digest>,
    /// Since when it is restored and not reconciled: nothing that it says of a status is to be told meanwhile.
    pub reconciling_since: Option<DateTime<Utc>>,
}

impl Reader {
    /// Where the store stands.
    pub fn store_state(&self) -> Result<StoreState, StoreFault> {
        Ok(self.store_state_since(EventPosition(0))?.0)
    }

    /// Where the store stands and, of the same moment, what tells the event at an earlier position from any other: `None` if there is no
    /// event. Whoever remembers another of that position has seen a store that this one was not.
    ///
    /// Positions alone do not tell: a store that lost its last events may have gone beyond them before anybody looks.
    pub fn store_state_since(&self, earlier: EventPosition) -> Result<(StoreState, Option<Sha256Digest>), StoreFault> {
        self.read(|session| {
            sql("SELECT m.epoch, k.position, m.reconciling_since, \
                 e.at, e.kind, e.certificate_id, e.application_id, e.data, b.at, b.kind, b.certificate_id, b.application_id, b.data \
                 FROM store_meta AS m CROSS JOIN event_counter AS k \
                 LEFT JOIN event AS e ON e.position = k.position LEFT JOIN event AS b ON b.position = ?")
            .bind(earlier.0)
            .optional(session, |row| {
                let (epoch, position, reconciling_since) = (row.unsigned()?, EventPosition(row.big()?), row.optional_time()?);
                let event = event::digest(position, row)?;
                Ok((StoreState { epoch, position, event, reconciling_since }, event::digest(earlier, row)?))
            })?
            .ok_or(StoreFault::Corrupt("store_meta or event_counter is empty"))
        })
    }

    /// The highest CRL number of each CA key that was ever given out, published or not.
    pub fn last_crl_numbers(&self) -> Result<Vec<(CaKeyId, u64)>, StoreFault> {
        self.read(|session| {
            sql("SELECT id, last_crl_number FROM ca_key ORDER BY id").rows(session, |row| Ok((CaKeyId(row.int()?), row.unsigned()?)))
        })
    }
}

impl Transaction<'_> {
    /// The database was found restored: a new epoch begins, `at_least` this one, and from now on nothing is issued and no hold is
    /// lifted until [`Self::end_reconciliation`]. Every lease is fenced off. `crl_numbers` are the highest known to have been given out: later ones are higher.
    /// Returns the epoch.
    pub fn begin_epoch(&mut self, at_least: u64, crl_numbers: &[(CaKeyId, u64)], now: DateTime<Utc>) -> Result<u64, StoreFault> {
        let epoch = sql("UPDATE store_meta SET epoch = CASE WHEN epoch + 1 < ? THEN ? ELSE epoch + 1 END, \
             reconciling_since = COALESCE(reconciling_since, ?) RETURNING epoch")
        .bind(codes::stored(at_least)?)
        .bind(codes::stored(at_least)?)
        .bind(now)
        .optional(self.session, |row| row.unsigned())?
        .ok_or(StoreFault::Corrupt("store_meta is empty"))?;
        crl_numbers.iter().try_for_each(|(ca_key, number)| self.raise_crl_number(*ca_key, *number))?;
        // Whoever leads knows things that the database has forgotten: all leads end, also those that were restored with it.
        sql("UPDATE lease SET epoch = epoch + 1, expires_at = ?").bind(DateTime::UNIX_EPOCH).execute(self.session)?;
        self.emit(NewEvent::new(EventKind::EpochBegan, now, json!({"epoch": epoch})));
        Ok(epoch)
    }

    /// Whether the database is restored and not reconciled; no epoch begins, and none is reconciled, before this transaction's end.
    pub fn is_reconciling(&mut self) -> Result<bool, StoreFault> {
        let lock = self.session.share_lock();
        sql(format!("SELECT reconciling_since FROM store_meta{lock}"))
            .optional(self.session, |row| Ok(row.optional_time()?.is_some()))?
            .ok_or(StoreFault::Corrupt("store_meta is empty"))
    }

    /// What the restored database had forgotten is in it again. Returns whether that was still awaited.
    pub fn end_reconciliation(&mut self, now: DateTime<Utc>) -> Result<bool, StoreFault> {
        let ended = sql("UPDATE store_meta SET reconciling_since = NULL WHERE reconciling_since IS NOT NULL RETURNING epoch")
            .optional(self.session, |row| row.unsigned())?;
        if let Some(epoch) = ended {
            self.emit(NewEvent::new(EventKind::Reconciled, now, json!({"epoch": epoch})));
        }
        Ok(ended.is_some())
    }

    /// CRL numbers of a CA key given out from now on are above this one, which was found to have been published.
    pub fn raise_crl_number(&mut self, ca_key: CaKeyId, number: u64) -> Result<(), StoreFault> {
        sql("UPDATE ca_key SET last_crl_number = ? WHERE id = ? AND last_crl_number < ?")
            .bind(codes::stored(number)?)
            .bind(ca_key.0)
            .bind(codes::stored(number)?)
            .execute(self.session)?;
        Ok(())
    }

    /// Fails while the store is not reconciled; otherwise no epoch begins before this transaction's end.
    pub(crate) fn refuse_while_reconciling(&mut self) -> Result<(), StoreFault> {
        self.refuse_issuing_with(&[])
    }

    /// The same, and fails if one of these CA keys is retired. To be called when what names the keys is written: that keeps them
    /// from being retired meanwhile.
    pub(crate) fn refuse_issuing_with(&mut self, ca_keys: &[CaKeyId]) -> Result<(), StoreFault> {
        let lock = self.session.share_lock_of("m");
        let retired = match ca_keys.len() {
            0 => "0".to_owned(),
            count => format!("(SELECT COUNT(*) FROM ca_key WHERE id IN ({}) AND retired_at IS NOT NULL)", placeholders(count)),
        };
        let select = sql(format!("SELECT m.reconciling_since, CAST({retired} AS BIGINT) FROM store_meta AS m{lock}"));
        let (reconciling, retired) = ca_keys
            .iter()
            .fold(select, |select, key| select.bind(key.0))
            .optional(self.session, |row| Ok((row.optional_time()?.is_some(), row.big()? > 0)))?
            .ok_or(StoreFault::Corrupt("store_meta is empty"))?;
        match (reconciling, retired) {
            (true, _) => Err(StoreFault::Reconciling),
            (false, true) => Err(StoreFault::Misuse("the CA key is retired")),
            (false, false) => Ok(()),
        }
    }
}
