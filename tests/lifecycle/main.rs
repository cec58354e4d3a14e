//! The life of certificates after they were issued, in the CA role with a real store: instructions, cards, notices, commands to
//! phones, and what is done regularly.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attacks;
mod cards;
mod instructions;
mod latency;
mod log;
mod mass;
mod notices;
mod phones;
mod regular;
#[path = "../rooms/mod.rs"]
mod rooms;
mod running;
mod status;
mod test_certificates;
