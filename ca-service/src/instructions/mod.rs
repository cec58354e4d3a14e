//! Instructions: what holders, operators and finders of keys ask for, verified again as if the RA had done nothing, and carried
//! out in one transaction with the decision and its events.

mod carrying_out;
mod export;
mod holder;
mod mass;
mod operator;
mod refused;
mod rest;
mod work;

use ca_core::application::challenge::Beacon;
use ca_core::chain::Chain;
use ca_core::digest::Sha256Digest;
use ca_core::instruction::UnverifiedInstruction;
use chrono::{DateTime, Utc};
use schema::WriteError;
use schema::instruction::{InstructionForm, StoredInstruction};

use self::holder::CardSigned;
use self::refused::{Refused, RefusedInstruction};
pub(crate) use self::rest::Rest;
use self::work::{Signed, Verified};
use crate::CaFault;
use crate::role::CaRole;

/// Instructions that are taken up at once.
const PAGE: u32 = 200;

/// What is known of an instruction before anything is changed.
enum Judged {
    /// It can be carried out, as far as the store agrees.
    Verified(Box<Verified>),
    /// Whose card signed it is still to be asked.
    CardSigned(CardSigned),
    /// A lift that is in order, and waits for the log from now on.
    Deferred(Box<Verified>),
    /// A lift that waits for the log already.
    Waits,
    /// It is refused.
    Refused(RefusedInstruction),
}

impl Judged {
    fn verified(work: Verified) -> Self {
        Self::Verified(Box::new(work))
    }

    /// Refused, whoever has signed it.
    fn refused(digest: Sha256Digest, signed: Signed, refusal: Refused) -> Self {
        Self::Refused(RefusedInstruction { digest, signed: Some(signed), refusal })
    }

    /// Refused because nobody has signed it who may.
    fn unsigned(digest: Sha256Digest, refusal: Refused) -> Self {
        Self::Refused(RefusedInstruction { digest, signed: None, refusal })
    }
}

/// Instructions, sorted by what becomes of them.
#[derive(Default)]
struct Sorted {
    verified: Vec<Verified>,
    card_signed: Vec<CardSigned>,
    deferred: Vec<Verified>,
    refused: Vec<RefusedInstruction>,
}

impl Sorted {
    fn push(&mut self, judged: Judged) {
        match judged {
            Judged::Verified(work) => self.verified.push(*work),
            Judged::CardSigned(work) => self.card_signed.push(work),
            Judged::Deferred(work) => self.deferred.push(*work),
            Judged::Waits => {}
            Judged::Refused(refusal) => self.refused.push(refusal),
        }
    }
}

impl CaRole {
    /// Takes up the instructions that wait, and decides them; how many were decided. What needs the back office comes last, and waits
    /// while there is no answer: a loss report must not. Lifts wait while the log cannot be written: each is found in order first, and
    /// its challenge spent, so that however long it waits it need not be given again.
    pub fn take_instructions(&self) -> Result<usize, CaFault> {
        self.take_those_waiting(None)
    }

    /// The same for whoever reconciles a restored store, in which nobody led since `since`: what the RA says to have received in this time
    /// is judged as of then, for its challenge has grown too old without anybody's fault. Nothing is lifted meanwhile, so the worst that
    /// an RA that lies brings about is a revocation that somebody did ask for, within this time.
    pub(crate) fn take_instructions_that_waited(&self, since: DateTime<Utc>) -> Result<usize, CaFault> {
        self.take_those_waiting(Some(since))
    }

    fn take_those_waiting(&self, nobody_led_since: Option<DateTime<Utc>>) -> Result<usize, CaFault> {
        let now = self.clock.now();
        let mut after = self.back_office_rest.up_to(now).max(self.log_rest.up_to(now)).unwrap_or_default();
        let mut failed = None;
        loop {
            let waiting = self.reader.waiting_instructions(after, PAGE)?;
            let Some(last) = waiting.last() else { return failed.map_or(Ok(0), Err) };
            after = last.row;
            match self.take_page(waiting, nobody_led_since) {
                // All of it waits for the back office or the log: it hides what comes behind it no more.
                Ok(0) if self.back_office_rest.up_to(self.clock.now()).is_some() => self.back_office_rest.note(after),
                Ok(0) => self.log_rest.note(after),
                Ok(decided) => return failed.map_or(Ok(decided), Err),
                Err(fault) => failed = Some(fault),
            }
        }
    }

    fn take_page(&self, waiting: Vec<StoredInstruction>, nobody_led_since: Option<DateTime<Utc>>) -> Result<usize, CaFault> {
        let now = self.clock.now();
        let since = nobody_led_since.map_or(now, |since| since.min(now));
        let beacons = self.reader.beacons(since - self.verifier.policy().challenge.lifetime())?;
        let (mut sorted, mut judged) = (Sorted::default(), Ok(()));
        for stored in waiting {
            let at = if stored.received_at >= since { stored.received_at.min(now) } else { now };
            match self.judge_instruction(&stored, &beacons, at) {
                Ok(one) => sorted.push(one),
                // What one of them fails for keeps no other from being decided.
                Err(fault) => judged = Err(fault),
            }
        }
        let card_signed = std::mem::take(&mut sorted.card_signed);
        let decided = self.decide(sorted);
        let decided = self.decide(self.ask_whose_cards(card_signed))? + decided?;
        judged.map(|()| decided)
    }

