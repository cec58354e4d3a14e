//! The threads that do the role's work. Whatever fails is logged, counted and tried again, and keeps nothing else from being done.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use ca_core::chain::Chain;

use crate::CaFault;
use crate::role::CaRole;
use crate::schedules::ScheduleName;

/// How often work is looked for where no notice comes: another process wrote it.
const POLL: Duration = Duration::from_millis(50);
/// How long the next batch is let grow while work comes in crowds.
const GATHER: Duration = Duration::from_millis(3);
/// How long what follows for holders and phones is let gather: it must neither hold up issuance nor the cascade.
const LEISURE: Duration = Duration::from_millis(100);
/// How often the clock is looked at for what is done regularly, and how long what only this process writes may go unnoticed.
const REGULAR: Duration = Duration::from_secs(1);
/// How often the lead is renewed and the housekeeping looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How long the CA waits before it tries again what failed.
const PAUSE_AFTER_FAULT: Duration = Duration::from_secs(1);
/// How soon a thread that pauses notices that it is to stop.
const STEP: Duration = Duration::from_millis(50);

impl CaRole {
    /// Does the role's work until `stop` is set: leads, or waits to lead; issues; carries out instructions; runs the cascade; keeps
    /// what is regular; tells holders and phones. A fault is logged, counted and tried again.
    pub fn run(&self, stop: &AtomicBool) {
        thread::scope(|scope| {
            scope.spawn(|| self.repeat(stop, "housekeeping", HOUSEKEEPING, || self.keep_house()));
            scope.spawn(|| self.repeat(stop, "feed", self.settings.feed_interval, || self.if_leading(|| self.follow_feed().map(drop))));
            scope.spawn(|| {
                self.repeat(stop, "card_crl", self.settings.card_crl_interval, || self.if_leading(|| self.read_card_crls().map(drop)))
            });
            for name in ScheduleName::ALL {
                scope.spawn(move || {
                    self.repeat(stop, name.as_str(), REGULAR, || self.if_leading(|| self.run_schedule_if_due(name).map(drop)))
                });
            }
            scope.spawn(|| self.follow(stop, "inbox", POLL, || sum([self.apply_inbox(), self.take_rejections()])));
            scope.spawn(|| self.follow(stop, "instructions", POLL, || sum([self.take_instructions(), self.judge_results()])));
            scope.spawn(|| self.follow(stop, "batches", REGULAR, || self.advance_batches()));
            scope.spawn(|| self.follow(stop, "notices", REGULAR, || self.make_and_tell()));
            scope.spawn(|| self.follow(stop, "commands", REGULAR, || self.make_and_send()));
            scope.spawn(|| self.follow(stop, "latency", REGULAR, || self.follow_latency()));
            for _ in 1..issuing_threads() {
                scope.spawn(|| self.issue(stop));
            }
            self.issue(stop);
        });
        self.stand_down();
    }

    /// To be asked now and then by work that may last: it is broken off where this process stops, or leads no more.
    pub(crate) fn go_on(&self) -> Result<(), CaFault> {
        if self.stopping.load(Ordering::Relaxed) { Err(CaFault::Stopping) } else { self.current_lease().map(drop) }
    }

    /// Pauses in the middle of work that may last, for as long as it may go on.
    pub(crate) fn rest(&self, duration: Duration) -> Result<(), CaFault> {
        let mut left = duration;
        while !left.is_zero() {
            self.go_on()?;
            let pause = left.min(STEP);
            thread::sleep(pause);
            left -= pause;
        }
        self.go_on()
    }

    /// Leads, draws beacons, does what a lead begins with, shows the key for commands, measures the evidence, renews responder certificates. In a restored store that
    /// is not reconciled nobody leads; beacons are drawn all the same, so that revocations can be asked for.
    fn keep_house(&self) -> Result<(), CaFault> {
        if !self.lead()? {
            self.measure_log_lateness()?;
            return self.draw_beacon_while_reconciling();
        }
        let duties = [
            self.draw_beacon_if_due(),
            self.take_over(),
            self.publish_command_key(),
            self.measure_evidence(),
            self.measure_log_lateness(),
            self.lift_what_waited().map(drop),
            self.renew_own_responders(),
        ];
        duties.into_iter().collect()
    }

