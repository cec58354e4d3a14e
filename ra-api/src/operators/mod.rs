//! The operators' listener: mutual TLS, the role is in the client certificate, everything is denied that is not allowed.

mod access;
mod card_events;
mod identity;

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig};
use ca_core::clock::Clock;
use schema::{Reader, Writer};

pub(crate) use access::admit;
pub(crate) use card_events::__path_receive_card_events;
pub use card_events::{CardEventBody, CardEventsAnswer, CardEventsBody};
pub(crate) use identity::remember_identity;
pub use identity::{IdentityRefusal, OperatorIdentity, Role, UnknownRole};

use self::access::{Access, OperatorRoutes};
use crate::edge::Edge;
use crate::health::{self, Health};
use crate::routes::Route;
use crate::settings::{ListenerSettings, OperatorSettings, SettingsRefusal};

/// What the operators' listener is made of.
pub struct OperatorParts {
    /// Bounds.
    pub settings: OperatorSettings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The store, for reading.
    pub reader: Reader,
    /// The store, for writing.
    pub writer: Writer,
}

/// The operators' listener's interface; cheap to clone, one for all its workers.
#[derive(Clone)]
pub struct OperatorApi {
    state: Data<OperatorState>,
    health: Data<Health>,
    edge: Arc<Edge>,
    listener: ListenerSettings,
}

pub(crate) struct OperatorState {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) writer: Writer,
    pub(crate) card_events_octets: usize,
    pub(crate) card_events: usize,
    pub(crate) body_timeout: Duration,
}

impl OperatorApi {
    /// Puts the parts together; refuses settings that contradict each other.
    pub fn new(parts: OperatorParts) -> Result<Self, SettingsRefusal> {
        parts.settings.check()?;
        let state = OperatorState {
            clock: Arc::clone(&parts.clock),
            writer: parts.writer,
            card_events_octets: parts.settings.card_events_octets,
            card_events: parts.settings.card_events,
            body_timeout: parts.settings.listener.body_timeout(),
        };
        Ok(Self {
            state: Data::new(state),
            health: Data::new(Health { reader: parts.reader, clock: parts.clock, beacons: None }),
            edge: Edge::new("operators", &parts.settings.listener),
            listener: parts.settings.listener,
        })
    }

    pub(crate) fn edge(&self) -> Arc<Edge> {
        Arc::clone(&self.edge)
    }

    pub(crate) fn listener(&self) -> &ListenerSettings {
        &self.listener
    }

    /// Registers the routes, each with its access.
    pub(crate) fn configure(&self, config: &mut ServiceConfig) -> Vec<Route> {
        config.app_data(self.state.clone()).app_data(self.health.clone());
        let mut routes = OperatorRoutes::new(config);
        routes.add(Access::Only(Role::BackOffice), Method::POST, "/v1/card-events", card_events::receive_card_events);
        routes.add(Access::AnyOperator, Method::GET, "/openapi.json", crate::document::describe);
        routes.add(Access::AnyOperator, Method::GET, "/health/live", health::live);
        routes.add(Access::AnyOperator, Method::GET, "/health/ready", health::ready);
        routes.into_registered()
    }
}
