//! Intents to sign, recorded before the signature exists.

use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;
use ca_core::issuance::{Intent, IntentLedger};
use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::fault::StoreFault;
use crate::lease::Lease;
use crate::reader::Reader;
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

/// A recorded intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedIntent {
    /// What was recorded.
    pub intent: Intent,
    /// When.
    pub recorded_at: DateTime<Utc>,
}

impl Reader {
    /// The intent of a serial number, if one is on record.
    pub fn intent(&self, kind: CertificateKind, serial: &SerialNumber) -> Result<Option<RecordedIntent>, StoreFault> {
        self.read(|session| {
            sql("SELECT ca_key_id, tbs_sha256, application_id, recorded_at FROM issuance_intent WHERE kind = ? AND serial = ?")
                .bind(kind)
                .bind(serial)
                .optional(session, |row| {
                    let (ca_key, tbs_sha256): (_, Sha256Digest) = (CaKeyId(row.int()?), row.digest()?);
                    let application = row.optional_big()?.map(ApplicationId);
                    let intent = Intent { kind, ca_key, serial: serial.clone(), tbs_sha256, application };
                    Ok(RecordedIntent { intent, recorded_at: row.time()? })
                })
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
