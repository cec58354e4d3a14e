//! What runs by the clock: when it last did, and whether an administrator wants it to.

use chrono::{DateTime, Utc};

use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::sql;
use crate::transaction::Transaction;

/// A schedule and its last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// What runs.
    pub name: String,
    /// When, in six fields, seconds first.
    pub expression: String,
    /// When a run last began.
    pub last_started_at: Option<DateTime<Utc>>,
    /// When a run last ended; earlier than the last beginning while one is on, or was broken off.
    pub last_finished_at: Option<DateTime<Utc>>,
    /// What came of the last run that ended.
    pub last_outcome: Option<String>,
    /// Since when an administrator wants a run out of turn.
    pub requested_at: Option<DateTime<Utc>>,
}

impl Reader {
    /// All schedules, by name.
    pub fn schedules(&self) -> Result<Vec<ScheduleRecord>, StoreFault> {
        self.read(|session| {
            sql("SELECT name, expression, last_started_at, last_finished_at, last_outcome, requested_at FROM schedule ORDER BY name").rows(
                session,
                |row| {
                    Ok(ScheduleRecord {
                        name: row.text()?,
                        expression: row.text()?,
                        last_started_at: row.optional_time()?,
                        last_finished_at: row.optional_time()?,
                        last_outcome: row.optional_text()?,
                        requested_at: row.optional_time()?,
                    })
                },
            )
        })
    }
}

impl Transaction<'_> {
    /// Sets when a schedule (a name of 1 to 64 octets) runs; its last run stays on record.
    pub fn define_schedule(&mut self, name: &str, expression: &str) -> Result<(), StoreFault> {
        sql("INSERT INTO schedule (name, expression) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET expression = excluded.expression")
            .bind(name)
            .bind(expression)
            .execute(self.session)?;
        Ok(())
    }

    /// Asks for a run out of turn; whether there is such a schedule.
    pub fn request_schedule(&mut self, name: &str, now: DateTime<Utc>) -> Result<bool, StoreFault> {
        let asked = sql("UPDATE schedule SET requested_at = ? WHERE name = ?").bind(now).bind(name).execute(self.session)?;
        Ok(asked == 1)
    }

    /// A run begins. Only the leader calls this, with [`Transaction::check_lease`] before it.
    pub fn start_schedule(&mut self, name: &str, now: DateTime<Utc>) -> Result<(), StoreFault> {
        sql("UPDATE schedule SET last_started_at = ? WHERE name = ?").bind(now).bind(name).execute(self.session)?;
        Ok(())
    }

    /// A run ended; `outcome` is a sentence, 1,024 octets at most. What was asked for before it began is done with; a run that was
    /// broken off leaves that standing.
    pub fn finish_schedule(&mut self, name: &str, outcome: &str, now: DateTime<Utc>) -> Result<(), StoreFault> {
        sql("UPDATE schedule SET last_finished_at = ?, last_outcome = ?, \
             requested_at = CASE WHEN requested_at > last_started_at AND requested_at <= ? THEN requested_at ELSE NULL END WHERE name = ?")
        .bind(now)
        .bind(outcome)
        .bind(now)
        .bind(name)
        .execute(self.session)?;
        Ok(())
    }
}
