//! Our CRLs: numbers reserved before signing, lists kept when published.

use ca_core::issuer::CaKeyId;
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::codes;
use crate::event::{EventKind, EventPosition, NewEvent};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql};
use crate::transaction::Transaction;

/// A published CRL, or one to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCrl {
    /// The key that signed it.
    pub ca_key: CaKeyId,
    /// Its CRLNumber (RFC 5280 section 5.2.3), as reserved.
    pub number: u64,
    /// The CertificateList in DER.
    pub der: Vec<u8>,
    /// thisUpdate
    pub this_update: DateTime<Utc>,
    /// nextUpdate
    pub next_update: DateTime<Utc>,
    /// How many certificates it lists.
    pub entries: u64,
    /// Every event up to here is in the list.
    pub event_position: EventPosition,
}

impl Reader {
    /// The CRL that was published last for a CA key.
    pub fn latest_crl(&self, ca_key: CaKeyId) -> Result<Option<StoredCrl>, StoreFault> {
        self.read(|session| {
            sql("SELECT crl.ca_key_id, crl.number, crl_body.der, crl.this_update, crl.next_update, crl.entries, crl.event_position \
                 FROM crl JOIN crl_body ON crl_body.ca_key_id = crl.ca_key_id AND crl_body.number = crl.number \
                 WHERE crl.ca_key_id = ? AND crl.state = 2 ORDER BY crl.number DESC LIMIT 1")
            .bind(ca_key.0)
            .optional(session, decode)
        })
    }

    /// The number of the CRL that was published last for a CA key: a cheap way to see that there is a new one.
    pub fn latest_crl_number(&self, ca_key: CaKeyId) -> Result<Option<u64>, StoreFault> {
        self.read(|session| {
            sql("SELECT number FROM crl WHERE ca_key_id = ? AND state = 2 ORDER BY number DESC LIMIT 1")
                .bind(ca_key.0)
                .optional(session, |row| row.unsigned())
        })
    }

    /// A published CRL.
    pub fn crl(&self, ca_key: CaKeyId, number: u64) -> Result<Option<StoredCrl>, StoreFault> {
        let Ok(number) = i64::try_from(number) else { return Ok(None) };
        self.read(|session| {
            sql("SELECT crl.ca_key_id, crl.number, crl_body.der, crl.this_update, crl.next_update, crl.entries, crl.event_position \
                 FROM crl JOIN crl_body ON crl_body.ca_key_id = crl.ca_key_id AND crl_body.number = crl.number \
                 WHERE crl.ca_key_id = ? AND crl.number = ? AND crl.state = 2")
            .bind(ca_key.0)
            .bind(number)
            .optional(session, decode)
        })
    }
}

impl Transaction<'_> {
    /// Reserves the next CRL number of a CA key: higher than any given out before, published or not.
    pub fn reserve_crl_number(&mut self, ca_key: CaKeyId, now: DateTime<Utc>) -> Result<u64, StoreFault> {
        let number = sql("UPDATE ca_key SET last_crl_number = last_crl_number + 1 WHERE id = ? RETURNING last_crl_number")
            .bind(ca_key.0)
            .optional(self.session, |row| row.unsigned())?
            .ok_or(StoreFault::Misuse("there is no such CA key"))?;
        sql("INSERT INTO crl (ca_key_id, number, state, reserved_at) VALUES (?, ?, ?, ?)")
            .bind(ca_key.0)
            .bind(number.cast_signed())
            .bind(codes::RESERVED)
            .bind(now)
            .execute(self.session)?;
        Ok(number)
    }

    /// Publishes a CRL under its reserved number.
    ///
    /// Errors: [`StoreFault::Misuse`] if the number is not reserved, or a higher one is published already.
    pub fn publish_crl(&mut self, crl: &StoredCrl, now: DateTime<Utc>) -> Result<(), StoreFault> {
        let number = i64::try_from(crl.number).map_err(|_| StoreFault::Misuse("no such CRL number"))?;
        let entries = i64::try_from(crl.entries).map_err(|_| StoreFault::Misuse("too many CRL entries"))?;
        let published = sql("UPDATE crl SET state = ?, this_update = ?, next_update = ?, entries = ?, event_position = ? \
             WHERE ca_key_id = ? AND number = ? AND state = ? \
             AND NOT EXISTS (SELECT 1 FROM crl AS later WHERE later.ca_key_id = ? AND later.number > ? AND later.state = 2)")
        .bind(codes::PUBLISHED)
        .bind(crl.this_update)
        .bind(crl.next_update)
        .bind(entries)
        .bind(crl.event_position.0)
        .bind(crl.ca_key.0)
        .bind(number)
        .bind(codes::RESERVED)
        .bind(crl.ca_key.0)
        .bind(number)
        .execute(self.session)?;
        if published != 1 {
            return Err(StoreFault::Misuse("the CRL's number is not reserved, or a later CRL is published already"));
        }
        sql("INSERT INTO crl_body (ca_key_id, number, der) VALUES (?, ?, ?)")
            .bind(crl.ca_key.0)
            .bind(number)
            .bind(crl.der.as_slice())
            .execute(self.session)?;
        let data = json!({"ca_key": crl.ca_key.0, "number": crl.number, "entries": crl.entries});
        self.emit(NewEvent::new(EventKind::CrlPublished, now, data));
        Ok(())
    }
}

fn decode(row: &mut Fields<'_, '_, '_>) -> Result<StoredCrl, StoreFault> {
    Ok(StoredCrl {
        ca_key: CaKeyId(row.int()?),
        number: row.unsigned()?,
        der: row.bytes()?,
        this_update: row.time()?,
        next_update: row.time()?,
        entries: row.unsigned()?,
        event_position: EventPosition(row.big()?),
    })
}
