//! The causes for which certificates are on hold now, one row for each.

use std::collections::HashMap;

use ca_core::digest::Sha256Digest;
use ca_core::lifecycle::{HoldCause, HoldCauses};
use chrono::{DateTime, Utc};

use crate::certificate::CertificateId;
use crate::connection::Session;
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{few_sizes, placeholders, sql, value_rows};

/// A hold that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingHold {
    /// Why.
    pub cause: HoldCause,
    /// When it was placed, or asked for again last: no lift that was asked for before undoes it.
    pub placed_at: DateTime<Utc>,
    /// The instruction by which that was asked for, if by one.
    pub instruction: Option<Sha256Digest>,
}

impl Reader {
    /// The holds that stand on a certificate, in the order of their causes.
    pub fn holds(&self, certificate: CertificateId) -> Result<Vec<StandingHold>, StoreFault> {
        self.read(|session| of_certificate(session, certificate))
    }
}

/// The holds that stand on a certificate, in the order of their causes.
pub(crate) fn of_certificate(session: &mut Session, certificate: CertificateId) -> Result<Vec<StandingHold>, StoreFault> {
    sql("SELECT h.cause, h.placed_at, i.digest FROM hold AS h LEFT JOIN instruction AS i ON i.id = h.instruction_id \
         WHERE h.certificate_id = ? ORDER BY h.cause")
    .bind(certificate.0)
    .rows(session, |row| Ok(StandingHold { cause: cause(row.small()?)?, placed_at: row.time()?, instruction: row.optional_digest()? }))
}

/// The causes that hold each of these certificates.
pub(crate) fn causes(session: &mut Session, certificates: &[CertificateId]) -> Result<HashMap<CertificateId, HoldCauses>, StoreFault> {
    let mut causes: HashMap<CertificateId, Vec<HoldCause>> = HashMap::new();
    for some in few_sizes(certificates) {
        let text = format!("SELECT certificate_id, cause FROM hold WHERE certificate_id IN ({})", placeholders(some.len()));
        let select = some.iter().fold(sql(text), |select, id| select.bind(id.0));
        for (id, cause) in select.rows(session, |row| Ok((CertificateId(row.big()?), cause(row.small()?)?)))? {
            causes.entry(id).or_default().push(cause);
        }
    }
    Ok(causes.into_iter().map(|(id, causes)| (id, causes.into_iter().collect())).collect())
}

/// Adds causes that do not stand yet.
pub(crate) fn place(
    session: &mut Session,
    holds: &[(CertificateId, HoldCause)],
    instruction: Option<&Sha256Digest>,
    now: DateTime<Utc>,
) -> Result<(), StoreFault> {
    for some in few_sizes(holds) {
        let row = "(?, ?, ?, (SELECT id FROM instruction WHERE digest = ?))";
        let text =
            format!("INSERT INTO hold (certificate_id, cause, placed_at, instruction_id) VALUES {}", vec![row; some.len()].join(", "));
        let insert =
            some.iter().fold(sql(text), |insert, (id, cause)| insert.bind(id.0).bind(i16::from(cause.code())).bind(now).bind(instruction));
        insert.execute(session)?;
    }
    Ok(())
}

/// Takes causes away.
pub(crate) fn remove(session: &mut Session, holds: &[(CertificateId, HoldCause)]) -> Result<(), StoreFault> {
    for some in few_sizes(holds) {
        let text = format!("DELETE FROM hold WHERE (certificate_id, cause) IN (VALUES {})", value_rows(some.len(), 2));
        let delete = some.iter().fold(sql(text), |delete, (id, cause)| delete.bind(id.0).bind(i16::from(cause.code())));
        delete.execute(session)?;
    }
    Ok(())
}

fn cause(code: i16) -> Result<HoldCause, StoreFault> {
    u8::try_from(code).ok().and_then(HoldCause::from_code).ok_or(StoreFault::Corrupt("a hold's cause"))
}
