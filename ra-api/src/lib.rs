//! The registration authority's HTTP interface: one listener for holders, one for operators.
//!
//! [`HolderApi`] and [`OperatorApi`] are put together from their parts and served by [`serve_holders`] and [`serve_operators`].
//! Handlers read, call the domain, and write; what every request has in common (bounds, correlation id, problem details) is in
//! [`edge`].

mod document;
pub mod edge;
mod health;
mod holders;
mod operators;
pub mod problem;
mod routes;
mod server;
mod settings;
mod tls;

pub use document::openapi;
pub use health::HealthAnswer;
pub use holders::{
    AcceptedAnswer, ApplicationAnswer, Beacons, CardStatusPlaces, CertificateAnswer, ChallengeAnswer, Decisions, EvidenceFailure,
    EvidencePlan, EvidenceSource, HolderApi, HolderParts, IssuedAnswer, NetworkEvidence, StatusSource,
};
pub use operators::{
    CardEventBody, CardEventsAnswer, CardEventsBody, IdentityRefusal, OperatorApi, OperatorIdentity, OperatorParts, Role, UnknownRole,
};
pub use routes::Route;
pub use server::{serve_holders, serve_operators};
pub use settings::{HolderSettings, ListenerSettings, OperatorSettings, SettingsRefusal};
pub use tls::{TlsFault, holder_tls, operator_tls};
