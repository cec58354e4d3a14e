//! The CA role as a whole: what it has, and the threads that do its work.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use back_office::{BackOffice, BackOfficeFault};
use ca_core::application::ApplicationId;
use ca_core::application::verifier::ApplicationVerifier;
use ca_core::card::identity::KeyIdentifier;
use ca_core::chain::Chain;
use ca_core::clock::Clock;
use ca_core::device_command::CommandKey;
use ca_core::instruction::InstructionVerifier;
use ca_core::issuer::Issuer;
use ca_core::kind::CertificateKind;
use chrono::{DateTime, Utc};
use policies::LifecyclePolicy;
use push::PushGateway;
use schema::lease::Lease;
use schema::{Reader, Wake, Writer};

use crate::CaFault;
use crate::evidence::EvidenceAges;
use crate::notices::{WordingFault, Wordings};
use crate::schedules::ScheduleName;
use crate::settings::{CaRoleSettings, LifeSettingsRefusal};
use crate::steps::Steps;
use crate::timetable::Timetable;

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

/// Where a card CA's CRLs come from.
pub trait CardStatusSource: Send + Sync {
    /// Fetches a CRL, in DER, bounded in size and time.
    fn fetch_crl(&self, url: &str) -> Result<Vec<u8>, BackOfficeFault>;
}

impl CardStatusSource for back_office::CardStatusClient {
    fn fetch_crl(&self, url: &str) -> Result<Vec<u8>, BackOfficeFault> {
        Self::fetch_crl(self, url)
    }
}

/// Where the CRLs of one key generation of a card CA are.
#[derive(Debug, Clone)]
pub struct CrlLocation {
    /// Which kind the card CA issues.
    pub kind: CertificateKind,
    /// The card CA's key.
    pub key_id: KeyIdentifier,
    /// The URL, with a place for the distribution point.
    pub template: back_office::CrlUrlTemplate,
}

/// What a CA role is made of.
pub struct CaRoleParts {
    /// Verifies applications again.
    pub verifier: Arc<ApplicationVerifier>,
    /// Verifies instructions again.
    pub instructions: InstructionVerifier,
    /// How the life of certificates runs.
    pub lifecycle: Arc<LifecyclePolicy>,
    /// The issuers that issue now, one for each kind.
    pub issuers: Vec<Issuer>,
    /// Reads the store.
    pub reader: Reader,
    /// Writes to it.
    pub writer: Writer,
    /// Tells of its events.
    pub wake: Arc<Wake>,
    /// The back office.
    pub back_office: Arc<dyn BackOffice>,
    /// Where card CRLs are fetched with.
    pub card_status: Arc<dyn CardStatusSource>,
    /// Where they are.
    pub crl_locations: Vec<CrlLocation>,
    /// Signs commands to phones.
    pub command_key: CommandKey,
    /// Brings commands to phones; without it, they wait until the phones ask.
    pub push: Option<Arc<dyn PushGateway>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Is told of each step.
    pub steps: Arc<dyn Steps>,
    /// How it works.
    pub settings: CaRoleSettings,
    /// What this process is called in the lease: different for each process.
    pub owner: String,
}

/// The CA role of one process.
pub struct CaRole {
    pub(crate) verifier: Arc<ApplicationVerifier>,
    pub(crate) instructions: InstructionVerifier,
    pub(crate) lifecycle: Arc<LifecyclePolicy>,
    pub(crate) issuers: HashMap<CertificateKind, Issuer>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) wake: Arc<Wake>,
    pub(crate) back_office: Arc<dyn BackOffice>,
    pub(crate) card_status: Arc<dyn CardStatusSource>,
    pub(crate) crl_locations: Vec<CrlLocation>,
    pub(crate) command_key: CommandKey,
    pub(crate) push: Option<Arc<dyn PushGateway>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) steps: Arc<dyn Steps>,
    pub(crate) settings: CaRoleSettings,
    pub(crate) owner: String,
    pub(crate) lease: Mutex<Option<Lease>>,
    pub(crate) in_hand: Mutex<HashSet<ApplicationId>>,
    pub(crate) wordings: Wordings,
    timetables: Vec<(ScheduleName, Timetable)>,
    pub(crate) evidence: EvidenceAges,
    /// Since when the evidence about cards is known to be too old.
    pub(crate) stale_since: Mutex<Option<DateTime<Utc>>>,
    /// Held while notices are told, so that none is told twice at the same time.
    pub(crate) telling: Mutex<()>,
    /// Held while commands are sent.
    pub(crate) sending: Mutex<()>,
    /// Instructions that need the back office wait until then, in milliseconds since 1970.
    pub(crate) back_office_rests_until: AtomicI64,
    stopping: AtomicBool,
}

