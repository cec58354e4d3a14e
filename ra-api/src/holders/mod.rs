//! The public listener: challenges and applications. Holders have no account; a card's signature is their identity.

mod answer;
mod applications;
mod beacons;
mod challenges;
mod decisions;
mod evidence;
mod reception;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig};
use ca_core::application::challenge::ChallengeKey;
use ca_core::application::verifier::ApplicationVerifier;
use ca_core::clock::Clock;
use schema::{Reader, Writer};

pub use answer::{AcceptedAnswer, ApplicationAnswer, CertificateAnswer, IssuedAnswer};
pub(crate) use applications::{__path_apply, __path_ask_for_outcome};
pub use beacons::Beacons;
pub(crate) use challenges::__path_ask_for_challenge;
pub use challenges::ChallengeAnswer;
pub use decisions::Decisions;
pub use evidence::{CardStatusPlaces, EvidenceFailure, EvidencePlan, EvidenceSource, NetworkEvidence, StatusSource};
pub(crate) use reception::store_problem;

use self::reception::{RecentRefusals, Reception};
use crate::edge::Edge;
use crate::health::{self, Health};
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
    /// The RA's half of challenges and tokens.
    pub challenge_key: ChallengeKey,
    /// Where evidence comes from.
    pub evidence: Arc<dyn EvidenceSource>,
    /// Who learns of the CA's decisions.
    pub decisions: Decisions,
}

/// The public listener's interface; cheap to clone, one for all its workers.
#[derive(Clone)]
pub struct HolderApi {
    state: Data<HolderState>,
    health: Data<Health>,
    edge: Arc<Edge>,
    listener: ListenerSettings,
}

pub(crate) struct HolderState {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) challenge_key: Arc<ChallengeKey>,
    pub(crate) beacons: Arc<Beacons>,
    pub(crate) reception: Arc<Reception>,
    pub(crate) decisions: Decisions,
    pub(crate) application_octets: usize,
    pub(crate) body_timeout: Duration,
    pub(crate) decision_wait: Duration,
}

impl HolderApi {
    /// Puts the parts together; refuses settings that contradict each other.
    pub fn new(parts: HolderParts) -> Result<Self, SettingsRefusal> {
        parts.settings.check()?;
        let challenge = &parts.verifier.policy().challenge;
        // A challenge is to last for at least one beacon's interval.
        let beacons =
            Arc::new(Beacons::new(parts.reader.clone(), challenge.lifetime(), challenge.beacon_interval().min(challenge.lifetime() / 2)));
        let challenge_key = Arc::new(parts.challenge_key);
        let reception = Reception {
            clock: Arc::clone(&parts.clock),
            reader: parts.reader.clone(),
            writer: parts.writer,
            verifier: parts.verifier,
            challenge_key: Arc::clone(&challenge_key),
            beacons: Arc::clone(&beacons),
            evidence: parts.evidence,
            refusals: RecentRefusals::default(),
        };
        let state = HolderState {
            clock: Arc::clone(&parts.clock),
            challenge_key,
            beacons: Arc::clone(&beacons),
            reception: Arc::new(reception),
            decisions: parts.decisions,
            application_octets: parts.settings.application_octets,
            body_timeout: parts.settings.listener.body_timeout(),
            decision_wait: parts.settings.decision_wait(),
        };
        Ok(Self {
            state: Data::new(state),
            health: Data::new(Health { reader: parts.reader, clock: parts.clock, beacons: Some(beacons) }),
            edge: Edge::new("holders", &parts.settings.listener),
            listener: parts.settings.listener,
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
        let mut routes = Routes::new(config);
        routes.add(Method::POST, "/v1/challenges", challenges::ask_for_challenge);
        routes.add(Method::POST, "/v1/applications", applications::apply);
        routes.add(Method::GET, "/v1/applications/{id}", applications::ask_for_outcome);
        routes.add(Method::GET, "/openapi.json", crate::document::describe);
        routes.add(Method::GET, "/health/live", health::live);
        routes.add(Method::GET, "/health/ready", health::ready);
        routes.into_registered()
    }
}
