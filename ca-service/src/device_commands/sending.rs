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

/// What the push service said.
type Answer = Result<PushOutcome, PushFault>;

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
    /// Hands the commands whose time has come to the push service, if there is one; how many it took. Without one, commands wait
    /// until phones ask for them. Where it takes nothing, the others stay due, so that nobody waits for a service that is out of reach.
    pub fn send_commands(&self) -> Result<usize, CaFault> {
        let Some(push) = &self.push else { return Ok(0) };
        let _one_at_a_time = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        let until = self.clock.now();
        let mut sent = 0;
        loop {
            self.go_on()?;
            let due = self.reader.due_commands(PAGE, until)?;
            let attempts = self.attempt(push.as_ref(), &due);
            let is_answered = attempts.iter().any(|(_, attempt)| !matches!(attempt, Attempt::Later { .. }));
            sent += self.note(attempts)?;
            if !is_answered {
                return Ok(sent);
            }
        }
    }

    /// Ends the commands whose time is over; how many there were.
    pub fn expire_commands(&self) -> Result<usize, CaFault> {
        let mut expired = 0;
        loop {
            self.go_on()?;
            let now = self.clock.now();
            let count = self.write(move |tx| tx.expire_commands(PAGE, now))?;
            expired += count;
            if count == 0 {
                return Ok(expired);
            }
        }
    }

    /// What became of those that were tried, which may be fewer than were due.
    fn attempt(&self, push: &dyn PushGateway, due: &[DueCommand]) -> Vec<(DueCommand, Attempt)> {
        let share = due.len().div_ceil(AT_ONCE).max(1);
        let now = self.clock.now();
        let answers: Vec<(&DueCommand, Answer)> = thread::scope(|scope| {
            let hand_over = |some| (some, scope.spawn(move || hand_over(push, some, now)));
            let threads: Vec<_> = due.chunks(share).map(hand_over).collect();
            let joined = threads.into_iter().flat_map(|(some, thread)| {
                // A client that panics has handed nothing over, as far as we know.
                some.iter().zip(thread.join().unwrap_or_else(|_| vec![Ok(PushOutcome::TryLater { after: None })]))
            });
            joined.collect()
        });
        if let Some(fault) = answers.iter().find_map(|(_, answer)| answer.as_ref().err()) {
            metrics::counter!("tsunagi_ca_push_faults_total").increment(1);
            tracing::error!(fault = %Chain(fault), "the push service cannot be used as it is set up; commands wait");
        }
        let now = self.clock.now();
        answers.into_iter().map(|(due, answer)| (due.clone(), self.judge_answer(due, &answer, now))).collect()
    }

    /// Writes down what became of them; how many the push service took.
    fn note(&self, attempts: Vec<(DueCommand, Attempt)>) -> Result<usize, CaFault> {
        if attempts.is_empty() {
            return Ok(0);
        }
        let now = self.clock.now();
        let sent = attempts.iter().filter(|(_, attempt)| matches!(attempt, Attempt::Sent { .. })).count();
        metrics::counter!("tsunagi_ca_commands_sent_total").increment(sent as u64);
        self.write(move |tx| attempts.iter().try_for_each(|(due, attempt)| attempt.note(tx, due, now)))?;
        Ok(sent)
    }

    fn judge_answer(&self, due: &DueCommand, answer: &Answer, now: DateTime<Utc>) -> Attempt {
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

/// Hands commands over one after the other until one is not taken: a service that is out of reach would make each of them wait as long.
fn hand_over(push: &dyn PushGateway, commands: &[DueCommand], now: DateTime<Utc>) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(commands.len());
    for due in commands {
        let answer = push.send(&message(due, now));
        let is_answered = matches!(answer, Ok(PushOutcome::Sent | PushOutcome::DeadToken));
        answers.push(answer);
        if !is_answered {
            break;
        }
    }
    answers
}

fn message(due: &DueCommand, now: DateTime<Utc>) -> PushMessage {
    let left = (due.expires_at - now).num_seconds();
    PushMessage {
        token: due.push_token.clone(),
        command_jws: due.message.clone(),
        ttl: Duration::from_secs(u64::try_from(left).unwrap_or_default()),
    }
}
