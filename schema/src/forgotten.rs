//! Revocations that were published, and that a restored database does not know the certificates of.
//!
//! They are told and listed as revoked until the CA key ends: nobody knows any more when their certificates do.

use ca_core::issuer::CaKeyId;
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::codes;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

/// A revocation whose certificate is unknown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgottenRevocation {
    /// The key that signed the certificate.
    pub ca_key: CaKeyId,
    /// The certificate's serial number.
    pub serial: SerialNumber,
    /// The CRL shard it was listed in.
    pub shard: u16,
    /// The revocation or hold as it was published.
    pub revocation: Revocation,
}

impl Reader {
    /// How many there are of a CA key.
    pub fn forgotten_revocations(&self, ca_key: CaKeyId) -> Result<u64, StoreFault> {
        self.read(|session| {
            let count = sql("SELECT COUNT(*) FROM forgotten_revocation WHERE ca_key_id = ?")
                .bind(ca_key.0)
                .optional(session, |row| row.unsigned())?;
            Ok(count.unwrap_or(0))
        })
    }
}

impl Transaction<'_> {
    /// Remembers revocations whose certificates are unknown; those of certificates that are known are passed over, for they are to
    /// be revoked themselves. A hold gives way to a revocation, and nothing else does. Returns how many are new or changed.
    pub fn remember_forgotten(&mut self, revocations: &[ForgottenRevocation], now: DateTime<Utc>) -> Result<u64, StoreFault> {
        let mut remembered = 0;
        for forgotten in revocations {
            // The types of what is selected are not to be guessed from its texts.
            remembered +=
                sql("INSERT INTO forgotten_revocation (ca_key_id, serial, shard, revoked_at, reason, invalidity_at, recorded_at) \
                 SELECT k.id, ?, CAST(? AS SMALLINT), CAST(? AS BIGINT), CAST(? AS SMALLINT), CAST(? AS BIGINT), CAST(? AS BIGINT) \
                 FROM ca_key AS k WHERE k.id = ? AND NOT EXISTS (SELECT 1 FROM certificate WHERE serial = ? AND ca_key_id = k.id) \
                 ON CONFLICT (ca_key_id, serial) DO UPDATE SET shard = excluded.shard, revoked_at = excluded.revoked_at, \
                 reason = excluded.reason, invalidity_at = excluded.invalidity_at, recorded_at = excluded.recorded_at \
                 WHERE forgotten_revocation.reason = 6 AND excluded.reason <> 6")
                .bind(&forgotten.serial)
                .bind(codes::shard_code(forgotten.shard))
                .bind(forgotten.revocation.at)
                .bind(i16::from(forgotten.revocation.reason.code()))
                .bind(forgotten.revocation.invalidity)
                .bind(now)
                .bind(forgotten.ca_key.0)
                .bind(&forgotten.serial)
                .execute(self.session)? as u64;
        }
        Ok(remembered)
    }
}
