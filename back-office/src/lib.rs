//! The port to the back office: whoever keeps the register of card holders and the life of card certificates (in Japan,
//! J-LIS).
//!
//! [`BackOffice`] is what Tsunagi asks of it; [`HttpBackOffice`] asks over HTTPS. [`CardStatusClient`] fetches what the card CA
//! itself publishes, OCSP answers and CRLs, over plain HTTP: those are signed, so the transport need not be trusted.
//!
//! Nothing here decides anything: answers are checked for form, bounded in size and time, and handed on. Whether a signed
//! answer is genuine and fresh is `ca-core`'s to say. Caching belongs to the callers.

mod card_events;
mod card_states;
mod card_status;
mod client;
mod fault;
mod look_up;
mod notices;
mod port;
mod resolver;
mod settings;
mod transport;

pub use card_status::{CardStatusClient, CrlUrlTemplate};
pub use client::HttpBackOffice;
pub use fault::BackOfficeFault;
pub use port::{
    BackOffice, CARD_STATES_AT_ONCE, CardChange, CardEvent, CardEventPage, CardHolder, CardName, CardReference, EventSubject, FeedItem,
    NOTICES_AT_ONCE, Notice, NoticeText, RegisterState, Standing,
};
pub use settings::{BackOfficeSettings, CardStatusSettings, ConnectionSettings};