    /// Notices are told as soon as they are made; what was not taken then is up to its schedule.
    fn make_and_tell(&self) -> Result<usize, CaFault> {
        let found = self.follow_notices()?;
        if found > 0 {
            self.tell_holders()?;
            thread::sleep(LEISURE);
        }
        Ok(found)
    }

    /// The same for commands to phones.
    fn make_and_send(&self) -> Result<usize, CaFault> {
        let found = self.follow_commands()?;
        if found > 0 {
            self.send_commands()?;
            thread::sleep(LEISURE);
        }
        Ok(found)
    }

    fn issue(&self, stop: &AtomicBool) {
        self.follow(stop, "issuing", POLL, || self.issue_batch().map(|outcome| outcome.taken));
    }

    fn if_leading(&self, work: impl FnOnce() -> Result<(), CaFault>) -> Result<(), CaFault> {
        if self.leads() { work() } else { Ok(()) }
    }

    /// Runs `work` now and after each `interval`.
    fn repeat(&self, stop: &AtomicBool, name: &'static str, interval: Duration, work: impl Fn() -> Result<(), CaFault>) {
        let mut after_fault = interval.min(PAUSE_AFTER_FAULT);
        while !stop.load(Ordering::Relaxed) {
            let pause = match attempt(&work) {
                Ok(()) => {
                    after_fault = interval.min(PAUSE_AFTER_FAULT);
                    // Work that needs the lead is tried soon after the start, when the lead is about to be taken.
                    if self.leads() { interval } else { after_fault }
                }
                Err(fault) => {
                    report(name, &fault);
                    let pause = after_fault;
                    // What stays broken is neither hammered nor told of each second.
                    after_fault = interval.min(after_fault * 2);
                    pause
                }
            };
            sleep_unless_stopped(stop, pause);
        }
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Runs `work` whenever the store has news, after `poll` at the latest, and again at once while it finds something to do.
    fn follow(&self, stop: &AtomicBool, name: &'static str, poll: Duration, work: impl Fn() -> Result<usize, CaFault>) {
        while !stop.load(Ordering::Relaxed) {
            let seen = self.wake.commits();
            let found = if self.leads() { attempt(&work) } else { Ok(0) };
            match found {
                Ok(0) => self.wake.wait_for_commit(seen, poll),
                Ok(1) => {}
                // Several came at once, so more are on their way: a moment's wait makes one batch of them.
                Ok(_) => thread::sleep(GATHER),
                Err(fault) => {
                    report(name, &fault);
                    sleep_unless_stopped(stop, PAUSE_AFTER_FAULT);
                }
            }
        }
    }
}

/// One round of work. A panic is a fault of the program in that round: without its thread, a process would go on leading and leave
/// that duty undone. What rounds share is behind locks, or in the store.
fn attempt<T>(work: impl FnOnce() -> Result<T, CaFault>) -> Result<T, CaFault> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(CaFault::Panicked))
}

/// How much was found by works of which one that fails has kept none from being done.
fn sum<const N: usize>(works: [Result<usize, CaFault>; N]) -> Result<usize, CaFault> {
    works.into_iter().sum()
}

/// At least two, so that one works while the other waits for a commit or for the back office.
fn issuing_threads() -> usize {
    thread::available_parallelism().map_or(2, NonZeroUsize::get).clamp(2, 16)
}

fn report(work: &'static str, fault: &CaFault) {
    if matches!(fault, CaFault::Stopping) {
        return;
    }
    metrics::counter!("tsunagi_ca_faults_total", "work" => work).increment(1);
    tracing::error!(work, fault = %Chain(fault), "the CA role will try again");
}

fn sleep_unless_stopped(stop: &AtomicBool, duration: Duration) {
    let mut left = duration;
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        let pause = left.min(STEP);
        thread::sleep(pause);
        left -= pause;
    }
}
