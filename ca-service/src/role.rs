//! The CA role as a whole: what it has.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use back_office::{BackOffice, BackOfficeFault};
use ca_core::application::ApplicationId;
use ca_core::application::verifier::ApplicationVerifier;
use ca_core::card::identity::KeyIdentifier;
use ca_core::clock::Clock;
use ca_core::device_command::CommandKey;
use ca_core::instruction::InstructionVerifier;
use ca_core::issuer::Issuer;
use ca_core::kind::CertificateKind;
use ca_core::ocsp::StatusWitness;
use chrono::{DateTime, Utc};
use policies::LifecyclePolicy;
use push::PushGateway;
use schema::lease::Lease;
use schema::log_health::LogHealth;
use schema::{Reader, Wake, Writer};

use crate::CaFault;
use crate::evidence::EvidenceAges;
use crate::instructions::Rest;
use crate::latency::Watch;
use crate::notices::{WordingFault, Wordings};
use crate::schedules::ScheduleName;
use crate::settings::{CaRoleSettings, LifeSettingsRefusal};
use crate::steps::Steps;
use crate::timetable::Timetable;

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
    /// The issuers of every key generation whose key is at hand. The newest of each kind issues; all certify their own responders.
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
    /// Sees what relying parties are told; without it, nobody measures how long revocations take to be told.
    pub witness: Option<Arc<dyn StatusWitness>>,
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
    /// Those that issue.
    pub(crate) issuers: HashMap<CertificateKind, Issuer>,
    /// Those and the older generations.
    pub(crate) generations: Vec<Issuer>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) wake: Arc<Wake>,
    pub(crate) back_office: Arc<dyn BackOffice>,
    pub(crate) card_status: Arc<dyn CardStatusSource>,
    pub(crate) crl_locations: Vec<CrlLocation>,
    pub(crate) command_key: CommandKey,
    pub(crate) push: Option<Arc<dyn PushGateway>>,
    pub(crate) witness: Option<Arc<dyn StatusWitness>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) steps: Arc<dyn Steps>,
    pub(crate) settings: CaRoleSettings,
    pub(crate) owner: String,
    pub(crate) lease: Mutex<Option<Lease>>,
    pub(crate) in_hand: Mutex<HashSet<ApplicationId>>,
    /// The lease's epoch under which the CRL shards were opened.
    pub(crate) shards_opened: Mutex<Option<i64>>,
    /// The lease's epoch under which was done what a lead begins with.
    pub(crate) taken_over: Mutex<Option<i64>>,
    pub(crate) log_health: LogHealth,
    pub(crate) wordings: Wordings,
    timetables: Vec<(ScheduleName, Timetable)>,
    pub(crate) evidence: EvidenceAges,
    /// Since when the evidence about cards is known to be too old.
    pub(crate) stale_since: Mutex<Option<DateTime<Utc>>>,
    /// Held while notices are told, so that none is told twice at the same time.
    pub(crate) telling: Mutex<()>,
    /// Held while commands are sent.
    pub(crate) sending: Mutex<()>,
    /// Held while revocations are followed.
    pub(crate) watch: Mutex<Option<Watch>>,
    /// Instructions that need the back office wait while this lasts.
    pub(crate) back_office_rest: Rest,
    /// Lifts wait while this lasts.
    pub(crate) log_rest: Rest,
    pub(crate) stopping: AtomicBool,
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
        let mut generations = parts.issuers;
        generations.sort_by_key(|issuer| issuer.ca_key().generation());
        // Of each kind the newest stays.
        let issuers = generations.iter().map(|issuer| (issuer.ca_key().kind(), issuer.clone())).collect();
        Ok(Self {
            timetables: parts.settings.life.check()?,
            wordings: Wordings::shipped()?,
            verifier: parts.verifier,
            instructions: parts.instructions,
            lifecycle: parts.lifecycle,
            issuers,
            generations,
            log_health: LogHealth::new(parts.reader.clone(), parts.settings.log_max_lag),
            reader: parts.reader,
            writer: parts.writer,
            wake: parts.wake,
            back_office: parts.back_office,
            card_status: parts.card_status,
            crl_locations: parts.crl_locations,
            command_key: parts.command_key,
            push: parts.push,
            witness: parts.witness,
            clock: parts.clock,
            steps: parts.steps,
            settings: parts.settings,
            owner: parts.owner,
            lease: Mutex::new(None),
            in_hand: Mutex::default(),
            shards_opened: Mutex::default(),
            taken_over: Mutex::default(),
            evidence: EvidenceAges::default(),
            stale_since: Mutex::default(),
            telling: Mutex::default(),
            sending: Mutex::default(),
            watch: Mutex::default(),
            back_office_rest: Rest::default(),
            log_rest: Rest::default(),
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

    pub(crate) fn timetable(&self, name: ScheduleName) -> Result<&Timetable, CaFault> {
        self.timetables.iter().find(|(known, _)| *known == name).map(|(_, timetable)| timetable).ok_or(CaFault::Unscheduled)
    }
}