    /// Verifies an instruction. What the RA says of it, its name even, is not believed.
    fn judge_instruction(&self, stored: &StoredInstruction, beacons: &[Beacon], now: DateTime<Utc>) -> Result<Judged, CaFault> {
        let digest = stored.digest;
        let refused = |refusal| Ok(Judged::unsigned(digest, refusal));
        if Sha256Digest::of(&stored.message) != digest {
            return refused(Refused::new("instruction_digest", "the instruction is not called by its SHA-256"));
        }
        let instruction = match UnverifiedInstruction::from_bytes(stored.message.clone()) {
            Ok(instruction) => instruction,
            Err(refusal) => return refused(Refused::of(&refusal)),
        };
        match stored.form {
            InstructionForm::Operator => self.judge_operator(&instruction, beacons, now),
            InstructionForm::Holder => self.judge_holder(&instruction, beacons, now),
            InstructionForm::KeyCompromise => match self.instructions.verify_key_report(&instruction) {
                Ok(report) => Ok(Judged::verified(Verified::key_report(&report))),
                Err(refusal) => refused(Refused::of(&refusal)),
            },
        }
    }

    /// Whose cards they are, no signature says: one question for all. Without an answer they wait.
    fn ask_whose_cards(&self, card_signed: Vec<CardSigned>) -> Sorted {
        let mut sorted = Sorted::default();
        let now = self.clock.now();
        if card_signed.is_empty() || self.back_office_rest.up_to(now).is_some() {
            return sorted;
        }
        let cards: Vec<_> = card_signed.iter().map(CardSigned::reference).collect();
        let holders = match self.back_office.look_up(&cards) {
            Ok(holders) => holders,
            Err(fault) => {
                tracing::warn!(fault = %Chain(&fault), "instructions signed with cards wait for the back office");
                self.back_office_rest.begin(now);
                return sorted;
            }
        };
        for (signed, holder) in card_signed.into_iter().zip(holders) {
            sorted.push(signed.of_holder(holder));
        }
        sorted
    }

    /// Carries out what can be, each instruction in a transaction of its own, and then refuses the others; how many there were.
    fn decide(&self, sorted: Sorted) -> Result<usize, CaFault> {
        let Sorted { verified, deferred, mut refused, card_signed: _ } = sorted;
        let count = verified.len() + deferred.len() + refused.len();
        let lease = self.current_lease()?;
        let mut pending = Vec::with_capacity(verified.len() + deferred.len());
        let verified = verified.into_iter().map(|work| (work, false));
        for (work, is_deferred) in verified.chain(deferred.into_iter().map(|work| (work, true))) {
            let (lease, policy, now) = (lease.clone(), self.lifecycle.clone(), self.clock.now());
            let (digest, signed) = (work.digest, work.signed.clone());
            let answer = self.writer.submit(move |tx| {
                tx.check_lease(&lease)?;
                if is_deferred { work.defer(tx, now) } else { work.carry_out(tx, &policy, now) }
            });
            pending.push((digest, signed, is_deferred, answer));
        }
        let mut failed = None;
        for (digest, signed, is_deferred, answer) in pending {
            match answer.wait() {
                Ok(()) if is_deferred => tracing::info!(instruction = %digest, "a lift waits for the log"),
                Ok(()) => metrics::counter!("tsunagi_ca_instructions_done_total").increment(1),
                // By a process that led before: there is nothing left to do.
                Err(WriteError::Refused(refusal)) if refusal.is_already_decided() => {}
                Err(WriteError::Refused(refusal)) => refused.push(RefusedInstruction { digest, signed: Some(signed), refusal }),
                // What one of them fails for keeps no other from being decided.
                Err(WriteError::Fault(fault)) => failed = Some(fault),
            }
        }
        for refusal in refused {
            self.refuse(refusal)?;
        }
        failed.map_or(Ok(count), |fault| Err(fault.into()))
    }

    fn refuse(&self, refused: RefusedInstruction) -> Result<(), CaFault> {
        let (lease, now) = (self.current_lease()?, self.clock.now());
        metrics::counter!("tsunagi_ca_instructions_refused_total", "code" => refused.refusal.code).increment(1);
        tracing::info!(instruction = %refused.digest, code = refused.refusal.code, "instruction refused by the CA");
        let answer = self.writer.write(move |tx| {
            tx.check_lease(&lease)?;
            refused.store(tx, now)
        });
        match answer {
            Ok(()) | Err(WriteError::Refused(_)) => Ok(()),
            Err(WriteError::Fault(fault)) => Err(fault.into()),
        }
    }
}
