//! The status of certificates, asked and answered online (RFC 6960).
//!
//! From the inside out: a [`Question`] is what a bounded, strict reading of a request leaves; [`Authorities`] are the CA keys we
//! speak for, each with the delegated [`Responder`]s it appointed; a [`Status`](status::Status) is what is known of a serial number;
//! [`answers`] puts them together into signed octets. The [`cache`] remembers statuses and signed answers, the [`follower`] of the store's
//! events kills in it what changed, and [`freshness`] says how much of it may be told. [`OcspService`] is all of that together, and
//! [`http`] lets the world in.
//!
//! Whatever goes wrong, the answer is never `good`: a fault of the store is `tryLater`, a serial number never issued is told as such.

pub mod answers;
pub mod authority;
pub mod cache;
pub mod fault;
pub mod follower;
pub mod freshness;
pub mod get_path;
pub mod http;
pub mod lookups;
pub mod metrics;
pub mod question;
pub mod registry;
pub mod requestor;
pub mod responder;
pub mod service;
pub mod settings;
pub mod status;
pub mod ticks;

pub use answers::{Answer, answer};
pub use authority::{Authorities, Authority};
pub use fault::AnswerFault;
pub use question::{Question, QuestionRefusal};
pub use registry::Registry;
pub use requestor::Requestors;
pub use responder::Responder;
pub use service::{OcspService, Reply};
pub use settings::{NeverIssued, OcspSettings, SettingsRefusal};
