//! The public listener: challenges, applications, instructions, and what there is for phones. Holders have no account; a
//! signature is their identity.

mod answer;
mod applications;
mod command_keys;
mod commands;
mod evidence;
mod freshness;
mod key_compromises;
mod receipts;
mod reception;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig};
use ca_core::application::challenge::ChallengeKey;
use ca_core::application::verifier::ApplicationVerifier;
use ca_core::clock::Clock;
use ca_core::instruction::InstructionVerifier;
use schema::log_health::LogHealth;
use schema::{Reader, Writer};

pub(crate) use answer::{AcceptedAnswer, CertificateAnswer, IssuedAnswer, LeftBehindAnswer};
pub(crate) use applications::{__path_apply, __path_ask_for_outcome};
pub(crate) use command_keys::{__path_list_command_keys, CommandKeyAnswer, CommandKeysAnswer};
pub(crate) use commands::{
    __path_ask_for_commands, __path_take_command_result, CommandAnswer, CommandResult, CommandResultAnswer, CommandResultBody,
    CommandsAnswer,
};
pub use evidence::{CardStatusPlaces, EvidenceFailure, EvidencePlan, EvidenceSource, NetworkEvidence, StatusSource};
pub use freshness::EvidenceLimits;
pub(crate) use key_compromises::__path_report_key_compromise;
pub(crate) use receipts::{__path_ask_for_receipts, ReceiptApplication, ReceiptCertificate, ReceiptDocument, ReceiptLeaf, ReceiptsAnswer};

use self::freshness::Freshness;
use self::reception::{RecentRefusals, Reception};
use crate::challenges::{self, ChallengeDesk};
use crate::decisions::Decisions;
use crate::edge::Edge;
use crate::health::{self, Health};
use crate::instructions::{self, InstructionDesk, ListingDesk, Side};
use crate::receipts::ReceiptDesk;
use crate::routes::{Route, Routes};
use crate::settings::{HolderSettings, ListenerSettings, SettingsRefusal};

/// What the public listener is made of.
pub struct HolderParts {
    /// Bounds.
    pub settings: HolderSettings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The store, for reading.
    pub reader: Reader,
    /// The store, for writing.
    pub writer: Writer,
    /// What is trusted, what is allowed, and what this RA is called.
    pub verifier: Arc<ApplicationVerifier>,
    /// Whose instructions count.
    pub instructions: Arc<InstructionVerifier>,
    /// The RA's half of challenges and tokens.
    pub challenge_key: Arc<ChallengeKey>,
    /// Where evidence comes from.
    pub evidence: Arc<dyn EvidenceSource>,
    /// How old the news of cards may be for an application to be taken up.
    pub evidence_limits: EvidenceLimits,
    /// Whether the log is written.
    pub log: LogHealth,
    /// Who learns of the CA's decisions.
    pub decisions: Decisions,
}

/// The public listener's interface; cheap to clone, one for all its workers.
#[derive(Clone)]
pub struct HolderApi {
    state: Data<HolderState>,
    challenges: Data<ChallengeDesk>,
    instructions: Data<InstructionDesk>,
    health: Data<Health>,
    edge: Arc<Edge>,
    listener: ListenerSettings,
}

pub(crate) struct HolderState {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) challenge_key: Arc<ChallengeKey>,
    pub(crate) reception: Arc<Reception>,
    pub(crate) decisions: Decisions,
    pub(crate) receipts: ReceiptDesk,
    pub(crate) application_octets: usize,
    pub(crate) key_compromise_octets: usize,
    pub(crate) command_result_octets: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) decision_wait: Duration,
}

