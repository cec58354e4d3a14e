//! The status of certificates, asked and answered online (RFC 6960).
//!
//! From the inside out: a [`Question`] is what a bounded, strict reading of a request leaves; [`Authorities`] are the CA keys we
//! speak for, each with the delegated [`Responder`] it appointed; a [`StatusSource`] knows what became of a serial number;
//! [`answer()`] puts them together and is pure but for the source and the signer. [`OcspService`] does that over the store, and
//! [`http`] lets the world in.
//!
//! Whatever goes wrong, the answer is never `good`: a fault of the store is `tryLater`, a serial number never issued is `unknown`.

pub mod answer;
pub mod authority;
pub mod fault;
pub mod get_path;
pub mod http;
pub mod question;
pub mod registry;
pub mod responder;
pub mod service;
pub mod settings;
pub mod source;

pub use answer::{Answer, answer};
pub use authority::{Authorities, Authority};
pub use fault::AnswerFault;
pub use question::{Question, QuestionRefusal};
pub use registry::Registry;
pub use responder::Responder;
pub use service::{Admitted, OcspService, Reply};
pub use settings::{OcspSettings, SettingsRefusal};
pub use source::{IssuedStatus, StatusSource};
