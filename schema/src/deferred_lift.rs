//! Lifts that followed from the release of a card certificate and were put off: what of them is still true is done later.

use std::collections::BTreeMap;

use ca_core::lifecycle::{CardChange, CardChangeKind, CardStanding, Command};
use chrono::{DateTime, Utc};
use policies::LifecyclePolicy;

use crate::card;
use crate::certificate::CertificateId;
use crate::change::Origin;
use crate::change::standing::{self, Grounds};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{few_sizes, placeholders, sql, value_rows};
use crate::transaction::Transaction;

impl Reader {
    /// Whether lifts are put off.
    pub fn lifts_wait(&self) -> Result<bool, StoreFault> {
        self.read(|session| Ok(sql("SELECT 1 FROM deferred_lift LIMIT 1").optional(session, |row| row.int())?.is_some()))
    }
}

impl Transaction<'_> {
    /// Remembers certificates whose hold is to be lifted later, and the card event by which; those without one it is to be lifted of no
    /// more.
    pub(crate) fn defer_lifts(&mut self, lifts: &BTreeMap<CertificateId, Option<&str>>, now: DateTime<Utc>) -> Result<(), StoreFault> {
        let kept: Vec<CertificateId> = lifts.iter().filter(|(_, event_id)| event_id.is_none()).map(|(id, _)| *id).collect();
        self.forget_lifts(&kept)?;
        let deferred: Vec<_> = lifts.iter().filter_map(|(id, event_id)| Some((*id, (*event_id)?))).collect();
        for some in few_sizes(&deferred) {
            let mut insert = sql(format!(
                "INSERT INTO deferred_lift (certificate_id, event_id, since) VALUES {} \
                 ON CONFLICT (certificate_id) DO UPDATE SET event_id = excluded.event_id",
                value_rows(some.len(), 3)
            ));
            for (certificate, event_id) in some {
                insert = insert.bind(certificate.0).bind(*event_id).bind(now);
            }
            insert.execute(self.session)?;
        }
        Ok(())
    }

    /// Does the lifts that were put off, `limit` at most, as far as the card is not on hold again or ended; how many were looked at.
    pub fn lift_deferred(&mut self, limit: u32, policy: &LifecyclePolicy, now: DateTime<Utc>) -> Result<usize, StoreFault> {
        let deferred = sql("SELECT d.certificate_id, d.event_id, l.card_id FROM deferred_lift AS d \
             JOIN link AS l ON l.certificate_id = d.certificate_id ORDER BY d.certificate_id LIMIT ?")
        .bind(i64::from(limit))
        .rows(self.session, |row| Ok((CertificateId(row.big()?), row.text()?, row.big()?)))?;
        let (ids, cards): (Vec<CertificateId>, Vec<i64>) = deferred.iter().map(|(id, _, card)| (*id, *card)).unzip();
        // Cards before certificates, as whatever else happens to them.
        let cards = card::lock_rows(self.session, &cards)?;
        let is_good = |id: i64| cards.iter().any(|card| card.id == id && card.record.standing == CardStanding::Good);
        let mut standings = standing::by_rows(self.session, &ids)?;
        for standing in &mut standings {
            let Some((_, event_id, card)) = deferred.iter().find(|(id, ..)| *id == standing.id) else { continue };
            if !is_good(*card) {
                continue;
            }
            let origin = Origin::CardEvent { id: event_id.clone() };
            let grounds = Grounds { by: &origin, card_change: Some(CardChangeKind::Released), instruction: None, policy };
            // A consequence is not refused: what changed meanwhile needs nothing more.
            if let Ok(Some(change)) = standing.take(&Command::Card(CardChange::Released { at: now }), policy, now) {
                self.emit(standing.event(&change, &grounds, now));
            }
        }
        standing::write(self.session, &standings, None, now)?;
        self.forget_lifts(&ids)?;
        Ok(ids.len())
    }

    fn forget_lifts(&mut self, certificates: &[CertificateId]) -> Result<(), StoreFault> {
        for some in few_sizes(certificates) {
            let delete = sql(format!("DELETE FROM deferred_lift WHERE certificate_id IN ({})", placeholders(some.len())));
            some.iter().fold(delete, |delete, id| delete.bind(id.0)).execute(self.session)?;
        }
        Ok(())
    }
}
