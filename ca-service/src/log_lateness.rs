//! What waits while the log cannot be written: nothing is issued and no hold is lifted, for nobody could prove it. Whatever ends or
//! holds a certificate goes on, and so does what tells of it.

use crate::CaFault;
use crate::cascade::AT_ONCE;
use crate::role::CaRole;

impl CaRole {
    /// Whether events have waited for the log for longer than they may.
    pub fn log_is_late(&self) -> Result<bool, CaFault> {
        Ok(self.log_health.late_since(self.clock.now())?.is_some())
    }

    /// Shows for how long events have waited for the log, and whether issuance waits for it: also where this process does not lead, and
    /// what it showed when it did would stay.
    pub(crate) fn measure_log_lateness(&self) -> Result<(), CaFault> {
        let now = self.clock.now();
        let lag = self.reader.unsequenced_since()?.map(|since| now - since).unwrap_or_default();
        metrics::gauge!("tsunagi_log_lag_seconds").set(lag.num_milliseconds().max(0) as f64 / 1_000.0);
        metrics::gauge!("tsunagi_log_backlog").set(self.reader.log_backlog()? as f64);
        let late_since = self.log_health.late_since(now)?;
        metrics::gauge!("tsunagi_log_stops_issuance").set(if late_since.is_some() { 1.0 } else { 0.0 });
        if let Some(since) = late_since {
            tracing::error!(%since, "events wait for the log: nothing is issued and no hold is lifted before it is written again");
        }
        Ok(())
    }

    /// Once the log is written again, lifts what was to be lifted after releases of cards meanwhile, as far as the cards are still good;
    /// how many certificates were looked at.
    pub fn lift_what_waited(&self) -> Result<usize, CaFault> {
        if !self.reader.lifts_wait()? || self.log_is_late()? {
            return Ok(0);
        }
        let mut looked_at = 0;
        loop {
            self.go_on()?;
            let (policy, now) = (self.lifecycle.clone(), self.clock.now());
            match self.write(move |tx| tx.lift_deferred(AT_ONCE, &policy, now))? {
                0 => return Ok(looked_at),
                count => looked_at += count,
            }
        }
    }
}
