//! The generations of CA keys, and what stands of each.

use ca_core::issuer::CaKeyId;
use chrono::{DateTime, Utc};

use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;

/// How far a CA key generation's life has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// The key.
    pub ca_key: CaKeyId,
    /// When it was retired, if it was.
    pub retired_at: Option<DateTime<Utc>>,
    /// Its certificates that are live.
    pub live: u64,
    /// Its certificates that are held.
    pub held: u64,
    /// Its certificates that are revoked, those among them whose time is over too.
    pub revoked: u64,
}

impl Reader {
    /// Every generation, oldest first within each kind. All standing and revoked certificates are counted, by indexes alone: over
    /// very many this takes seconds.
    pub fn generations(&self) -> Result<Vec<Generation>, StoreFault> {
        // States 1 live, 2 held, 3 revoked; held is what has the reason certificateHold, 6: the indexes have reasons and no states.
        let counting = "SELECT k.id, k.retired_at, \
             (SELECT COUNT(*) FROM certificate AS c WHERE c.state IN (1, 2) AND c.ca_key_id = k.id), \
             (SELECT COUNT(*) FROM certificate AS c WHERE c.state IN (2, 3) AND c.ca_key_id = k.id AND c.reason = 6), \
             (SELECT COUNT(*) FROM certificate AS c WHERE c.state IN (2, 3) AND c.ca_key_id = k.id) \
             FROM ca_key AS k ORDER BY k.kind, k.generation";
        self.read(|session| {
            sql(counting).rows(session, |row| {
                let (ca_key, retired_at) = (CaKeyId(row.int()?), row.optional_time()?);
                let (standing, held, ended) = (row.unsigned()?, row.unsigned()?, row.unsigned()?);
                let (Some(live), Some(revoked)) = (standing.checked_sub(held), ended.checked_sub(held)) else {
                    return Err(StoreFault::Corrupt("states and reasons of certificates"));
                };
                Ok(Generation { ca_key, retired_at, live, held, revoked })
            })
        })
    }
}
