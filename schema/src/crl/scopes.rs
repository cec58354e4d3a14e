//! The scopes of CRLs: each CA key with its shards, and its retirement.

use ca_core::issuer::CaKeyId;
use ca_core::refusal::Refusal;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::codes;
use crate::event::{EventKind, NewEvent};
use crate::fault::{StoreFault, WriteError};
use crate::reader::Reader;
use crate::sql::{few_sizes, sql};
use crate::transaction::Transaction;

/// What one CRL covers: the certificates of a CA key that name a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlScope {
    /// The key that signs the list.
    pub ca_key: CaKeyId,
    /// The shard, 0 to 4095.
    pub shard: u16,
    /// When the CA key was retired, if it was: the list after that is the last.
    pub retired_at: Option<DateTime<Utc>>,
}

/// Why a CA key is not retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetireRefusal {
    /// Certificates of it are live or held.
    #[error("{standing} certificates of this CA key are live or held; it can be retired when all have ended")]
    CertificatesStand {
        /// How many.
        standing: u64,
    },
}

impl Refusal for RetireRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::CertificatesStand { .. } => "certificates_stand",
        }
    }
}

impl Reader {
    /// Every scope for which a CRL is to be published, by CA key and shard.
    pub fn crl_scopes(&self) -> Result<Vec<CrlScope>, StoreFault> {
        self.read(|session| {
            sql("SELECT s.ca_key_id, s.shard, k.retired_at FROM crl_shard AS s JOIN ca_key AS k ON k.id = s.ca_key_id \
                 ORDER BY s.ca_key_id, s.shard")
            .rows(session, |row| {
                Ok(CrlScope { ca_key: CaKeyId(row.int()?), shard: codes::shard(row.small()?)?, retired_at: row.optional_time()? })
            })
        })
    }
}

impl Transaction<'_> {
    /// Opens the shards 0 to `count - 1` of a CA key: certificates may name them from now on, and lists of them are published for
    /// ever. Those that are open stay so. Returns how many are new.
    pub fn open_crl_shards(&mut self, ca_key: CaKeyId, count: u16, now: DateTime<Utc>) -> Result<usize, StoreFault> {
        let shards: Vec<u16> = (0..count).collect();
        let mut opened = 0;
        for some in few_sizes(&shards) {
            let values = vec!["(?, ?, ?)"; some.len()].join(", ");
            let insert = sql(format!("INSERT INTO crl_shard (ca_key_id, shard, opened_at) VALUES {values} ON CONFLICT DO NOTHING"));
            let insert = some.iter().fold(insert, |insert, shard| insert.bind(ca_key.0).bind(codes::shard_code(*shard)).bind(now));
            opened += insert.execute(self.session)?;
        }
        Ok(opened)
    }

    /// Retires a CA key: nothing is issued with it any more, and its next lists and answers are final. Returns whether it was not
    /// retired before.
    ///
    /// Errors: [`RetireRefusal`] while a certificate of it is live or held, test certificates too: see
    /// [`Transaction::end_test_certificates`]; [`StoreFault::Misuse`] if there is no such key.
    pub fn retire_ca_key(&mut self, ca_key: CaKeyId, now: DateTime<Utc>) -> Result<bool, WriteError<RetireRefusal>> {
        // An issuance refers to the key's row: it came before, or waits for the end of this and finds the key retired.
        let lock = self.session.update_lock();
        let retired_at = sql(format!("SELECT retired_at FROM ca_key WHERE id = ?{lock}"))
            .bind(ca_key.0)
            .optional(self.session, |row| row.optional_time())?
            .ok_or(StoreFault::Misuse("there is no such CA key"))?;
        if retired_at.is_some() {
            return Ok(false);
        }
        let standing = sql("SELECT COUNT(*) FROM certificate WHERE state IN (1, 2) AND ca_key_id = ?")
            .bind(ca_key.0)
            .optional(self.session, |row| row.unsigned())?
            .unwrap_or(0);
        if standing > 0 {
            return Err(WriteError::Refused(RetireRefusal::CertificatesStand { standing }));
        }
        sql("UPDATE ca_key SET retired_at = ? WHERE id = ?").bind(now).bind(ca_key.0).execute(self.session)?;
        self.emit(NewEvent::new(EventKind::CaKeyRetired, now, json!({"ca_key": ca_key.0})));
        Ok(true)
    }
}
