//! Keeping the issuance log: order, leadership, faults, what others know of it, witnesses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod directory;
mod keeping;
mod leading;
mod stage;
mod witness_server;
mod witnesses;
