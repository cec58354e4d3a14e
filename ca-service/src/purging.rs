//! Purging: what is kept of lives whose time is over is destroyed, in small transactions, so that others have their turn in between and
//! whatever ends it in its middle does no harm.

use ca_core::application::ApplicationId;
use chrono::{DateTime, Months, Utc};
use schema::purge::Purged;

use crate::CaFault;
use crate::role::CaRole;

/// Applications looked at in one look.
const LOOKED_AT: u32 = 1_000;
/// Applications purged in one transaction.
const LIVES: usize = 16;
/// Of whatever else is purged, of each sort in one transaction.
const OTHERS: u32 = 500;

impl CaRole {
    /// Purges what is older than the retention; how many things there were. With a retention of 0 years nothing is ever purged.
    pub fn purge(&self) -> Result<usize, CaFault> {
        let Some(before) = self.kept_since() else { return Ok(0) };
        let mut purged = Purged::default();
        let mut from = self.reader.first_kept_life()?;
        while let Some(next) = from {
            self.go_on()?;
            let overdue = self.reader.overdue_lives(next, before, LOOKED_AT)?;
            for some in overdue.applications.chunks(LIVES) {
                purged += self.purge_some(some.to_vec(), before)?;
            }
            from = overdue.next;
        }
        loop {
            self.go_on()?;
            let now = self.clock.now();
            let some = self.write(move |tx| tx.purge_others(before, OTHERS, now))?;
            if some == Purged::default() {
                break;
            }
            purged += some;
        }
        if purged != Purged::default() {
            tracing::info!(lives = purged.lives, leaves = purged.leaves, others = purged.others, "what was kept long enough is purged");
        }
        metrics::counter!("tsunagi_ca_purged_lives_total").increment(purged.lives);
        Ok(usize::try_from(purged.lives + purged.others).unwrap_or(usize::MAX))
    }

    fn purge_some(&self, applications: Vec<ApplicationId>, before: DateTime<Utc>) -> Result<Purged, CaFault> {
        self.go_on()?;
        let now = self.clock.now();
        self.write(move |tx| tx.purge_lives(&applications, before, now))
    }

    /// What was over before this moment is kept no longer; `None` if everything is kept for ever.
    fn kept_since(&self) -> Option<DateTime<Utc>> {
        let years = self.settings.life.retention.years;
        let months = Months::new(12 * years);
        (years > 0).then(|| self.clock.now().checked_sub_months(months)).flatten()
    }
}
