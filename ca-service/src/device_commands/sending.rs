//! Commands on their way through the push service, which may lose them: they are sent again until the phone answers, or asks by
//! itself, or their time is over.

use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use ca_core::chain::Chain;
use chrono::{DateTime, TimeDelta, Utc};
use push::{PushFault, PushGateway, PushMessage, PushOutcome};
use schema::device_command::DueCommand;
use schema::{StoreFault, Transaction};

use crate::CaFault;
use crate::role::CaRole;

/// Commands that are read from the store at once.
const PAGE: u32 = 128;
/// Commands that are handed over at the same time: a push service answers slowly, and takes many.
const AT_ONCE: usize = 8;

/// What became of an attempt.
enum Attempt {
    /// The push service took it; when to send it again, if there is time left for that.
    Sent { next: Option<DateTime<Utc>> },
    /// The phone has no such token any more.
    Dead,
    /// It did not.
    Later { next: DateTime<Utc> },
}

impl CaRole {
    /// Hands every command whose time has come to the push service, if there is one; how many it took. Without one, commands wait
    /// until phones ask for them.
    pub fn send_commands(&self) -> Result<usize, CaFault> {
        let until = self.clock.now();
        let mut taken = 0;
        loop {
            let (due, some) = self.send_some_commands(until)?;
            taken += some;
            if due == 0 {
                return Ok(taken);
            }
        }
    }

    /// A page of that: how many were due, and how many of these the push service took.
    pub(crate) fn send_some_commands(&self, until: DateTime<Utc>) -> Result<(usize, usize), CaFault> {
        let Some(push) = &self.push else { return Ok((0, 0)) };
        let _one_at_a_time = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let due = self.reader.due_commands(PAGE, until)?;
        if due.is_empty() { Ok((0, 0)) } else { Ok((due.len(), self.send(push.as_ref(), due)?)) }
    }

    /// Ends the commands whose time is over; how many there were.
    pub fn expire_commands(&self) -> Result<usize, CaFault> {
        let mut expired = 0;
        loop {
            let now = self.clock.now();
            let count = self.write(move |tx| tx.expire_commands(PAGE, now))?;
            expired += count;
            if count == 0 {
                return Ok(expired);
            }
        }
    }

    fn send(&self, push: &dyn PushGateway, due: Vec<DueCommand>) -> Result<usize, CaFault> {
        let share = due.len().div_ceil(AT_ONCE).max(1);
        let answers: Vec<Result<PushOutcome, PushFault>> = thread::scope(|scope| {
            let now = self.clock.now();
            let hand_over = move |some: &[DueCommand]| some.iter().map(|due| push.send(&message(due, now))).collect::<Vec<_>>();
            let threads: Vec<_> = due.chunks(share).map(|some| (some.len(), scope.spawn(move || hand_over(some)))).collect();
            let joined = threads.into_iter().flat_map(|(count, thread)| {
                // A client that panics has handed nothing over, as far as we know.
                thread.join().unwrap_or_else(|_| (0..count).map(|_| Ok(PushOutcome::TryLater { after: None })).collect())
            });
            joined.collect()
        });
        if let Some(fault) = answers.iter().find_map(|answer| answer.as_ref().err()) {
            metrics::counter!("tsunagi_ca_push_faults_total").increment(1);
            tracing::error!(fault = %Chain(fault), "the push service cannot be used as it is set up; commands wait");
        }
        let now = self.clock.now();
        let attempts: Vec<(DueCommand, Attempt)> = due
            .into_iter()
            .zip(answers)
            .map(|(due, answer)| {
                let attempt = self.judge_answer(&due, &answer, now);
                (due, attempt)
            })
            .collect();
        let sent = attempts.iter().filter(|(_, attempt)| matches!(attempt, Attempt::Sent { .. })).count();
        metrics::counter!("tsunagi_ca_commands_sent_total").increment(sent as u64);
        self.write(move |tx| attempts.iter().try_for_each(|(due, attempt)| attempt.note(tx, due, now)))?;
        Ok(sent)
    }

    fn judge_answer(&self, due: &DueCommand, answer: &Result<PushOutcome, PushFault>, now: DateTime<Utc>) -> Attempt {
        let backoff = self.settings.life.device_commands.backoff.after(due.attempts.saturating_add(1));
        match answer {
            Ok(PushOutcome::Sent) => Attempt::Sent { next: Some(now + backoff).filter(|next| *next < due.expires_at) },
            Ok(PushOutcome::DeadToken) => Attempt::Dead,
            Ok(PushOutcome::TryLater { after }) => {
                let asked = after.and_then(|after| TimeDelta::from_std(after).ok()).unwrap_or_default();
                Attempt::Later { next: now + asked.max(backoff) }
            }
            Err(_) => Attempt::Later { next: now + backoff },
        }
    }
}

impl Attempt {
    fn note(&self, tx: &mut Transaction<'_>, due: &DueCommand, now: DateTime<Utc>) -> Result<(), StoreFault> {
        match self {
            Self::Sent { next } => tx.command_sent(&due.public_id, *next, now),
            Self::Dead => tx.mark_push_dead(&due.device, &due.push_token),
            Self::Later { next } => tx.command_try_later(&due.public_id, *next),
        }
    }
}

fn message(due: &DueCommand, now: DateTime<Utc>) -> PushMessage {
    let left = (due.expires_at - now).num_seconds();
    PushMessage {
        token: due.push_token.clone(),
        command_jws: due.message.clone(),
        ttl: Duration::from_secs(u64::try_from(left).unwrap_or_default()),
    }
}
