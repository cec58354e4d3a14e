//! The port to phones: how a command that the CA has signed gets to a phone that did not ask.
//!
//! [`PushGateway`] is what Tsunagi asks of it; [`FcmClient`] asks Firebase Cloud Messaging. A gateway promises nothing: what it
//! took may never arrive, and may arrive twice. It need not be trusted either, for the command is signed and the phone checks it.
//!
//! A push token leads to one person's phone. It is written into no log, error or `Debug`.

mod client;
mod error_body;
mod fault;
mod gateway;
mod message;
mod settings;

pub use client::FcmClient;
pub use error_body::ErrorCode;
pub use fault::PushFault;
pub use gateway::{PushGateway, PushMessage, PushOutcome};
pub use settings::PushSettings;
