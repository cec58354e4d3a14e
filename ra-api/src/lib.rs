//! The registration authority's HTTP interface: one listener for holders, one for operators.
//!
//! [`HolderApi`] and [`OperatorApi`] are put together from their parts and served by [`serve_holders`] and [`serve_operators`].
//! Handlers read, call the domain, and write; what every request has in common (bounds, correlation id, problem details) is in
//! `edge`.

mod challenges;
mod decisions;
mod document;
mod edge;
mod health;
mod holders;
mod instructions;
mod operators;
pub mod problem;
mod receipts;
mod recent;
mod routes;
mod server;
mod settings;
mod store;
mod tls;
mod view;

pub use ca_core::instruction::operator::Role;
pub use decisions::{Decisions, Undecided};
pub use document::openapi;
pub use holders::{
    CardStatusPlaces, EvidenceFailure, EvidenceLimits, EvidencePlan, EvidenceSource, HolderApi, HolderParts, NetworkEvidence, StatusSource,
};
pub use operators::{CardEventBody, OperatorApi, OperatorParts};
pub use server::{serve_holders, serve_operators};
pub use settings::{HolderSettings, ListenerSettings, OperatorSettings, SettingsRefusal};
pub use tls::{TlsFault, holder_tls, operator_tls};
