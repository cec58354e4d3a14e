//! Published revocations put back into a store that was restored from before them.

use std::collections::HashMap;

use ca_core::issuer::CaKeyId;
use ca_core::lifecycle::Command;
use ca_core::revocation::Revocation;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use policies::LifecyclePolicy;

use super::standing::{self, Grounds};
use super::{Changed, Origin};
use crate::certificate::CertificateId;
use crate::crl::ListedRevocation;
use crate::fault::StoreFault;
use crate::sql::{few_sizes, placeholders, sql};
use crate::transaction::Transaction;

impl Transaction<'_> {
    /// Puts back what published lists say of certificates of a CA key: with the dates and reasons that were told. What is known here
    /// stays: nothing that ended is changed, and no hold is taken away. Serial numbers that are unknown here are passed over (see
    /// [`Transaction::remember_forgotten`]). Each change has exactly one event.
    pub fn put_back(
        &mut self,
        ca_key: CaKeyId,
        listed: &[ListedRevocation],
        policy: &LifecyclePolicy,
        now: DateTime<Utc>,
    ) -> Result<Vec<Changed>, StoreFault> {
        let mut ids = Vec::new();
        for some in few_sizes(listed) {
            let text = format!("SELECT id FROM certificate WHERE ca_key_id = ? AND serial IN ({})", placeholders(some.len()));
            let select = some.iter().fold(sql(text).bind(ca_key.0), |select, entry| select.bind(&entry.serial));
            ids.extend(select.rows(self.session, |row| Ok(CertificateId(row.big()?)))?);
        }
        let told: HashMap<&SerialNumber, Revocation> = listed.iter().map(|entry| (&entry.serial, entry.revocation)).collect();
        let grounds = Grounds { by: &Origin::Reconciliation, card_change: None, instruction: None, policy };
        let mut changed = Vec::new();
        let mut standings = standing::by_rows(self.session, &ids)?;
        for standing in &mut standings {
            let Some(revocation) = told.get(&standing.serial).copied() else { continue };
            let change = standing.take(&Command::PutBack { revocation }, policy, now);
            // The life cycle has no rule that refuses what was published.
            let Some(change) = change.map_err(|_| StoreFault::Misuse("a published revocation was refused"))? else { continue };
            self.emit(standing.event(&change, &grounds, now));
            let kind = standing.certificate.kind;
            changed.push(Changed { id: standing.id, kind, serial: standing.serial.clone(), change });
        }
        standing::write(self.session, &standings, None, now)?;
        Ok(changed)
    }
}
