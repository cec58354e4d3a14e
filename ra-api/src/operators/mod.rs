//! The operators' listener: mutual TLS, the role is in the client certificate, everything is denied that is not allowed.

mod access;
mod audit;
mod card_events;
mod devices;
mod history;
mod holders;
mod identity;
mod latency;
mod mass;
mod schedules;
mod verifiers;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig};
use ca_core::application::challenge::ChallengeKey;
use ca_core::clock::Clock;
use ca_core::instruction::InstructionVerifier;
use ca_core::pseudonym::PseudonymKey;
use schema::log_health::LogHealth;
use schema::{Reader, Writer};

pub(crate) use access::{Access, admit};
pub(crate) use audit::{
    __path_fetch_export_file, __path_list_exports, __path_search_log, __path_show_export, CertificateQuestion, ExportAnswer,
    ExportFileView, ExportPartView, ExportsAnswer, FoundEvent, SearchAnswer, SearchBody,
};
pub use card_events::CardEventBody;
pub(crate) use card_events::{__path_receive_card_events, CardEventsAnswer, CardEventsBody};
pub(crate) use devices::{__path_list_devices, __path_show_device, DeviceAnswer, DevicesAnswer};
pub(crate) use history::{__path_tell_history, HistoryAnswer, HoldView};
pub(crate) use holders::{__path_show_holder, HolderAnswer, HolderQuestion};
pub(crate) use identity::remember_identity;
pub(crate) use latency::{__path_tell_latency, LatencyAnswer, LatencyFigures, LatencyHour, LatencyStageAnswer};
pub(crate) use mass::{__path_dry_run, __path_show_batch, BatchAnswer, MassAnswer, MassQuestion, ScopeBody};
pub(crate) use schedules::{__path_list_schedules, ScheduleAnswer, SchedulesAnswer};
pub(crate) use verifiers::{
    __path_give_pseudonyms, __path_look_up, About, FoundCertificate, LookupAnswer, LookupsAnswer, LookupsQuestion, PseudonymAnswer,
    PseudonymsAnswer, PseudonymsQuestion,
};

use self::access::OperatorRoutes;
use crate::challenges::{self, ChallengeDesk};
use crate::decisions::Decisions;
use crate::edge::Edge;
use crate::health::{self, Health};
use crate::instructions::{self, InstructionDesk, Side};
use crate::routes::Route;
use crate::settings::{ListenerSettings, OperatorSettings, SettingsRefusal};

/// Octets of a question in JSON at most: a hundred serial numbers and a purpose have about 6,000.
const QUESTION_OCTETS: usize = 16 << 10;

/// What the operators' listener is made of.
pub struct OperatorParts {
    /// Bounds.
    pub settings: OperatorSettings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The store, for reading.
    pub reader: Reader,
    /// Whether the log is written.
    pub log: LogHealth,
    /// The store, for writing.
    pub writer: Writer,
    /// Whose instructions count.
    pub instructions: Arc<InstructionVerifier>,
    /// The RA's half of challenges: the same as the public listener's.
    pub challenge_key: Arc<ChallengeKey>,
    /// What pseudonyms are made with.
    pub pseudonym_key: PseudonymKey,
    /// Who learns of the CA's decisions.
    pub decisions: Decisions,
}

/// The operators' listener's interface; cheap to clone, one for all its workers.
#[derive(Clone)]
pub struct OperatorApi {
    state: Data<OperatorState>,
    challenges: Data<ChallengeDesk>,
    instructions: Data<InstructionDesk>,
    health: Data<Health>,
    edge: Arc<Edge>,
    listener: ListenerSettings,
}

pub(crate) struct OperatorState {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) verifier: Arc<InstructionVerifier>,
    pub(crate) pseudonym_key: Arc<PseudonymKey>,
    pub(crate) card_events_octets: usize,
    pub(crate) card_events: usize,
    pub(crate) question_octets: usize,
    pub(crate) body_timeout: Duration,
}

