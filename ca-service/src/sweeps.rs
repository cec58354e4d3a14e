//! What time brings: certificates that reach their end, holds that stood too long, batches that run on page by page.

use schema::batch::BatchId;
use schema::change::{Changed, Order, Origin};

use crate::CaFault;
use crate::cascade::AT_ONCE;
use crate::role::CaRole;
use crate::schedules::ScheduleName;

impl CaRole {
    /// Marks certificates past their end; how many there were.
    pub fn expire_certificates(&self) -> Result<usize, CaFault> {
        let (policy, order) = (self.lifecycle.clone(), regular(ScheduleName::Expire));
        self.sweep(|role| {
            let (policy, order, now) = (policy.clone(), order.clone(), role.clock.now());
            role.write(move |tx| tx.expire_due(AT_ONCE, &policy, &order, now))
        })
    }

    /// Revokes what has been on hold for as long as the policy lets it; how many there were.
    pub fn enforce_hold_deadlines(&self) -> Result<usize, CaFault> {
        let (policy, order) = (self.lifecycle.clone(), regular(ScheduleName::HoldDeadlines));
        self.sweep(|role| {
            let (policy, order, now) = (policy.clone(), order.clone(), role.clock.now());
            role.write(move |tx| tx.holds_past_deadline(AT_ONCE, &policy, &order, now))
        })
    }

    /// In small transactions until nothing is left, so that others have their turn in between.
    fn sweep(&self, some: impl Fn(&Self) -> Result<Vec<Changed>, CaFault>) -> Result<usize, CaFault> {
        let mut swept = 0;
        loop {
            self.go_on()?;
            match some(self)?.len() {
                0 => return Ok(swept),
                count => swept += count,
            }
        }
    }

    /// Brings each running batch a page further; how many ran. One that fails keeps no other from going on.
    pub fn advance_batches(&self) -> Result<usize, CaFault> {
        let running = self.reader.batches_running()?;
        running.iter().map(|id| self.advance_batch(*id)).fold(Ok(()), Result::and)?;
        Ok(running.len())
    }

    fn advance_batch(&self, id: BatchId) -> Result<(), CaFault> {
        let (policy, now) = (self.lifecycle.clone(), self.clock.now());
        let batch = self.write(move |tx| tx.advance_batch(id, AT_ONCE, &policy, now))?;
        if batch.finished_at.is_some() {
            tracing::info!(batch = id.0, cards = batch.cards, changed = batch.changed, "a batch is finished");
        }
        Ok(())
    }
}

fn regular(name: ScheduleName) -> Order {
    Order::from(Origin::Schedule { name: name.as_str().to_owned() })
}
