//! Exports of a log in memory, verified: as they are, changed by strangers, and taken from a log that was dishonest.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod coverage;
mod dishonest;
mod evidence;
mod forged;
mod honest;
mod reports;
mod restored;
mod stage;
mod tampering;
mod visits;