impl OperatorApi {
    /// Puts the parts together; refuses settings that contradict each other.
    pub fn new(parts: OperatorParts) -> Result<Self, SettingsRefusal> {
        let settings = parts.settings;
        settings.check()?;
        let body_timeout = settings.listener.body_timeout();
        let challenge_policy = parts.instructions.challenge_policy();
        let challenges = ChallengeDesk::new(Arc::clone(&parts.clock), parts.challenge_key, parts.reader.clone(), challenge_policy);
        let challenges = Arc::new(challenges);
        let instructions = InstructionDesk {
            clock: Arc::clone(&parts.clock),
            reader: parts.reader.clone(),
            writer: parts.writer.clone(),
            verifier: Arc::clone(&parts.instructions),
            challenges: Arc::clone(&challenges),
            decisions: parts.decisions,
            side: Side::Operators,
            octets: settings.instruction_octets,
            body_timeout,
            decision_wait: Duration::from_millis(settings.decision_wait_ms),
        };
        let state = OperatorState {
            clock: Arc::clone(&parts.clock),
            reader: parts.reader.clone(),
            writer: parts.writer,
            verifier: parts.instructions,
            pseudonym_key: Arc::new(parts.pseudonym_key),
            card_events_octets: settings.card_events_octets,
            card_events: settings.card_events,
            question_octets: QUESTION_OCTETS,
            body_timeout,
        };
        Ok(Self {
            state: Data::new(state),
            challenges: Data::from(challenges),
            instructions: Data::new(instructions),
            health: Data::new(Health { reader: parts.reader, clock: parts.clock, beacons: None, log: parts.log }),
            edge: Edge::new("operators", &settings.listener),
            listener: settings.listener,
        })
    }

    pub(crate) fn edge(&self) -> Arc<Edge> {
        Arc::clone(&self.edge)
    }

    pub(crate) fn listener(&self) -> &ListenerSettings {
        &self.listener
    }

    /// Registers the routes, each with its access.
    pub(crate) fn configure(&self, config: &mut ServiceConfig) -> Vec<(Route, Access)> {
        config.app_data(self.state.clone()).app_data(self.health.clone());
        config.app_data(self.challenges.clone()).app_data(self.instructions.clone());
        let mut routes = OperatorRoutes::new(config);
        routes.add(Access::CARD_EVENTS, Method::POST, "/v1/card-events", card_events::receive_card_events);
        routes.add(Access::INSTRUCTING, Method::POST, "/v1/challenges", challenges::ask_for_challenge);
        routes.add(Access::INSTRUCTING, Method::POST, "/v1/instructions", instructions::instruct);
        routes.add(Access::OUTCOMES, Method::GET, "/v1/instructions/{id}", instructions::ask_for_instruction);
        routes.add(Access::READING, Method::GET, "/v1/certificates/{serial}/history", history::tell_history);
        routes.add(Access::READING, Method::POST, "/v1/holders/show", holders::show_holder);
        routes.add(Access::READING, Method::GET, "/v1/devices", devices::list_devices);
        routes.add(Access::READING, Method::GET, "/v1/devices/{id}", devices::show_device);
        routes.add(Access::READING, Method::GET, "/v1/schedules", schedules::list_schedules);
        routes.add(Access::FIGURES, Method::GET, "/v1/latency", latency::tell_latency);
        routes.add(Access::READING, Method::GET, "/v1/batches/{id}", mass::show_batch);
        routes.add(Access::READING, Method::POST, "/v1/mass/dry-run", mass::dry_run);
        routes.add(Access::AUDITING, Method::GET, "/v1/audit/exports", audit::list_exports);
        routes.add(Access::AUDITING, Method::GET, "/v1/audit/exports/{id}", audit::show_export);
        routes.add(Access::AUDITING, Method::GET, "/v1/audit/exports/{id}/files/{name}", audit::fetch_export_file);
        routes.add(Access::AUDITING, Method::POST, "/v1/audit/search", audit::search_log);
        routes.add(Access::VERIFYING, Method::POST, "/v1/verifier/lookups", verifiers::look_up);
        routes.add(Access::VERIFYING, Method::POST, "/v1/verifier/pseudonyms", verifiers::give_pseudonyms);
        routes.add(Access::AnyOperator, Method::GET, "/openapi.json", crate::document::describe);
        routes.add(Access::AnyOperator, Method::GET, "/health/live", health::live);
        routes.add(Access::AnyOperator, Method::GET, "/health/ready", health::ready);
        routes.into_registered()
    }
}