impl HolderApi {
    /// Puts the parts together; refuses settings that contradict each other.
    pub fn new(parts: HolderParts) -> Result<Self, SettingsRefusal> {
        let settings = parts.settings;
        settings.check()?;
        let (body_timeout, decision_wait) = (settings.listener.body_timeout(), Duration::from_millis(settings.decision_wait_ms));
        let challenge_policy = &parts.verifier.policy().challenge;
        let challenges =
            ChallengeDesk::new(Arc::clone(&parts.clock), Arc::clone(&parts.challenge_key), parts.reader.clone(), challenge_policy);
        let challenges = Arc::new(challenges);
        let reception = Reception {
            clock: Arc::clone(&parts.clock),
            reader: parts.reader.clone(),
            writer: parts.writer.clone(),
            verifier: parts.verifier,
            challenges: Arc::clone(&challenges),
            evidence: Arc::clone(&parts.evidence),
            freshness: Freshness::new(&parts.evidence_limits, parts.log.clone()),
            refusals: RecentRefusals::default(),
        };
        let instructions = InstructionDesk {
            clock: Arc::clone(&parts.clock),
            reader: parts.reader.clone(),
            writer: parts.writer,
            verifier: parts.instructions,
            challenges: Arc::clone(&challenges),
            decisions: parts.decisions.clone(),
            side: Side::Holders(ListingDesk::new(parts.evidence)),
            octets: settings.instruction_octets,
            body_timeout,
            decision_wait,
        };
        let state = HolderState {
            clock: Arc::clone(&parts.clock),
            challenge_key: parts.challenge_key,
            reception: Arc::new(reception),
            decisions: parts.decisions,
            receipts: ReceiptDesk::new(parts.reader.clone()),
            application_octets: settings.application_octets,
            key_compromise_octets: settings.key_compromise_octets,
            command_result_octets: settings.command_result_octets,
            body_timeout,
            decision_wait,
        };
        let beacons = Some(challenges.beacons());
        Ok(Self {
            state: Data::new(state),
            challenges: Data::from(challenges),
            instructions: Data::new(instructions),
            health: Data::new(Health { reader: parts.reader, clock: parts.clock, beacons, log: parts.log }),
            edge: Edge::new("holders", &settings.listener),
            listener: settings.listener,
        })
    }

    /// Whether holders can be served: the store answers and a beacon is fresh; else a sentence on what is missing. Blocks.
    pub fn ready(&self) -> Result<(), &'static str> {
        self.health.check()
    }

    pub(crate) fn edge(&self) -> Arc<Edge> {
        Arc::clone(&self.edge)
    }

    pub(crate) fn listener(&self) -> &ListenerSettings {
        &self.listener
    }

    /// Registers the routes.
    pub(crate) fn configure(&self, config: &mut ServiceConfig) -> Vec<Route> {
        config.app_data(self.state.clone()).app_data(self.health.clone());
        config.app_data(self.challenges.clone()).app_data(self.instructions.clone());
        let mut routes = Routes::new(config);
        routes.add(Method::POST, "/v1/challenges", challenges::ask_for_challenge);
        routes.add(Method::POST, "/v1/applications", applications::apply);
        routes.add(Method::GET, "/v1/applications/{id}", applications::ask_for_outcome);
        routes.add(Method::GET, "/v1/applications/{id}/receipts", receipts::ask_for_receipts);
        routes.add(Method::GET, "/v1/applications/{id}/commands", commands::ask_for_commands);
        routes.add(Method::POST, "/v1/applications/{id}/commands/{command}/result", commands::take_command_result);
        routes.add(Method::GET, "/v1/device-command-keys", command_keys::list_command_keys);
        routes.add(Method::POST, "/v1/instructions", instructions::instruct);
        routes.add(Method::GET, "/v1/instructions/{id}", instructions::ask_for_instruction);
        routes.add(Method::POST, "/v1/key-compromises", key_compromises::report_key_compromise);
        routes.add(Method::GET, "/openapi.json", crate::document::describe);
        routes.add(Method::GET, "/health/live", health::live);
        routes.add(Method::GET, "/health/ready", health::ready);
        routes.into_registered()
    }
}
