//! What whoever takes the lead does first: it records with which settings it leads, and has its clock checked.

use std::sync::PoisonError;

use crate::CaFault;
use crate::role::CaRole;
use crate::schedules::ScheduleName;

/// Whose settings are recorded.
const ROLE: &str = "ca";

impl CaRole {
    /// Does what a lead begins with, once under each lease.
    pub fn take_over(&self) -> Result<(), CaFault> {
        let epoch = self.current_lease()?.epoch;
        let mut taken_over = self.taken_over.lock().unwrap_or_else(PoisonError::into_inner);
        if *taken_over == Some(epoch) {
            return Ok(());
        }
        let (topics, now) = (self.settings.topics.clone(), self.clock.now());
        let changed = self.write(move |tx| {
            // The schedule is not there yet at the very first time, and is due then anyhow.
            tx.request_schedule(ScheduleName::CheckClock.as_str(), now)?;
            if topics.is_empty() { Ok(Vec::new()) } else { tx.record_settings(ROLE, &topics, now) }
        })?;
        if !changed.is_empty() {
            tracing::info!(topics = changed.join(" "), "this process leads with other settings than those recorded last");
        }
        *taken_over = Some(epoch);
        Ok(())
    }
}