/// The role cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum CaRoleRefusal {
    /// The settings.
    #[error(transparent)]
    Settings(#[from] LifeSettingsRefusal),
    /// The words of the notices.
    #[error(transparent)]
    Wording(#[from] WordingFault),
}

impl CaRole {
    /// Puts the role together; nothing runs yet.
    pub fn new(parts: CaRoleParts) -> Result<Self, CaRoleRefusal> {
        let issuers = parts.issuers.into_iter().map(|issuer| (issuer.ca_key().kind(), issuer)).collect();
        Ok(Self {
            timetables: parts.settings.life.check()?,
            wordings: Wordings::shipped()?,
            verifier: parts.verifier,
            instructions: parts.instructions,
            lifecycle: parts.lifecycle,
            issuers,
            reader: parts.reader,
            writer: parts.writer,
            wake: parts.wake,
            back_office: parts.back_office,
            card_status: parts.card_status,
            crl_locations: parts.crl_locations,
            command_key: parts.command_key,
            push: parts.push,
            clock: parts.clock,
            steps: parts.steps,
            settings: parts.settings,
            owner: parts.owner,
            lease: Mutex::new(None),
            in_hand: Mutex::default(),
            evidence: EvidenceAges::default(),
            stale_since: Mutex::default(),
            telling: Mutex::default(),
            sending: Mutex::default(),
            back_office_rests_until: AtomicI64::new(0),
            stopping: AtomicBool::new(false),
        })
    }

    /// The lease under which this process leads, if it does as far as it knows.
    pub fn lease(&self) -> Option<Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this process leads, as far as it knows.
    pub fn leads(&self) -> bool {
        self.lease().is_some()
    }

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
            scope.spawn(|| self.follow(stop, "inbox", POLL, || Ok(self.apply_inbox()? + self.take_rejections()?)));
            scope.spawn(|| self.follow(stop, "instructions", POLL, || Ok(self.take_instructions()? + self.judge_results()?)));
            scope.spawn(|| self.follow(stop, "batches", REGULAR, || self.advance_batches()));
            scope.spawn(|| self.follow(stop, "notices", REGULAR, || self.make_and_tell()));
            scope.spawn(|| self.follow(stop, "commands", REGULAR, || self.make_commands()));
            scope.spawn(|| self.follow(stop, "pushes", REGULAR, || Ok(self.send_some_commands(self.clock.now())?.0)));
            for _ in 1..issuing_threads() {
                scope.spawn(|| self.issue(stop));
            }
            self.issue(stop);
        });
        self.stand_down();
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

    /// Commands are sent by a thread of their own: a push service that is slow keeps no phone from asking for its command.
    fn make_commands(&self) -> Result<usize, CaFault> {
        let found = self.follow_commands()?;
        if found > 0 {
            thread::sleep(LEISURE);
        }
        Ok(found)
    }

    fn issue(&self, stop: &AtomicBool) {
        self.follow(stop, "issuing", POLL, || self.issue_batch().map(|outcome| outcome.taken));
    }

    pub(crate) fn timetable(&self, name: ScheduleName) -> Result<&Timetable, CaFault> {
        self.timetables.iter().find(|(known, _)| *known == name).map(|(_, timetable)| timetable).ok_or(CaFault::Unscheduled)
    }

    /// Leads, draws beacons, renews responder certificates.
    fn keep_house(&self) -> Result<(), CaFault> {
        if !self.lead()? {
            return Ok(());
        }
        self.draw_beacon_if_due()?;
        self.publish_command_key()?;
        self.measure_evidence()?;
        self.renew_own_responders()
    }

    /// To be asked now and then by work that may last: it is broken off where this process stops, or leads no more.
    pub(crate) fn go_on(&self) -> Result<(), CaFault> {
        if self.stopping.load(Ordering::Relaxed) { Err(CaFault::Stopping) } else { self.current_lease().map(drop) }
    }

    fn if_leading(&self, work: impl FnOnce() -> Result<(), CaFault>) -> Result<(), CaFault> {
        if self.leads() { work() } else { Ok(()) }
    }

    /// Runs `work` now and after each `interval`.
    fn repeat(&self, stop: &AtomicBool, name: &'static str, interval: Duration, work: impl Fn() -> Result<(), CaFault>) {
        let mut after_fault = interval.min(PAUSE_AFTER_FAULT);
        while !stop.load(Ordering::Relaxed) {
            let result = work();
            // Work that needs the lead is tried soon after the start, when the lead is about to be taken.
            let pause = match result {
                Ok(()) => {
                    after_fault = interval.min(PAUSE_AFTER_FAULT);
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
            let found = if self.leads() { work() } else { Ok(0) };
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
    let step = Duration::from_millis(50);
    let mut left = duration;
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        let pause = left.min(step);
        thread::sleep(pause);
        left -= pause;
    }
}
