//! The CA role as a whole: what it has, and the threads that do its work.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use back_office::{BackOffice, BackOfficeFault};
use ca_core::application::ApplicationId;
use ca_core::application::verifier::ApplicationVerifier;
use ca_core::card::identity::KeyIdentifier;
use ca_core::chain::Chain;
use ca_core::clock::Clock;
use ca_core::issuer::Issuer;
use ca_core::kind::CertificateKind;
use schema::lease::Lease;
use schema::{Reader, Wake, Writer};

use crate::CaFault;
use crate::steps::Steps;

/// How often work is looked for where no notice comes: another process wrote it.
const POLL: Duration = Duration::from_millis(50);
/// How long the next batch is let grow while work comes in crowds.
const GATHER: Duration = Duration::from_millis(3);
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

/// How the CA role works.
#[derive(Debug, Clone)]
pub struct CaRoleSettings {
    /// Applications issued on in one round at most.
    pub batch: u32,
    /// The time between two looks at the back office's feed.
    pub feed_interval: Duration,
    /// The time between two readings of the card CRLs.
    pub card_crl_interval: Duration,
    /// How long responder certificates last.
    pub responder_life: chrono::Duration,
}

/// What a CA role is made of.
pub struct CaRoleParts {
    /// Verifies applications again.
    pub verifier: ApplicationVerifier,
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
    pub(crate) verifier: ApplicationVerifier,
    pub(crate) issuers: HashMap<CertificateKind, Issuer>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) wake: Arc<Wake>,
    pub(crate) back_office: Arc<dyn BackOffice>,
    pub(crate) card_status: Arc<dyn CardStatusSource>,
    pub(crate) crl_locations: Vec<CrlLocation>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) steps: Arc<dyn Steps>,
    pub(crate) settings: CaRoleSettings,
    pub(crate) owner: String,
    pub(crate) lease: Mutex<Option<Lease>>,
    pub(crate) in_hand: Mutex<HashSet<ApplicationId>>,
}

impl CaRole {
    /// Puts the role together; nothing runs yet.
    pub fn new(parts: CaRoleParts) -> Self {
        let issuers = parts.issuers.into_iter().map(|issuer| (issuer.ca_key().kind(), issuer)).collect();
        Self {
            verifier: parts.verifier,
            issuers,
            reader: parts.reader,
            writer: parts.writer,
            wake: parts.wake,
            back_office: parts.back_office,
            card_status: parts.card_status,
            crl_locations: parts.crl_locations,
            clock: parts.clock,
            steps: parts.steps,
            settings: parts.settings,
            owner: parts.owner,
            lease: Mutex::new(None),
            in_hand: Mutex::default(),
        }
    }

    /// The lease under which this process leads, if it does as far as it knows.
    pub fn lease(&self) -> Option<Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this process leads, as far as it knows.
    pub fn leads(&self) -> bool {
        self.lease().is_some()
    }

    /// Does the role's work until `stop` is set: leads, or waits to lead; issues; runs the cascade; keeps beacons and responder
    /// certificates fresh. A fault is logged, counted and tried again.
    pub fn run(&self, stop: &AtomicBool) {
        thread::scope(|scope| {
            scope.spawn(|| self.repeat(stop, "housekeeping", HOUSEKEEPING, || self.keep_house()));
            scope.spawn(|| self.repeat(stop, "feed", self.settings.feed_interval, || self.if_leading(|| self.follow_feed().map(drop))));
            scope.spawn(|| {
                self.repeat(stop, "card_crl", self.settings.card_crl_interval, || self.if_leading(|| self.read_card_crls().map(drop)))
            });
            scope.spawn(|| self.follow(stop, "inbox", || Ok(self.apply_inbox()? + self.take_rejections()?)));
            for _ in 1..issuing_threads() {
                scope.spawn(|| self.issue(stop));
            }
            self.issue(stop);
        });
        self.stand_down();
    }

    fn issue(&self, stop: &AtomicBool) {
        self.follow(stop, "issuing", || self.issue_batch().map(|outcome| outcome.taken));
    }

    /// Leads, draws beacons, renews responder certificates.
    fn keep_house(&self) -> Result<(), CaFault> {
        if !self.lead()? {
            return Ok(());
        }
        self.draw_beacon_if_due()?;
        self.renew_own_responders()
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
    }

    /// Runs `work` whenever the store has news, and again at once while it finds something to do.
    fn follow(&self, stop: &AtomicBool, name: &'static str, work: impl Fn() -> Result<usize, CaFault>) {
        while !stop.load(Ordering::Relaxed) {
            let seen = self.wake.commits();
            let found = if self.leads() { work() } else { Ok(0) };
            match found {
                Ok(0) => self.wake.wait_for_commit(seen, POLL),
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
