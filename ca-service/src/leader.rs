//! One CA process leads; the others wait.

use std::sync::PoisonError;

use chrono::Duration;
use schema::lease::Lease;
use schema::{StoreFault, Transaction};

use crate::CaFault;
use crate::role::CaRole;

/// What the lease is called in the store.
const LEASE: &str = "ca";
/// How long the lead lasts without being renewed.
const LEASE_SECONDS: i64 = 15;

impl CaRole {
    /// Takes or keeps the lead; whether this process has it. Nobody has it while the store is restored and not reconciled.
    pub fn lead(&self) -> Result<bool, CaFault> {
        self.take_lead(false)
    }

    /// The same for whoever reconciles a restored store, and only while it is to be reconciled.
    pub fn lead_reconciliation(&self) -> Result<bool, CaFault> {
        self.take_lead(true)
    }

    fn take_lead(&self, to_reconcile: bool) -> Result<bool, CaFault> {
        let (owner, now) = (self.owner.clone(), self.clock.now());
        let lease = self.writer.write(move |tx| match tx.is_reconciling()? == to_reconcile {
            true => tx.acquire_lease(LEASE, &owner, now, Duration::seconds(LEASE_SECONDS)),
            false => Ok(None),
        })?;
        let leads = lease.is_some();
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease;
        Ok(leads)
    }

    /// Gives up the lead, if this process has it, so that the next need not wait until it runs out. For the end, when nothing
    /// is done under it any more.
    pub fn stand_down(&self) {
        let Some(lease) = self.lease.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let now = self.clock.now();
        if let Err(fault) = self.writer.write(move |tx| tx.release_lease(&lease, now)) {
            tracing::warn!(%fault, "the lead was not given up; it runs out by itself");
        }
    }

    /// A write that counts only while this process leads: the lease's epoch is checked in the same transaction.
    pub(crate) fn write<T: Send + 'static>(
        &self,
        mut work: impl FnMut(&mut Transaction<'_>) -> Result<T, StoreFault> + Send + 'static,
    ) -> Result<T, CaFault> {
        let lease = self.current_lease()?;
        let written = self.writer.write(move |tx| {
            tx.check_lease(&lease)?;
            work(tx)
        });
        written.map_err(CaFault::from)
    }

    pub(crate) fn current_lease(&self) -> Result<Lease, CaFault> {
        self.lease().ok_or(CaFault::Fenced)
    }
}
