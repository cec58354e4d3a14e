//! What relying parties ask: is it revoked, since when, why.

use ca_core::issuer::CaKeyId;
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::certificate::CertificateState;
use crate::codes;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, placeholders, sql};
use crate::transaction::Transaction;

/// So many serial numbers are asked for in one statement.
const SERIALS: usize = 64;

/// An issued certificate's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateStatus {
    /// Its state as last written; whether it has expired since is for the reader's clock.
    pub state: CertificateState,
    /// Present if it is revoked or held.
    pub revocation: Option<Revocation>,
    /// When its validity ends.
    pub not_after: DateTime<Utc>,
}

/// A line of a CRL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedEntry {
    /// The certificate's serial number.
    pub serial: SerialNumber,
    /// Its revocation or hold.
    pub revocation: Revocation,
    /// When its validity ends.
    pub not_after: DateTime<Utc>,
}

impl Reader {
    /// The status of a certificate that a CA key issued; `None` if it issued no certificate of this serial number.
    pub fn certificate_status(&self, ca_key: CaKeyId, serial: &SerialNumber) -> Result<Option<CertificateStatus>, StoreFault> {
        self.read(|session| {
            sql("SELECT state, revoked_at, reason, not_after FROM certificate WHERE serial = ? AND ca_key_id = ?")
                .bind(serial)
                .bind(ca_key.0)
                .optional(session, decode_status)
        })
    }

    /// The statuses of several certificates that a CA key issued, in the order asked.
    pub fn certificate_statuses(&self, ca_key: CaKeyId, serials: &[SerialNumber]) -> Result<Vec<Option<CertificateStatus>>, StoreFault> {
        if let [serial] = serials {
            return Ok(vec![self.certificate_status(ca_key, serial)?]);
        }
        self.read(|session| {
            let mut statuses = vec![None; serials.len()];
            for (places, asked) in statuses.chunks_mut(SERIALS).zip(serials.chunks(SERIALS)) {
                let mut select = sql(format!(
                    "SELECT serial, state, revoked_at, reason, not_after FROM certificate WHERE ca_key_id = ? AND serial IN ({})",
                    placeholders(asked.len())
                ))
                .bind(ca_key.0);
                for serial in asked {
                    select = select.bind(serial);
                }
                let found = select.rows(session, |row| Ok((row.serial()?, decode_status(row)?)))?;
                for (place, serial) in places.iter_mut().zip(asked) {
                    *place = found.iter().find(|(known, _)| known == serial).map(|(_, status)| *status);
                }
            }
            Ok(statuses)
        })
    }

    /// A CA key's revoked and held certificates that end after `still_listed_after`, by rising serial number from beyond
    /// `after`; `limit` at most. For a CRL: `still_listed_after` is when the CRL before was issued, so that each revocation
    /// is listed once after expiry (RFC 5280 section 3.3).
    pub fn revoked_certificates(
        &self,
        ca_key: CaKeyId,
        still_listed_after: DateTime<Utc>,
        after: Option<&SerialNumber>,
        limit: u32,
    ) -> Result<Vec<RevokedEntry>, StoreFault> {
        let after: &[u8] = after.map_or(&[], SerialNumber::as_bytes);
        self.read(|session| {
            sql("SELECT serial, revoked_at, reason, not_after FROM certificate \
                 WHERE ca_key_id = ? AND state IN (2, 3) AND serial > ? AND not_after > ? ORDER BY serial LIMIT ?")
            .bind(ca_key.0)
            .bind(after)
            .bind(still_listed_after)
            .bind(i64::from(limit))
            .rows(session, |row| {
                Ok(RevokedEntry {
                    serial: row.serial()?,
                    revocation: codes::revocation(row.optional_big()?, row.optional_small()?)?
                        .ok_or(StoreFault::Corrupt("a revoked certificate without revocation"))?,
                    not_after: row.time()?,
                })
            })
        })
    }
}

impl Transaction<'_> {
    /// Whether a certificate is live or held, and stays so until this transaction's end.
    pub fn certificate_stands(&mut self, ca_key: CaKeyId, serial: &SerialNumber) -> Result<bool, StoreFault> {
        let lock = self.session.share_lock();
        let state = sql(format!("SELECT state FROM certificate WHERE serial = ? AND ca_key_id = ?{lock}"))
            .bind(serial)
            .bind(ca_key.0)
            .optional(self.session, |row| row.small())?;
        Ok(state.map(CertificateState::from_code).transpose()?.is_some_and(CertificateState::stands))
    }
}

fn decode_status(row: &mut Fields<'_, '_, '_>) -> Result<CertificateStatus, StoreFault> {
    let state = CertificateState::from_code(row.small()?)?;
    let revocation = codes::revocation(row.optional_big()?, row.optional_small()?)?;
    if revocation.is_some() != matches!(state, CertificateState::Held | CertificateState::Revoked) {
        return Err(StoreFault::Corrupt("a certificate's state and revocation contradict each other"));
    }
    Ok(CertificateStatus { state, revocation, not_after: row.time()? })
}
