//! One card event at a time: the product takes many at once, tests are clearer with one.

use chrono::{DateTime, Utc};
use policies::LifecyclePolicy;

use crate::card_event::{CardEvent, Receipt};
use crate::certificate::CertificateId;
use crate::fault::StoreFault;
use crate::transaction::Transaction;

impl Transaction<'_> {
    /// Puts an event into the inbox, once; see [`Transaction::receive_card_events`].
    pub fn receive_card_event(&mut self, event: &CardEvent, now: DateTime<Utc>) -> Result<Receipt, StoreFault> {
        let new = self.receive_card_events(std::slice::from_ref(event), now)?;
        Ok(if new == 0 { Receipt::Known } else { Receipt::New })
    }

    /// Applies one card event; see [`Transaction::apply_card_events`].
    pub fn apply_card_event(
        &mut self,
        event: &CardEvent,
        policy: &LifecyclePolicy,
        now: DateTime<Utc>,
    ) -> Result<Vec<CertificateId>, StoreFault> {
        self.apply_card_events(std::slice::from_ref(event), policy, now)
    }
}
