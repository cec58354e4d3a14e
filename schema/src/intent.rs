//! Intents to sign, recorded before the signature exists.

use ca_core::issuance::{Intent, IntentLedger};
use chrono::{DateTime, Utc};

use crate::fault::StoreFault;
use crate::lease::Lease;
use crate::sql::{sql, value_rows};
use crate::transaction::Transaction;
use crate::writer::Writer;

/// The store as the ledger of intents: each record is one committed write.
#[derive(Clone)]
pub struct StoredIntents {
    writer: Writer,
    now: DateTime<Utc>,
    lease: Option<Lease>,
}

impl StoredIntents {
    /// A ledger whose records bear the time `now`.
    pub fn new(writer: Writer, now: DateTime<Utc>) -> Self {
        Self { writer, now, lease: None }
    }

    /// Records only while `lease` stands.
    pub fn under(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }
}

impl IntentLedger for StoredIntents {
    type Fault = StoreFault;

    fn record(&mut self, intents: &[Intent]) -> Result<(), StoreFault> {
        let (intents, now, lease) = (intents.to_vec(), self.now, self.lease.clone());
        self.writer.write(move |transaction| {
            if let Some(lease) = &lease {
                transaction.check_lease(lease)?;
            }
            transaction.record_intents(&intents, now)
        })
    }
}

impl Transaction<'_> {
    /// Records intents, all or none; a serial number that the issuer used before is a fault of class `Unique`.
    pub fn record_intents(&mut self, intents: &[Intent], now: DateTime<Utc>) -> Result<(), StoreFault> {
        let mut left = intents;
        while !left.is_empty() {
            // Few sizes, so that few statements are prepared.
            let size = [64, 16, 4, 2, 1].into_iter().find(|size| *size <= left.len()).unwrap_or(1);
            let (chunk, rest) = left.split_at(size);
            let mut insert = sql(format!(
                "INSERT INTO issuance_intent (kind, serial, ca_key_id, tbs_sha256, application_id, recorded_at) VALUES {}",
                value_rows(size, 6)
            ));
            for intent in chunk {
                insert = insert
                    .bind(intent.kind)
                    .bind(&intent.serial)
                    .bind(intent.ca_key.0)
                    .bind(&intent.tbs_sha256)
                    .bind(intent.application.map(|id| id.0))
                    .bind(now);
            }
            insert.execute(self.session)?;
            left = rest;
        }
        Ok(())
    }
}
