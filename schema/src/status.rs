//! What relying parties ask: is it revoked, since when, why.

use ca_core::issuer::CaKeyId;
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::certificate::CertificateState;
use crate::codes;
use crate::connection::Session;
use crate::event::EventPosition;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, sql, value_rows};
use crate::transaction::Transaction;

/// So many serial numbers are asked for in one statement.
const SERIALS: usize = 64;

/// A certificate's status, as far as the CA issued it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateStatus {
    /// Its state as last written; whether it has expired since is for the reader's clock.
    pub state: CertificateState,
    /// Present if it is revoked or held.
    pub revocation: Option<Revocation>,
    /// When its validity ends; of a certificate that is known only by its published revocation, when its CA key's does.
    pub not_after: DateTime<Utc>,
    /// Whether it is known only by its published revocation: the database was restored from before its issuance.
    pub is_forgotten: bool,
}

/// Several certificates' statuses at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSnapshot {
    /// Rises when the database is found restored.
    pub epoch: u64,
    /// The moment: the last event that is in the statuses.
    pub position: EventPosition,
    /// Whether the database is restored and not reconciled: then nothing of this is to be told.
    pub reconciling: bool,
    /// In the order asked; `None` where no certificate of this serial number was issued.
    pub statuses: Vec<Option<CertificateStatus>>,
}

impl Reader {
    /// The statuses of certificates that a CA key issued, of one moment; of up to 64, in one statement.
    pub fn status_at(&self, ca_key: CaKeyId, serials: &[SerialNumber]) -> Result<StatusSnapshot, StoreFault> {
        self.read(|session| {
            if serials.len() <= SERIALS {
                return statuses(session, ca_key, serials);
            }
            session.snapshot(|session| {
                let mut parts = serials.chunks(SERIALS).map(|some| statuses(session, ca_key, some)).collect::<Result<Vec<_>, _>>()?;
                let mut first = parts.remove(0);
                first.statuses.extend(parts.into_iter().flat_map(|part| part.statuses));
                Ok(first)
            })
        })
    }

    /// The status of a certificate that a CA key issued; `None` if it issued no certificate of this serial number.
    pub fn certificate_status(&self, ca_key: CaKeyId, serial: &SerialNumber) -> Result<Option<CertificateStatus>, StoreFault> {
        Ok(self.status_at(ca_key, std::slice::from_ref(serial))?.statuses.into_iter().next().flatten())
    }

    /// The statuses of several certificates that a CA key issued, in the order asked.
    pub fn certificate_statuses(&self, ca_key: CaKeyId, serials: &[SerialNumber]) -> Result<Vec<Option<CertificateStatus>>, StoreFault> {
        Ok(self.status_at(ca_key, serials)?.statuses)
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

/// At most [`SERIALS`] certificates' statuses, in one statement and so of one moment.
fn statuses(session: &mut Session, ca_key: CaKeyId, serials: &[SerialNumber]) -> Result<StatusSnapshot, StoreFault> {
    let select = match serials {
        [] => sql("SELECT m.epoch, k.position, m.reconciling_since, -1 FROM store_meta AS m CROSS JOIN event_counter AS k"),
        [one] => sql(ONE).bind(one).bind(ca_key.0).bind(one).bind(ca_key.0),
        several => {
            // Few sizes, so that few statements are prepared: the last serial number is asked for again.
            let size = several.len().next_power_of_two();
            let padded = (0..).zip(several.iter().chain(several.last().into_iter().cycle())).take(size);
            let select = sql(format!("WITH asked (place, serial) AS (VALUES {}) {SEVERAL}", value_rows(size, 2)));
            padded.fold(select, |select, (place, serial)| select.bind(place).bind(serial)).bind(ca_key.0).bind(ca_key.0)
        }
    };
    let mut snapshot = None;
    let mut found = vec![None; serials.len()];
    select.rows(session, |row| {
        snapshot = Some((row.unsigned()?, EventPosition(row.big()?), row.optional_big()?.is_some()));
        if let Some(status) = found.get_mut(usize::try_from(row.int()?).unwrap_or(usize::MAX)) {
            *status = decode_status(row)?;
        }
        Ok(())
    })?;
    let (epoch, position, reconciling) = snapshot.ok_or(StoreFault::Corrupt("store_meta or event_counter is empty"))?;
    Ok(StatusSnapshot { epoch, position, reconciling, statuses: found })
}

/// The moment, and the status of one serial number.
const ONE: &str = "SELECT m.epoch, k.position, m.reconciling_since, 0, \
    c.state, c.revoked_at, c.reason, c.invalidity_at, c.not_after, f.revoked_at, f.reason, f.invalidity_at, \
    CASE WHEN f.serial IS NOT NULL THEN (SELECT not_after FROM ca_key WHERE id = f.ca_key_id) END \
    FROM store_meta AS m CROSS JOIN event_counter AS k LEFT JOIN certificate AS c ON c.serial = ? AND c.ca_key_id = ? \
    LEFT JOIN forgotten_revocation AS f ON f.serial = ? AND f.ca_key_id = ?";

/// The same of those in `asked`.
const SEVERAL: &str = "SELECT m.epoch, k.position, m.reconciling_since, a.place, \
    c.state, c.revoked_at, c.reason, c.invalidity_at, c.not_after, f.revoked_at, f.reason, f.invalidity_at, \
    CASE WHEN f.serial IS NOT NULL THEN (SELECT not_after FROM ca_key WHERE id = f.ca_key_id) END \
    FROM store_meta AS m CROSS JOIN event_counter AS k CROSS JOIN asked AS a \
    LEFT JOIN certificate AS c ON c.serial = a.serial AND c.ca_key_id = ? \
    LEFT JOIN forgotten_revocation AS f ON f.serial = a.serial AND f.ca_key_id = ?";

fn decode_status(row: &mut Fields<'_, '_, '_>) -> Result<Option<CertificateStatus>, StoreFault> {
    let state = row.optional_small()?.map(CertificateState::from_code).transpose()?;
    let revocation = codes::certificate_revocation(row.optional_big()?, row.optional_small()?, row.optional_big()?)?;
    let not_after = row.optional_time()?;
    let forgotten = codes::certificate_revocation(row.optional_big()?, row.optional_small()?, row.optional_big()?)?;
    let ca_key_ends = row.optional_time()?;
    let known = match (state, not_after) {
        (Some(state), Some(not_after)) => Some((state, not_after)),
        (None, None) => None,
        _ => return Err(StoreFault::Corrupt("half a certificate")),
    };
    if revocation.is_some() != known.is_some_and(|(state, _)| matches!(state, CertificateState::Held | CertificateState::Revoked)) {
        return Err(StoreFault::Corrupt("a certificate's state and revocation contradict each other"));
    }
    let is_revoked = |revocation: &Revocation| revocation.reason.is_permanent();
    Ok(match (known, forgotten) {
        // What was published stands, whatever else is known, unless that is as bad.
        (known, Some(forgotten)) if !revocation.as_ref().is_some_and(is_revoked) => {
            let state = if is_revoked(&forgotten) { CertificateState::Revoked } else { CertificateState::Held };
            let not_after = known.map(|(_, not_after)| not_after).or(ca_key_ends).ok_or(StoreFault::Corrupt("a CA key without end"))?;
            Some(CertificateStatus { state, revocation: Some(forgotten), not_after, is_forgotten: known.is_none() })
        }
        (Some((state, not_after)), _) => Some(CertificateStatus { state, revocation, not_after, is_forgotten: false }),
        (None, _) => None,
    })
}
